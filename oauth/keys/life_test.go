package keys_test

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/apptest"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/oauth/keys"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

var policy = keys.Policy{Alg: keys.ES256, RotateEvery: 90 * 24 * time.Hour}

func newStore(w *tenanttest.World) *keys.Store {
	return keys.NewStore(keys.Deps{DB: w.DB, Keyring: w.Deps.Keyring, Now: w.Clock.Now})
}

// load is what an issuer has in memory: the keys as they are now.
func load(t *testing.T, ctx context.Context, store *keys.Store) *keys.Set { //nolint:revive // t first, as everywhere
	t.Helper()
	all, err := store.List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	set, err := keys.NewSet(all, "at+jwt")
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func sign(t *testing.T, set *keys.Set) string {
	t.Helper()
	token, err := set.Sign("at+jwt", []byte(`{"sub":"usr_1"}`))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// A verifier that reads the key set once a day verifies every token for as long as it lives, through a rotation and a change
// of algorithm.
func TestAdvance_VerifiersThatReadOnceADayMissNothing(t *testing.T) {
	t.Parallel()
	w := tenanttest.New(t, apptest.Database(t).AppURL)
	ctx, store := w.Acme.Context(), newStore(w)
	if err := store.EnsureActive(ctx, keys.ES256); err != nil {
		t.Fatal(err)
	}
	type issued struct {
		token string
		at    time.Time
	}
	var tokens []issued
	verifier, readAt := load(t, ctx, store), w.Clock.Now()
	signers := map[string]bool{}
	wanted, begin, quiet := policy, w.Clock.Now(), w.Clock.Now()
	for range 80 {
		if len(signers) == 2 {
			wanted.Alg = keys.EdDSA
		}
		if _, err := store.Advance(ctx, wanted); err != nil {
			t.Fatal(err)
		}
		if w.Clock.Now().Sub(readAt) > 23*time.Hour {
			verifier, readAt = load(t, ctx, store), w.Clock.Now()
		}
		current := load(t, ctx, store)
		if !signers[current.ActiveID()] {
			signers[current.ActiveID()], quiet = true, w.Clock.Now().Add(30*time.Hour)
		}
		tokens = append(tokens, issued{sign(t, current), w.Clock.Now()})
		for _, issued := range tokens[max(0, len(tokens)-5):] {
			if w.Clock.Now().Sub(issued.at) >= keys.LongestToken {
				continue
			}
			if _, err := verifier.Verify("at+jwt", issued.token); err != nil {
				t.Fatalf("a token %v old is not verifiable", w.Clock.Now().Sub(issued.at))
			}
		}
		w.Clock.Advance(5 * time.Hour)
		if wanted.Alg == keys.ES256 && len(signers) == 1 && w.Clock.Now().After(quiet) && w.Clock.Now().Before(begin.Add(87*24*time.Hour)) {
			w.Clock.Advance(85 * 24 * time.Hour) // nothing is due in between
		}
	}
	if len(signers) != 3 { // the first, its successor on day 90, and the one with the new algorithm
		t.Errorf("%d keys signed", len(signers))
	}
	all, err := store.Describe(ctx)
	if err != nil {
		t.Fatal(err)
	}
	states := map[keys.State]int{}
	for _, k := range all {
		states[k.State]++
	}
	if states[keys.StateActive] != 1 || states[keys.StateRetired] < 2 || all[len(all)-1].Alg != keys.EdDSA {
		t.Errorf("keys %+v", all)
	}
}

func TestAdvance_RetiredKeysLoseTheirPrivateHalf(t *testing.T) {
	t.Parallel()
	w := tenanttest.New(t, apptest.Database(t).AppURL)
	ctx, store := w.Acme.Context(), newStore(w)
	if err := store.EnsureActive(ctx, keys.ES256); err != nil {
		t.Fatal(err)
	}
	next, err := store.Publish(ctx, keys.ES256)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		w.Clock.Advance(26 * time.Hour)
		if _, err := store.Advance(ctx, policy); err != nil {
			t.Fatal(err)
		}
	}
	sizes := map[string]int{}
	err = w.DB.Pipe(ctx, func(b *pgx.Batch) {
		b.Queue(`select state, octet_length(private_sealed) from signing_keys`).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				var state string
				var size int
				if err := rows.Scan(&state, &size); err != nil {
					return err
				}
				sizes[state] = size
			}
			return rows.Err()
		})
	})
	if err != nil || sizes["active"] == 0 || len(sizes) != 2 || sizes["retired"] != 0 {
		t.Errorf("sealed sizes %v, %v", sizes, err)
	}
	if set := load(t, ctx, store); set.ActiveID() != next.ID {
		t.Errorf("%s signs, want %s", set.ActiveID(), next.ID)
	}
}

