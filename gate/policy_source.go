package gate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4/json"

	"github.com/ostiary/ostiary/app/policy"
)

// PolicySource says which policy is in force. Current is called on every request: it returns at once, and a document it
// has returned is never changed afterwards.
type PolicySource interface {
	Current() *policy.Document
}

// StaticPolicy is a policy that stays as it is, for tests and for servers that carry their policy in their code.
func StaticPolicy(doc *policy.Document) PolicySource { return staticPolicy{doc} }

type staticPolicy struct{ doc *policy.Document }

func (p staticPolicy) Current() *policy.Document { return p.doc }

const (
	policyLimit     = 8 << 20
	policyMediaType = "application/jwt"
)

// issuerPolicy is the published policy of one resource, polled from its issuer and verified like a token. It never goes
// back to an older revision, and when the issuer cannot be reached it goes on with the last one.
type issuerPolicy struct {
	issuer     string
	resourceID string
	keys       *issuerKeys
	fetch      fetcher
	usable     func(*policy.Document) error // whether the gate could work with it
	every      time.Duration
	skew       time.Duration
	watch      *watch
	log        *slog.Logger
	feed       *issuerFeed   // says when there is something new; nil when nobody does
	wake       chan struct{} // holds one: poll at once

	current atomic.Pointer[policy.Document]
	etag    string    // of current; touched by one goroutine at a time, like what follows
	signed  time.Time // when the issuer signed it
	failing bool
}

// slowly is how many times less often the policy is polled while the feed says when it changes.
const slowly = 10

// pause is the time until the next poll.
func (p *issuerPolicy) pause() time.Duration {
	if p.feed == nil || !p.feed.alive() {
		return p.every
	}
	if p.feed.current.Load().feed.Revision > p.Current().Revision {
		return min(p.every, time.Second) // a node that does not have it yet
	}
	return slowly * p.every
}

// hurry has the policy polled at once.
func (p *issuerPolicy) hurry() {
	select {
	case p.wake <- struct{}{}:
	default: // it will be anyway
	}
}

// wait sleeps until the next poll and reports whether ctx still goes on.
func (p *issuerPolicy) wait(ctx context.Context) bool {
	timer := time.NewTimer(p.pause())
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.wake:
		return true
	case <-ctx.Done():
		return false
	}
}

func (p *issuerPolicy) Current() *policy.Document { return p.current.Load() }

func (p *issuerPolicy) address() string {
	return p.issuer + "/resources/" + url.PathEscape(p.resourceID) + "/policy"
}

// start polls until there is a policy or ctx ends.
func (p *issuerPolicy) start(ctx context.Context) error {
	var last error
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		err := p.poll(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil || last == nil {
			last = err // once time is up the error only says so; the one before says why
		}
		if !sleep(ctx, wait) {
			return fmt.Errorf("no policy for resource %s from issuer %s: %w", p.resourceID, p.issuer, last)
		}
	}
}

// run polls until ctx ends. It says once that the issuer is out of reach, and once that it is back.
func (p *issuerPolicy) run(ctx context.Context) {
	for p.wait(ctx) {
		before := p.Current()
		err := p.poll(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !p.failing:
			p.log.WarnContext(ctx, "policy cannot be renewed, going on with the last one",
				"resource", p.resourceID, "revision", before.Revision, "error", err)
		case err == nil && p.failing:
			p.log.InfoContext(ctx, "policy can be renewed again", "resource", p.resourceID)
		}
		p.failing = err != nil
		if now := p.Current(); now != before {
			p.log.InfoContext(ctx, "policy changed", "resource", p.resourceID, "revision", now.Revision, "mode", now.Mode)
		}
	}
}

func (p *issuerPolicy) poll(ctx context.Context) error {
	doc, err := p.fetch.get(ctx, p.address(), policyMediaType, p.etag, policyLimit)
	if err != nil {
		return fmt.Errorf("issuer: %w", err)
	}
	if doc.notModified {
		return nil
	}
	next, signed, err := p.verify(ctx, string(doc.body))
	if err != nil {
		return err
	}
	if now := p.Current(); now != nil && next.Revision < now.Revision {
		return fmt.Errorf("issuer serves revision %d after %d", next.Revision, now.Revision)
	}
	if err := p.usable(next); err != nil {
		return err
	}
	p.watch.heard(signed)
	p.current.Store(next)
	p.etag, p.signed = doc.etag, signed
	return nil
}

// verify checks a signed policy: kind, key, issuer, resource, time. It returns when it was signed, too.
func (p *issuerPolicy) verify(ctx context.Context, compact string) (*policy.Document, time.Time, error) {
	s, err := p.keys.verify(ctx, compact, policy.TokenType)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("signed policy: %w", err)
	}
	var b policy.Bundle
	if err := json.Unmarshal(s.payload, &b); err != nil {
		return nil, time.Time{}, fmt.Errorf("signed policy: %w", err)
	}
	now, signed := p.watch.time(), time.Unix(b.IssuedAt, 0)
	switch {
	case b.Issuer != p.issuer:
		err = errors.New("signed policy: comes from another issuer")
	case b.Subject != p.resourceID || b.Policy.Resource.ID != p.resourceID:
		err = errors.New("signed policy: is about another resource")
	case b.ExpiresAt == 0 || !now.Before(time.Unix(b.ExpiresAt, 0).Add(p.skew)):
		err = errors.New("signed policy: has expired")
	case now.Add(p.skew).Before(signed):
		err = errors.New("signed policy: is from the future")
	}
	return &b.Policy, signed, err
}

// sleep waits and reports whether ctx still goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
