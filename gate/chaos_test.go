package gate

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ostiary/ostiary/app/policy"
)

// lasting is a token that outlives what these tests do with the clock.
func (w *world) lasting(scopes string) string {
	return w.token(scopes, map[string]any{"exp": w.clock.now().Add(90 * 24 * time.Hour).Unix()})
}

// shut is the status of a call that was denied because the issuer has been silent for too long.
func (w *world) shut(t *testing.T, token, tool string) bool {
	t.Helper()
	a := w.tool(t, token, tool)
	if a.status != http.StatusServiceUnavailable {
		a.want(t, http.StatusOK)
		return false
	}
	if a.header.Get("Retry-After") == "" || a.header.Get("WWW-Authenticate") != "" || !strings.Contains(a.body, `"id":1`) ||
		!strings.Contains(a.body, "-32014") {
		t.Errorf("%v %s", a.header, a.body)
	}
	return true
}

func TestChaos_IssuerStopped(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]func(*testIssuer, *cable) (mend func()){
		"answers with errors": func(is *testIssuer, _ *cable) func() {
			back := is.goDown()
			is.srv.CloseClientConnections()
			return back
		},
		"network cut": func(_ *testIssuer, c *cable) func() { c.sever(); return c.mend },
		"network dead": func(_ *testIssuer, c *cable) func() {
			c.die()
			return func() {} // new lines are fine, once the old ones are given up
		},
	} {
		for _, mode := range []policy.Mode{policy.ModeEnforce, policy.ModeShadow} {
			t.Run(name+" "+string(mode), func(t *testing.T) {
				t.Parallel()
				is := newIssuer(t)
				is.doc.Mode = mode
				is.doc.Offline = &policy.Offline{Read: 7200, Write: 3600, Destructive: 300}
				line, client := newCable(t)
				client.Timeout = 2 * time.Second
				w := newWorldAt(t, is, func(o *Options) { o.HTTPClient, o.timing.idle = client, 2*time.Second })
				token := w.lasting("data:read data:admin")
				eventually(t, "a stream is open", func() bool { is.mu.Lock(); defer is.mu.Unlock(); return is.feed.open > 0 })
				mend := cut(is, line)
				if name == "network dead" { // before the gate finds out
					w.gate.Close()
				}
				for _, step := range []struct {
					after                   time.Duration
					reads, writes, destroys bool
				}{
					{0, true, true, true}, {4 * time.Minute, true, true, true}, {2 * time.Minute, true, true, false},
					{time.Hour, true, false, false}, {2 * time.Hour, false, false, false},
				} {
					w.clock.advance(step.after)
					for tool, open := range map[string]bool{"read_data": step.reads, "write_data": step.writes, "delete_data": step.destroys} {
						if w.shut(t, token, tool) == open {
							t.Errorf("%s more of silence: %s open is not %v", step.after, tool, open)
						}
					}
				}
				if mend(); name == "network dead" {
					return
				}
				eventually(t, "all is well again", func() bool { return !w.shut(t, token, "delete_data") && !w.shut(t, token, "read_data") })
			})
		}
	}
}

func TestChaos_SilenceHidesWhatItDenies(t *testing.T) {
	t.Parallel()
	is := newIssuer(t)
	w := newWorldAt(t, is, nil)
	token := w.lasting("data:read data:admin")
	is.goDown()
	is.srv.CloseClientConnections()
	w.upstream.answer = listAnswer("application/json", `{"jsonrpc":"2.0","id":1,"result":{"tools":`+allTools+`}}`)
	w.clock.advance(10 * time.Minute)
	got := toolsOf(t, w.call(t, http.MethodPost, "/mcp", token, listBody).body)
	if strings.Join(got, " ") != "read_data write_data merge_data" {
		t.Errorf("listed %v", got)
	}
}

// A permission that is missing is not blamed on silence, nor what does not exist.
func TestChaos_SilenceDoesNotHideDenials(t *testing.T) {
	t.Parallel()
	is := newIssuer(t)
	w := newWorldAt(t, is, nil)
	is.goDown()
	is.srv.CloseClientConnections()
	token := w.lasting("data:read")
	w.clock.advance(48 * time.Hour)
	w.tool(t, token, "delete_data").want(t, http.StatusForbidden)
	w.tool(t, token, "unmapped").want(t, http.StatusOK)
	w.tool(t, token, "read_data").want(t, http.StatusServiceUnavailable)
	a := w.call(t, http.MethodPost, "/mcp", token, "["+callBody(1, "read_data")+","+callBody(2, "delete_data")+"]")
	if a.want(t, http.StatusServiceUnavailable); a.header.Get("WWW-Authenticate") != "" {
		t.Error("a client was sent to an issuer that is away")
	}
}

// clocks are a wall clock that anybody may set and a steady one that only goes on, apart from the issuer's.
type clocks struct{ wall, steady atomic.Int64 }

func (c *clocks) options(o *Options) {
	o.Now = func() time.Time { return time.Now().Add(time.Duration(c.wall.Load())) }
	start := time.Now()
	o.steady = func() time.Duration { return time.Since(start) + time.Duration(c.steady.Load()) }
}

// pass lets time pass on both.
func (c *clocks) pass(d time.Duration) { c.wall.Add(int64(d)); c.steady.Add(int64(d)) }

// set moves the wall clock alone.
func (c *clocks) set(by time.Duration) { c.wall.Add(int64(by)) }

func TestChaos_ClockSetBack(t *testing.T) {
	t.Parallel()
	is, c := newIssuer(t), new(clocks)
	w := newWorldAt(t, is, c.options)
	short := w.token("data:read data:admin", map[string]any{"exp": is.clock.now().Add(10 * time.Minute).Unix()})
	token := w.lasting("data:read data:admin")
	w.tool(t, short, "read_data").want(t, http.StatusOK)
	// It is set back far: the feed goes on being understood, and nothing gains time.
	c.set(-30 * 24 * time.Hour)
	w.revoke("grt_9")
	w.knows(1)
	w.tool(t, token, "delete_data").want(t, http.StatusOK)
	if silence := w.gate.feed.Current().Silence; silence < 0 || silence > time.Minute {
		t.Errorf("silence %s", silence)
	}
	// And an issuer that then falls silent is silent for as long as it is, and tokens expire when they do.
	is.goDown()
	is.srv.CloseClientConnections()
	c.pass(11 * time.Minute)
	if !w.shut(t, token, "delete_data") || w.shut(t, token, "read_data") {
		t.Error("setting the clock back ended the silence")
	}
	w.tool(t, short, "read_data").want(t, http.StatusUnauthorized)
	for range 40 { // again and again
		c.pass(time.Hour)
		c.set(-time.Hour)
	}
	if !w.shut(t, token, "read_data") {
		t.Error("setting the clock back again and again ended the silence")
	}
}

func TestChaos_ClockSetForward(t *testing.T) {
	t.Parallel()
	is, c := newIssuer(t), new(clocks)
	logs := new(logBuffer)
	w := newWorldAt(t, is, func(o *Options) { c.options(o); o.Logger = textLogger(logs) })
	token, short := w.lasting("data:read data:admin"), w.token("data:read")
	c.set(26 * time.Hour)
	// Nothing passes that would need the issuer to have been heard: feeds look expired now.
	if !w.shut(t, token, "read_data") || !w.shut(t, token, "delete_data") {
		t.Error("a clock a day ahead changed nothing")
	}
	w.tool(t, short, "read_data").want(t, http.StatusUnauthorized)
	eventually(t, "it says why", func() bool { return strings.Contains(logs.String(), "signed feed: has expired") })
	// Set right again, it is as before: what the wrong clock said was never believed.
	c.set(-26 * time.Hour)
	w.tool(t, short, "read_data").want(t, http.StatusOK)
	w.revoke("grt_1")
	w.knows(1)
	w.tool(t, token, "read_data").want(t, http.StatusUnauthorized)
}

func TestChaos_ClockOffByTheSkewIsFine(t *testing.T) {
	t.Parallel()
	for _, off := range []time.Duration{-25 * time.Second, 25 * time.Second} {
		is, c := newIssuer(t), new(clocks)
		c.set(off)
		w := newWorldAt(t, is, c.options)
		w.revoke("grt_9")
		w.knows(1)
		w.tool(t, w.token("data:read data:admin"), "delete_data").want(t, http.StatusOK)
	}
}

func TestChaos_PolicyAndFeedRolledBackTogether(t *testing.T) {
	t.Parallel()
	is := newIssuer(t)
	w := newWorldAt(t, is, nil)
	before, beforeFeed := is.doc, is.feed.feed
	w.publish(func(d *policy.Document) { delete(d.Tools, "read_data") })
	w.revoke("grt_9")
	w.knows(2)
	eventually(t, "the policy is there", func() bool { return w.gate.Policy().Revision == 2 })
	// As after a restore from a backup, or from whoever replays what was signed before.
	w.change(func() { is.doc, is.feed.feed = before, beforeFeed; is.feed.wake() })
	asked := w.fetched(policyPath) + w.fetched(feedPath)
	is.srv.CloseClientConnections()
	eventually(t, "it asks again", func() bool { return w.fetched(policyPath)+w.fetched(feedPath) > asked+4 })
	token := w.lasting("data:read data:admin")
	if a := w.tool(t, token, "read_data").want(t, http.StatusOK); !strings.Contains(a.body, "Unknown tool") {
		t.Error("the policy went back")
	}
	w.tool(t, w.token("data:read", map[string]any{"grant_id": "grt_9"}), "wait").want(t, http.StatusUnauthorized)
	w.clock.advance(6 * time.Minute) // what it refuses does not count as being heard
	if !w.shut(t, token, "delete_data") {
		t.Error("a feed that was rolled back ended the silence")
	}
}

func TestChaos_NodeRestartedDuringFanOut(t *testing.T) {
	t.Parallel()
	is := newIssuer(t)
	gates := make([]*world, 8)
	for i := range gates {
		gates[i] = newWorldAt(t, is, nil)
	}
	// The node goes as it tells: some have heard, some have half an event, none have it all.
	half := make(chan struct{}, len(gates)*4)
	is.change(func() {
		is.feed.serve = func(rw http.ResponseWriter, r *http.Request) bool {
			rw.Header().Set("Content-Type", "text/event-stream")
			_, _ = rw.Write([]byte("id: 99\nevent: feed\ndata: eyJhbGciOiJF"))
			_ = http.NewResponseController(rw).Flush()
			half <- struct{}{}
			<-r.Context().Done()
			return true
		}
	})
	is.srv.CloseClientConnections()
	for range gates {
		<-half
	}
	is.change(func() { is.feed.serve = nil })
	is.revoke("grt_1")
	is.srv.CloseClientConnections()
	token := gates[0].token("data:read")
	for _, w := range gates {
		w.knows(1)
		w.tool(t, token, "read_data").want(t, http.StatusUnauthorized)
	}
}
