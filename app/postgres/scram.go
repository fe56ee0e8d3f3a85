package postgres

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/secret"
)

// scramIterations is the server's own default.
const scramIterations = 4096

// scramVerifier returns what Postgres stores for a password (RFC 5803 §3, RFC 5802 §3), so that the password itself never
// appears in a statement, and so never in a server's log.
func scramVerifier(password string) (string, error) {
	for _, r := range password {
		if r < ' ' || r > '~' {
			// Anything else would have to be normalized exactly as each driver does (RFC 5802 §2.2, SASLprep).
			return "", errs.New(errs.Invalid, "A role's password may hold printable ASCII only.")
		}
	}
	salt := secret.Bytes(16)
	salted, err := pbkdf2.Key(sha256.New, password, salt, scramIterations, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("derive role verifier: %w", err)
	}
	clientKey := hmacSHA256(salted, "Client Key")
	storedKey := sha256.Sum256(clientKey)
	serverKey := hmacSHA256(salted, "Server Key")
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s",
		scramIterations, encode(salt), encode(storedKey[:]), encode(serverKey)), nil
}

func hmacSHA256(key []byte, message string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(message))
	return mac.Sum(nil)
}
