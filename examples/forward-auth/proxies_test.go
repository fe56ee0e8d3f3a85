//go:build e2e

package forwardauth

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/examples/acmedata"
	"github.com/ostiary/ostiary/gate"
)

func TestMain(m *testing.M) { host.Main(m) }

// upstream is an MCP server that remembers what reached it.
type upstream struct {
	mu   sync.Mutex
	last http.Header
	n    int
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u.mu.Lock()
	u.last, u.n = r.Header.Clone(), u.n+1
	u.mu.Unlock()
	if r.Method == http.MethodGet && r.Header.Get("Accept") == "text/event-stream" && r.URL.Query().Get("stream") != "" {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: first\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		return
	}
	acmedata.Handler().ServeHTTP(w, r)
}

func (u *upstream) seen() (http.Header, int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.last, u.n
}

// setting is a proxy in front of an MCP server, with a gate to ask and tokens to show.
type setting struct {
	url      string
	upstream *upstream
	token    string // may read data
}

// newSetting starts everything but the proxy, which run starts with these addresses in its configuration.
func newSetting(t *testing.T, f gate.ForwardAuth, run func(t *testing.T, addresses map[string]string)) *setting {
	t.Helper()
	s := host.New(t, host.WithIssuers(host.PathForm))
	g, err := gate.New(t.Context(), gate.Options{Issuer: s.Acme.Issuer, ResourceID: s.Acme.ResourceID})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	asked := httptest.NewServer(g.ForwardAuth(f))
	t.Cleanup(asked.Close)
	up := &upstream{}
	server := httptest.NewServer(up)
	t.Cleanup(server.Close)
	front := freeAddress(t)
	run(t, map[string]string{
		"127.0.0.1:8090": front, "127.0.0.1:8091": strings.TrimPrefix(asked.URL, "http://"),
		"127.0.0.1:9000": strings.TrimPrefix(server.URL, "http://"),
	})
	awaitListener(t, front)
	client := s.Register(t, s.Acme, nil)
	tokens := s.Connect(t, host.NewBrowser(t), s.Acme, client.Authorize("data:read"), "data:read")
	return &setting{url: "http://" + front + "/mcp", upstream: up, token: tokens.Access}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func awaitListener(t *testing.T, address string) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the proxy does not listen: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// config is a configuration of this folder with the addresses of this test in it.
func config(t *testing.T, name string, addresses map[string]string) string {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for from, to := range addresses {
		if !strings.Contains(text, from) {
			t.Fatalf("%s does not name %s", name, from)
		}
		text = strings.ReplaceAll(text, from, to)
	}
	return text
}

// start runs a proxy until the test ends, which stop tells it.
func start(t *testing.T, stop os.Signal, name string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is missing: e2e/setup.sh installs it on Debian", name)
	}
	var out strings.Builder
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), path, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(stop)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%s", name, out.String())
		}
	})
}

func nginx(t *testing.T, addresses map[string]string) {
	t.Helper()
	dir := t.TempDir()
	script, err := filepath.Abs("nginx")
	if err != nil {
		t.Fatal(err)
	}
	text := config(t, "nginx/nginx.conf", addresses)
	// Only what is about this machine: where modules are, where to write.
	text = strings.Replace(text, "load_module modules/", "load_module /usr/lib/nginx/modules/", 1)
	text = strings.Replace(text, `"/etc/nginx/ostiary"`, `"`+script+`"`, 1)
	text = strings.Replace(text, "http {", fmt.Sprintf("http {\n  access_log off;\n  client_body_temp_path %[1]s/b;\n"+
		"  proxy_temp_path %[1]s/p;\n  fastcgi_temp_path %[1]s/f;\n  uwsgi_temp_path %[1]s/u;\n  scgi_temp_path %[1]s/s;", dir), 1)
	if os.Getuid() == 0 {
		text = "user root;\n" + text
	}
	path := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, syscall.SIGTERM, "nginx", "-p", dir, "-c", path, "-e", "stderr", "-g", "daemon off; pid "+dir+"/pid;")
}

func caddy(t *testing.T, addresses map[string]string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(path, []byte(config(t, "caddy/Caddyfile", addresses)), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, os.Kill, "caddy", "run", "--config", path, "--adapter", "caddyfile")
}

