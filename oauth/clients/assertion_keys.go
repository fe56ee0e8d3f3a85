package clients

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"

	"github.com/go-jose/go-jose/v4"
)

// AssertionAlgorithms are the signatures a client may authenticate with, as metadata names them (RFC 8414 §2).
func AssertionAlgorithms() []string { return []string{"ES256", "RS256", "EdDSA"} }

func assertionAlgorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.EdDSA}
}

const (
	minRSABits = 2048
	maxRSABits = 8192 // a larger one is only there to keep us busy
	maxKeys    = 32   // of one set
)

// Keys is where the public keys of a client that signs its requests are: in its metadata, or at a URL. Never both.
type Keys struct {
	JWKS json.RawMessage
	URI  string
}

func (k Keys) empty() bool { return len(k.JWKS) == 0 && k.URI == "" }

var (
	errPrivateKey = errors.New("its key set contains private keys: they are no secret any more")
	errNoKeys     = errors.New("its key set has no key that ES256, RS256 or EdDSA can use")
)

// publicKey is one key, tied to the one algorithm it may be used with (RFC 8725 §3.1).
type publicKey struct {
	id  string
	alg jose.SignatureAlgorithm
	key any
}

// parseKeySet reads a JWK set. What it cannot use it leaves out; private and symmetric keys spoil the whole set.
// Errors: errPrivateKey, errNoKeys.
func parseKeySet(raw []byte) ([]publicKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(raw, &set) != nil {
		return nil, errNoKeys
	}
	var keys []publicKey
	for n, item := range set.Keys {
		if n == maxKeys {
			break
		}
		if showsPrivate(item) {
			return nil, errPrivateKey
		}
		if key, ok := parsePublicKey(item); ok {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, errNoKeys
	}
	return keys, nil
}

// showsPrivate reports whether a key has a member that only its owner should know (RFC 7518 §6).
func showsPrivate(item json.RawMessage) bool {
	var members map[string]json.RawMessage
	if json.Unmarshal(item, &members) != nil {
		return false
	}
	for _, name := range [...]string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if _, ok := members[name]; ok {
			return true
		}
	}
	return false
}

func parsePublicKey(item json.RawMessage) (publicKey, bool) {
	var jwk jose.JSONWebKey
	if json.Unmarshal(item, &jwk) != nil || !jwk.IsPublic() || !jwk.Valid() || (jwk.Use != "" && jwk.Use != "sig") {
		return publicKey{}, false
	}
	alg := algorithmOf(jwk.Key)
	if alg == "" || (jwk.Algorithm != "" && jwk.Algorithm != string(alg)) {
		return publicKey{}, false
	}
	return publicKey{id: jwk.KeyID, alg: alg, key: jwk.Key}, true
}

func algorithmOf(key any) jose.SignatureAlgorithm {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return jose.ES256
		}
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits >= minRSABits && bits <= maxRSABits {
			return jose.RS256
		}
	case ed25519.PublicKey:
		return jose.EdDSA
	}
	return ""
}