// Every node runs the job when it likes: the steps are taken once.
func TestAdvance_ManyNodesAtOnce(t *testing.T) {
	t.Parallel()
	w := tenanttest.New(t, apptest.Database(t).AppURL)
	ctx := w.Acme.Context()
	if err := newStore(w).EnsureActive(ctx, keys.ES256); err != nil {
		t.Fatal(err)
	}
	w.Clock.Advance(89 * 24 * time.Hour)
	atOnce := func() int64 {
		var steps atomic.Int64
		var group sync.WaitGroup
		for range 6 {
			group.Go(func() {
				n, err := newStore(w).Advance(ctx, policy)
				if err != nil {
					t.Error(err)
				}
				steps.Add(int64(n))
			})
		}
		group.Wait()
		return steps.Load()
	}
	if n := atOnce(); n != 1 {
		t.Errorf("%d keys published", n)
	}
	w.Clock.Advance(keys.PublishLead)
	if n := atOnce(); n != 2 { // one retires, one signs
		t.Errorf("%d steps, want 2", n)
	}
	all, err := newStore(w).Describe(ctx)
	if err != nil || len(all) != 2 || all[0].State != keys.StateRetiring || all[1].State != keys.StateActive {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestActivate_AtOnceKeepsOrRevokesTheOldKey(t *testing.T) {
	t.Parallel()
	for _, revoke := range []bool{false, true} {
		w := tenanttest.New(t, apptest.Database(t).AppURL)
		ctx, store := w.Acme.Context(), newStore(w)
		if err := store.EnsureActive(ctx, keys.ES256); err != nil {
			t.Fatal(err)
		}
		old := sign(t, load(t, ctx, store))
		next, err := store.Publish(ctx, keys.ES256)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := store.Publish(ctx, keys.ES256); err != nil || again.ID != next.ID {
			t.Errorf("publishing twice makes another key: %v, %v", again.ID, err)
		}
		if published := load(t, ctx, store); !bytes.Contains(published.JWKS(), []byte(next.ID)) || published.ActiveID() == next.ID {
			t.Error("the new key must be published and not sign yet")
		}
		if err := store.Activate(ctx, next.ID, revoke); err != nil {
			t.Fatal(err)
		}
		set := load(t, ctx, store)
		if set.ActiveID() != next.ID {
			t.Errorf("%s signs", set.ActiveID())
		}
		if _, err := set.Verify("at+jwt", old); (err == nil) == revoke {
			t.Errorf("revoke=%v: a token of the old key: %v", revoke, err)
		}
		if err := store.Activate(ctx, next.ID, revoke); !errs.Is(err, errs.Conflict) {
			t.Errorf("activating twice: %v", err)
		}
		if err := store.Activate(w.Neighbour.Context(), next.ID, revoke); !errs.Is(err, errs.Conflict) {
			t.Errorf("the neighbour activates Acme's key: %v", err)
		}
	}
}

func TestStore_KeysOfTheNeighbourAreNotThere(t *testing.T) {
	t.Parallel()
	w := tenanttest.New(t, apptest.Database(t).AppURL)
	store := newStore(w)
	if err := store.EnsureActive(w.Acme.Context(), keys.ES256); err != nil {
		t.Fatal(err)
	}
	if all, err := store.Describe(w.Neighbour.Context()); err != nil || len(all) != 0 {
		t.Errorf("%d keys, %v", len(all), err)
	}
	if all, err := store.List(w.Neighbour.Context()); err != nil || len(all) != 0 {
		t.Errorf("%d keys, %v", len(all), err)
	}
}

func TestReseal_NewestKeyAloneOpensEverything(t *testing.T) {
	t.Parallel()
	database := apptest.Database(t)
	first, second := bytes.Repeat([]byte{1}, secret.KeySize), bytes.Repeat([]byte{2}, secret.KeySize)
	ring := func(keys ...[]byte) *secret.Keyring {
		r, err := secret.NewKeyring(keys...)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	w := tenanttest.New(t, database.AppURL, tenanttest.WithKeyring(ring(first)))
	with := func(r *secret.Keyring) *keys.Store {
		return keys.NewStore(keys.Deps{DB: w.DB, Keyring: r, Now: w.Clock.Now})
	}
	ctx := w.Acme.Context()
	if err := with(ring(first)).EnsureActive(ctx, keys.ES256); err != nil {
		t.Fatal(err)
	}
	if err := with(ring(first)).EnsureActive(w.Neighbour.Context(), keys.ES256); err != nil {
		t.Fatal(err)
	}
	next, err := with(ring(first)).Publish(ctx, keys.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	token := sign(t, load(t, ctx, with(ring(first))))
	if _, err := with(ring(second)).Reseal(ctx); err == nil {
		t.Error("resealed without the key that opens it")
	}
	for _, want := range []int{2, 0} {
		if n, err := with(ring(second, first)).Reseal(ctx); err != nil || n != want {
			t.Errorf("%d resealed, want %d: %v", n, want, err)
		}
	}
	set := load(t, ctx, with(ring(second)))
	if _, err := set.Verify("at+jwt", token); err != nil || !slices.Equal(set.Algs(), []string{"ES256", "EdDSA"}) {
		t.Errorf("after the reseal: %v, %v", err, set.Algs())
	}
	// A retired key has no private half; it must not get in the way.
	if err := with(ring(second)).Activate(ctx, next.ID, true); err != nil {
		t.Fatal(err)
	}
	if n, err := with(ring(first, second)).Reseal(ctx); err != nil || n != 1 {
		t.Errorf("back again: %d, %v", n, err)
	}
	load(t, w.Neighbour.Context(), with(ring(first))) // untouched
}

// The public document is built from the private key: whatever the algorithm, nothing private may slip into it.
func TestJWKS_HoldsPublicMembersOnly(t *testing.T) {
	t.Parallel()
	w := tenanttest.New(t, apptest.Database(t).AppURL)
	ctx, store := w.Acme.Context(), newStore(w)
	if err := store.EnsureActive(ctx, keys.ES256); err != nil {
		t.Fatal(err)
	}
	for _, alg := range []keys.Alg{keys.RS256, keys.EdDSA} {
		if _, err := store.Publish(ctx, alg); err != nil {
			t.Fatal(err)
		}
	}
	var document struct{ Keys []map[string]any }
	if err := json.Unmarshal(load(t, ctx, store).JWKS(), &document); err != nil || len(document.Keys) != 3 {
		t.Fatalf("%d keys, %v", len(document.Keys), err)
	}
	public := []string{"kty", "use", "alg", "kid", "crv", "x", "y", "n", "e"}
	for _, key := range document.Keys {
		for member := range key {
			if !slices.Contains(public, member) {
				t.Errorf("%v publishes %q", key["alg"], member)
			}
		}
	}
}