// call sends a request to the proxy.
func (s *setting) call(t *testing.T, method, token, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(raw)
}

func toolCall(name string) (body string, headers []string) {
	body = fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":{},"_meta":{`+
		`"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"test","version":"1"},`+
		`"io.modelcontextprotocol/clientCapabilities":{}}}}`, name)
	return body, []string{"Mcp-Method: tools/call", "Mcp-Name: " + name, "Mcp-Protocol-Version: 2026-07-28"}
}

// held is what both proxies have to do.
func (s *setting) held(t *testing.T) {
	t.Helper()
	body, headers := toolCall("list_datasets")
	resp, text := s.call(t, http.MethodPost, "", body, headers...)
	challenge := resp.Header.Get("WWW-Authenticate")
	if resp.StatusCode != http.StatusUnauthorized || !strings.HasPrefix(challenge, "Bearer resource_metadata=") {
		t.Fatalf("without a token: %d, %q, %s", resp.StatusCode, challenge, text)
	}
	if _, n := s.upstream.seen(); n != 0 {
		t.Fatal("a request without a token reached the MCP server")
	}
	forged := append([]string{"Ostiary-User: usr_admin", "Ostiary-Organization: org_evil", "Ostiary-Identity: forged",
		"X-Forwarded-Method: GET", "X-Original-Uri: /mcp?other", "X-Forwarded-Uri: /.well-known/x"}, headers...)
	resp, text = s.call(t, http.MethodPost, s.token, body, forged...)
	if resp.StatusCode != http.StatusOK || !strings.Contains(text, "datasets") {
		t.Fatalf("an allowed call: %d %s", resp.StatusCode, text)
	}
	seen, n := s.upstream.seen()
	if !strings.HasPrefix(seen.Get("Ostiary-User"), "usr_") || seen.Get("Ostiary-User") == "usr_admin" ||
		seen.Get("Ostiary-Organization") == "org_evil" || seen.Get("Ostiary-Identity") != "" || seen.Get("Authorization") != "" ||
		seen.Get("Ostiary-Scopes") != "data:read" || len(seen.Values("Ostiary-User")) != 1 {
		t.Errorf("the MCP server got %v", seen)
	}
	body, headers = toolCall("delete_segment")
	resp, text = s.call(t, http.MethodPost, s.token, body, headers...)
	challenge = resp.Header.Get("WWW-Authenticate")
	if resp.StatusCode != http.StatusForbidden || !strings.Contains(challenge, `scope="segments:delete"`) {
		t.Errorf("a call that needs more: %d, %q, %s", resp.StatusCode, challenge, text)
	}
	body, headers = toolCall("no_such_tool")
	if resp, text = s.call(t, http.MethodPost, s.token, body, headers...); resp.StatusCode != http.StatusOK || !strings.Contains(text, "-32602") {
		t.Errorf("a tool that nobody has: %d %s", resp.StatusCode, text)
	}
	resp, _ = s.call(t, http.MethodOptions, "", "", "Origin: https://host.example", "Access-Control-Request-Method: POST")
	if resp.StatusCode != http.StatusNoContent || resp.Header.Get("Access-Control-Allow-Origin") != "*" ||
		!strings.Contains(resp.Header.Get("Access-Control-Allow-Headers"), "Mcp-Name") {
		t.Errorf("a preflight: %d %v", resp.StatusCode, resp.Header)
	}
	if _, after := s.upstream.seen(); after != n {
		t.Errorf("%d requests that were refused reached the MCP server", after-n)
	}
	metadata, err := url.JoinPath(strings.TrimSuffix(s.url, "/mcp"), "/.well-known/oauth-protected-resource/mcp")
	if err != nil {
		t.Fatal(err)
	}
	if answer := host.Get(t, metadata); answer.Status != http.StatusOK || answer.Str("resource") == "" {
		t.Errorf("metadata: %d %s", answer.Status, answer.Raw)
	}
	s.streams(t)
}

// streams reads the first event of a stream that does not end.
func (s *setting) streams(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"?stream=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.token)
	r.Header.Set("Accept", "text/event-stream")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	line, err := bufio.NewReader(resp.Body).ReadString('\n')
	if err != nil || line != "data: first\n" || resp.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("the stream said %q, %v, %v", line, err, resp.Header)
	}
}

