package host

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Cable stands between the server and Postgres and can be cut.
type Cable struct {
	URL string // of the database, through the cable

	listener net.Listener
	network  string
	address  string

	mu    sync.Mutex
	cut   bool
	deaf  bool
	conns map[net.Conn]struct{}
}

// NewCable returns a cable to the database that databaseURL names.
func NewCable(t testing.TB, databaseURL string) *Cable {
	t.Helper()
	cfg, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		t.Fatal("database URL malformed")
	}
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &Cable{listener: ln, network: "tcp", conns: map[net.Conn]struct{}{}}
	port := strconv.Itoa(int(cfg.Port))
	c.address = net.JoinHostPort(cfg.Host, port)
	if filepath.IsAbs(cfg.Host) {
		c.network, c.address = "unix", filepath.Join(cfg.Host, ".s.PGSQL."+port)
	}
	through := url.URL{Scheme: "postgres", User: url.UserPassword(cfg.User, cfg.Password), Host: ln.Addr().String(), Path: "/" + cfg.Database, RawQuery: "sslmode=disable"}
	c.URL = through.String()
	go c.serve()
	t.Cleanup(func() { _ = ln.Close(); c.Cut() })
	return c
}

func (c *Cable) serve() {
	for {
		in, err := c.listener.Accept()
		if err != nil {
			return
		}
		go c.carry(in)
	}
}

func (c *Cable) carry(in net.Conn) {
	defer in.Close() //nolint:errcheck // the other end sees it go
	if !c.plug(in) {
		return
	}
	defer c.unplug(in)
	out, err := new(net.Dialer).DialContext(context.Background(), c.network, c.address)
	if err != nil {
		return
	}
	defer out.Close() //nolint:errcheck // the other end sees it go
	var listens, deaf atomic.Bool
	go func() {
		_, _ = io.Copy(out, io.TeeReader(in, watch(func() { listens.Store(true) }))) // ends with the connection
		_ = out.Close()
	}()
	_, _ = io.Copy(hush{in, func() bool {
		if listens.Load() && c.isDeaf() {
			deaf.Store(true)
		}
		return deaf.Load()
	}}, out)
}

// watch calls listening when what is written to it asks for notifications.
type watch func()

func (w watch) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("listen ostiary")) {
		w()
	}
	return len(p), nil
}

// hush drops what is written to it while quiet says so.
type hush struct {
	to    io.Writer
	quiet func() bool
}

func (h hush) Write(p []byte) (int, error) {
	if h.quiet() {
		return len(p), nil
	}
	return h.to.Write(p)
}

func (c *Cable) isDeaf() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.deaf
}

// Deafen loses every notification from now on, without a sign of it, as a connection does that some firewall forgot.
func (c *Cable) Deafen() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deaf = true
}

func (c *Cable) plug(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut {
		return false
	}
	c.conns[conn] = struct{}{}
	return true
}

func (c *Cable) unplug(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.conns, conn)
}

// Cut ends every connection and refuses new ones.
func (c *Cable) Cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = true
	for conn := range c.conns {
		_ = conn.Close()
	}
}

// Hear lets notifications through again, on connections made from now on. Those that were deaf stay so.
func (c *Cable) Hear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deaf = false
}

// Snap ends every connection once; new ones go through.
func (c *Cable) Snap() {
	c.Cut()
	c.Mend()
}

// Mend lets connections through again.
func (c *Cable) Mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = false
}
