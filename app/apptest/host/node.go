package host

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/ostiary/app"
)

// Node is one process of Ostiary, as far as a test process can hold one.
type Node struct {
	App *app.App
	URL string // of this node, behind the proxy

	stop  context.CancelFunc
	ended chan struct{}
}

func (s *Stack) newNode(t testing.TB, ln net.Listener) *Node {
	t.Helper()
	o := s.options
	a, err := app.New(context.WithoutCancel(t.Context()), app.Deps{
		Config: s.Config, Logger: o.logger, Now: s.Clock.Now, Tracer: o.tracer, ClientDocuments: o.documents,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	n := &Node{App: a, URL: "http://" + ln.Addr().String(), stop: stop, ended: make(chan struct{})}
	go func() {
		defer close(n.ended)
		if err := a.Run(ctx, ln); err != nil {
			t.Errorf("node %s: %v", n.URL, err)
		}
		a.Close()
	}()
	t.Cleanup(func() { n.Stop(t) })
	return n
}

const stopTimeout = 30 * time.Second

// Stop ends the node as an operator would, and returns when it has ended. It may be repeated.
func (n *Node) Stop(t testing.TB) {
	t.Helper()
	n.stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(stopTimeout)
	for {
		// A connection that was opened and never used looks to the server like a request about to come.
		transport().CloseIdleConnections()
		select {
		case <-n.ended:
			return
		case <-deadline:
			t.Errorf("node %s does not stop", n.URL)
			return
		case <-tick.C:
		}
	}
}

// Replace stops node i and starts a new one in its place, as a rolling deployment does.
func (s *Stack) Replace(t testing.TB, i int) {
	t.Helper()
	s.Nodes[i].Stop(t)
	s.Edge.Remove(s.Nodes[i].URL)
	s.Nodes[i] = s.newNode(t, listen(t, "127.0.0.1:0"))
	s.Edge.Add(t, s.Nodes[i].URL)
	s.App = s.Nodes[0].App
}

// Restart replaces every node by one that remembers nothing, at the same address.
func (s *Stack) Restart(t testing.TB) {
	t.Helper()
	for i, old := range s.Nodes {
		old.Stop(t)
		s.Nodes[i] = s.newNode(t, listen(t, strings.TrimPrefix(old.URL, "http://")))
	}
	s.App = s.Nodes[0].App
}

// FlushAttempts writes down what every node knows of connection attempts.
func (s *Stack) FlushAttempts(t testing.TB) {
	t.Helper()
	for _, n := range s.Nodes {
		n.App.Attempts().Flush(t.Context())
	}
}
