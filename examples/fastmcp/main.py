"""Acme Data on FastMCP, without any protection: put the gate in front of it."""

from fastmcp.server.dependencies import get_http_headers

from acme import build
from serve import serve

mcp = build(lambda: get_http_headers().get("ostiary-user", "unknown"))

if __name__ == "__main__":
    serve(mcp)
