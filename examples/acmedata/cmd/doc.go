// Command cmd runs the Acme Data demo MCP server on its own, without any protection: put the gate in front of it.
package main
