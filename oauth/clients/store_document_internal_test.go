package clients

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/apptest"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

// documented is a client as its document describes it at a time.
func documented(t *testing.T, members map[string]string, at time.Time) *Client {
	t.Helper()
	c, err := parseDocument(testID, describe(members), false, testSchemes)
	if err != nil {
		t.Fatal(err)
	}
	c.Document.CheckedAt = at
	return c
}

func confirm(t *testing.T, w *tenanttest.World, s *Store, tenant *tenanttest.Tenant, c *Client) {
	t.Helper()
	err := w.DB.Pipe(tenant.Context(), func(b *pgx.Batch) {
		if err := s.QueueConfirm(b, tenant.Scope(), c, w.Clock.Now()); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestStore_KeepsTheYoungestDocumentOfOneTenantsClient(t *testing.T) {
	t.Parallel()
	w := tenanttest.New(t, apptest.Database(t).AppURL)
	s, now := NewStore(w.DB, w.Clock.Now), w.Clock.Now().UTC().Truncate(time.Microsecond)
	first := documented(t, map[string]string{
		"token_endpoint_auth_method": `"private_key_jwt"`, "jwks": `{"keys":[` + publicJWK + `]}`, "client_uri": `"https://h.example/"`,
	}, now)
	confirm(t, w, s, w.Acme, first)
	confirm(t, w, s, w.Neighbour, first)
	get := func(tenant *tenanttest.Tenant) *Client {
		t.Helper()
		c, err := s.Get(tenant.Context(), testID)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	kept := get(w.Acme)
	if kept.Source != SourceMetadataDocument || kept.Document.Host != "h.example" || !bytes.Equal(kept.Document.Digest, first.Document.Digest) ||
		!kept.Document.CheckedAt.Equal(now) || kept.AuthMethod != AuthPrivateKeyJWT || kept.Keys.empty() || kept.URI != "https://h.example/" {
		t.Errorf("kept %+v %+v", kept, kept.Document)
	}
	second := documented(t, map[string]string{"redirect_uris": `["https://h.example/new"]`, "client_name": `"Renamed"`}, now.Add(time.Hour))
	if err := s.keepDocument(w.Acme.Context(), second, true); err != nil {
		t.Fatal(err)
	}
	if kept = get(w.Acme); kept.Name != "Renamed" || !slices.Equal(kept.RedirectURIs, second.RedirectURIs) || kept.AuthMethod != AuthNone ||
		!kept.Keys.empty() || kept.URI != "" {
		t.Errorf("what the document no longer says stayed: %+v", kept)
	}
	if err := s.keepDocument(w.Acme.Context(), first, true); err != nil {
		t.Fatal(err)
	}
	if kept = get(w.Acme); kept.Name != "Renamed" {
		t.Error("an older document replaced a younger one")
	}
	if kept = get(w.Neighbour); kept.Name != first.Name {
		t.Error("the neighbour's client changed")
	}
	if err := s.keepDocument(context.Background(), second, false); err == nil {
		t.Error("without a tenant: no error")
	}
}

func TestStore_NeverTurnsAPreregisteredClientIntoAnother(t *testing.T) {
	t.Parallel()
	w := tenanttest.New(t, apptest.Database(t).AppURL)
	s := NewStore(w.DB, w.Clock.Now)
	err := s.Upsert(w.Acme.Operator(), Client{
		ID: testID, Name: "Ours", RedirectURIs: []string{"https://ours.example/cb"}, GrantTypes: []string{GrantAuthorizationCode}, AuthMethod: AuthNone,
	})
	if err != nil {
		t.Fatal(err)
	}
	confirm(t, w, s, w.Acme, documented(t, nil, w.Clock.Now()))
	c, err := s.Get(w.Acme.Context(), testID)
	if err != nil || c.Source != SourcePreregistered || c.Name != "Ours" || c.Document != nil {
		t.Errorf("%+v %v", c, err)
	}
	hosts, err := LoadHosts()
	if err != nil {
		t.Fatal(err)
	}
	book := func(tenant *tenanttest.Tenant) *Book { // metadata documents are switched off
		return NewBook(BookDeps{
			Store: s, Documents: newDocuments(DocumentsDeps{Now: w.Clock.Now, Hosts: hosts}, nil), Now: w.Clock.Now,
			Dynamic: NewDynamic([]byte("0123456789abcdef0123456789abcdef"), tenant.EnvironmentID), IssuerHost: "issuer.example",
		})
	}
	if c, err = book(w.Acme).Get(w.Acme.Context(), testID); err != nil || c.Name != "Ours" {
		t.Errorf("a tenant's own client under a URL: %+v %v", c, err)
	}
	if _, err = book(w.Neighbour).Get(w.Neighbour.Context(), testID); err == nil {
		t.Error("the neighbour has it too")
	}
}

func TestStore_AnAssertionIsUsedOncePerClientAndTenant(t *testing.T) {
	t.Parallel()
	w := tenanttest.New(t, apptest.Database(t).AppURL)
	s, until := NewStore(w.DB, w.Clock.Now), w.Clock.Now().Add(time.Minute)
	use := func(ctx context.Context, client, jti string) bool {
		t.Helper()
		first, err := s.useAssertion(ctx, client, jti, until)
		if err != nil {
			t.Fatal(err)
		}
		return first
	}
	var first atomic.Int32
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			if ok, err := s.useAssertion(w.Acme.Context(), testID, "1", until); err == nil && ok {
				first.Add(1)
			}
		})
	}
	all.Wait()
	if first.Load() != 1 {
		t.Errorf("used %d times at once", first.Load())
	}
	if use(w.Acme.Context(), testID, "1") {
		t.Error("used again")
	}
	for name, ok := range map[string]bool{
		"another jti": use(w.Acme.Context(), testID, "2"), "another client": use(w.Acme.Context(), "https://other.example/c", "1"),
		"another tenant": use(w.Neighbour.Context(), testID, "1"),
	} {
		if !ok {
			t.Errorf("%s: taken for used", name)
		}
	}
	if _, err := s.useAssertion(context.Background(), testID, "3", until); err == nil {
		t.Error("without a tenant: no error")
	}
}
