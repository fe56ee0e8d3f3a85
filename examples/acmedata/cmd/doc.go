// Command cmd serves the Acme Data demo MCP server by itself, unprotected: put the gate in front of it.
package main
