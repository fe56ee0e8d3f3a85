package oauth_test

import (
	"fmt"
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

	"github.com/ostiary/ostiary/app/apptest/host"
)

// Random histories of two users and two clients on two nodes: rounds of operations that run at once, with the clock moved and the
// world changed in between. Whatever the order, three things must hold: what was revoked is never usable again, what works once
// never works twice, and no token says more than the user ticked, nor than the MCP server offers. And, so that refusing everything
// is no way out: the newest refresh token of a connection that nothing threatened works.
//
// Each run adds a history that nobody has seen. OSTIARY_TEST_HISTORIES runs more of them, from the seed in OSTIARY_TEST_SEED on.
func TestHistory_GrantsHoldWhateverTheOrder(t *testing.T) {
	t.Parallel()
	const lanes = 3
	for lane, seeds := range historySeeds(t, lanes) {
		t.Run(fmt.Sprint("lane ", lane), func(t *testing.T) {
			t.Parallel()
			s := host.New(t, host.WithNodes(2))
			server := credential(t, s, s.Acme, s.Acme.ResourceID, "history").knows(t)
			for _, seed := range seeds {
				playHistory(t, s, server, seed)
			}
		})
	}
}

func playHistory(t *testing.T, s *host.Stack, server asker, seed int) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("this was seed %d; again: OSTIARY_TEST_SEED=%d OSTIARY_TEST_HISTORIES=1", seed, seed)
		}
	}()
	newHistory(t, s, server, uint64(seed)).run() //nolint:gosec // seeds are positive
	if t.Failed() {
		t.FailNow()
	}
}

// historySeeds deals the seeds out to the lanes. Twelve are always the same, one is new.
func historySeeds(t *testing.T, lanes int) [][]int {
	t.Helper()
	first, histories := envInt(t, "OSTIARY_TEST_SEED", 1), envInt(t, "OSTIARY_TEST_HISTORIES", 12)
	dealt := make([][]int, lanes)
	for n := range histories {
		dealt[n%lanes] = append(dealt[n%lanes], first+n)
	}
	if os.Getenv("OSTIARY_TEST_SEED") == "" {
		dealt[0] = append(dealt[0], 1_000_000+rand.IntN(1_000_000_000)) //nolint:gosec // any will do
	}
	return dealt
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
	order  atomic.Int64
	world  world // changes between rounds only

	mu     sync.Mutex
	pairs  []*pair
	codes  []*codeHistory
	grants []*grantHistory
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
	pair    *pair
	auth    *host.Authorization
	began   int64 // when the decision began
	ended   int64
	code    string
	sent    int
	won     int
	madeAt  time.Time
	spent   death // a redemption was refused: no other may succeed
	refused death // as a replay: what the code gave is revoked
}

type grantHistory struct {
	code   *codeHistory
	scopes []string        // of the first token
	limit  []string        // of all others
	tokens []*tokenHistory // refresh tokens in the order they were learned
	access string
	bornAt time.Time // of access
	ended  death
	silent bool // a refresh may have been counted whose token nobody was told
}

type tokenHistory struct {
	text     string
	replaced time.Time // when a successor was learned; zero for the newest
}

var everyScope = []string{"data:read", "profiles:read", "signals:write", "segments:delete"}

func newHistory(t *testing.T, s *host.Stack, server asker, seed uint64) *history {
	t.Helper()
	h := &history{t: t, s: s, server: server, random: rand.New(rand.NewPCG(seed, 0))} //nolint:gosec // repeatable by its seed
	h.populate(seed)
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
		h.change()
	}
	h.restore()
	h.settle()
}

