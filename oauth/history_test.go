package oauth_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/tenants/directory"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

// Random histories of one user and one client on two nodes: rounds of operations that run at once, with the clock moved in
// between. Whatever the order, three things must hold: what was revoked is never usable again, what works once never works
// twice, and no token says more than the user ticked. And, so that refusing everything is no way out: the newest refresh
// token of a connection that nothing threatened works.
//
// OSTIARY_TEST_HISTORIES runs more of them, from the seed in OSTIARY_TEST_SEED on.
func TestHistory_GrantsHoldWhateverTheOrder(t *testing.T) {
	t.Parallel()
	histories, first := envInt(t, "OSTIARY_TEST_HISTORIES", 12), envInt(t, "OSTIARY_TEST_SEED", 1)
	const lanes = 3
	for lane := range lanes {
		t.Run(fmt.Sprint("lane ", lane), func(t *testing.T) {
			t.Parallel()
			s := host.New(t, host.WithNodes(2))
			server := credential(t, s, s.Acme, s.Acme.ResourceID, "history").knows(t)
			for seed := first + lane; seed < first+histories; seed += lanes {
				newHistory(t, s, server, uint64(seed)).run()
				if t.Failed() {
					t.Fatalf("seed %d", seed)
				}
			}
		})
	}
}

func envInt(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s=%q", name, text)
	}
	return n
}

// history is one random run. Times of operations are counted by order, apart from the clock that expiry follows.
type history struct {
	t      *testing.T
	s      *host.Stack
	server asker
	random *rand.Rand
	email  string
	userID string
	client *host.Client
	order  atomic.Int64

	mu       sync.Mutex
	browser  *host.Browser
	allowed  map[string]bool // ticked in any decision that has begun
	codes    []*codeHistory
	grants   []*grantHistory
	userGone death
}

// death is how something ends: at some time after begun, and for good once over.
type death struct {
	begun bool  // something that may end it was sent
	over  int64 // when the answer that says so was there; 0 before
}

func (d *death) end(at int64) {
	d.begun = true
	if d.over == 0 || at < d.over {
		d.over = at
	}
}

// before reports whether it was over before something began.
func (d *death) before(began int64) bool { return d.over != 0 && d.over < began }

type codeHistory struct {
	auth    *host.Authorization
	code    string
	sent    int
	won     int
	madeAt  time.Time
	spent   death // a redemption was refused: no other may succeed
	refused death // as a replay: what the code gave is revoked
}

type grantHistory struct {
	code   *codeHistory
	scopes []string
	tokens []*tokenHistory // refresh tokens in the order they were learned
	access string
	bornAt time.Time // of access
	ended  death
}

type tokenHistory struct {
	text     string
	replaced time.Time // when a successor was learned; zero for the newest
}

var everyScope = []string{"data:read", "profiles:read", "signals:write", "segments:delete"}

func newHistory(t *testing.T, s *host.Stack, server asker, seed uint64) *history {
	t.Helper()
	h := &history{
		t: t, s: s, server: server, random: rand.New(rand.NewPCG(seed, 0)), //nolint:gosec // repeatable by its seed
		email: fmt.Sprintf("history-%d@acme.example", seed), browser: host.NewBrowser(t), allowed: map[string]bool{},
	}
	user, err := s.Users.Create(s.Acme.Operator(), directory.NewUser{Email: h.email, Name: "History", Password: tenanttest.Password})
	if err != nil {
		t.Fatal(err)
	}
	h.userID = user.ID
	h.client = s.Register(t, s.Acme, map[string]any{
		"client_name": fmt.Sprint("History ", seed), "redirect_uris": []string{host.WebRedirect},
	})
	h.browser.SignIn(t, h.client.Authorize("data:read").URL(), h.email)
	return h
}

func (h *history) run() {
	rounds := 6 + h.random.IntN(5)
	for round := range rounds {
		var group sync.WaitGroup
		for range 1 + h.random.IntN(6) {
			if do := h.choose(round == rounds-1); do != nil {
				group.Go(do)
			}
		}
		group.Wait()
		waits := []time.Duration{0, time.Second, 50 * time.Second, 2 * time.Minute, 15 * time.Minute}
		h.s.Clock.Advance(waits[h.random.IntN(len(waits))])
	}
	h.settle()
}

