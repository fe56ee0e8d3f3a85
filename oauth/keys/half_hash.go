package keys

import (
	"crypto/sha256"
	"crypto/sha512"
)

// HalfHash returns the left half of text's hash, encoded, by the hash that goes with the active key's algorithm: at_hash and
// c_hash of OpenID Connect Core §3.1.3.6. For EdDSA that is the hash inside Ed25519, SHA-512.
func (s *Set) HalfHash(text string) string {
	if s.active.Alg == EdDSA {
		sum := sha512.Sum512([]byte(text))
		return b64(sum[:sha512.Size/2])
	}
	sum := sha256.Sum256([]byte(text))
	return b64(sum[:sha256.Size/2])
}
