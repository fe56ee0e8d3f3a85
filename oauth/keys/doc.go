// Package keys owns the signing keys of an environment: making them, sealing their private half, publishing the public half
// (RFC 7517) and signing compact JWS (RFC 7515) with the active one.
//
// A private key is opened once per process and never leaves this package. A key is published before it signs and stays
// published until the last token it signed has expired.
package keys
