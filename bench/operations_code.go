package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/templates/flow"
)

// player is a worker that plays an AI host and its user's browser. What it sends is prepared, so that little is left to do while
// measuring.
type player struct {
	*worker
	tenant   tenantIDs
	paths    []string // GET /authorize, by client
	desktop  string   // GET /authorize of the client that is always asked
	token    string   // form of POST /token without code and client_id
	clients  []string
	desktops string
	cookies  []byte
	form     []byte
}

func newPlayer(b *bench, w *worker) *player {
	verifier, state := secret.NewToken(), secret.NewToken()
	sum := sha256.Sum256([]byte(verifier))
	p := &player{worker: w, tenant: b.stand.tenant, clients: b.stand.clients, desktops: b.stand.desktop}
	path := func(client, redirect string) string {
		return p.tenant.BasePath + "/authorize?" + url.Values{
			"response_type": {"code"}, "client_id": {client}, "redirect_uri": {redirect}, "state": {state},
			"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
			"resource": {identifier}, "scope": {scopeWanted},
		}.Encode()
	}
	for _, id := range p.clients {
		p.paths = append(p.paths, path(id, webRedirect))
	}
	p.desktop = path(p.desktops, loopback)
	p.token = url.Values{
		"grant_type": {"authorization_code"}, "code_verifier": {verifier}, "resource": {identifier},
	}.Encode()
	return p
}

// clientOf returns which client the consent of a user is for: see stand.loads.
func (p *player) clientOf(user int) int { return user % len(p.clients) }

// post sends the form from a new address.
func (p *player) post(path string, cookies []byte) error {
	return p.do(request{
		post: true, path: path, host: p.tenant.Host, cookies: string(cookies), address: p.newAddress(), contentType: formType, body: p.form,
	})
}

// connect runs a code flow of a user whose login and consent are remembered, and returns the refresh token.
func (p *player) connect(user int) ([]byte, error) {
	n := p.clientOf(user)
	p.cookies = append(append(p.cookies[:0], "ostiary_browser=bench-browser; ostiary_session="...), userSession(user)...)
	if err := p.do(request{path: p.paths[n], host: p.tenant.Host, cookies: string(p.cookies), address: p.newAddress()}); err != nil {
		return nil, err
	}
	return p.redeem(p.clients[n])
}

var errNoCode = errors.New("the redirect carries no code")

// redeem exchanges the code of the last answer.
func (p *player) redeem(clientID string) ([]byte, error) {
	if err := p.expect(303); err != nil {
		return nil, err
	}
	code := between(p.location, "code=", "&")
	if len(code) == 0 {
		return nil, fmt.Errorf("%w: %s", errNoCode, p.location)
	}
	p.form = append(append(append(append(append(p.form[:0], p.token...), "&client_id="...), clientID...), "&code="...), code...)
	if err := p.post(p.tenant.BasePath+"/token", nil); err != nil {
		return nil, err
	}
	return p.refreshToken()
}

var errNoRefreshToken = errors.New("the answer carries no refresh token")

func (p *player) refreshToken() ([]byte, error) {
	if err := p.expect(200); err != nil {
		return nil, err
	}
	token := between(p.body, `"refresh_token":"`, `"`)
	if len(token) == 0 {
		return nil, errNoRefreshToken
	}
	return token, nil
}

// beginCode is the code flow of users picked at random among all.
func beginCode(b *bench, _ *side, w *worker) (step, error) {
	p := newPlayer(b, w)
	return func() error {
		_, err := p.connect(w.pick(b.stand.rows))
		return err
	}, nil
}

