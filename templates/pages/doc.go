// Package pages owns the dashboard's screens: member sign-in, the list of MCP servers, one MCP server with its tools and
// permissions, the wording of one permission with its live preview, and errors.
//
// Each page takes one view struct with strings ready to print. Members read "MCP server", "permission", "tool" and
// "wording"; a scope string is shown in monospace, as the id a machine reads.
package pages
