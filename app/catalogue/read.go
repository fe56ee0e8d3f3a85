package catalogue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Source is an MCP server to read from.
type Source struct {
	URL    string
	Header http.Header // sent with every request: a token, a key
	Client *http.Client
}

const (
	readTimeout = 30 * time.Second
	maxPages    = 200
)

var errTooMuch = fmt.Errorf("the server sent more than %d bytes", MaxBytes)

// Read asks a server for its tools, in either protocol era. A server that sends without end, in one answer or in pages, is
// given up on: see MaxTools and MaxBytes. Redirects are not followed, since the header would travel with them.
func Read(ctx context.Context, from Source) ([]Tool, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	client := http.Client{}
	if from.Client != nil {
		client = *from.Client
	}
	bounded := &boundedTransport{next: client.Transport, header: from.Header}
	if bounded.next == nil {
		bounded.next = http.DefaultTransport
	}
	client.Transport = bounded
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	session, err := mcp.NewClient(&mcp.Implementation{Name: "ostiary", Title: "Ostiary", Version: "1"}, nil).Connect(ctx,
		&mcp.StreamableClientTransport{Endpoint: from.URL, HTTPClient: &client, MaxRetries: -1, DisableStandaloneSSE: true}, nil)
	if err != nil {
		return nil, bounded.reason(fmt.Errorf("connect to the MCP server: %w", err))
	}
	defer session.Close() //nolint:errcheck // everything that matters has been read
	tools, err := listAll(ctx, session)
	if err != nil {
		return nil, bounded.reason(fmt.Errorf("list tools: %w", err))
	}
	return tools, checkTools(tools)
}

// listAll reads page after page.
func listAll(ctx context.Context, session *mcp.ClientSession) ([]Tool, error) {
	var tools []Tool
	cursor := ""
	for range maxPages {
		page, err := session.ListTools(ctx, &mcp.ListToolsParams{Cursor: cursor})
		if err != nil {
			return nil, err
		}
		raw, err := json.Marshal(page.Tools)
		if err != nil {
			return nil, err
		}
		var some []Tool
		if err := json.Unmarshal(raw, &some); err != nil {
			return nil, err
		}
		if tools = append(tools, some...); len(tools) > MaxTools {
			return nil, fmt.Errorf("the server offers more than %d tools", MaxTools)
		}
		if cursor = page.NextCursor; cursor == "" {
			return tools, nil
		}
	}
	return nil, errors.New("the server's list of tools has no end")
}

// boundedTransport adds the header and counts what all answers together bring.
type boundedTransport struct {
	next   http.RoundTripper
	header http.Header
	read   atomic.Int64
}

// RoundTrip implements http.RoundTripper.
func (t *boundedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for name, values := range t.header {
		r.Header[http.CanonicalHeaderKey(name)] = values
	}
	resp, err := t.next.RoundTrip(r)
	if err == nil {
		resp.Body = &countedBody{resp.Body, &t.read}
	}
	return resp, err
}

// reason names the limit where it is what an error of the SDK comes from.
func (t *boundedTransport) reason(err error) error {
	if t.read.Load() > MaxBytes {
		return errTooMuch
	}
	return err
}

type countedBody struct {
	io.ReadCloser
	read *atomic.Int64
}

// Read implements io.Reader.
func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.read.Add(int64(n)) > MaxBytes {
		return 0, errTooMuch
	}
	return n, err
}
