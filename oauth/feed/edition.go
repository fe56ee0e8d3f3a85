package feed

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/policy"
)

// edition is the state of one moment with what was signed of it: one signature per MCP server, however many read it.
type edition struct {
	issuer Issuer
	state  *state
	at     time.Time // when it was read, which is what it says of itself

	mu    sync.Mutex
	ready map[string]*letter // by MCP server
}

func newEdition(i Issuer, st *state, at time.Time) *edition {
	return &edition{issuer: i, state: st, at: at, ready: map[string]*letter{}}
}

// letter is a signed feed in the forms in which it is sent.
type letter struct {
	sequence int64
	at       time.Time
	jws      []byte
	event    []byte // the same as a server-sent event
	etag     string
}

// letter returns the signed feed of one MCP server. Errors: errs.NotFound.
func (e *edition) letter(resourceID string) (*letter, error) {
	revision, published := e.issuer.Revisions[resourceID]
	if !published {
		return nil, errNoServer
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if l := e.ready[resourceID]; l != nil {
		return l, nil
	}
	l, err := e.sign(resourceID, revision)
	if err != nil {
		return nil, err
	}
	e.ready[resourceID] = l
	return l, nil
}

var errNoServer = errs.New(errs.NotFound, "There is no such MCP server.")

func (e *edition) sign(resourceID string, revision int) (*letter, error) {
	payload, err := json.Marshal(policy.FeedBundle{
		Issuer: e.issuer.URL, Subject: resourceID, IssuedAt: e.at.Unix(), ExpiresAt: e.at.Add(policy.FeedLifetime).Unix(),
		Feed: e.state.feed(resourceID, revision),
	})
	if err != nil {
		return nil, fmt.Errorf("feed of %s: %w", resourceID, err)
	}
	jws, err := e.issuer.Keys.Sign(policy.FeedType, payload)
	if err != nil {
		return nil, fmt.Errorf("feed of %s: %w", resourceID, err)
	}
	sum := sha256.Sum256([]byte(jws))
	return &letter{
		sequence: e.state.sequence, at: e.at, jws: []byte(jws),
		event: fmt.Appendf(nil, "id: %d\nevent: feed\ndata: %s\n\n", e.state.sequence, jws),
		etag:  `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`,
	}, nil
}
