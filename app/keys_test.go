package app_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app"
	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/gate"
	"github.com/ostiary/ostiary/oauth/keys"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/apply"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

// guarded is an MCP server behind a gate that keeps keys as gates do. It answers with the status of a tool call.
func guarded(t *testing.T, s *host.Stack) func(token string) int {
	t.Helper()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"jsonrpc":"2.0","id":1,"result":{"content":[]}}`))
	}))
	t.Cleanup(upstream.Close)
	g, err := gate.New(t.Context(), gate.Options{
		Issuer: s.Acme.Issuer, ResourceID: s.Acme.ResourceID, Upstream: upstream.URL + "/mcp", Now: s.Clock.Now,
		HTTPClient: &http.Client{Transport: host.Transport()},
		Feed:       gate.StaticFeed(nil), // the clock moves by months here, which is silence to a gate
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return func(token string) int {
		r := httptest.NewRequest(http.MethodPost, tenanttest.Identifier,
			strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"run_query"}}`))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json, text/event-stream")
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		g.Handler().ServeHTTP(w, r)
		return w.Code
	}
}

// kid reads which key signed a token.
func kid(t *testing.T, token string) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.SplitN(token, ".", 2)[0])
	if err != nil {
		t.Fatal(err)
	}
	var header struct{ Kid string }
	if err := json.Unmarshal(raw, &header); err != nil {
		t.Fatal(err)
	}
	return header.Kid
}

func connect(t *testing.T, s *host.Stack) (*host.Client, host.Tokens) {
	t.Helper()
	c := s.Register(t, s.Acme, nil)
	return c, s.Connect(t, host.NewBrowser(t), s.Acme, c.Authorize("data:read"), "data:read")
}

func refresh(t *testing.T, c *host.Client, tokens *host.Tokens) {
	t.Helper()
	answer := c.Refresh(t, tokens.Refresh)
	if answer.Status != http.StatusOK {
		t.Fatalf("refresh: %d %s", answer.Status, answer.Raw)
	}
	tokens.Access, tokens.Refresh = answer.Str("access_token"), answer.Str("refresh_token")
}

// A rotation by the schedule, hour by hour, seen by a host that refreshes and by a gate that keeps keys.
func TestKeys_RotateBySchedule(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithNodes(2))
	call := guarded(t, s)
	s.Clock.Advance(88 * 24 * time.Hour)
	c, tokens := connect(t, s)
	first := kid(t, tokens.Access)
	work := func() {
		for _, n := range s.Nodes {
			n.App.Jobs().RunDue(t.Context())
		}
	}
	signers := []string{first}
	for range 5 * 24 / 2 {
		s.Clock.Advance(2 * time.Hour)
		work()
		refresh(t, c, &tokens)
		if signer := kid(t, tokens.Access); !slices.Contains(signers, signer) {
			signers = append(signers, signer)
		}
		if status := call(tokens.Access); status != http.StatusOK {
			t.Fatalf("a fresh token is refused: %d", status)
		}
	}
	if len(signers) != 2 {
		t.Errorf("%d keys signed", len(signers))
	}
	if jwks := host.Get(t, s.Acme.Issuer+"/.well-known/jwks.json").Raw; strings.Contains(jwks, first) {
		t.Error("the old key never left")
	}
}

func TestKeys_RotateNow(t *testing.T) {
	t.Parallel()
	for _, revoke := range []bool{false, true} {
		s := host.New(t, host.WithNodes(2))
		call := guarded(t, s)
		c, old := connect(t, s)
		if status := call(old.Access); status != http.StatusOK {
			t.Fatalf("before: %d", status)
		}
		s.Clock.Advance(6 * time.Second) // a gate asks for keys once in five seconds
		rotated, err := s.App.RotateKeys(tenanttest.Operator(), app.KeyRotation{
			KeySelection: app.KeySelection{Environment: s.Acme.Environment}, Now: true, Revoke: revoke,
		})
		if err != nil || len(rotated) != 1 || rotated[0].Key.State != keys.StateActive {
			t.Fatalf("%+v, %v", rotated, err)
		}
		fresh := old
		eventually(t, "the new key on both nodes", func() bool {
			for range 2 {
				if refresh(t, c, &fresh); kid(t, fresh.Access) != rotated[0].Key.ID {
					return false
				}
			}
			return true
		})
		if status := call(fresh.Access); status != http.StatusOK {
			t.Errorf("revoke=%v: a token of the new key: %d", revoke, status)
		}
		want := http.StatusOK
		if revoke {
			want = http.StatusUnauthorized
		}
		if status := call(old.Access); status != want {
			t.Errorf("revoke=%v: a token of the old key: %d, want %d", revoke, status, want)
		}
		neighbours, err := s.App.ListKeys(tenanttest.Operator(), app.KeySelection{Tenant: s.Neighbour.Slug})
		if err != nil || len(neighbours) != 1 || len(neighbours[0].Keys) != 1 {
			t.Errorf("the neighbour's keys: %+v, %v", neighbours, err)
		}
	}
}