// beginLogin is the code flow in a fresh browser: sign-in page, sign-in, consent page, consent, code. The password's hash is
// a cheap one: see stand.populate.
func beginLogin(b *bench, _ *side, w *worker) (step, error) {
	p := newPlayer(b, w)
	consent := "&" + flow.FieldDecision + "=" + flow.DecisionAllow
	for scope := range strings.FieldsSeq(scopeWanted) {
		consent += "&" + flow.FieldScope + "=" + url.QueryEscape(scope)
	}
	interaction := `name="` + flow.FieldInteraction + `" value="`
	return func() error {
		if err := p.do(request{path: p.desktop, host: p.tenant.Host, address: p.newAddress()}); err != nil {
			return err
		}
		if err := p.expect(200); err != nil {
			return err
		}
		p.cookies = append(p.cookies[:0], w.client.cookies...)
		p.form = append(append(p.form[:0], flow.FieldInteraction+"="...), between(p.body, interaction, `"`)...)
		p.form = append(p.form, "&"+flow.FieldPassword+"=correct+horse+battery&"+flow.FieldEmail+"="...)
		p.form = append(p.form, userEmail(w.pick(b.stand.rows))...)
		if err := p.post(p.tenant.BasePath+"/interaction/login", p.cookies); err != nil {
			return err
		}
		if err := p.expect(303); err != nil {
			return err
		}
		p.cookies = append(append(p.cookies, "; "...), w.client.cookies...)
		next := request{path: string(p.location), host: p.tenant.Host, cookies: string(p.cookies), address: p.newAddress()}
		if err := p.do(next); err != nil {
			return err
		}
		if err := p.expect(200); err != nil {
			return err
		}
		p.form = append(append(p.form[:0], flow.FieldInteraction+"="...), between(p.body, interaction, `"`)...)
		p.form = append(p.form, consent...)
		if err := p.post(p.tenant.BasePath+"/interaction/consent", p.cookies); err != nil {
			return err
		}
		_, err := p.redeem(p.desktops)
		return err
	}, nil
}

// chain is a grant whose refresh token is rotated.
type chain struct {
	client int
	token  []byte
	access string
}

// maxChains bounds the grants that are refreshed: that many of a million are in use.
const maxChains = 20_000

// prepareRefresh connects users, as many as there are rows. Each worker has grants of its own: parallel refreshes of one
// grant are a matter of correctness, not of speed.
func prepareRefresh(b *bench, s *side, workers []*worker) error {
	s.chains = make([][]chain, len(workers))
	return each(workers, func(w *worker) error {
		p := newPlayer(b, w)
		for range max(1, min(b.stand.rows, maxChains)/len(workers)) {
			user := w.pick(b.stand.rows)
			token, err := p.connect(user)
			if err != nil {
				return err
			}
			s.chains[w.index] = append(s.chains[w.index], chain{
				client: p.clientOf(user), token: bytes.Clone(token), access: string(between(p.body, `"access_token":"`, `"`)),
			})
		}
		return nil
	})
}

func beginRefresh(b *bench, s *side, w *worker) (step, error) {
	p := newPlayer(b, w)
	own := s.chains[w.index]
	path, resource := p.tenant.BasePath+"/token", "&resource="+url.QueryEscape(identifier)
	return func() error {
		c := &own[w.pick(len(own))]
		p.form = append(append(append(p.form[:0], "grant_type=refresh_token&client_id="...), p.clients[c.client]...), resource...)
		p.form = append(append(p.form, "&refresh_token="...), c.token...)
		if err := p.post(path, nil); err != nil {
			return err
		}
		token, err := p.refreshToken()
		if err != nil {
			return err
		}
		c.token = append(c.token[:0], token...)
		return nil
	}, nil
}

// beginMachine gets tokens for a client itself, as a nightly job does.
func beginMachine(b *bench, _ *side, w *worker) (step, error) {
	p := newPlayer(b, w)
	form := url.Values{
		"grant_type": {"client_credentials"}, "client_id": {machine.ID}, "client_secret": {machine.Secret}, "resource": {identifier},
	}.Encode()
	return func() error {
		p.form = append(p.form[:0], form...)
		if err := p.post(p.tenant.BasePath+"/token", nil); err != nil {
			return err
		}
		return p.expect(200)
	}, nil
}

var errInactive = errors.New("the token is not active")

// beginIntrospect asks about users' tokens, as an MCP server that checks no signatures does.
func beginIntrospect(b *bench, s *side, w *worker) (step, error) {
	p := newPlayer(b, w)
	own := s.chains[w.index]
	form := url.Values{"client_id": {b.stand.resource.ID}, "client_secret": {b.stand.resource.Secret}}.Encode() + "&token="
	return func() error {
		p.form = append(append(p.form[:0], form...), own[p.pick(len(own))].access...)
		if err := p.post(p.tenant.BasePath+"/introspect", nil); err != nil {
			return err
		}
		if err := p.expect(200); err != nil {
			return err
		}
		if !bytes.Contains(p.body, []byte(`"active":true`)) {
			return errInactive
		}
		return nil
	}, nil
}
