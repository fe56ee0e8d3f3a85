// Package oauth is the data plane: the authorization server of each environment.
//
// It owns discovery, registration, authorization, consent, tokens, revocation, introspection, userinfo, sign-out and the
// signed policy, and is the only tree that imports fosite. fosite is the protocol engine (request parsing, client and redirect validation, handler dispatch);
// what MCP needs and fosite lacks is built as its extension points, one file each. See DECISIONS.md for how codes, refresh
// tokens and interactions live without rows, and SPEC.md for each rule with its test.
//
// A request runs: locate the issuer by URL (front.go) → snapshot of the environment, from memory (issuers.go) → checks of
// our own that are cheap and anonymous → fosite → one or two round trips to Postgres → answer. errors.go is the only writer
// of OAuth errors.
//
// It refuses: the implicit and password grants, plain PKCE, request objects, response modes other than query, wildcard
// redirects, and any scope or resource the tenant did not define.
package oauth
