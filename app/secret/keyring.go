package secret

import (
	"bytes"
	"crypto/sha256"
	"fmt"
)

// Keyring wraps data keys under key-encryption keys. The first key seals; all of them open, so a key-encryption key is
// rotated by putting the new one first and re-sealing what the old one sealed.
type Keyring struct {
	keys []kek
}

type kek struct {
	id     []byte // first 8 bytes of the key's SHA-256: says which key wraps a value
	sealer *Sealer
}

const (
	envelopeVersion = 1
	kekIDLen        = 8
	wrappedKeyLen   = 12 + KeySize + 16
)

// NewKeyring returns a keyring; the first key seals. Every key is KeySize bytes.
func NewKeyring(keys ...[]byte) (*Keyring, error) {
	if len(keys) == 0 {
		return nil, fmt.Errorf("keyring: no key-encryption key")
	}
	ring := &Keyring{}
	for _, key := range keys {
		if len(key) != KeySize {
			return nil, fmt.Errorf("keyring: a key-encryption key has %d bytes, not %d", len(key), KeySize)
		}
		sum := sha256.Sum256(key)
		ring.keys = append(ring.keys, kek{id: sum[:kekIDLen], sealer: NewSealer(key, "ostiary envelope")})
	}
	return ring, nil
}

// Seal returns plaintext under a fresh data key that is itself sealed under the first key-encryption key.
// aad names what the value belongs to: a value moved to another row does not open there.
func (r *Keyring) Seal(plaintext []byte, aad string) []byte {
	dataKey := Bytes(KeySize)
	out := append([]byte{envelopeVersion}, r.keys[0].id...)
	out = append(out, r.keys[0].sealer.Seal(dataKey, []byte(aad))...)
	return append(out, NewSealer(dataKey, "ostiary data").Seal(plaintext, []byte(aad))...)
}

// Open returns the plaintext of an envelope, or ErrSealed.
func (r *Keyring) Open(envelope []byte, aad string) ([]byte, error) {
	dataKey, content, _, err := r.unwrap(envelope, aad)
	if err != nil {
		return nil, err
	}
	return NewSealer(dataKey, "ostiary data").Open(content, []byte(aad))
}

// unwrap returns the data key of an envelope, its sealed content and the id of the key that wraps the data key.
func (r *Keyring) unwrap(envelope []byte, aad string) (dataKey, content, wrapper []byte, err error) {
	if len(envelope) < 1+kekIDLen+wrappedKeyLen || envelope[0] != envelopeVersion {
		return nil, nil, nil, ErrSealed
	}
	id, rest := envelope[1:1+kekIDLen], envelope[1+kekIDLen:]
	for _, key := range r.keys {
		if !bytes.Equal(key.id, id) {
			continue
		}
		dataKey, err := key.sealer.Open(rest[:wrappedKeyLen], []byte(aad))
		return dataKey, rest[wrappedKeyLen:], id, err
	}
	return nil, nil, nil, ErrSealed
}
