package keys_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/ostiary/ostiary/app/apptest"
	"github.com/ostiary/ostiary/oauth/keys"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

func TestMain(m *testing.M) { apptest.Main(m) }

func set(t *testing.T, w *tenanttest.World, tenant *tenanttest.Tenant, alg keys.Alg) *keys.Set {
	t.Helper()
	store := keys.NewStore(keys.Deps{DB: w.DB, Keyring: w.Deps.Keyring, Now: w.Clock.Now})
	for range 2 { // the second call finds the first one's key
		if err := store.EnsureActive(tenant.Context(), alg); err != nil {
			t.Fatal(err)
		}
	}
	all, err := store.List(tenant.Context())
	if err != nil || len(all) != 1 {
		t.Fatalf("%d keys, %v", len(all), err)
	}
	s, err := keys.NewSet(all, "at+jwt")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSign_VerifiesWithAnyLibrary(t *testing.T) {
	t.Parallel()
	for _, alg := range []keys.Alg{keys.ES256, keys.RS256, keys.EdDSA} {
		w := tenanttest.New(t, apptest.Database(t).AppURL)
		s := set(t, w, w.Acme, alg)
		token, err := s.Sign("at+jwt", []byte(`{"sub":"usr_1"}`))
		if err != nil {
			t.Fatal(err)
		}
		var published jose.JSONWebKeySet
		if err := json.Unmarshal(s.JWKS(), &published); err != nil {
			t.Fatal(err)
		}
		jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
		if err != nil {
			t.Fatalf("%s: %v", alg, err)
		}
		if payload, err := jws.Verify(published.Key(s.ActiveID())[0]); err != nil || string(payload) != `{"sub":"usr_1"}` {
			t.Errorf("%s: %q, %v", alg, payload, err)
		}
		if payload, err := s.Verify("at+jwt", token); err != nil || string(payload) != `{"sub":"usr_1"}` {
			t.Errorf("%s by ourselves: %q, %v", alg, payload, err)
		}
	}
}

func TestVerify_RefusesWhatIsNotOurs(t *testing.T) {
	t.Parallel()
	w := tenanttest.New(t, apptest.Database(t).AppURL)
	mine, theirs := set(t, w, w.Acme, keys.ES256), set(t, w, w.Neighbour, keys.ES256)
	token, err := mine.Sign("at+jwt", []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := theirs.Sign("at+jwt", []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	otherType, err := mine.Sign("ostiary-policy+jwt", []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(token, ".")
	header := func(json string) string { return base64.RawURLEncoding.EncodeToString([]byte(json)) }
	for name, bad := range map[string]string{
		"another tenant's key": foreign,
		"another type":         otherType,
		"alg none":             header(`{"alg":"none","kid":"`+mine.ActiveID()+`","typ":"at+jwt"}`) + "." + parts[1] + ".",
		"alg HS256":            header(`{"alg":"HS256","kid":"`+mine.ActiveID()+`","typ":"at+jwt"}`) + "." + parts[1] + "." + parts[2],
		"critical extension":   header(`{"alg":"ES256","kid":"`+mine.ActiveID()+`","typ":"at+jwt","crit":["b64"]}`) + "." + parts[1] + "." + parts[2],
		"altered payload":      parts[0] + "." + header(`{"a":1}`) + "." + parts[2],
		"no signature":         parts[0] + "." + parts[1] + ".",
		"four parts":           token + ".x",
		"not a token":          "hello",
	} {
		if _, err := mine.Verify("at+jwt", bad); !errors.Is(err, keys.ErrToken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStore_KeepsPrivateKeysSealedAndApart(t *testing.T) {
	t.Parallel()
	w := tenanttest.New(t, apptest.Database(t).AppURL)
	set(t, w, w.Acme, keys.ES256)
	store := keys.NewStore(keys.Deps{DB: w.DB, Keyring: w.Deps.Keyring, Now: w.Clock.Now})
	if list, err := store.List(w.Neighbour.Context()); err != nil || len(list) != 0 {
		t.Errorf("the neighbour sees %d keys, %v", len(list), err)
	}
	stranger := keys.NewStore(keys.Deps{DB: w.DB, Keyring: tenanttest.Keyring(t), Now: w.Clock.Now})
	if _, err := stranger.List(w.Acme.Context()); err == nil || !strings.Contains(err.Error(), "OSTIARY_MASTER_KEY") {
		t.Errorf("another master key: %v", err)
	}
	if _, err := keys.NewSet(nil); err == nil {
		t.Error("a set without an active key signs nothing")
	}
}

func TestJWK_HasNoPrivateMember(t *testing.T) {
	t.Parallel()
	raw, err := json.Marshal(keys.JWK{KeyType: "EC", Curve: "x", X: "x", Y: "y", N: "n", E: "e", KeyID: "k"})
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(raw, &members); err != nil {
		t.Fatal(err)
	}
	for name := range members {
		if slices.Contains([]string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}, name) {
			t.Errorf("the type can publish %q", name)
		}
	}
}
