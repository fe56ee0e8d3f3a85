package oauth

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/ostiary/ostiary/app/secret"
)

// RFC 7636 §4.1: a verifier has 43 to 128 unreserved characters.
const (
	minVerifier = 43
	maxVerifier = 128
	// A SHA-256 in base64url has 43 characters (RFC 7636 §4.2).
	challengeLength = 43
)

func validVerifier(v string) bool {
	return len(v) >= minVerifier && len(v) <= maxVerifier && strings.Trim(v, unreserved) == ""
}

const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"

func validChallenge(c string) bool {
	if len(c) != challengeLength {
		return false
	}
	_, err := base64.RawURLEncoding.DecodeString(c)
	return err == nil
}

// verifierMatches checks S256, the only method offered (RFC 7636 §4.6).
func verifierMatches(verifier, challenge string) bool {
	sum := sha256.Sum256([]byte(verifier))
	return secret.Equal([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(challenge))
}
