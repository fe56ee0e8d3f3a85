package oauth

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/oauth/clients"
	"github.com/ostiary/ostiary/oauth/ratelimit"
	"github.com/ostiary/ostiary/tenants/attempts"
)

// An address may use this many times what one client may, since many users can share one; a registration is worth ten token
// requests.
const (
	addressShare      = 5
	registrationShare = 10
)

// A document of an app that nobody knows holds a place among those fetched for up to five seconds, so an address may ask for few: in
// one environment, and some more in all. An environment, and all of a node's together, have bounds of their own.
const (
	documentShare            = 400
	documentsEverywhereShare = 300
	documentsOfOneShare      = 20
	documentsOfAllShare      = 5
)

// limitToken bounds token requests per client, grant type and address, and per address. A caller over its bound still hears
// that its refresh token is dead, so that it stops; everything else is 429.
func (m *Module) limitToken(c echo.Context, i *Issuer) error {
	r := c.Request()
	from := attempts.Network(c.RealIP())
	what := r.PostForm.Get("grant_type")
	switch what {
	case clients.GrantAuthorizationCode, clients.GrantRefreshToken, clients.GrantClientCredentials:
	default:
		what = "other"
	}
	who := r.PostForm.Get("client_id")
	if id, _, basic := r.BasicAuth(); basic {
		who = id
	}
	for _, bound := range [...]struct {
		key   ratelimit.Key
		limit int
	}{
		{ratelimit.Key{Scope: i.Scope, What: what, Who: who, From: from}, m.rateLimit},
		{ratelimit.Key{Scope: i.Scope, What: "token", From: from}, m.rateLimit * addressShare},
	} {
		ok, after := m.limits.Allow(bound.key, bound.limit)
		if ok {
			continue
		}
		if m.isDead(r.Context(), i, r.PostForm.Get("refresh_token")) {
			return errRefreshDead
		}
		return tooMany(after)
	}
	return nil
}

// limitRegistration bounds registrations per address.
func (m *Module) limitRegistration(c echo.Context, i *Issuer) error {
	key := ratelimit.Key{Scope: i.Scope, What: "register", From: attempts.Network(c.RealIP())}
	if ok, after := m.limits.Allow(key, m.rateLimit/registrationShare); !ok {
		return tooMany(after)
	}
	return nil
}

// admitDocument bounds how many documents of apps that nobody knows are downloaded: per address, and per environment.
func (m *Module) admitDocument(c echo.Context, i *Issuer) func() error {
	return func() error {
		from := attempts.Network(c.RealIP())
		for _, bound := range [...]struct {
			key   ratelimit.Key
			share int
		}{
			{ratelimit.Key{Scope: i.Scope, What: "document", From: from}, documentShare},
			{ratelimit.Key{What: "document", From: from}, documentsEverywhereShare},
			{ratelimit.Key{Scope: i.Scope, What: "document"}, documentsOfOneShare},
			{ratelimit.Key{What: "document"}, documentsOfAllShare},
		} {
			limit := m.rateLimit
			if limit > 0 {
				limit = max(limit/bound.share, 1)
			}
			if ok, after := m.limits.Allow(bound.key, limit); !ok {
				return &clients.BusyError{After: after}
			}
		}
		return nil
	}
}

func tooMany(after time.Duration) *problem {
	return &problem{
		code: codeUnavailable, description: "Too many requests. Wait, then try again.", status: http.StatusTooManyRequests,
		retryAfter: seconds(after),
	}
}

// seconds rounds up, for Retry-After.
func seconds(after time.Duration) string { return strconv.Itoa(int(after/time.Second) + 1) }

// rememberDead notes a refresh token that was refused for good.
func (m *Module) rememberDead(r *http.Request, err error) {
	if problemOf(err).code == codeInvalidGrant {
		m.dead.add(r.PostForm.Get("refresh_token"), m.now())
	}
}

// isDead reports whether a refresh token was refused for good, by this node or any other. Who made it up hears so at once; of
// a token of ours the grant is looked at, once in a while. In doubt it is not.
func (m *Module) isDead(ctx context.Context, i *Issuer, token string) bool {
	now := m.now()
	if token == "" {
		return false
	}
	grantID, _, ok := i.parseRefreshToken(token)
	if !ok || m.dead.has(token, now) {
		return true
	}
	if !m.dead.look(token, now) {
		return false
	}
	dead, err := m.store.refreshIsDead(ctx, i, grantID, now)
	if err != nil || !dead {
		return false
	}
	m.dead.add(token, now)
	return true
}

// deadTokens remembers refresh tokens that were refused for good, for callers over their bound.
type deadTokens struct {
	mu     sync.Mutex
	until  map[string]time.Time // by hash
	looked map[string]time.Time // when those that were alive may be looked at again
}

const (
	lookAgain     = time.Second
	rememberDead  = 10 * time.Minute
	maxDeadTokens = 50_000
)

func (d *deadTokens) add(token string, now time.Time) {
	if token == "" {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.until == nil || len(d.until) >= maxDeadTokens {
		d.until = map[string]time.Time{}
	}
	d.until[string(secret.Hash(token))] = now.Add(rememberDead)
}

func (d *deadTokens) has(token string, now time.Time) bool {
	if token == "" {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	until, ok := d.until[string(secret.Hash(token))]
	return ok && now.Before(until)
}

// look reports whether it is time to look at a token that is not known to be dead, and notes that somebody does.
func (d *deadTokens) look(token string, now time.Time) bool {
	hash := string(secret.Hash(token))
	d.mu.Lock()
	defer d.mu.Unlock()
	if now.Before(d.looked[hash]) {
		return false
	}
	if d.looked == nil || len(d.looked) >= maxDeadTokens {
		d.looked = map[string]time.Time{}
	}
	d.looked[hash] = now.Add(lookAgain)
	return true
}
