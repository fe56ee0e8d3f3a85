// Package clients owns OAuth clients of an environment: where they come from, how they are validated and found, and how
// their redirect URIs are matched.
//
// There is one validator and one lookup for every source. Pre-registered clients are rows. A dynamic registration (RFC 7591)
// writes nothing: its client_id is the sealed registration itself, so a million abandoned registrations cost nothing, and
// the same public client registering again gets the same client_id. A row is made at the first consent, so that people see
// and can disable what they allowed.
//
// It refuses redirect URIs that a browser would run (javascript:, data: …), cleartext ones that leave the machine, wildcards,
// fragments and userinfo. Bound by RFC 6749 §3.1.2, RFC 7591, RFC 8252 §7, RFC 9700 §4.1.
package clients
