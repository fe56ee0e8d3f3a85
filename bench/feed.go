package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// feedResult is what it takes to keep MCP servers connected, and how soon they hear that something was revoked.
type feedResult struct {
	Subscribers int           `json:"subscribers"`
	Connected   time.Duration `json:"connected_in_ns"`
	Memory      uint64        `json:"server_bytes_per_subscriber"` // growth of the resident set
	Rounds      int           `json:"revocations"`
	P50         time.Duration `json:"p50_ns"` // from sending the revocation to a subscriber that has read of it
	P99         time.Duration `json:"p99_ns"`
	Max         time.Duration `json:"max_ns"`
	First       time.Duration `json:"first_ns"` // median over the revocations
	ServerCPU   time.Duration `json:"server_cpu_per_revocation_ns"`
	DriverCPU   time.Duration `json:"driver_cpu_per_revocation_ns"`
	EventBytes  int           `json:"event_bytes"`
}

// audience is the subscribers. They share what they wait for: the sequence, and when it was caused.
type audience struct {
	wanted atomic.Int64
	cause  atomic.Int64 // nanoseconds
	heard  atomic.Int64
	all    chan struct{} // one message when everybody has heard
	size   int

	mu    sync.Mutex
	times histogram
	first time.Duration
	max   time.Duration
	bytes int
}

const (
	feedPatience = 30 * time.Second
	feedPause    = 1500 * time.Millisecond // between revocations: longer than a node rests after telling of a change
	dialAtOnce   = 64
)

// feed connects subscribers and revokes grants, one after the other.
func (b *bench) feed(ctx context.Context) (*feedResult, error) {
	r := &feedResult{Subscribers: b.o.feed, Rounds: b.o.rounds}
	owner, err := dial(b.stand.server.product)
	if err != nil {
		return nil, err
	}
	defer owner.close()
	p := newPlayer(b, &worker{client: owner, state: 1})
	if _, err := p.connect(0); err != nil { // whatever is loaded at first is loaded
		return nil, err
	}
	if err := b.stand.server.settle(); err != nil {
		return nil, err
	}
	before, start := resident(b.stand.server.pid), now()
	a := &audience{size: b.o.feed, all: make(chan struct{}, 1)}
	leave, err := b.subscribe(ctx, a)
	defer leave()
	if err != nil {
		return nil, err
	}
	r.Connected = now().Sub(start)
	if err := b.stand.server.settle(); err != nil {
		return nil, err
	}
	r.Memory = (resident(b.stand.server.pid) - before) / uint64(b.o.feed)
	var firsts histogram
	for range b.o.rounds {
		if err := b.revokeOne(ctx, p, a, r); err != nil {
			return nil, err
		}
		firsts.add(a.first)
	}
	r.P50, r.P99, r.Max, r.First = a.times.quantile(0.5), a.times.quantile(0.99), a.max, firsts.quantile(0.5)
	r.ServerCPU /= time.Duration(b.o.rounds)
	r.DriverCPU /= time.Duration(b.o.rounds)
	r.EventBytes = a.bytes
	return r, nil
}

// revokeOne revokes a grant and waits until everybody has heard of it.
func (b *bench) revokeOne(ctx context.Context, p *player, a *audience, r *feedResult) error {
	user := p.pick(b.stand.rows)
	token, err := p.connect(user)
	if err != nil {
		return err
	}
	p.form = append(append(append(p.form[:0], "token="...), token...), "&client_id="+p.clients[p.clientOf(user)]...)
	if err := b.sleep(ctx, feedPause); err != nil {
		return err
	}
	sequence, err := b.sequence(ctx)
	if err != nil {
		return err
	}
	cpu, own := b.cpu(), ownUsage().cpu
	a.begin(sequence + 1)
	if err := p.post(p.tenant.BasePath+"/revoke", nil); err != nil {
		return err
	}
	if err := p.expect(200); err != nil {
		return err
	}
	select {
	case <-a.all:
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(feedPatience):
		return fmt.Errorf("%d of %d subscribers heard of a revocation within %s", a.heard.Load(), a.size, feedPatience)
	}
	r.ServerCPU += b.cpu() - cpu
	r.DriverCPU += ownUsage().cpu - own
	return nil
}

