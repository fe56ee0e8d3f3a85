// Package acmedata is a demo MCP server on the official Go SDK: the data platform of the imaginary company Acme.
//
// It stands for any MCP server that exists already. It has no login, no OAuth and no notion of permissions, only seven tools
// over small generated data: three that read data, one that analyses, two that change things, one that deletes. Ostiary goes
// in front of it without a line changed here; the only trace is that it shows who asked when Ostiary-User is set.
//
// The data is generated and the same on every start. Segments and routed signals live in memory and change with the calls.
// It speaks the sessions of the 2025 protocol revisions and the stateless revision 2026-07-28.
package acmedata
