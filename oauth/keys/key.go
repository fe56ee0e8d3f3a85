package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// Alg is a JWS algorithm we sign with (RFC 7518 §3.1, RFC 8037).
type Alg string

const (
	ES256 Alg = "ES256"
	RS256 Alg = "RS256"
	EdDSA Alg = "EdDSA"
)

// State says where a key is in its life.
type State string

const (
	StatePublished State = "published" // in the JWKS, signs nothing yet
	StateActive    State = "active"    // signs
	StateRetiring  State = "retiring"  // in the JWKS until its last token has expired
	StateRetired   State = "retired"   // gone from the JWKS
)

const rsaBits = 2048

// Key is one signing key, its private half opened.
type Key struct {
	ID        string // kid
	Alg       Alg
	State     State
	CreatedAt time.Time
	RetireAt  *time.Time
	signer    crypto.Signer
}

func generate(alg Alg) (crypto.Signer, error) {
	switch alg {
	case ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case RS256:
		return rsa.GenerateKey(rand.Reader, rsaBits)
	case EdDSA:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
	return nil, fmt.Errorf("signing algorithm %q is not offered", alg)
}

func parsePrivate(der []byte) (crypto.Signer, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errors.New("signing key does not parse")
	}
	signer, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, errors.New("signing key cannot sign")
	}
	return signer, nil
}

// JWK is a public key as RFC 7517 writes it. It has no field for a private member, so none can be published.
type JWK struct {
	KeyType   string `json:"kty"`
	Use       string `json:"use"`
	Algorithm Alg    `json:"alg"`
	KeyID     string `json:"kid"`
	Curve     string `json:"crv,omitempty"`
	X         string `json:"x,omitempty"`
	Y         string `json:"y,omitempty"`
	N         string `json:"n,omitempty"`
	E         string `json:"e,omitempty"`
}

// Public returns the key's public half.
func (k *Key) Public() (JWK, error) {
	jwk := JWK{Use: "sig", Algorithm: k.Alg, KeyID: k.ID}
	switch public := k.signer.Public().(type) {
	case *ecdsa.PublicKey:
		point, err := public.Bytes() // 0x04 | X | Y
		if err != nil {
			return JWK{}, fmt.Errorf("public key: %w", err)
		}
		jwk.KeyType, jwk.Curve, jwk.X, jwk.Y = "EC", "P-256", b64(point[1:33]), b64(point[33:])
	case *rsa.PublicKey:
		jwk.KeyType, jwk.N, jwk.E = "RSA", b64(public.N.Bytes()), b64(big.NewInt(int64(public.E)).Bytes())
	case ed25519.PublicKey:
		jwk.KeyType, jwk.Curve, jwk.X = "OKP", "Ed25519", b64(public)
	default:
		return JWK{}, fmt.Errorf("public key of type %T", public)
	}
	return jwk, nil
}

// sign returns the JWS signature over input.
func (k *Key) sign(input []byte) ([]byte, error) {
	switch private := k.signer.(type) {
	case *ecdsa.PrivateKey:
		digest := sha256.Sum256(input)
		r, s, err := ecdsa.Sign(rand.Reader, private, digest[:])
		if err != nil {
			return nil, fmt.Errorf("sign: %w", err)
		}
		signature := make([]byte, 64) // RFC 7518 §3.4: R and S, 32 octets each
		r.FillBytes(signature[:32])
		s.FillBytes(signature[32:])
		return signature, nil
	case *rsa.PrivateKey:
		digest := sha256.Sum256(input)
		return rsa.SignPKCS1v15(rand.Reader, private, crypto.SHA256, digest[:])
	case ed25519.PrivateKey:
		return ed25519.Sign(private, input), nil
	}
	return nil, errors.New("sign: unknown key type")
}

// verify reports whether signature is this key's over input.
func (k *Key) verify(input, signature []byte) bool {
	switch public := k.signer.Public().(type) {
	case *ecdsa.PublicKey:
		if len(signature) != 64 {
			return false
		}
		digest := sha256.Sum256(input)
		return ecdsa.Verify(public, digest[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
	case *rsa.PublicKey:
		digest := sha256.Sum256(input)
		return rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature) == nil
	case ed25519.PublicKey:
		return ed25519.Verify(public, input, signature)
	}
	return false
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// Set is the keys of one environment at one moment.
type Set struct {
	active    *Key
	published map[string]*Key
	jwks      []byte
	algs      []string
	headers   map[string]string // typ -> encoded protected header of the active key
}

// NewSet returns a Set of the given keys, of which exactly one is active. types lists the JWS types it will sign.
func NewSet(all []*Key, types ...string) (*Set, error) {
	set := &Set{published: map[string]*Key{}, headers: map[string]string{}}
	var document struct {
		Keys []JWK `json:"keys"`
	}
	document.Keys = []JWK{}
	for _, k := range all {
		if k.State == StateRetired {
			continue
		}
		jwk, err := k.Public()
		if err != nil {
			return nil, err
		}
		document.Keys = append(document.Keys, jwk)
		set.published[k.ID] = k
		if k.State == StateActive {
			set.active = k
		}
	}
	if set.active == nil {
		return nil, errors.New("environment has no active signing key")
	}
	set.algs = []string{string(set.active.Alg)}
	for _, jwk := range document.Keys {
		if !slices.Contains(set.algs, string(jwk.Algorithm)) {
			set.algs = append(set.algs, string(jwk.Algorithm))
		}
	}
	var err error
	if set.jwks, err = json.Marshal(document); err != nil {
		return nil, fmt.Errorf("JWKS: %w", err)
	}
	for _, typ := range types {
		set.headers[typ] = set.header(typ)
	}
	return set, nil
}

// JWKS returns the published key set document.
func (s *Set) JWKS() []byte { return s.jwks }

// ActiveID returns the kid of the key that signs.
func (s *Set) ActiveID() string { return s.active.ID }

// Algs returns the algorithms of the published keys, the one that signs now first.
func (s *Set) Algs() []string { return s.algs }

func (s *Set) header(typ string) string {
	return b64([]byte(fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":%q}`, s.active.Alg, s.active.ID, typ)))
}

// Sign returns a compact JWS of payload, whose explicit type (RFC 8725 §3.11) is typ, by the active key.
func (s *Set) Sign(typ string, payload []byte) (string, error) {
	header, ok := s.headers[typ]
	if !ok {
		header = s.header(typ)
	}
	input := make([]byte, 0, len(header)+1+base64.RawURLEncoding.EncodedLen(len(payload))+1+86)
	input = append(input, header...)
	input = append(input, '.')
	input = base64.RawURLEncoding.AppendEncode(input, payload)
	signature, err := s.active.sign(input)
	if err != nil {
		return "", err
	}
	input = append(input, '.')
	return string(base64.RawURLEncoding.AppendEncode(input, signature)), nil
}