func (b *bench) sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func (b *bench) cpu() time.Duration {
	s, err := b.stand.server.sample()
	if err != nil {
		return 0
	}
	return s.CPU
}

func (b *bench) sequence(ctx context.Context) (int64, error) {
	var n int64
	err := b.database.conn.QueryRow(ctx, `select coalesce(max(sequence), 0) from feed_versions`).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("read sequence: %w", err)
	}
	return n, nil
}

// subscribe connects everybody; it returns once each has its first event.
func (b *bench) subscribe(ctx context.Context, a *audience) (leave func(), err error) {
	var conns []net.Conn
	var mu sync.Mutex
	leave = func() {
		for _, c := range conns {
			_ = c.Close() // that is how they leave
		}
	}
	a.begin(0)
	gate := make(chan struct{}, dialAtOnce)
	problems := make(chan error, a.size)
	for i := range a.size {
		gate <- struct{}{}
		go func() {
			defer func() { <-gate }()
			conn, err := b.open(ctx, i)
			if err != nil {
				problems <- err
				return
			}
			mu.Lock()
			conns = append(conns, conn)
			mu.Unlock()
			go a.listen(conn)
		}()
	}
	select {
	case <-a.all:
		return leave, nil
	case err := <-problems:
		return leave, err
	case <-time.After(2 * feedPatience):
		return leave, fmt.Errorf("%d of %d subscribers are connected", a.heard.Load(), a.size)
	}
}

// open sends the request of one subscriber. They come from many addresses, so that ports are no limit either.
func (b *bench) open(ctx context.Context, i int) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, byte(1+i>>12), 1)}}
	conn, err := d.DialContext(ctx, "tcp", b.stand.server.product)
	if err != nil {
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	t := b.stand.tenant
	_, err = io.WriteString(conn, "GET "+t.BasePath+"/resources/"+t.ResourceID+"/revocations HTTP/1.1\r\nHost: "+t.Host+
		"\r\nAccept: text/event-stream\r\nX-Forwarded-For: 10.1."+strconv.Itoa(i>>8&255)+"."+strconv.Itoa(i&255)+"\r\n\r\n")
	if err != nil {
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	return conn, nil
}

// begin makes everybody wait for a sequence from now on.
func (a *audience) begin(sequence int64) {
	a.mu.Lock()
	a.first = 0
	a.mu.Unlock()
	a.heard.Store(0)
	a.cause.Store(now().UnixNano())
	a.wanted.Store(sequence)
}

// listen reads one subscriber's events until its connection ends.
func (a *audience) listen(conn net.Conn) {
	in := bufio.NewReaderSize(conn, 2048)
	last, size := int64(-1), 0
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		size += len(line)
		id, ok := strings.CutPrefix(line, "id: ")
		if ok {
			size = len(line)
			last, _ = strconv.ParseInt(strings.TrimSpace(id), 10, 64)
		}
		if line == "\n" && last >= 0 {
			a.hears(last, size)
			last = -1
		}
	}
}

func (a *audience) hears(sequence int64, size int) {
	wanted := a.wanted.Load()
	if sequence < wanted || wanted < 0 {
		return
	}
	took := time.Duration(now().UnixNano() - a.cause.Load())
	a.mu.Lock()
	if wanted > 0 { // not the first event of all
		a.times.add(took)
		a.max, a.bytes = max(a.max, took), size
		if a.first == 0 {
			a.first = took
		}
	}
	a.mu.Unlock()
	if a.heard.Add(1) == int64(a.size) {
		a.wanted.Store(-1)
		a.all <- struct{}{}
	}
}

func (f *feedResult) writeText(out io.Writer) error {
	_, err := fmt.Fprintf(out, "\n%d subscribers of one MCP server on one node, connected in %s: %.1f KiB of server memory each\n"+
		"%d revocations, each heard by all: first after %s, p50 %s, p99 %s, last %s; event of %d bytes; "+
		"CPU per revocation: server %s, driver %s\n",
		f.Subscribers, f.Connected.Round(time.Millisecond), float64(f.Memory)/1024, f.Rounds, micro(f.First), micro(f.P50), micro(f.P99),
		micro(f.Max), f.EventBytes, f.ServerCPU.Round(time.Millisecond), f.DriverCPU.Round(time.Millisecond))
	return err
}
