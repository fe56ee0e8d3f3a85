package gate

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	keysFreshFor = 5 * time.Minute // after this a lookup asks the issuer again, in the background
	// Between two fetches, whatever asks for them: made-up kids must not turn the gate against the issuer.
	keysRetryAfter = 5 * time.Second

	metadataLimit = 256 << 10
	jwksLimit     = 1 << 20
	minRSABits    = 2048
)

var (
	errUnknownKey      = errors.New("the key is not among the issuer's")
	errKeysUnavailable = errors.New("the issuer's keys cannot be fetched")
)

// signatureAlgorithms is everything the gate can verify. Which of them counts for a signature is the key's to say.
func signatureAlgorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.EdDSA}
}

// verifyKey is one public key of the issuer, tied to one algorithm.
type verifyKey struct {
	id         string
	alg        jose.SignatureAlgorithm
	key        any
	thumbprint string // RFC 7638; tells a replaced key from the one a cached token was verified with
}

type keySet struct {
	byID    map[string]verifyKey
	fetched time.Time
}

// issuerKeys holds the issuer's keys: metadata (RFC 8414) → jwks_uri → keys. Once it has keys it keeps them until newer
// ones arrive, so an outage of the issuer does not stop the gate.
type issuerKeys struct {
	issuer string
	fetch  fetcher
	now    func() time.Time
	log    *slog.Logger
	life   context.Context // ends with the gate

	current atomic.Pointer[keySet]

	mu      sync.Mutex
	flight  *flight
	tried   time.Time
	lastErr error
}

// flight is one running fetch that everyone waits for.
type flight struct {
	done chan struct{}
	err  error
}

// find returns the key kid. errUnknownKey means the issuer does not have it, errKeysUnavailable that nobody can tell now.
func (k *issuerKeys) find(ctx context.Context, kid string) (verifyKey, error) {
	if key, ok := k.held(kid); ok {
		return key, nil
	}
	err := k.refresh(ctx)
	if key, ok := k.held(kid); ok {
		return key, nil
	}
	if err != nil {
		return verifyKey{}, fmt.Errorf("%w: %w", errKeysUnavailable, err)
	}
	return verifyKey{}, errUnknownKey
}

// held looks among the keys in memory and has them renewed in the background when they are old.
func (k *issuerKeys) held(kid string) (verifyKey, bool) {
	set := k.current.Load()
	if set == nil {
		return verifyKey{}, false
	}
	if age := k.now().Sub(set.fetched); age > keysFreshFor || age < 0 {
		_, _ = k.start() // nobody waits for it; a failure is logged where it happens
	}
	key, ok := set.byID[kid]
	return key, ok
}