// choose draws an operation and everything random about it, so that a seed is a schedule.
func (h *history) choose(last bool) func() {
	h.mu.Lock()
	defer h.mu.Unlock()
	asked := h.someScopes(everyScope)
	ticked := h.someScopes(asked)
	var grant *grantHistory
	if len(h.grants) > 0 {
		grant = h.grants[h.random.IntN(len(h.grants))]
	}
	var code *codeHistory
	if len(h.codes) > 0 {
		code = h.codes[h.random.IntN(len(h.codes))]
		if fresh := h.codes[len(h.codes)-1]; h.random.IntN(2) == 0 {
			code = fresh
		}
	}
	switch pick := h.random.IntN(20); {
	case pick < 4 || (grant == nil && code == nil):
		return func() { h.authorize(asked, ticked) }
	case pick < 9 && code != nil:
		return func() { h.redeem(code) }
	case grant == nil:
		return nil
	case pick < 13:
		newest := grant.tokens[len(grant.tokens)-1]
		return func() { h.refresh(grant, newest, nil) }
	case pick < 15:
		newest, narrow := grant.tokens[len(grant.tokens)-1], h.someScopes(grant.scopes)
		return func() { h.refresh(grant, newest, narrow) }
	case pick < 17:
		old := grant.tokens[h.random.IntN(len(grant.tokens))]
		return func() { h.refresh(grant, old, nil) }
	case pick < 18:
		access, born := grant.access, grant.bornAt
		return func() { h.introspect(grant, access, born) }
	case pick < 19 || !last:
		token := grant.access
		if h.random.IntN(2) == 0 {
			token = grant.tokens[h.random.IntN(len(grant.tokens))].text
		}
		return func() { h.revoke(grant, token) }
	}
	return h.disableUser
}

// someScopes draws a part of scopes that is not empty.
func (h *history) someScopes(scopes []string) []string {
	var some []string
	for _, scope := range scopes {
		if h.random.IntN(2) == 0 {
			some = append(some, scope)
		}
	}
	if len(some) == 0 {
		some = []string{scopes[h.random.IntN(len(scopes))]}
	}
	return some
}

func (h *history) now() int64 { return h.order.Add(1) }

func (h *history) wrong(format string, args ...any) {
	h.t.Helper()
	h.t.Errorf(format, args...)
}

// authorize has the user decide; what was allowed before needs no question and stays.
func (h *history) authorize(asked, ticked []string) {
	began := h.now()
	h.mu.Lock()
	for _, scope := range ticked {
		h.allowed[scope] = true
	}
	gone := h.userGone
	h.mu.Unlock()
	a := h.client.Authorize(asked...)
	p := h.browser.SignIn(h.t, a.URL(), h.email)
	if p.Location == nil && p.Doc.Find(`[name="decision"]`).Length() > 0 {
		p = h.browser.Decide(h.t, p, "approve", ticked...)
	}
	code := p.Param("code")
	if code == "" {
		return // asked for again, or the user is gone
	}
	if gone.before(began) {
		h.wrong("a user who was disabled got a code")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.codes = append(h.codes, &codeHistory{auth: a, code: code, madeAt: h.s.Clock.Now()})
}

func (h *history) redeem(c *codeHistory) {
	began := h.now()
	h.mu.Lock()
	c.sent++
	if c.sent > 1 {
		c.refused.begun = true // one of the two is a replay
	}
	h.mu.Unlock()
	answer := c.auth.Redeem(h.t, c.code)
	ended := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if answer.Status != http.StatusOK {
		if answer.Str("error") != "invalid_grant" {
			h.wrong("redeem: %d %s", answer.Status, answer.Raw)
		}
		c.spent.end(ended)
		// An expired code is refused before anybody looks at what it gave: a host that opens an old callback again loses nothing.
		if h.s.Clock.Now().Sub(c.madeAt) < 55*time.Second {
			c.refused.end(ended)
		}
		return
	}
	if c.won++; c.won > 1 {
		h.wrong("a code was redeemed twice")
	}
	if c.spent.before(began) {
		h.wrong("a code that was refused came back to life")
	}
	if h.userGone.before(began) {
		h.wrong("a disabled user's code was redeemed")
	}
	g := &grantHistory{code: c, scopes: strings.Fields(answer.Str("scope"))}
	for _, scope := range g.scopes {
		if !h.allowed[scope] {
			h.wrong("%s was granted and never ticked", scope)
		}
	}
	h.learn(g, nil, answer)
	h.grants = append(h.grants, g)
}

// learn notes what an answer gave, in place of the token that was presented.
func (h *history) learn(g *grantHistory, presented *tokenHistory, answer host.Answer) {
	g.access, g.bornAt = answer.Str("access_token"), h.s.Clock.Now()
	next := answer.Str("refresh_token")
	if slices.ContainsFunc(g.tokens, func(k *tokenHistory) bool { return k.text == next }) {
		return
	}
	g.tokens = append(g.tokens, &tokenHistory{text: next})
	if presented != nil && presented.replaced.IsZero() {
		presented.replaced = h.s.Clock.Now()
	}
}

// threatened reports whether something that may end g was sent, over whether it had ended before began.
func (h *history) threatened(g *grantHistory) bool {
	return g.ended.begun || g.code.refused.begun || h.userGone.begun
}

func (h *history) over(g *grantHistory, began int64) bool {
	return g.ended.before(began) || g.code.refused.before(began) || h.userGone.before(began)
}

func (h *history) refresh(g *grantHistory, token *tokenHistory, narrow []string) {
	began := h.now()
	h.mu.Lock()
	honest := token.replaced.IsZero() || h.s.Clock.Now().Sub(token.replaced) < 100*time.Second
	if !honest {
		g.ended.begun = true // it may be taken for a replay
	}
	h.mu.Unlock()
	form := h.client.RefreshForm(token.text)
	if narrow != nil {
		form.Set("scope", strings.Join(narrow, " "))
	}
	answer := h.client.Token(h.t, form)
	ended := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case answer.Status == http.StatusOK:
		if h.over(g, began) {
			h.wrong("a refresh token works on a grant that was over")
		}
		limit := g.scopes
		if narrow != nil {
			limit = narrow
		}
		for _, scope := range strings.Fields(answer.Str("scope")) {
			if !slices.Contains(limit, scope) {
				h.wrong("a refresh widened %v by %s", limit, scope)
			}
		}
		if fmt.Sprint(claims(h.t, answer.Str("access_token"))["scope"]) != answer.Str("scope") {
			h.wrong("the token says other scopes than the answer")
		}
		h.learn(g, token, answer)
	case answer.Str("error") == "invalid_grant":
		if honest && !h.threatened(g) {
			h.wrong("an honest refresh of a connection nothing threatened was refused")
		}
		g.ended.end(ended)
	case answer.Status != http.StatusServiceUnavailable:
		h.wrong("refresh: %d %s", answer.Status, answer.Raw)
	}
}

