package secret

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"time"
)

// NewID returns prefix + "_" + 26 random characters (130 bits), the form of every id of ours.
func NewID(prefix string) string { return prefix + "_" + rand.Text() }

// orderedAlphabet is the alphabet of our ids in the order in which bytes, and so indexes, sort it.
const orderedAlphabet = "234567ABCDEFGHIJKLMNOPQRSTUVWXYZ"

// timeCharacters at five bits each hold the milliseconds of a thousand years.
const timeCharacters = 9

// NewOrderedID returns an id of the form of NewID that begins with the millisecond of at; the 17 characters after it are random
// (85 bits). Ids made one after the other are neighbours in an index, which is what rows of which there are many want: a new
// entry goes where the last one went, not to a page of its own. It tells when it was made, so it is for what may be known of.
func NewOrderedID(prefix string, at time.Time) string {
	var when [timeCharacters]byte
	ms := at.UnixMilli()
	for i := timeCharacters - 1; i >= 0; i-- {
		when[i] = orderedAlphabet[ms&31]
		ms >>= 5
	}
	return prefix + "_" + string(when[:]) + rand.Text()[timeCharacters:]
}

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
