// Package secret owns randomness, hashing of secrets, and sealing of values under keys derived from the master key.
//
// It refuses: math/rand, comparison of secrets in variable time, and keeping a high-entropy secret in the clear (callers
// store Hash of it). Human-chosen secrets go through HashPassword (argon2id).
package secret
