//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// place is one of the four ways in which a homegrown Python server is protected without a change of its core.
type place struct {
	name    string
	url     string // as registered, and as clients reach it
	id      string // res_…
	filters bool   // tools that were not allowed are not listed
	start   func(t *testing.T, w *world, p *place)
}

func places() []*place {
	return []*place{
		{name: "sidecar", filters: true, start: startSidecar},
		{name: "forward-auth", start: startForwardAuth},
		{name: "middleware", filters: true, start: startMiddleware},
		{name: "plain-jwt", start: startPlainJWT},
	}
}

// world is an Ostiary that knows every place.
type world struct {
	server       *server
	dir          string
	organization string // org_… of the user
}

const placesTenant = "places"

// Every official client goes from a 401 to a called tool through every way of protecting one and the same server, refreshes once,
// and is refused what was not allowed, in both eras of the protocol.
func TestPlaces_EveryClientThroughEveryWay(t *testing.T) {
	t.Parallel()
	all := places()
	for _, p := range all {
		p.url = fmt.Sprintf("http://localhost:%d/mcp", freePort(t))
	}
	w := startWorld(t, all)
	for _, p := range all {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			p.start(t, w, p)
			here := *w.server
			here.MCPURL = p.url
			for name, journey := range journeys(p) {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					journey(t, way{server: &here}.newClient(t))
				})
			}
		})
	}
}

// journeys are those of the clients. Each that deletes a segment has one of its own.
func journeys(p *place) map[string]func(t *testing.T, c *client) {
	return map[string]func(t *testing.T, c *client){
		"TypeScript 1": stopJourney,
		"TypeScript 2, protocol 2025": func(t *testing.T, c *client) {
			stepUpJourney(t, c, c.node(script("sdk2.mjs"), c.server.MCPURL, "legacy", "seg_dach", ""))
		},
		"TypeScript 2, protocol 2026": func(t *testing.T, c *client) {
			stepUpJourney(t, c, c.node(script("sdk2.mjs"), c.server.MCPURL, "auto", "seg_risk", ""))
		},
		"Go": func(t *testing.T, c *client) {
			stepUpJourney(t, c, c.command(shared.goClient, c.server.MCPURL, c.recorder.url, "seg_enterprise", ""))
		},
		"Python, protocol 2025": func(t *testing.T, c *client) { pythonJourney(t, c, "legacy") },
		"Python, protocol 2026": func(t *testing.T, c *client) { pythonJourney(t, c, "auto") },
		"mcp-remote":            remoteJourney,
		"Inspector": func(t *testing.T, c *client) {
			if p.filters {
				inspectorJourney(t, c)
				return
			}
			unfilteredInspectorJourney(t, c)
		},
	}
}

// pythonJourney is that of the official Python SDK, which asks again after a 403; the person denies.
func pythonJourney(t *testing.T, c *client, mode string) {
	t.Helper()
	next := events(t, c.command(examplesPython(t), script("pysdk.py"), c.server.MCPURL, mode, "seg_dach"))
	expectConsent(t, c.server.authorize(t, c.next(t), approveOnly(allowedScope)), "Ostiary e2e")
	if called := next("called"); called.Text == "" {
		t.Error("the tool answered nothing")
	}
	next("refreshed")
	tb := c.server.newTab(t)
	redirect := tb.decide(tb.toConsent(c.next(t)), choice{})
	if got := redirect.Query().Get("error"); got != "access_denied" {
		t.Errorf("error=%q, want access_denied", got)
	}
	next("denied")
	next("done")
	c.expectJourney()
}

// unfilteredInspectorJourney is that of the Inspector where lists name every tool: it calls the refused one itself.
func unfilteredInspectorJourney(t *testing.T, c *client) {
	t.Helper()
	callback := fmt.Sprintf("http://127.0.0.1:%d/oauth/callback", freePort(t))
	first := c.inspect(callback, allowedTool)
	c.server.authorize(t, c.next(t), approveOnly(allowedScope))
	if out, err := first(); err != nil {
		t.Fatalf("%s: %v\n%s", allowedTool, err, out)
	}
	expireStored(t, filepath.Join(c.home, "secrets.json"))
	if out, err := c.inspect(callback, allowedTool)(); err != nil {
		t.Errorf("%s after the refresh: %v\n%s", allowedTool, err, out)
	}
	c.none(t)
	c.callWithStoredToken(refusedTool)
	c.expectJourney()
}