// smuggles sends what would change, behind the gate's back, who calls or what is called.
func (s *setting) smuggles(t *testing.T) {
	t.Helper()
	body, headers := toolCall("list_datasets")
	for _, forged := range []string{"Ostiary_User: usr_admin", "ostiary_organization: org_evil", "X-HTTP-Method-Override: DELETE"} {
		_, before := s.upstream.seen()
		resp, _ := s.call(t, http.MethodPost, s.token, body, append([]string{forged}, headers...)...)
		seen, after := s.upstream.seen()
		name, _, _ := strings.Cut(forged, ":")
		if after != before && len(seen.Values(name)) > 0 {
			t.Errorf("%s reached the MCP server (%d)", forged, resp.StatusCode)
		}
	}
	// The next hop drops what Connection names (RFC 9110 §7.6.1): who calls must not be among it.
	resp, text := s.call(t, http.MethodPost, s.token, body, append([]string{"Connection: Ostiary-User, Ostiary-Scopes"}, headers...)...)
	if seen, _ := s.upstream.seen(); resp.StatusCode == http.StatusOK && seen.Get("Ostiary-User") == "" {
		t.Errorf("a client took away who calls: %d %.100s %v", resp.StatusCode, text, seen)
	}
}

// connects runs the official Go SDK's client against the proxy.
func (s *setting) connects(t *testing.T) {
	t.Helper()
	client := &http.Client{Transport: bearer(s.token)}
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).Connect(t.Context(),
		&mcp.StreamableClientTransport{Endpoint: s.url, HTTPClient: client, MaxRetries: -1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "list_datasets"})
	if err != nil || result.IsError {
		t.Errorf("%+v, %v", result, err)
	}
	if _, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "delete_segment", Arguments: map[string]any{"id": "x"}}); err == nil {
		t.Error("a tool that was not allowed answers")
	}
}

type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

func TestNginx_AsksAboutTheWholeRequest(t *testing.T) {
	t.Parallel()
	s := newSetting(t, gate.ForwardAuth{}, nginx)
	s.held(t)
	s.smuggles(t)
	s.connects(t)
	// Headers that say something else than the body, as an attacker sends them, and a body that a parser could read in two ways.
	body, _ := toolCall("delete_segment")
	_, headers := toolCall("list_datasets")
	if resp, text := s.call(t, http.MethodPost, s.token, body, headers...); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("headers that lie: %d %s", resp.StatusCode, text)
	}
	twice := `{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"delete_segment"}}`
	if resp, text := s.call(t, http.MethodPost, s.token, twice); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a body with two readings: %d %s", resp.StatusCode, text)
	}
	// Bytes that are no text, which one program may drop and another replace.
	torn := `{"jsonrpc":"2.0","id":1,"method":"ping","metho` + "\xff" + `d":"tools/call","params":{"name":"delete_segment"}}`
	_, before := s.upstream.seen()
	resp, text := s.call(t, http.MethodPost, s.token, torn)
	if _, after := s.upstream.seen(); after != before || resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a body that is no text reached the MCP server: %d %s", resp.StatusCode, text)
	}
	large := `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"` + strings.Repeat("x", 3<<20) + `"}}`
	if resp, text := s.call(t, http.MethodPost, s.token, large); resp.StatusCode >= http.StatusInternalServerError {
		t.Errorf("a large body: %d %.200s", resp.StatusCode, text)
	}
	if resp, _ := s.call(t, http.MethodPost, s.token, strings.Repeat(" ", 5<<20)); resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a body beyond the limit: %d", resp.StatusCode)
	}
}

func TestCaddy_AsksByHeaders(t *testing.T) {
	t.Parallel()
	s := newSetting(t, gate.ForwardAuth{ByHeaders: true}, caddy)
	s.held(t)
	s.smuggles(t)
	s.connects(t)
	body, _ := toolCall("list_datasets")
	if resp, text := s.call(t, http.MethodPost, s.token, body); resp.StatusCode != http.StatusForbidden {
		t.Errorf("a call that does not say what it is: %d %s", resp.StatusCode, text)
	}
}
