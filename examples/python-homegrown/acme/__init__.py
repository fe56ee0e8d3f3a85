"""Acme Data: a data platform's homegrown MCP server, written without a framework.

It was a pilot and works: JSON-RPC over HTTP by hand, an API key in a header, one Postgres for all customers with
row-level security. Nothing in this package knows Ostiary.
"""
