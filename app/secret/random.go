package secret

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
)

// NewID returns prefix + "_" + 26 random characters (130 bits), the form of every id of ours.
func NewID(prefix string) string { return prefix + "_" + rand.Text() }

// NewToken returns 32 random bytes as URL-safe text without padding.
func NewToken() string { return base64.RawURLEncoding.EncodeToString(Bytes(32)) }

// Bytes returns n random bytes.
func Bytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) //nolint:errcheck // crypto/rand.Read never returns an error; it ends the program instead
	return b
}

// Hash returns the SHA-256 of a high-entropy secret: what we keep instead of the secret.
func Hash(s string) []byte {
	sum := sha256.Sum256([]byte(s))
	return sum[:]
}

// Equal compares two secrets in constant time.
func Equal(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }
