package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/ostiary/ostiary/app"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/examples/acmedata"
	"github.com/ostiary/ostiary/gate"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/apply"
)

// demoTenant is what dev prints once everything answers.
type demoTenant struct {
	DashboardURL string     `json:"dashboard_url"`
	Issuer       string     `json:"issuer"`
	MCPURL       string     `json:"mcp_url"`
	Member       demoSignIn `json:"member"`
	User         demoSignIn `json:"user"`
	resourceID   string
	scope        scope.Scope // of its environment
	reporting    reporting
}

type demoSignIn struct {
	Email    string `json:"email"`
	Password string `json:"password"`
}

const demoEnvironment = "acme-dev"

// seedDemo makes the demo tenant at the first start. Later it only follows ports that changed: what was edited since stays.
func seedDemo(ctx context.Context, a *app.App, home *dataDir, o devOptions, l *devListeners) (demoTenant, error) {
	ctx = operator(ctx)
	file := apply.Demo(l.mcpURL(), apply.DemoPasswords{Member: home.secrets.MemberPassword, User: home.secrets.UserPassword})
	demo := demoTenant{
		DashboardURL: a.Config().URL, Issuer: a.Config().Issuer(demoEnvironment), MCPURL: l.mcpURL(),
		Member: demoSignIn{Email: file.Members[0].Email, Password: home.secrets.MemberPassword},
		User:   demoSignIn{Email: file.Environments[0].Users[0].Email, Password: home.secrets.UserPassword},
	}
	s := a.Services()
	tenantID, err := s.Tenants.Find(ctx, file.Tenant.Slug)
	switch {
	case errs.Is(err, errs.NotFound):
		if err := applyTenant(ctx, a, file, io.Discard, func() bool { return true }); err != nil {
			return demo, fmt.Errorf("demo tenant: %w", err)
		}
		if tenantID, err = s.Tenants.Find(ctx, file.Tenant.Slug); err != nil {
			return demo, fmt.Errorf("demo tenant: %w", err)
		}
	case err != nil:
		return demo, fmt.Errorf("demo tenant: %w", err)
	}
	if err := demo.follow(scope.With(ctx, scope.Scope{TenantID: tenantID}), s); err != nil {
		return demo, fmt.Errorf("demo tenant: %w", err)
	}
	if demo.reporting, err = gateCredential(scope.With(ctx, demo.scope), s, home, demo.resourceID); err != nil {
		return demo, fmt.Errorf("demo tenant: %w", err)
	}
	if o.apply != "" {
		if err := applyFile(ctx, a, o.apply, applyOutput(o), func() bool { return true }); err != nil {
			return demo, err
		}
	}
	return demo, nil
}

// follow moves issuer and MCP server to this start's addresses.
func (d *demoTenant) follow(ctx context.Context, s app.Services) error {
	env, err := s.Environments.Get(ctx, demoEnvironment)
	if err != nil {
		return err
	}
	d.scope = env.Scope()
	ctx = scope.With(ctx, d.scope)
	if env.Issuer != d.Issuer {
		err := s.Environments.Update(ctx, tenants.EnvironmentUpdate{
			Name: env.Name, Kind: env.Kind, Issuer: d.Issuer, Settings: env.Choices, Branding: env.Branding,
		})
		if err != nil {
			return err
		}
	}
	servers, _, err := s.Resources.List(ctx, tenants.ResourceFilter{Limit: 100})
	if err != nil {
		return err
	}
	for _, server := range servers {
		if !isDemoServer(server.Identifier) {
			continue
		}
		d.resourceID = server.ID
		if server.Identifier == d.MCPURL {
			return nil
		}
		return d.moveServer(ctx, s, server)
	}
	return fmt.Errorf("its MCP server is gone; start with --reset to have it again")
}

// isDemoServer reports whether an identifier is the demo server's at any port.
func isDemoServer(identifier string) bool {
	u, err := url.Parse(identifier)
	return err == nil && u.Scheme == "http" && u.Hostname() == "localhost" && u.Path == "/mcp"
}

func (d *demoTenant) moveServer(ctx context.Context, s app.Services, server tenants.ResourceSummary) error {
	_, err := s.Resources.Update(ctx, server.ID, tenants.ResourceUpdate{
		Identifier: d.MCPURL, Name: server.Name, DocumentationURL: server.DocumentationURL, Mode: server.Mode,
	})
	if err != nil {
		return err
	}
	_, err = s.Resources.Publish(ctx, server.ID, "")
	return err
}

func applyOutput(o devOptions) io.Writer {
	if o.json {
		return os.Stderr // the one line of JSON is all a script reads
	}
	return os.Stdout
}

// print says where everything is: one JSON line for scripts, a short summary for people.
func (d demoTenant) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(d)
	}
	_, err := fmt.Fprintf(w, `
  Ostiary is ready. Everything runs on this machine; Ctrl-C stops it.

  Dashboard    %s
               sign in as %s, password %s
  MCP server   %s   (the demo server, guarded)
  Sign-in page when a host asks: %s, password %s

  Connect a real client:

    Claude Code     claude mcp add --transport http acme %s
    VS Code         code --add-mcp '{"name":"acme","type":"http","url":"%s"}'
    Cursor          add to .cursor/mcp.json:  {"mcpServers":{"acme":{"url":"%s"}}}
    MCP Inspector   npx @modelcontextprotocol/inspector   (Streamable HTTP, the URL above)

`, d.DashboardURL, d.Member.Email, d.Member.Password, d.MCPURL, d.User.Email, d.User.Password, d.MCPURL, d.MCPURL, d.MCPURL)
	return err
}

// serveDemoServer runs the demo MCP server, unprotected, on a loopback port that only the gate is told.
func serveDemoServer(ctx context.Context, ln net.Listener) error {
	server := &http.Server{Handler: acmedata.Handler(), ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() }) // streams never end by themselves
	defer stop()
	if err := server.Serve(ln); err != nil && ctx.Err() == nil {
		return fmt.Errorf("demo MCP server: %w", err)
	}
	return nil
}

func serveDemoGate(ctx context.Context, l *devListeners, demo demoTenant, log *slog.Logger, ready func(net.Addr)) error {
	return serveGate(ctx, gate.ServeOptions{Listener: l.mcp, Ready: ready, Options: gate.Options{
		Upstream: "http://" + l.upstream.Addr().String() + "/mcp", Issuer: demo.Issuer, ResourceID: demo.resourceID,
		Logger: log, HTTPClient: loopbackClient(l),
	}}, demo.reporting)
}

// loopbackClient reaches the issuer on this machine whatever its public URL is: with --url, what stands in front may not be
// reachable from here.
func loopbackClient(l *devListeners) *http.Client {
	return &http.Client{Timeout: 10 * time.Second, Transport: loopback{address: l.main.Addr().String(), next: &http.Transport{}}}
}

// loopback sends requests for a public URL to a listener of this process.
type loopback struct {
	address string
	next    http.RoundTripper
}

// RoundTrip keeps the public host in the request and changes only where it is sent.
func (t loopback) RoundTrip(r *http.Request) (*http.Response, error) {
	local := r.Clone(r.Context())
	local.Host = r.URL.Host
	local.URL.Scheme, local.URL.Host = "http", t.address
	return t.next.RoundTrip(local)
}
