// Package clients owns OAuth clients of an environment: where they come from, how they are validated and found, and how
// their redirect URIs are matched.
//
// There is one validator and one lookup for every source. Pre-registered clients are rows. A dynamic registration (RFC 7591)
// writes nothing: its client_id is the sealed registration itself, so a million abandoned registrations cost nothing, and
// the same public client registering again gets the same client_id. A row is made at the first consent, so that people see
// and can disable what they allowed.
//
// A client_id that is a URL names a metadata document (draft-ietf-oauth-client-id-metadata-document-02). It is fetched by a
// fetcher that connects to public addresses only (fetch*.go), cached (document_shelf.go), validated (document.go) and found
// together with what the tenant decided about it (document_lookup.go). Clients that sign their requests are checked in
// assertion*.go. What hosts are known, and by which addresses, is data: hosts/*.json.
//
// It refuses redirect URIs that a browser would run (javascript:, data: …), cleartext ones that leave the machine, wildcards,
// fragments and userinfo. Bound by RFC 6749 §3.1.2, RFC 7591, RFC 7523, RFC 8252 §7, RFC 9700 §4.1, and for what is
// fetched by RFC 6890 and RFC 9111.
package clients
