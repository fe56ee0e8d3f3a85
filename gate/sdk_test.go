package gate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/ostiary/ostiary/app/policy"
)

// sdkServer is an MCP server of the official SDK that knows nothing of the gate.
type sdkServer struct {
	handler   http.Handler
	cancelled chan struct{}
	waiting   chan struct{}
	deleted   atomic.Int32
	lastUser  atomic.Value
}

type noInput struct{}

func newSDKServer(opts *mcp.StreamableHTTPOptions) *sdkServer {
	s := &sdkServer{cancelled: make(chan struct{}, 1), waiting: make(chan struct{}, 1)}
	server := mcp.NewServer(&mcp.Implementation{Name: "acme", Version: "1"}, nil)
	for _, name := range []string{"read_data", "write_data", "delete_data", "unmapped"} {
		mcp.AddTool(
			server,
			&mcp.Tool{Name: name},
			func(ctx context.Context, r *mcp.CallToolRequest, _ noInput) (*mcp.CallToolResult, any, error) {
				s.lastUser.Store(r.Extra.Header.Get(HeaderUser) + r.Extra.Header.Get("Authorization"))
				_ = r.Session.NotifyProgress(
					ctx,
					&mcp.ProgressNotificationParams{ProgressToken: r.Params.GetProgressToken(), Progress: 1, Message: "working"},
				)
				return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: name + " done"}}}, nil, nil
			},
		)
	}
	mcp.AddTool(
		server,
		&mcp.Tool{Name: "wait"},
		func(ctx context.Context, _ *mcp.CallToolRequest, _ noInput) (*mcp.CallToolResult, any, error) {
			s.waiting <- struct{}{}
			<-ctx.Done()
			s.cancelled <- struct{}{}
			return nil, nil, ctx.Err()
		},
	)
	inner := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, opts)
	s.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			s.deleted.Add(1)
		}
		inner.ServeHTTP(w, r)
	})
	return s
}

// withToken sends a token that a test can change.
type withToken struct{ token *atomic.Value }

func (w withToken) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+w.token.Load().(string))
	return http.DefaultTransport.RoundTrip(r)
}

// sdkWorld is the official client, the gate, the official server.
type sdkWorld struct {
	*testIssuer
	server   *sdkServer
	session  *mcp.ClientSession
	token    atomic.Value
	progress chan string
}

func newSDKWorld(t *testing.T, opts *mcp.StreamableHTTPOptions) *sdkWorld {
	t.Helper()
	w := &sdkWorld{testIssuer: newIssuer(t), server: newSDKServer(opts), progress: make(chan string, 10)}
	up := httptest.NewServer(w.server.handler)
	t.Cleanup(up.Close)
	g := w.newGate(t, func(o *Options) { o.Upstream = up.URL })
	front := httptest.NewServer(g.Handler())
	t.Cleanup(front.Close)
	w.token.Store(w.testIssuer.token("data:read"))
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, &mcp.ClientOptions{
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
			w.progress <- r.Params.Message
		},
	})
	var err error
	w.session, err = client.Connect(t.Context(), &mcp.StreamableClientTransport{
		Endpoint: front.URL + "/mcp", HTTPClient: &http.Client{Transport: withToken{&w.token}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.session.Close() })
	return w
}

func (w *sdkWorld) call(t *testing.T, tool string) (string, error) {
	t.Helper()
	params := &mcp.CallToolParams{Name: tool, Arguments: map[string]any{}}
	params.SetProgressToken("p-" + tool)
	result, err := w.session.CallTool(t.Context(), params)
	if err != nil {
		return "", err
	}
	return result.Content[0].(*mcp.TextContent).Text, nil
}

func (w *sdkWorld) tools(t *testing.T) []string {
	t.Helper()
	var names []string
	for tool, err := range w.session.Tools(t.Context(), nil) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, tool.Name)
	}
	slices.Sort(names)
	return names
}

