package host

import (
	"context"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"sync"
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
	conns map[net.Conn]struct{}
}

// newCable returns a cable to the database that databaseURL names.
func newCable(t testing.TB, databaseURL string) *Cable {
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
	go func() {
		_, _ = io.Copy(out, in) // ends with the connection
		_ = out.Close()
	}()
	_, _ = io.Copy(in, out)
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

// Mend lets connections through again.
func (c *Cable) Mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = false
}
