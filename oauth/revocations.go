package oauth

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/app/db"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/oauth/feed"
	"github.com/ostiary/ostiary/tenants/attempts"
)

// showRevocations serves the feed of one MCP server: at once, by waiting for a change (?wait=, ?after=), or as a stream of
// server-sent events. It is public like the policy: whoever can read it can do nothing with it.
func (m *Module) showRevocations(c echo.Context) error {
	r, w := c.Request(), c.Response()
	req, err := feedRequest(c)
	if err == nil {
		err = m.feeds.Serve(w, r, req)
	}
	if err != nil {
		writeProblem(w, r, m.log, feedProblem(err))
	}
	return nil
}

func feedRequest(c echo.Context) (feed.Request, error) {
	r := c.Request()
	i, err := issuerFrom(r.Context())
	if err != nil {
		return feed.Request{}, err
	}
	id := c.Param("id")
	if _, published := i.resourceByID(id); !published {
		return feed.Request{}, errs.New(errs.NotFound, "There is no such MCP server.")
	}
	req := feed.Request{
		IssuerURL: i.URL, Scope: i.Scope, ResourceID: id, Address: attempts.Network(c.RealIP()),
		Stream:      r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/event-stream"),
		LastEventID: r.Header.Get("Last-Event-ID"),
	}
	wait, err := number(c.QueryParam("wait"), 0)
	if err != nil {
		return feed.Request{}, badRequest(codeInvalidRequest, "wait is a number of seconds.")
	}
	req.After, err = number(c.QueryParam("after"), -1)
	if err != nil {
		return feed.Request{}, badRequest(codeInvalidRequest, "after is the number of a feed.")
	}
	if r.Method == http.MethodGet {
		req.Wait = time.Duration(max(0, min(wait, int64(feed.MaxWait/time.Second)))) * time.Second
	}
	return req, nil
}

func number(text string, absent int64) (int64, error) {
	if text == "" {
		return absent, nil
	}
	return strconv.ParseInt(text, 10, 64)
}

// feedProblem gives errors of the feed their form on the wire.
func feedProblem(err error) error {
	switch {
	case errs.Is(err, errs.NotFound):
		return &problem{code: "not_found", description: "There is no such MCP server.", status: http.StatusNotFound}
	case errs.Is(err, errs.RateLimited):
		return &problem{
			code: codeUnavailable, description: "Too many connections. Ask without waiting, or again later.",
			status: http.StatusServiceUnavailable, retryAfter: "10",
		}
	}
	return err
}

// FeedIssuer returns what a feed needs of an issuer. Errors: errs.NotFound, errs.Unavailable.
func (s *Issuers) FeedIssuer(ctx context.Context, issuerURL string) (feed.Issuer, error) {
	i, err := s.Get(ctx, issuerURL)
	if err != nil {
		return feed.Issuer{}, err
	}
	revisions := make(map[string]int, len(i.Resources))
	for _, r := range i.Resources {
		revisions[r.ID()] = r.Revision
	}
	return feed.Issuer{
		URL: i.URL, Scope: i.Scope, Keys: i.Keys, Lifetime: i.Env.LongestToken(s.now()), Revisions: revisions,
		Stops: i.stops.byResource,
	}, nil
}

// RenewIssuer is FeedIssuer after dropping the environment's snapshot.
func (s *Issuers) RenewIssuer(ctx context.Context, issuerURL string, sc scope.Scope) (feed.Issuer, error) {
	s.Invalidate(db.Change{TenantID: sc.TenantID, EnvironmentID: sc.EnvironmentID})
	return s.FeedIssuer(ctx, issuerURL)
}