// TestSDK_EndToEnd drives the official Go client through the gate to the official Go server, in every way the two talk.
func TestSDK_EndToEnd(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]*mcp.StreamableHTTPOptions{
		"sessions, events":   {},
		"sessions, JSON":     {JSONResponse: true},
		"2026-07-28, events": {Stateless: true, PropagateRequestCancellation: true},
		"2026-07-28, JSON":   {Stateless: true, JSONResponse: true, PropagateRequestCancellation: true},
		"resumable events":   {EventStore: mcp.NewMemoryEventStore(nil)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newSDKWorld(t, opts)
			w.story(t, opts)
		})
	}
}

func (w *sdkWorld) story(t *testing.T, opts *mcp.StreamableHTTPOptions) {
	if got := w.tools(t); !slices.Equal(got, []string{"read_data", "wait"}) {
		t.Errorf("tools %v", got)
	}
	if got, err := w.call(t, "read_data"); got != "read_data done" || err != nil {
		t.Errorf("read_data: %q %v", got, err)
	}
	if got := w.server.lastUser.Load(); got != "usr_ann" {
		t.Errorf("the server saw %q", got)
	}
	if !opts.JSONResponse {
		if got := <-w.progress; got != "working" {
			t.Errorf("progress %q", got)
		}
	}
	// A denied call fails alone; the connection lives on.
	_, err := w.call(t, "write_data")
	if rpc, ok := errors.AsType[*jsonrpc.Error](err); !ok || rpc.Code != rpcInsufficient ||
		!strings.Contains(err.Error(), "data:write") {
		t.Errorf("write_data: %v", err)
	}
	_, err = w.call(t, "unmapped")
	if rpc, ok := errors.AsType[*jsonrpc.Error](err); !ok || rpc.Code != rpcInvalidParams {
		t.Errorf("unmapped: %v", err)
	}
	// The user has approved more: the same session goes on with another token.
	w.token.Store(w.testIssuer.token("data:read data:write"))
	if got, err := w.call(t, "write_data"); got != "write_data done" || err != nil {
		t.Errorf("write_data after step-up: %q %v", got, err)
	}
	w.cancels(t)
	session := w.session.ID()
	if err := w.session.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if want := int32(1); (session != "") != (w.server.deleted.Load() == want) {
		t.Errorf("session %q, %d DELETEs", session, w.server.deleted.Load())
	}
	if opts.Stateless != (session == "") {
		t.Errorf("stateless %v, session %q", opts.Stateless, session)
	}
}

func (w *sdkWorld) cancels(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-w.server.waiting
		cancel()
	}()
	if _, err := w.session.CallTool(ctx, &mcp.CallToolParams{Name: "wait", Arguments: map[string]any{}}); err == nil {
		t.Error("a cancelled call was answered")
	}
	<-w.server.cancelled
}

func TestSDK_ListChangesFollowThePolicy(t *testing.T) {
	t.Parallel()
	w := newSDKWorld(t, &mcp.StreamableHTTPOptions{})
	w.publish(func(d *policy.Document) {
		d.Tools["unmapped"] = policy.Tool{Scopes: []string{"data:read"}, Match: policy.MatchAll}
	})
	eventually(t, "the newly mapped tool is listed", func() bool { return slices.Contains(w.tools(t), "unmapped") })
	if got, err := w.call(t, "unmapped"); err != nil {
		t.Errorf("%q %v", got, err)
	}
}

func TestSDK_InProcess(t *testing.T) {
	t.Parallel()
	is := newIssuer(t)
	g := is.newGate(t, nil)
	s := newSDKServer(&mcp.StreamableHTTPOptions{})
	front := httptest.NewServer(g.Middleware(s.handler))
	t.Cleanup(front.Close)
	var token atomic.Value
	token.Store(is.token("data:read"))
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).Connect(t.Context(),
		&mcp.StreamableClientTransport{
			Endpoint:   front.URL + "/mcp",
			HTTPClient: &http.Client{Transport: withToken{&token}},
		}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	list, err := session.ListTools(t.Context(), nil)
	if err != nil || len(list.Tools) != 2 {
		t.Errorf("%v %v", fmt.Sprint(list), err)
	}
	params := &mcp.CallToolParams{Name: "delete_data", Arguments: map[string]any{}}
	if _, err := session.CallTool(t.Context(), params); err == nil {
		t.Error("delete_data was allowed")
	}
}
