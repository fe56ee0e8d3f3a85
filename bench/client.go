package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
)

// client is one keep-alive connection that writes requests as they are and reads of an answer only what the operations
// need. What the driver costs is time that the server does not get: this one does little more than its two system calls,
// where net/http's allocates fifty times and changes goroutine twice (BenchmarkDriver).
type client struct {
	conn net.Conn
	in   *bufio.Reader
	out  []byte
	answer
}

// answer is the last answer; its bytes are good until the next request.
type answer struct {
	status   int
	location []byte
	cookies  []byte // name=value pairs that were set, separated by "; "
	body     []byte
}

func dial(address string) (*client, error) {
	conn, err := net.Dial("tcp", address) //nolint:noctx // loopback, answers at once or never
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return &client{conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}, nil
}

// redial replaces the connection: the server closes those that were idle for long.
func (c *client) redial() error {
	next, err := dial(c.conn.RemoteAddr().String())
	if err != nil {
		return err
	}
	c.close()
	c.conn, c.in = next.conn, next.in
	return nil
}

func (c *client) close() { _ = c.conn.Close() } // nothing is unsent

// request is one request; path and body go out as they are.
type request struct {
	post        bool
	path        string
	host        string
	cookies     string
	address     string // X-Forwarded-For
	bearer      string // Authorization
	basic       string // likewise
	contentType string
	body        []byte
}

const (
	formType = "application/x-www-form-urlencoded"
	jsonType = "application/json"
)

// do sends a request and reads its answer.
func (c *client) do(r request) error {
	b := append(c.out[:0], "GET "...)
	if r.post {
		b = append(c.out[:0], "POST "...)
	}
	b = append(append(b, r.path...), " HTTP/1.1\r\nHost: "...)
	b = append(append(b, r.host...), "\r\nUser-Agent: bench\r\n"...)
	b = header(b, "Cookie: ", r.cookies)
	b = header(b, "X-Forwarded-For: ", r.address)
	if r.bearer != "" {
		b = append(append(append(b, "Authorization: Bearer "...), r.bearer...), "\r\n"...)
	}
	b = header(b, "Authorization: Basic ", r.basic)
	if r.post {
		b = header(b, "Content-Type: ", r.contentType)
		b = append(b, "Content-Length: "...)
		b = append(strconv.AppendInt(b, int64(len(r.body)), 10), "\r\n"...)
	}
	b = append(append(b, "\r\n"...), r.body...)
	c.out = b
	if _, err := c.conn.Write(b); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	if err := c.read(); err != nil {
		return fmt.Errorf("read answer of %s: %w", bytes.SplitN(b, []byte(" "), 3)[1], err)
	}
	return nil
}

func header(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return append(append(append(b, name...), value...), "\r\n"...)
}

var errAnswer = errors.New("not an HTTP/1.1 answer")

func (c *client) read() error {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return err
	}
	if len(line) < 12 {
		return errAnswer
	}
	if c.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return errAnswer
	}
	c.location, c.cookies, c.body = c.location[:0], c.cookies[:0], c.body[:0]
	length, chunked := 0, false
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch string(name) {
		case "Content-Length":
			if length, err = strconv.Atoi(string(value)); err != nil {
				return errAnswer
			}
		case "Transfer-Encoding":
			chunked = true
		case "Location":
			c.location = append(c.location, value...)
		case "Set-Cookie":
			pair, _, _ := bytes.Cut(value, []byte(";"))
			if len(c.cookies) > 0 {
				c.cookies = append(c.cookies, "; "...)
			}
			c.cookies = append(c.cookies, pair...)
		}
	}
	if chunked {
		return c.readChunks()
	}
	return c.readBody(length)
}

func (c *client) readBody(length int) error {
	start := len(c.body)
	if need := start + length; cap(c.body) < need {
		c.body = append(make([]byte, 0, need+4096), c.body...)
	}
	c.body = c.body[:start+length]
	_, err := io.ReadFull(c.in, c.body[start:])
	return err
}

func (c *client) readChunks() error {
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		size, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 32)
		if err != nil {
			return errAnswer
		}
		if err := c.readBody(int(size)); err != nil {
			return err
		}
		if _, err := c.in.Discard(2); err != nil {
			return err
		}
		if size == 0 {
			return nil
		}
	}
}

// expect returns an error unless the last answer has this status.
func (a *answer) expect(status int) error {
	if a.status == status {
		return nil
	}
	return fmt.Errorf("status %d instead of %d: %s %s", a.status, status, a.location, a.body[:min(len(a.body), 300)])
}

// between returns what stands between two marks, empty when it is not there.
func between(text []byte, before, after string) []byte {
	_, rest, ok := bytes.Cut(text, []byte(before))
	if !ok {
		return nil
	}
	value, _, _ := bytes.Cut(rest, []byte(after))
	return value
}
