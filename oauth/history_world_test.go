package oauth_test

import (
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/directory"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

// historyUser is one of the people of a history.
type historyUser struct {
	id, email, organization string
	browser                 *host.Browser
	shut                    bool  // disabled for now; changes between rounds only
	gone                    death // disabled for good, in the midst of a round
}

type historyClient struct {
	*host.Client
	shut bool // as for users
}

// pair is a user and a client, for which consents are.
type pair struct {
	user        *historyUser
	client      *historyClient
	ticked      map[string][]*decision
	withdrawals []*withdrawal
}

// decision is one in which a permission was ticked.
type decision struct{ ended int64 }

type withdrawal struct{ begun, over int64 }

// tick notes a decision that begins; who began it says when it has ended.
func (p *pair) tick(scopes []string) *decision {
	d := &decision{ended: math.MaxInt64}
	for _, scope := range scopes {
		p.ticked[scope] = append(p.ticked[scope], d)
	}
	return d
}

// withdrawnSince reports whether consents from before the first moment were withdrawn before the second.
func (p *pair) withdrawnSince(given, now int64) bool {
	return slices.ContainsFunc(p.withdrawals, func(w *withdrawal) bool { return w.begun > given && w.over != 0 && w.over < now })
}

// allowedAt reports whether a permission was ticked in a decision that was not withdrawn before a moment.
func (p *pair) allowedAt(scope string, moment int64) bool {
	return slices.ContainsFunc(p.ticked[scope], func(d *decision) bool { return !p.withdrawnSince(d.ended, moment) })
}

// world is what changes between rounds, while nothing is asked.
type world struct {
	organization string // of the first user
	disbanded    bool   // it is switched off
	missing      string // a permission that is not offered for now
	kept         tenants.Scope
}

// shut reports whether nothing of p's may work for now.
func (w world) shut(p *pair) bool {
	return p.user.shut || p.client.shut || w.disbanded && p.user.organization != ""
}

func (w world) offered(scopes []string) []string {
	return slices.DeleteFunc(slices.Clone(scopes), func(scope string) bool { return scope == w.missing })
}

// populate makes the people and clients of a history.
func (h *history) populate(seed uint64) {
	h.t.Helper()
	organization, err := h.s.Organizations.Create(h.s.Acme.Operator(), fmt.Sprint("history-", seed), "History")
	if err != nil {
		h.t.Fatal(err)
	}
	h.world.organization = organization.ID
	users, clients := make([]*historyUser, 2), make([]*historyClient, 2)
	for n := range users {
		u := &historyUser{email: fmt.Sprintf("history-%d-%d@acme.example", seed, n), browser: host.NewBrowser(h.t)}
		if n == 0 {
			u.organization = organization.ID
		}
		made, err := h.s.Users.Create(h.s.Acme.Operator(), directory.NewUser{
			Email: u.email, Name: "History", Password: tenanttest.Password, OrganizationID: u.organization,
		})
		if err != nil {
			h.t.Fatal(err)
		}
		u.id, users[n] = made.ID, u
		clients[n] = &historyClient{Client: h.s.Register(h.t, h.s.Acme, map[string]any{
			"client_name": fmt.Sprint("History ", seed, " ", n), "redirect_uris": []string{host.WebRedirect},
		})}
	}
	for _, u := range users {
		u.browser.SignIn(h.t, clients[0].Authorize("data:read").URL(), u.email)
		for _, c := range clients {
			h.pairs = append(h.pairs, &pair{user: u, client: c, ticked: map[string][]*decision{}})
		}
	}
}

// change switches something off, or what is off on again.
func (h *history) change() {
	if h.world.missing != "" && h.random.IntN(2) == 0 {
		h.publishAgain()
	}
	p := h.pairs[h.random.IntN(len(h.pairs))]
	switch h.random.IntN(8) {
	case 0:
		h.disableUser(p.user, !p.user.shut)
	case 1:
		h.disableOrganization(!h.world.disbanded)
	case 2:
		h.disableClient(p.client, !p.client.shut)
	case 3:
		if h.world.missing == "" {
			h.unpublish(everyScope[h.random.IntN(len(everyScope))])
		}
	case 4, 5:
		h.restore()
	}
}

// restore switches everything on again.
func (h *history) restore() {
	if h.world.disbanded {
		h.disableOrganization(false)
	}
	if h.world.missing != "" {
		h.publishAgain()
	}
	for _, p := range h.pairs {
		if p.user.shut {
			h.disableUser(p.user, false)
		}
		if p.client.shut {
			h.disableClient(p.client, false)
		}
	}
}

func (h *history) disableUser(u *historyUser, shut bool) {
	if u.gone.begun {
		return
	}
	if err := h.s.Users.Disable(h.s.Acme.Operator(), u.id, shut); err != nil {
		h.t.Fatal(err)
	}
	u.shut = shut
}

func (h *history) disableOrganization(shut bool) {
	exec(h.t, h.s, `update organizations set disabled_at = case when $2 then now() end where id = $1`, h.world.organization, shut)
	h.world.disbanded = shut
}

// disableClient does nothing to a client that nobody has allowed anything: it has no row yet.
func (h *history) disableClient(c *historyClient, shut bool) {
	if !slices.ContainsFunc(h.codes, func(code *codeHistory) bool { return code.pair.client == c }) {
		return
	}
	exec(h.t, h.s, `update clients set disabled_at = case when $2 then now() end where id = $1`, c.ID, shut)
	exec(h.t, h.s, `select pg_notify('ostiary_environment', $1)`, h.s.Acme.ID+" "+h.s.Acme.EnvironmentID)
	eventually(h.t, "the client", everywhere(func() bool {
		return (c.Refresh(h.t, "none").Str("error") == "invalid_client") == shut
	}))
	c.shut = shut
}

// unpublish takes a permission out of the MCP server.
func (h *history) unpublish(name string) {
	draft, err := h.s.Resources.Get(h.s.Acme.Operator(), h.s.Acme.ResourceID)
	if err != nil {
		h.t.Fatal(err)
	}
	at := slices.IndexFunc(draft.Scopes, func(s tenants.Scope) bool { return s.Name == name })
	h.world.missing, h.world.kept = name, draft.Scopes[at]
	if err := h.s.Resources.DeleteScope(h.s.Acme.Operator(), h.s.Acme.ResourceID, draft.Scopes[at].ID); err != nil {
		h.t.Fatal(err)
	}
	h.publish()
}

func (h *history) publishAgain() {
	if _, err := h.s.Resources.CreateScope(h.s.Acme.Operator(), h.s.Acme.ResourceID, h.world.kept); err != nil {
		h.t.Fatal(err)
	}
	h.world.missing = ""
	h.publish()
}

func (h *history) publish() {
	target := h.s.Acme.Issuer + "/resources/" + h.s.Acme.ResourceID + "/policy"
	revision, err := h.s.Resources.Publish(h.s.Acme.Operator(), h.s.Acme.ResourceID, "")
	if err != nil {
		h.t.Fatal(err)
	}
	eventually(h.t, "the policy", everywhere(func() bool {
		served, _ := claims(h.t, host.Get(h.t, target).Raw)["policy"].(map[string]any)
		return served["revision"] == float64(revision.Number)
	}))
}

// withdraw takes back what a user allowed a client.
func (h *history) withdraw(p *pair) {
	w := &withdrawal{begun: h.now()}
	h.mu.Lock()
	p.withdrawals = append(p.withdrawals, w)
	h.mu.Unlock()
	exec(h.t, h.s, `update consents set revoked_at = now() where user_id = $1 and client_id = $2 and revoked_at is null`,
		p.user.id, p.client.ID)
	h.mu.Lock()
	defer h.mu.Unlock()
	w.over = h.now()
}

// steal presents what belongs to one client as another one. Nothing comes of it, for nobody.
func (h *history) steal(g *grantHistory, c *codeHistory) {
	other := func(p *pair) *historyClient {
		at := slices.IndexFunc(h.pairs, func(q *pair) bool { return q.client != p.client })
		return h.pairs[at].client
	}
	if g != nil {
		h.mu.Lock()
		token := g.tokens[len(g.tokens)-1].text
		h.mu.Unlock()
		thief := other(g.code.pair)
		if answer := thief.Refresh(h.t, token); answer.Status == http.StatusOK {
			h.wrong("another client refreshed")
		}
		thief.Revoke(h.t, token)
	}
	if c != nil {
		form := c.auth.TokenForm(c.code)
		form.Set("client_id", other(c.pair).ID)
		form.Set("client_secret", other(c.pair).Secret)
		if answer := c.auth.Client.Token(h.t, form); answer.Status == http.StatusOK {
			h.wrong("another client redeemed a code")
		}
	}
}

// disableForGood disables a user while other things go on.
func (h *history) disableForGood(u *historyUser) {
	h.mu.Lock()
	u.gone.begun = true
	h.mu.Unlock()
	exec(h.t, h.s, `update users set disabled_at = now() where id = $1`, u.id)
	ended := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	u.gone.end(ended)
}

// settle compares what was answered with what is stored, and tries everything that is over once more.
func (h *history) settle() {
	stored := map[string]int{} // generation by grant
	var ids []string
	for _, p := range h.pairs {
		ids = append(ids, p.client.ID)
	}
	err := h.s.DB.Pipe(h.s.Acme.Context(), func(b *pgx.Batch) {
		b.Queue(`select id, generation from grants where client_id = any($1)`, ids).Query(func(rows pgx.Rows) error {
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
		if !g.silent && stored[id] != len(g.tokens) || stored[id] < len(g.tokens) {
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
