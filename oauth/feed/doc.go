// Package feed owns what MCP servers hear within seconds: the signed statement of what was revoked lately, what is stopped
// now and which policy revision is the newest. It reads that state, keeps the current one of each issuer in memory, signs it
// once for everybody, and hands it to whoever asks, waits or holds a stream open.
//
// It refuses to guess: while Postgres is away nothing new is signed, so that the age of the last one (its iat) says how long
// nobody has been heard. Notifications make it fast; a number read every two seconds makes it right.
//
// Streams are server-sent events (WHATWG HTML, section 9.2), signatures JWS in compact form (RFC 7515).
package feed