// startWorld starts an Ostiary with an MCP server for each place.
func startWorld(t *testing.T, all []*place) *world {
	t.Helper()
	w := &world{dir: t.TempDir()}
	if err := os.Chmod(w.dir, 0o755); err != nil { // as root, Postgres runs as another user
		t.Fatal(err)
	}
	file := filepath.Join(w.dir, "places.yaml")
	if err := os.WriteFile(file, []byte(placesFile(all)), 0o600); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(shared.artifacts, "server-places.log")
	s, err := startServer(shared.binary, start{dataDir: filepath.Join(w.dir, "data"), logFile: log, args: []string{"--apply", file}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	s.Issuer, s.User = strings.Replace(s.Issuer, "acme-dev", placesTenant, 1), customUser
	w.server = s
	printed, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^Id of (.+) in \S+: (\S+)$`).FindAllStringSubmatch(string(printed), -1) {
		ids[m[1]] = m[2]
	}
	for _, p := range all {
		if p.id = ids["MCP server "+p.url]; p.id == "" {
			t.Fatalf("dev printed no id for %s, only %v", p.url, ids)
		}
	}
	w.organization = ids["organization northwind"]
	return w
}

// placesFile is a tenant with one MCP server per place, all with the same tools.
func placesFile(all []*place) string {
	var b strings.Builder
	fmt.Fprintf(&b, `
tenant: {slug: %[1]s, name: Places}
environments:
  - slug: %[1]s
    name: Development
    kind: development
    organizations: [{slug: northwind, name: Northwind Logistics}]
    users:
      - {email: %[2]s, email_verified: true, name: Demo User, password: %[3]s, organization: northwind}
    resources:
`, placesTenant, customUser.Email, customUser.Password)
	for _, p := range all {
		fmt.Fprintf(&b, `
      - identifier: %s
        name: Acme Data, %s
        scopes:
          - {name: "data:read", risk: read, baseline: true, title: Query your data, description: Read-only queries.}
          - {name: "segments:delete", risk: destructive, title: Delete segments, description: Remove saved segments.}
        tools:
          - {name: run_query, wording: Run one query, scopes: ["data:read"]}
          - {name: delete_segment, wording: Delete one segment, scopes: ["segments:delete"]}
`, p.url, p.name)
	}
	return b.String()
}

// The sidecar is in front of the server as it always was: it wants an API key, and gets that of the user's organization.
func startSidecar(t *testing.T, w *world, p *place) {
	t.Helper()
	server := w.homegrown(t, "0", "main.py")
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	if err := os.WriteFile(key, []byte(server.Keys["northwind"]), 0o600); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "gate.yaml")
	text := fmt.Sprintf("issuer: %s\nserver: %s\nlisten: %s\nupstream:\n  url: %s\n  organizations:\n    %s: {X-Api-Key: %s}\n",
		w.server.Issuer, p.id, address(p.url), server.URL, w.organization, key)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	runProgram(t, shared.binary, "gate", "--config", config)
	awaitAnswer(t, p.url)
}

// nginx asks the gate and tells the server who calls, which believes its front.
func startForwardAuth(t *testing.T, w *world, p *place) {
	t.Helper()
	server := w.homegrown(t, "0", "main.py", "ACME_FRONT_HEADERS=Ostiary-Organization,Ostiary-User")
	asked := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	runProgram(t, shared.binary, "gate", "--forward-auth", "--issuer", w.server.Issuer, "--server", p.id, "--listen", asked)
	awaitAnswer(t, "http://"+asked+"/healthz")
	dir := t.TempDir()
	folder, err := filepath.Abs(filepath.Join("..", "examples", "forward-auth", "nginx"))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(folder, "nginx.conf"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("127.0.0.1:8090", address(p.url), "127.0.0.1:8091", asked, "127.0.0.1:9000", address(server.URL),
		"load_module modules/", "load_module /usr/lib/nginx/modules/", "/etc/nginx/ostiary", folder,
		"http {", fmt.Sprintf("http {\n  access_log off;\n  client_body_temp_path %[1]s/b;\n  proxy_temp_path %[1]s/p;\n"+
			"  fastcgi_temp_path %[1]s/f;\n  uwsgi_temp_path %[1]s/u;\n  scgi_temp_path %[1]s/s;", dir)).Replace(string(raw))
	if os.Getuid() == 0 {
		text = "user root;\n" + text
	}
	config := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	runProgram(t, "nginx", "-p", dir, "-c", config, "-e", "stderr", "-g", "daemon off; pid "+dir+"/pid;")
	awaitAnswer(t, p.url)
}

func startMiddleware(t *testing.T, w *world, p *place) {
	t.Helper()
	w.homegrown(t, port(p.url), "protected.py", "OSTIARY_ISSUER="+w.server.Issuer, "OSTIARY_RESOURCE="+p.id)
}

func startPlainJWT(t *testing.T, w *world, p *place) {
	t.Helper()
	w.homegrown(t, port(p.url), "plain_jwt.py", "OSTIARY_ISSUER="+w.server.Issuer, "ACME_PUBLIC_URL="+p.url)
}

func address(url string) string { return "127.0.0.1:" + port(url) }

func port(url string) string {
	_, rest, _ := strings.Cut(strings.TrimPrefix(url, "http://"), ":")
	number, _, _ := strings.Cut(rest, "/")
	return number
}

// homegrownServer is what a running one says of itself.
type homegrownServer struct {
	URL  string            `json:"url"`
	Keys map[string]string `json:"keys"` // API key by organization
}

// homegrown runs an entry of the homegrown example on a Postgres of its own.
func (w *world) homegrown(t *testing.T, port, entry string, env ...string) homegrownServer {
	t.Helper()
	examples, err := filepath.Abs(filepath.Join("..", "examples"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := program(t, examplesPython(t), "-m", "testing.homegrown", "--entry", entry, "--port", port,
		"--link", "northwind="+w.organization)
	cmd.Dir = examples
	cmd.Env = append(append(os.Environ(), "PYTHONPATH="+filepath.Join(examples, "python-homegrown")+":"+examples), env...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	run(t, cmd)
	line := make(chan string, 1)
	go func() {
		text, err := bufio.NewReader(stdout).ReadString('\n')
		if err == nil {
			line <- text
		}
		close(line)
	}()
	select {
	case text := <-line:
		var s homegrownServer
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			t.Fatalf("%s said %q: %v", entry, text, err)
		}
		return s
	case <-time.After(clientTimeout):
		t.Fatalf("%s was not ready within %s", entry, clientTimeout)
		return homegrownServer{}
	}
}

// examplesPython is the Python that examples/setup.sh made.
func examplesPython(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "examples", ".venv", "bin", "python"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatal("the Python of the examples is not installed: run examples/setup.sh")
	}
	return path
}

// program prepares a program that runs until the test ends. What it says goes to a file among the artifacts.
func program(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	file := strings.NewReplacer("/", "-", " ", "-").Replace(t.Name()) + "-" + filepath.Base(name) + ".log"
	log, err := os.OpenFile(filepath.Join(shared.artifacts, file), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	cmd.Stderr = log
	return cmd
}

func runProgram(t *testing.T, name string, args ...string) {
	t.Helper()
	run(t, program(t, name, args...))
}

func run(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s: %v; e2e/setup.sh installs what is missing", cmd.Path, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Error(err)
		}
		select {
		case <-ended:
		case <-time.After(serverStopTimeout):
			_ = cmd.Process.Kill()
			<-ended
		}
	})
}

// awaitAnswer waits until something answers at a URL, whatever it says.
func awaitAnswer(t *testing.T, url string) {
	t.Helper()
	if !poll(clientTimeout, func() bool {
		resp, err := web().Get(url)
		if err != nil {
			return false
		}
		resp.Body.Close()
		return true
	}) {
		t.Fatalf("nothing answers at %s", url)
	}
}