// choose draws an operation and everything random about it, so that a seed is a schedule.
func (h *history) choose(last bool) func() {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.pairs[h.random.IntN(len(h.pairs))]
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
	switch pick := h.random.IntN(22); {
	case pick < 4 || (grant == nil && code == nil):
		return func() { h.authorize(p, asked, ticked) }
	case pick == 20:
		return func() { h.withdraw(p) }
	case pick == 21:
		return func() { h.steal(grant, code) }
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
	return func() { h.disableForGood(p.user) }
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
func (h *history) authorize(p *pair, asked, ticked []string) {
	h.mu.Lock()
	began := h.now()
	decision := p.tick(ticked)
	gone := p.user.gone
	h.mu.Unlock()
	a := p.client.Authorize(asked...)
	page := p.user.browser.SignIn(h.t, a.URL(), p.user.email)
	if page.Location == nil && page.Doc.Find(`[name="decision"]`).Length() > 0 {
		page = p.user.browser.Decide(h.t, page, "approve", h.world.offered(ticked)...)
	}
	code := page.Param("code")
	h.mu.Lock()
	defer h.mu.Unlock()
	decision.ended = h.now()
	if code == "" {
		return // asked for again, or somebody may not
	}
	if gone.before(began) || h.world.shut(p) {
		h.wrong("a user or client that was disabled got a code")
	}
	h.codes = append(h.codes, &codeHistory{
		pair: p, auth: a, code: code, madeAt: h.s.Clock.Now(), began: began, ended: decision.ended,
	})
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
		h.notRedeemed(c, answer, ended)
		return
	}
	if c.won++; c.won > 1 {
		h.wrong("a code was redeemed twice")
	}
	if c.spent.before(began) {
		h.wrong("a code that was refused came back to life")
	}
	if c.pair.user.gone.before(began) || h.world.shut(c.pair) {
		h.wrong("a code of a user or client that is disabled was redeemed")
	}
	if c.pair.withdrawnSince(c.ended, began) {
		h.wrong("a code was redeemed after its consent was withdrawn")
	}
	g := &grantHistory{code: c, scopes: strings.Fields(answer.Str("scope"))}
	for _, scope := range g.scopes {
		if !c.pair.allowedAt(scope, c.began) {
			h.wrong("%s was granted and never ticked, or withdrawn", scope)
		}
		if scope == h.world.missing {
			h.wrong("%s was granted and is not offered", scope)
		}
	}
	g.limit = slices.Clone(g.scopes)
	if missing := h.world.missing; missing != "" && c.pair.allowedAt(missing, c.began) {
		g.limit = append(g.limit, missing) // the grant may have it, for when it is offered again
	}
	h.learn(g, nil, answer)
	h.grants = append(h.grants, g)
}

func (h *history) notRedeemed(c *codeHistory, answer host.Answer, ended int64) {
	shut := h.world.shut(c.pair)
	if code := answer.Str("error"); code != "invalid_grant" && (!shut || code != "invalid_client") {
		h.wrong("redeem: %d %s", answer.Status, answer.Raw)
	}
	if shut || h.world.missing != "" {
		return // it may work again, when things are as they were
	}
	c.spent.end(ended)
	// An expired code is refused before anybody looks at what it gave: a host that opens an old callback again loses nothing.
	if h.s.Clock.Now().Sub(c.madeAt) < 55*time.Second {
		c.refused.end(ended)
	}
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
	return g.ended.begun || g.code.refused.begun || g.code.pair.user.gone.begun || h.world.shut(g.code.pair) || g.silent
}

func (h *history) over(g *grantHistory, began int64) bool {
	return g.ended.before(began) || g.code.refused.before(began) || g.code.pair.user.gone.before(began)
}

func (h *history) refresh(g *grantHistory, token *tokenHistory, narrow []string) {
	began := h.now()
	h.mu.Lock()
	honest := token.replaced.IsZero() || h.s.Clock.Now().Sub(token.replaced) < 100*time.Second
	if !honest {
		g.ended.begun = true // it may be taken for a replay
	}
	h.mu.Unlock()
	form := g.code.pair.client.RefreshForm(token.text)
	if narrow != nil {
		form.Set("scope", strings.Join(narrow, " "))
	}
	answer := g.code.pair.client.Token(h.t, form)
	ended := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	asked, limit := g.scopes, g.limit
	if narrow != nil {
		asked, limit = narrow, narrow
	}
	switch code := answer.Str("error"); {
	case answer.Status == http.StatusOK:
		h.refreshed(g, token, limit, answer, began)
	case h.world.shut(g.code.pair) && (code == "invalid_grant" || code == "invalid_client"):
	case h.world.missing != "" && len(h.world.offered(asked)) == 0 && (code == "invalid_grant" || code == "invalid_scope"):
		g.silent = true
	case code == "invalid_grant":
		if honest && !h.threatened(g) {
			h.wrong("an honest refresh of a connection nothing threatened was refused")
		}
		g.ended.end(ended)
	case answer.Status != http.StatusServiceUnavailable:
		h.wrong("refresh: %d %s", answer.Status, answer.Raw)
	}
}

func (h *history) refreshed(g *grantHistory, token *tokenHistory, limit []string, answer host.Answer, began int64) {
	if h.over(g, began) || h.world.shut(g.code.pair) {
		h.wrong("a refresh token works on a grant that was over")
	}
	for _, scope := range strings.Fields(answer.Str("scope")) {
		if !slices.Contains(limit, scope) || scope == h.world.missing {
			h.wrong("a refresh widened %v by %s", limit, scope)
		}
	}
	if fmt.Sprint(claims(h.t, answer.Str("access_token"))["scope"]) != answer.Str("scope") {
		h.wrong("the token says other scopes than the answer")
	}
	h.learn(g, token, answer)
}

func (h *history) revoke(g *grantHistory, token string) {
	h.mu.Lock()
	g.ended.begun = true
	h.mu.Unlock()
	answer := g.code.pair.client.Revoke(h.t, token)
	ended := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if g.code.pair.client.shut {
		if answer.Str("error") != "invalid_client" {
			h.wrong("a disabled client revokes: %d %s", answer.Status, answer.Raw)
		}
		return
	}
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
	case active && (h.over(g, began) || h.world.shut(g.code.pair)):
		h.wrong("a token of a grant that was over is active")
	case !active && !old && !h.threatened(g):
		h.wrong("a token of a connection nothing threatened is not active")
	}
}