// refresh fetches the keys, together with everyone else who wants them, and at most every keysRetryAfter.
func (k *issuerKeys) refresh(ctx context.Context) error {
	f, err := k.start()
	if f == nil {
		return err
	}
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// start joins or starts a fetch. No flight means it is too early for another one; the error is then that of the last.
func (k *issuerKeys) start() (*flight, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.flight != nil {
		return k.flight, nil
	}
	now := k.now()
	if age := now.Sub(k.tried); !k.tried.IsZero() && age >= 0 && age < keysRetryAfter { // negative: the clock was set back
		return nil, k.lastErr
	}
	k.tried = now
	f := &flight{done: make(chan struct{})}
	k.flight = f
	go k.fly(f)
	return f, nil
}

func (k *issuerKeys) fly(f *flight) {
	// Not the context of the request that came first: the others wait for this too.
	ctx, cancel := context.WithTimeout(k.life, fetchTimeout)
	defer cancel()
	set, err := k.load(ctx)
	if err == nil {
		k.current.Store(set)
	}
	k.mu.Lock()
	if err != nil && k.lastErr == nil && k.current.Load() != nil {
		k.log.WarnContext(ctx, "keys of the issuer cannot be renewed, going on with those in memory", "error", err)
	}
	k.flight, k.lastErr, f.err = nil, err, err
	k.mu.Unlock()
	close(f.done)
}

func (k *issuerKeys) load(ctx context.Context) (*keySet, error) {
	uri, err := k.jwksURI(ctx)
	if err != nil {
		return nil, fmt.Errorf("metadata of the issuer: %w", err)
	}
	doc, err := k.fetch.get(ctx, uri, "application/jwk-set+json, application/json", "", jwksLimit)
	if err != nil {
		return nil, fmt.Errorf("keys of the issuer: %w", err)
	}
	byID, err := parseKeys(doc.body)
	if err != nil {
		return nil, fmt.Errorf("keys of the issuer: %w", err)
	}
	return &keySet{byID: byID, fetched: k.now()}, nil
}

func (k *issuerKeys) jwksURI(ctx context.Context) (string, error) {
	address, err := metadataURL(k.issuer)
	if err != nil {
		return "", err
	}
	doc, err := k.fetch.get(ctx, address, "application/json", "", metadataLimit)
	if err != nil {
		return "", err
	}
	var meta struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(doc.body, &meta); err != nil {
		return "", fmt.Errorf("not JSON: %w", err)
	}
	// RFC 8414 §3.3: identical, or the document must not be used.
	if meta.Issuer != k.issuer {
		return "", fmt.Errorf("it names the issuer %q instead of %q", meta.Issuer, k.issuer)
	}
	u, err := url.Parse(meta.JWKSURI)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != schemeOf(k.issuer) {
		return "", errors.New("it has no usable jwks_uri")
	}
	return meta.JWKSURI, nil
}

func schemeOf(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil {
		return ""
	}
	return u.Scheme
}

// metadataURL inserts the well-known path between host and path of the issuer (RFC 8414 §3.1).
func metadataURL(issuer string) (string, error) {
	u, err := url.Parse(issuer)
	if err != nil {
		return "", fmt.Errorf("issuer: %w", err)
	}
	return u.Scheme + "://" + u.Host + "/.well-known/oauth-authorization-server" + u.EscapedPath(), nil
}

// parseKeys reads a JWK set and keeps what can verify signatures. A key it does not understand does not spoil the others.
func parseKeys(raw []byte) (map[string]verifyKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		return nil, fmt.Errorf("not a JWK set: %w", err)
	}
	byID := make(map[string]verifyKey, len(set.Keys))
	for _, item := range set.Keys {
		var jwk jose.JSONWebKey
		if err := json.Unmarshal(item, &jwk); err != nil {
			continue
		}
		key, ok := usableKey(jwk)
		if _, taken := byID[jwk.KeyID]; ok && !taken {
			byID[jwk.KeyID] = key
		}
	}
	if len(byID) == 0 {
		return nil, errors.New("no usable key in the set")
	}
	return byID, nil
}

func usableKey(jwk jose.JSONWebKey) (verifyKey, bool) {
	if jwk.KeyID == "" || !jwk.IsPublic() || !jwk.Valid() || jwk.Use != "" && jwk.Use != "sig" {
		return verifyKey{}, false
	}
	alg := algorithmOf(jwk.Key)
	if alg == "" || jwk.Algorithm != "" && jwk.Algorithm != string(alg) {
		return verifyKey{}, false
	}
	sum, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return verifyKey{}, false
	}
	return verifyKey{id: jwk.KeyID, alg: alg, key: jwk.Key, thumbprint: base64.RawURLEncoding.EncodeToString(sum)}, true
}

// algorithmOf derives the one algorithm a key may be used with, so that a token cannot choose another (RFC 8725 §3.1).
func algorithmOf(key any) jose.SignatureAlgorithm {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return jose.ES256
		}
	case *rsa.PublicKey:
		if k.N.BitLen() >= minRSABits {
			return jose.RS256
		}
	case ed25519.PublicKey:
		return jose.EdDSA
	}
	return ""
}
