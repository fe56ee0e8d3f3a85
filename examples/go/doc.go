// Command go serves the demo MCP server of examples/acmedata with package gate in the same process.
//
// It owns the wiring that a Go server of your own would have: one gate, its Middleware around the handler, and who asks handed
// on below it. It refuses to serve anything the gate has not let through, and to listen beyond loopback.
package main
