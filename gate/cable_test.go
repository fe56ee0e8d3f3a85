package gate

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
)

// cable is the network between a gate and its issuer. It can be cut, so that both ends notice; lines of it can go dead,
// so that nobody does.
type cable struct {
	mu    sync.Mutex
	cut   bool
	lines map[*cableConn]struct{}
}

type cableConn struct {
	net.Conn
	dead   atomic.Bool
	closed chan struct{}
	once   sync.Once
}

func newCable(t testing.TB) (*cable, *http.Client) {
	t.Helper()
	c := &cable{lines: map[*cableConn]struct{}{}}
	transport := &http.Transport{DialContext: c.dial}
	t.Cleanup(transport.CloseIdleConnections)
	return c, &http.Client{Transport: transport}
}

func (c *cable) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c.mu.Lock()
	cut := c.cut
	c.mu.Unlock()
	if cut {
		return nil, errors.New("the network is cut")
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	line := &cableConn{Conn: conn, closed: make(chan struct{})}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines[line] = struct{}{}
	return line, nil
}

// sever cuts the network until mend.
func (c *cable) sever() {
	c.mu.Lock()
	c.cut = true
	lines := c.lines
	c.lines = map[*cableConn]struct{}{}
	c.mu.Unlock()
	for line := range lines {
		_ = line.Conn.Close()
	}
}

func (c *cable) mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = false
}

// die makes the lines there are carry nothing any more, without telling anybody.
func (c *cable) die() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for line := range c.lines {
		line.dead.Store(true)
	}
}

// Read implements net.Conn.
func (l *cableConn) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	if l.dead.Load() {
		<-l.closed
		return 0, net.ErrClosed
	}
	return n, err
}

// Close implements net.Conn.
func (l *cableConn) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Conn.Close()
}
