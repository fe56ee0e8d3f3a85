package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
)

// ErrSealed is returned for every value that does not open: altered, foreign, made for another purpose, or cut short.
// There is deliberately one error for all of them.
var ErrSealed = errors.New("sealed value does not open")

// KeySize is the size in bytes of master keys, root secrets and derived keys.
const KeySize = 32

// Derive returns a key for one purpose from a root secret (HKDF-SHA-256, RFC 5869).
func Derive(root []byte, purpose string) []byte {
	key, err := hkdf.Key(sha256.New, root, nil, purpose, KeySize)
	if err != nil {
		panic(fmt.Sprintf("secret: derive %s: %v", purpose, err)) // only a key longer than HKDF's limit
	}
	return key
}

// Sealer seals values under one key with AES-256-GCM. Build one per key and purpose and keep it: it holds the cipher.
type Sealer struct {
	aead cipher.AEAD
	siv  []byte // key of the synthetic nonce, for SealSame
}

// NewSealer returns a Sealer for a key derived from root for purpose.
func NewSealer(root []byte, purpose string) *Sealer {
	block, err := aes.NewCipher(Derive(root, purpose+" aead"))
	if err != nil {
		panic(err) // the key size is ours
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return &Sealer{aead: aead, siv: Derive(root, purpose+" siv")}
}

// Seal returns plaintext sealed under a random nonce, bound to aad.
func (s *Sealer) Seal(plaintext, aad []byte) []byte {
	return s.seal(Bytes(s.aead.NonceSize()), plaintext, aad)
}

// SealSame returns the same sealed value for the same plaintext and aad: its nonce is a MAC of both, so a nonce repeats
// only where the whole message does. Use it where sealing again must give the same name, such as a client_id.
func (s *Sealer) SealSame(plaintext, aad []byte) []byte {
	mac := hmac.New(sha256.New, s.siv)
	fmt.Fprintf(mac, "%d:", len(aad))
	mac.Write(aad)
	mac.Write(plaintext)
	return s.seal(mac.Sum(nil)[:s.aead.NonceSize()], plaintext, aad)
}

func (s *Sealer) seal(nonce, plaintext, aad []byte) []byte {
	out := make([]byte, 0, len(nonce)+len(plaintext)+s.aead.Overhead())
	out = append(out, nonce...)
	return s.aead.Seal(out, nonce, plaintext, aad)
}

// Open returns the plaintext of sealed, or ErrSealed.
func (s *Sealer) Open(sealed, aad []byte) ([]byte, error) {
	n := s.aead.NonceSize()
	if len(sealed) < n+s.aead.Overhead() {
		return nil, ErrSealed
	}
	plaintext, err := s.aead.Open(nil, sealed[:n], sealed[n:], aad)
	if err != nil {
		return nil, ErrSealed
	}
	return plaintext, nil
}

// SealText is Seal as URL-safe text without padding.
func (s *Sealer) SealText(plaintext, aad []byte) string {
	return base64.RawURLEncoding.EncodeToString(s.Seal(plaintext, aad))
}

// canonical reads one spelling of a value only.
var canonical = base64.RawURLEncoding.Strict()

// OpenText opens what SealText made. Text that is not canonical base64url is refused, so a value has one spelling.
func (s *Sealer) OpenText(text string, aad []byte) ([]byte, error) {
	sealed, err := canonical.DecodeString(text)
	if err != nil {
		return nil, ErrSealed
	}
	return s.Open(sealed, aad)
}
