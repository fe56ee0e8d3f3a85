package clients

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
)

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func mac(key []byte, message string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(message))
	return m.Sum(nil)
}
