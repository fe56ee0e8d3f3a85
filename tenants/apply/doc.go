// Package apply owns tenants described as files: it reads and checks a file whole, prints what it would change, and makes
// the tenant equal to it.
//
// A problem is reported with its line and column, all problems at once, and nothing happens while there is one. What a file
// lists is made equal to the file; inside a listed MCP server that includes what the file leaves out. Members, users,
// organizations, clients and MCP servers that the file does not name are left alone. Applying twice changes nothing the
// second time. Each environment is one transaction; publishing is the last thing in it.
//
// It refuses unknown and doubled keys, anchors, aliases and merges, so that a file means what it shows.
package apply
