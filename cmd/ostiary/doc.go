// Command ostiary is the authorization platform for MCP servers: one binary for every role.
//
// dev runs everything on this machine, on a Postgres of its own. serve, migrate and apply are for operators; gate stands in
// front of an MCP server. Commands read flags and the environment, build what they need and leave the work to packages.
package main
