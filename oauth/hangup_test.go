package oauth_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/apptest/host"
)

// hangUp ends a client's request once the server has the answer of a statement, and before it goes on from there.
type hangUp struct{ next atomic.Pointer[parting] }

type parting struct {
	after string // a part of the statement
	leave context.CancelFunc
	left  chan struct{} // closed when the server knows that nobody waits any more
}

type partingKey struct{}

func (h *hangUp) TraceBatchStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceBatchStartData) context.Context {
	p := h.next.Load()
	for _, q := range d.Batch.QueuedQueries {
		if p != nil && strings.Contains(q.SQL, p.after) && h.next.CompareAndSwap(p, nil) {
			return context.WithValue(ctx, partingKey{}, p)
		}
	}
	return ctx
}

func (h *hangUp) TraceBatchEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchEndData) {
	p, ok := ctx.Value(partingKey{}).(*parting)
	if !ok {
		return
	}
	p.leave()
	select {
	case <-ctx.Done():
		close(p.left)
	case <-time.After(time.Minute): // only a failing test waits that long
	}
}

func (*hangUp) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (*hangUp) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData)     {}
func (*hangUp) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

// post sends a form to the token endpoint and hangs up after a statement. It returns when the server has noticed.
func (h *hangUp) post(t *testing.T, c *host.Client, form url.Values, after string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p := &parting{after: after, leave: cancel, left: make(chan struct{})}
	h.next.Store(p)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if answer, err := host.Transport().RoundTrip(r); err == nil {
		_ = answer.Body.Close()
		t.Fatalf("the server answered %d; nobody hung up", answer.StatusCode)
	}
	select {
	case <-p.left:
	case <-time.After(time.Minute):
		t.Fatal("the server did not notice that its client hung up")
	}
}

// Who replays a code or a refresh token ends what it gave, and cannot prevent that by not waiting for the answer.
func TestReplay_EndsTheGrantOfWhoHangsUp(t *testing.T) {
	t.Parallel()
	t.Run("code", func(t *testing.T) {
		t.Parallel()
		h := &hangUp{}
		s := host.New(t, host.WithTracer(h))
		a := s.Register(t, s.Acme, nil).Authorize("data:read")
		c := code(t, s, a)
		tokens := a.Redeem(t, c)
		h.post(t, a.Client, a.TokenForm(c), "insert into grants")
		wantEnd(t, s, "code_replayed")
		refused(t, "refresh after the replay", a.Client.Refresh(t, tokens.Str("refresh_token")), 400, "invalid_grant")
	})
	t.Run("refresh token", func(t *testing.T) {
		t.Parallel()
		h := &hangUp{}
		s := host.New(t, host.WithTracer(h))
		c, tokens := connect(t, s)
		newest := c.Refresh(t, c.Refresh(t, tokens.Refresh).Str("refresh_token")).Str("refresh_token")
		s.Clock.Advance(3 * time.Minute)
		h.post(t, c, c.RefreshForm(tokens.Refresh), "g.generation, g.rotated_at")
		wantEnd(t, s, "refresh_token_replayed")
		refused(t, "the newest token after the replay", c.Refresh(t, newest), 400, "invalid_grant")
	})
}

// wantEnd waits for the end of Acme's only grant, and for its record.
func wantEnd(t *testing.T, s *host.Stack, reason string) {
	t.Helper()
	eventually(t, "the end of the grant", func() bool { return len(revocations(t, s, s.Acme)) > 0 })
	got := ""
	query(t, s, `select revoked_reason from grants`, &got)
	if got != reason {
		t.Errorf("the grant ended for %q, want %q", got, reason)
	}
}