func (h *history) revoke(g *grantHistory, token string) {
	h.mu.Lock()
	g.ended.begun = true
	h.mu.Unlock()
	answer := h.client.Revoke(h.t, token)
	ended := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if answer.Status != http.StatusOK {
		h.wrong("revoke: %d %s", answer.Status, answer.Raw)
		return
	}
	g.ended.end(ended)
}

func (h *history) introspect(g *grantHistory, access string, born time.Time) {
	began := h.now()
	answer := h.server.ask(h.t, access)
	h.mu.Lock()
	defer h.mu.Unlock()
	active, _ := answer.Body["active"].(bool)
	switch old := h.s.Clock.Now().Sub(born) > 59*time.Minute; {
	case active && h.over(g, began):
		h.wrong("a token of a grant that was over is active")
	case !active && !old && !h.threatened(g):
		h.wrong("a token of a connection nothing threatened is not active")
	}
}

func (h *history) disableUser() {
	h.mu.Lock()
	h.userGone.begun = true
	h.mu.Unlock()
	exec(h.t, h.s, `update users set disabled_at = now() where id = $1`, h.userID)
	ended := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.userGone.end(ended)
}

// settle compares what was answered with what is stored, and tries everything that is over once more.
func (h *history) settle() {
	stored := map[string]int{} // generation by grant
	err := h.s.DB.Pipe(h.s.Acme.Context(), func(b *pgx.Batch) {
		b.Queue(`select id, generation from grants where client_id = $1`, h.client.ID).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				var id string
				var generation int
				if err := rows.Scan(&id, &generation); err != nil {
					return err
				}
				stored[id] = generation
			}
			return rows.Err()
		})
	})
	if err != nil {
		h.t.Fatal(err)
	}
	for _, g := range h.grants {
		id, _ := claims(h.t, g.access)["grant_id"].(string)
		if stored[id] != len(g.tokens) {
			h.wrong("grant %s is in generation %d, hosts were given %d refresh tokens", id, stored[id], len(g.tokens))
		}
		delete(stored, id)
		if h.over(g, h.now()) {
			for _, token := range g.tokens {
				h.refresh(g, token, nil)
			}
			h.introspect(g, g.access, g.bornAt)
		}
	}
	if len(stored) > 0 {
		h.wrong("grants nobody was told of: %v", slices.Collect(maps.Keys(stored)))
	}
	for _, c := range h.codes {
		h.redeem(c)
	}
}
