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
	lines map[*line]struct{}
}

// line is one connection through a cable.
type line struct {
	near    net.Conn
	listens bool // it asked for notifications
	deaf    bool // it hears nothing any more
	asked   int  // how often it asked whether the other end is there, since it listens
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
	c := &Cable{listener: ln, network: "tcp", lines: map[*line]struct{}{}}
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
	l := &line{near: in}
	if !c.plug(l) {
		return
	}
	defer c.unplug(l)
	out, err := new(net.Dialer).DialContext(context.Background(), c.network, c.address)
	if err != nil {
		return
	}
	defer out.Close() //nolint:errcheck // the other end sees it go
	go func() {
		_, _ = io.Copy(out, io.TeeReader(in, watch(func(p []byte) { c.said(l, p) }))) // ends with the connection
		_ = out.Close()
	}()
	_, _ = io.Copy(hush{in, func() bool { return c.isDeaf(l) }}, out)
}

// watch sees what goes through before it arrives.
type watch func([]byte)

func (w watch) Write(p []byte) (int, error) {
	w(p)
	return len(p), nil
}

// said notes what a line is used for.
func (c *Cable) said(l *line, p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if bytes.Contains(p, []byte("listen ostiary")) {
		l.listens, l.deaf = true, c.deaf
	}
	if l.listens && bytes.Contains(p, []byte("-- ping")) {
		l.asked++
	}
}

// Asked returns how often a listening connection that is still there asked whether the other end is, too.
func (c *Cable) Asked() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	most := 0
	for l := range c.lines {
		most = max(most, l.asked)
	}
	return most
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

func (c *Cable) isDeaf(l *line) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return l.deaf
}

// Deafen loses every notification from now on, without a sign of it, as a connection does that some firewall forgot:
// connections that listen hear nothing any more, and neither do those that begin to before Hear.
func (c *Cable) Deafen() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deaf = true
	for l := range c.lines {
		l.deaf = l.deaf || l.listens
	}
}

func (c *Cable) plug(l *line) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut {
		return false
	}
	c.lines[l] = struct{}{}
	return true
}

func (c *Cable) unplug(l *line) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.lines, l)
}

// Cut ends every connection and refuses new ones.
func (c *Cable) Cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = true
	for l := range c.lines {
		_ = l.near.Close()
	}
}

// Hear lets notifications through again, on connections that listen from now on. Those that were deaf stay so.
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
