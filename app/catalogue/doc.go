// Package catalogue owns what an MCP server says it offers: reading tools/list from a server or from pasted JSON, naming
// exactly that by a fingerprint, finding what a published policy does not know of it, and proposing permissions for it.
//
// A server's texts are untrusted: they are bounded, characters that nobody sees are reported, and a proposal is a draft that
// a person reviews. Nothing here changes anything.
package catalogue