func TestKeys_SelectionIsNeverAGuess(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	same := tenanttest.NeighbourOf(tenanttest.Demo())
	same.Tenant.Slug = "third"
	same.Environments[0].Slug, same.Environments[0].Issuer = s.Acme.Environment, "https://third.example"
	for i := range same.Members {
		same.Members[i].Email = "third-" + same.Members[i].Email
	}
	s.Apply(t, same)
	for name, c := range map[string]struct {
		selection app.KeySelection
		want      errs.Kind
	}{
		"in two workspaces": {app.KeySelection{Environment: s.Acme.Environment}, errs.Conflict},
		"unknown":           {app.KeySelection{Environment: "nowhere"}, errs.NotFound},
		"of another":        {app.KeySelection{Tenant: s.Neighbour.Slug, Environment: s.Acme.Environment}, errs.NotFound},
		"an unknown tenant": {app.KeySelection{Tenant: "nobody"}, errs.NotFound},
	} {
		if rotated, err := s.App.RotateKeys(tenanttest.Operator(), app.KeyRotation{KeySelection: c.selection}); !errs.Is(err, c.want) || len(rotated) != 0 {
			t.Errorf("%s: %+v, %v", name, rotated, err)
		}
	}
	one := app.KeySelection{Tenant: s.Acme.Slug, Environment: s.Acme.Environment}
	if rotated, err := s.App.RotateKeys(tenanttest.Operator(), app.KeyRotation{KeySelection: one}); err != nil || len(rotated) != 1 {
		t.Errorf("%+v, %v", rotated, err)
	}
	if _, err := s.App.RotateKeys(s.Acme.Member(tenants.RoleOwner), app.KeyRotation{}); !errs.Is(err, errs.Forbidden) {
		t.Errorf("a member rotates everybody's keys: %v", err)
	}
}

// The master key changes while the service runs; after the reseal the old one is forgotten, and nobody notices.
func TestReseal_MasterKeyIsReplacedUnderAnOpenConnection(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	c, tokens := connect(t, s)
	before := kid(t, tokens.Access)
	old, next := s.Config.MasterKey, base64.StdEncoding.EncodeToString(secret.Bytes(secret.KeySize))
	refreshed := func(step, master string, previous ...string) {
		s.Config.MasterKey, s.Config.PreviousMasterKeys = master, previous
		s.Restart(t)
		answer := c.Refresh(t, tokens.Refresh)
		if answer.Status != http.StatusOK || kid(t, answer.Str("access_token")) != before {
			t.Fatalf("%s: %d %s", step, answer.Status, answer.Raw)
		}
		tokens.Refresh = answer.Str("refresh_token")
	}
	refreshed("every node can open", old, next)
	refreshed("every node seals under the new key", next, old)
	for i, want := range []int{2, 0} {
		n, err := s.App.Reseal(tenanttest.Operator())
		if err != nil || n.Environments < want || n.Keys < want || (want == 0 && n != app.Resealed{}) {
			t.Fatalf("reseal %d: %+v, %v", i, n, err)
		}
	}
	refreshed("without the old key", next)
	if _, err := s.App.Reseal(s.Acme.Member(tenants.RoleOwner)); !errs.Is(err, errs.Forbidden) {
		t.Errorf("a member reseals: %v", err)
	}
}

// A sealed column that Reseal does not know would be lost with the old master key.
func TestReseal_KnowsEverySealedColumn(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	var found []string
	err := s.DB.Pipe(s.Acme.Context(), func(b *pgx.Batch) {
		b.Queue(`select table_name || '.' || column_name from information_schema.columns
			where table_schema = 'public' and column_name like '%sealed%' order by 1`).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				var name string
				if err := rows.Scan(&name); err != nil {
					return err
				}
				found = append(found, name)
			}
			return rows.Err()
		})
	})
	if want := []string{"environments.secret_sealed", "signing_keys.private_sealed"}; err != nil || !slices.Equal(found, want) {
		t.Errorf("sealed columns %v, Reseal wraps %v: %v", found, want, err)
	}
}

// An environment signs with the algorithm it chose, and everybody can verify it.
func TestKeys_AlgorithmByChoice(t *testing.T) {
	t.Parallel()
	for _, alg := range tenants.SigningAlgs() {
		s := host.New(t, host.WithFile(func(f *apply.File) { f.Environments[0].Settings.SigningAlg = &alg }))
		call := guarded(t, s)
		_, tokens := connect(t, s)
		if status := call(tokens.Access); status != http.StatusOK {
			t.Errorf("%s: %d", alg, status)
		}
		answer := host.Get(t, s.Acme.Issuer+"/.well-known/openid-configuration")
		if list, _ := answer.Body["id_token_signing_alg_values_supported"].([]any); !slices.Contains(list, any(alg)) {
			t.Errorf("%s: metadata says %v", alg, list)
		}
	}
}
