// Package policy owns the published policy of one resource (MCP server) and the pure decision it leads to.
//
// The document is what tenants publishes, what the issuer signs and serves at {issuer}/resources/{id}/policy, and what the
// gate and the SDKs hold in memory. The decision takes values and returns values, so a table of vectors can test it in
// every language. It refuses by default: a tool that is not in the document is denied.
package policy
