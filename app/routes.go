package app

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/web"
	"github.com/ostiary/ostiary/dashboard"
	"github.com/ostiary/ostiary/oauth"
	"github.com/ostiary/ostiary/templates/static"
	"github.com/ostiary/ostiary/templates/storybook"
)

const bodyLimit = "64K"

// routes mounts everything on one screen. Two Echo instances, told apart before either sees the request: cookies, CSRF and
// error rendering never leak between them.
func (a *App) routes(stories bool) (http.Handler, error) {
	proxies, err := a.config.Proxies()
	if err != nil {
		return nil, err
	}
	issuers := web.New(web.Deps{
		Logger: a.log, TrustedProxies: proxies, ErrorHandler: a.oauth.HandleError, BodyLimit: bodyLimit, OwnLimit: oauth.IsReport,
	})
	a.oauth.Register(issuers)

	members := dashboard.New(a.dashboardDeps())
	pages := web.New(web.Deps{Logger: a.log, TrustedProxies: proxies, ErrorHandler: members.HandleError, BodyLimit: bodyLimit})
	members.Register(pages)
	sameOrigin := http.NewCrossOriginProtection()
	if err := sameOrigin.AddTrustedOrigin(a.config.URL); err != nil {
		return nil, err
	}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET /readyz", a.ready)
	mux.Handle("GET /static/", static.Handler())
	if stories {
		mux.Handle("GET "+storybook.Prefix, storybook.Handler())
	}
	mux.Handle("/.well-known/", http.HandlerFunc(bareNotFound)) // an issuer's own were located before
	mux.Handle("/", sameOrigin.Handler(pages))
	return &front{
		app: a, pattern: oauth.ParsePattern(strings.ReplaceAll(a.config.IssuerPattern, "{url}", a.config.URL)),
		dashboardHost: hostOf(a.config.URL), issuers: issuers, rest: mux,
	}, nil
}

// front decides whose a request is: an issuer's, by host or path, or the dashboard's.
type front struct {
	app           *App
	pattern       oauth.Pattern
	dashboardHost string
	issuers       *echo.Echo
	rest          http.Handler
}

// ServeHTTP locates the issuer by URL and looks it up among the stored ones, or hands over to the rest. What is neither an
// issuer's host nor the dashboard's gets a bare 404, whatever it asks for: no page and no document is ever served under a
// name that somebody else chose.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	dashboards, sharedHost := oauth.SameHost(r.Host, f.dashboardHost), f.pattern.SharedBy(r.Host)
	if shared(r.URL.Path) || (dashboards && !sharedHost) {
		f.rest.ServeHTTP(w, r)
		return
	}
	target, ok := f.pattern.Locate(r)
	if !ok && dashboards && !f.pattern.Owns(r.URL.Path) {
		f.rest.ServeHTTP(w, r)
		return
	}
	if !ok {
		bareNotFound(w, r)
		return
	}
	served, err := f.app.oauth.ServeDocument(w, r, target)
	if served {
		return
	}
	ctx := r.Context()
	if err == nil {
		ctx, err = f.app.oauth.UseIssuer(ctx, target.IssuerURL)
	}
	if err != nil {
		f.noIssuer(w, r, err)
		return
	}
	below := r.WithContext(ctx)
	below.URL = &url.URL{Path: target.Path, RawQuery: r.URL.RawQuery}
	f.issuers.ServeHTTP(w, below)
}

// shared paths are the same on every host.
func shared(path string) bool {
	return strings.HasPrefix(path, "/static/") || path == "/healthz" || path == "/readyz"
}

func (f *front) noIssuer(w http.ResponseWriter, r *http.Request, err error) {
	if errs.Is(err, errs.NotFound) {
		// A proxy that does not pass Host on would make everything look like this.
		f.app.log.DebugContext(r.Context(), "no issuer at this address", "host", r.Host)
		bareNotFound(w, r)
		return
	}
	f.app.log.ErrorContext(r.Context(), "issuer could not be loaded", "error", err)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("Retry-After", "2")
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = w.Write([]byte(`{"error":"temporarily_unavailable","error_description":"Try again in a moment."}`))
}

// bareNotFound is what unmatched well-known URLs get: clients read anything else as metadata.
func bareNotFound(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.WriteHeader(http.StatusNotFound)
}

const readyTimeout = 2 * time.Second

// ready reports whether this node can do its work, and will still in a moment.
func (a *App) ready(w http.ResponseWriter, r *http.Request) {
	if a.draining.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	if err := a.db.Ping(ctx); err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Host
}
