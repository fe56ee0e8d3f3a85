package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/gate"
	"github.com/ostiary/ostiary/tenants"
)

const (
	stopGates  = 100
	stopRounds = 10
	stopWait   = 30 * time.Second
)

// stopped is a stop that was made.
type stopped struct {
	ID   string
	From int64 // by the wall clock in nanoseconds, before it was asked for
}

func (s *serving) operator(ctx context.Context) context.Context {
	ctx = scope.WithActor(ctx, scope.Actor{Kind: scope.ActorOperator, ID: "bench"})
	return scope.With(ctx, scope.Scope{TenantID: s.setup.Tenant.TenantID, EnvironmentID: s.setup.Tenant.EnvironmentID})
}

func (s *serving) stopUser(ctx context.Context, user string) (stopped, error) {
	from := now().UnixNano()
	made, err := s.app.Services().Stops.Create(s.operator(ctx),
		tenants.NewStop{Kind: policy.StopUser, ResourceID: s.setup.Tenant.ResourceID, Value: user})
	return stopped{ID: made.ID, From: from}, err
}

// watcher is a gate whose stream of the stopped user is watched.
type watcher struct {
	guarded http.Handler
	close   func()
}

// stop measures how long it takes from the kill switch to the denial at a hundred gates, all of which follow the same
// node. A gate denies new calls from the moment it ends the streams there are, and that moment needs no asking again
// and again.
func (b *bench) stop(ctx context.Context) (m measured, note string, err error) {
	token, err := b.accessToken()
	if err != nil {
		return m, "", err
	}
	user, err := subjectOf(token)
	if err != nil {
		return m, "", err
	}
	gates := make([]watcher, stopGates)
	for i := range gates {
		if gates[i], err = b.newWatcher(ctx, i); err != nil {
			return m, "", err
		}
		defer gates[i].close()
	}
	var latency histogram
	start := now()
	for range stopRounds {
		round, err := b.stopRound(ctx, gates, token, user)
		if err != nil {
			return m, "", err
		}
		latency.merge(&round)
	}
	m = measured{Count: latency.Total, PerSecond: float64(latency.Total) / now().Sub(start).Seconds(),
		P50: latency.quantile(0.5), P99: latency.quantile(0.99)}
	return m, fmt.Sprintf("p50 %s, p99 %s over %d stops and %d gates", micro(m.P50), micro(m.P99), stopRounds, stopGates), nil
}

func subjectOf(token string) (string, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", errors.New("the access token is no JWT")
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", err
	}
	var claims struct {
		Subject string `json:"sub"`
	}
	err = json.Unmarshal(raw, &claims)
	return claims.Subject, err
}

type endKey struct{}

// newWatcher makes a gate that says when the stream behind it begins and ends, over the channels in the request's
// context.
func (b *bench) newWatcher(ctx context.Context, i int) (watcher, error) {
	g, err := gate.New(ctx, gate.Options{Issuer: b.stand.tenant.Issuer, ResourceID: b.stand.tenant.ResourceID,
		HTTPClient: &http.Client{Transport: elsewhere{"10.1.0." + strconv.Itoa(i+1)}}})
	if err != nil {
		return watcher{}, err
	}
	return watcher{close: g.Close, guarded: g.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if moments, ok := r.Context().Value(endKey{}).(*moments); ok {
			moments.begun <- struct{}{}
			<-r.Context().Done()
			moments.ended <- now()
		}
	}))}, nil
}

// elsewhere sends requests from an address behind the trusted proxy: connections are bounded by address.
type elsewhere struct{ address string }

// RoundTrip implements http.RoundTripper.
func (e elsewhere) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Forwarded-For", e.address)
	return http.DefaultTransport.RoundTrip(r)
}

type moments struct {
	begun chan struct{}
	ended chan time.Time
}

// stopRound stops the user once and lifts it again.
func (b *bench) stopRound(ctx context.Context, gates []watcher, token, user string) (histogram, error) {
	ctx, cancel := context.WithTimeout(ctx, stopWait)
	defer cancel()
	m := &moments{begun: make(chan struct{}, len(gates)), ended: make(chan time.Time, len(gates))}
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	for _, w := range gates {
		r, err := http.NewRequestWithContext(context.WithValue(ctx, endKey{}, m), http.MethodGet, identifier, nil)
		if err != nil {
			return histogram{}, err
		}
		r.Header.Set("Authorization", "Bearer "+token)
		group.Go(func() { w.guarded.ServeHTTP(new(discarded), r) })
	}
	for range gates {
		select {
		case <-m.begun:
		case <-ctx.Done():
			return histogram{}, errors.New("not every stream was let through")
		}
	}
	made, err := b.stand.server.ask(command{Do: "stop", User: user})
	if err != nil {
		return histogram{}, err
	}
	var latency histogram
	for range gates {
		at := <-m.ended
		if ctx.Err() != nil {
			return histogram{}, errors.New("not every gate heard of the stop")
		}
		latency.add(at.Sub(time.Unix(0, made.Stop.From)))
	}
	if err := b.settled(ctx, gates, token, http.StatusForbidden); err != nil {
		return histogram{}, err
	}
	if _, err := b.stand.server.ask(command{Do: "lift", Stop: made.Stop.ID}); err != nil {
		return histogram{}, err
	}
	return latency, b.settled(ctx, gates, token, http.StatusOK)
}

// settled waits until every gate answers a request of the user with status.
func (b *bench) settled(ctx context.Context, gates []watcher, token string, status int) error {
	for _, g := range gates {
		for {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, identifier, nil)
			if err != nil {
				return err
			}
			r.Header.Set("Authorization", "Bearer "+token)
			var w discarded
			if g.guarded.ServeHTTP(&w, r); w.status == status {
				break
			}
			select {
			case <-time.After(lookAgain):
			case <-ctx.Done():
				return fmt.Errorf("a gate answers %d instead of %d", w.status, status)
			}
		}
	}
	return nil
}
