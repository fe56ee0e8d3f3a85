// Package gate is the resource side: it stands in front of an MCP server and lets through what the token allows.
//
// It owns access token validation (RFC 9068, RFC 8707 §2, RFC 6750), the mapping of MCP requests to tools and their scopes
// by the published policy (app/policy), the issuer's feed of what was revoked or stopped and what silence of the issuer means,
// the challenges of the MCP authorization specification, protected resource metadata (RFC 9728), the filtering of lists, and
// a reverse proxy for unmodified MCP servers over streamable HTTP, for the revisions 2025-03-26 to 2026-07-28. A Go MCP server can use it in process through Middleware.
//
// It refuses: a database, Echo, tokens in the query, tokens for another resource, bodies that two JSON parsers could read
// differently, and passing the client's token on to the server behind it. What it does not know it denies: a tool that is
// not in the policy is not called, and not listed.
//
// A request costs no network hop: keys, policy and feed are held in memory, verified tokens are remembered by their hash.
package gate
