package dashboard_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/ostiary/oauth/attemptlog"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

// attempt records steps of one case, a second apart.
func (s *site) attempt(t *testing.T, tenant *tenanttest.Tenant, caseID string, steps ...attemptlog.Step) {
	t.Helper()
	log := attemptlog.New(attemptlog.Deps{DB: s.DB, Now: s.Clock.Now, Logger: slog.New(slog.DiscardHandler)})
	defer log.Close()
	for _, step := range steps {
		step.CaseID = caseID
		log.Record(attemptlog.Place{Scope: tenant.Scope(), Key: []byte("key")}, step)
		s.Clock.Advance(time.Second)
	}
}

func failedAttempt(name string) []attemptlog.Step {
	step := attemptlog.Step{ClientID: "app-" + name, ClientName: name, Host: "cursor.example", Address: "192.0.2.7"}
	authorize, token := step, step
	authorize.Kind, authorize.Outcome, authorize.Detail = attemptlog.KindAuthorize, attemptlog.OutcomeOK, "Asks for 4 permissions."
	token.Kind, token.Outcome, token.Reason = attemptlog.KindToken, attemptlog.OutcomeRefused, "resource_differs"
	token.Asked, token.Expected = "https://mcp.example/mcp/v2", "https://mcp.example/mcp"
	return []attemptlog.Step{authorize, token}
}

func TestActivity_EmptyListSearchAndPages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.signedIn(t, s.Acme, tenants.RoleViewer)
	const list = "/environments/acme-dev/activity"
	p := b.get(list).want(http.StatusOK).wantText("Nobody has tried to connect yet", "See how to connect")
	if p.has(`input[name="q"]`) || p.Find(`nav [aria-current="page"]`).First().Text() == "" {
		t.Error("the empty list has a search, or the navigation no current entry")
	}
	s.attempt(t, s.Neighbour, "OST-NEIGH-BOURS", failedAttempt("Foreign")...)
	for n := range 21 {
		s.attempt(t, s.Acme, fmt.Sprintf("OST-AAAAA-AAAA%c", 'A'+n), failedAttempt(fmt.Sprintf("Cursor %02d", n))...)
	}
	p = b.get(list).want(http.StatusOK).wantText("1 to 20 of 21 attempts", "Cursor 20", "Stopped at Token",
		"The app asked for a token for another address than the user approved.")
	if strings.Contains(p.text, "Foreign") {
		t.Error("the list shows the neighbour's attempts")
	}
	next := p.Find(`a[rel="next"]`).AttrOr("href", "")
	s.attempt(t, s.Acme, "OST-BBBBB-BBBBB", failedAttempt("Newest")...)
	b.get(next).want(http.StatusOK).wantText("21 to 21 of 21 attempts", "Cursor 00")
	b.get(list+"?q=newest").want(http.StatusOK).wantText("1 attempt", "Newest")
	b.get(list + "?q=" + url.QueryEscape(`"><script>`)).want(http.StatusOK).wantText("No attempt found")
	for _, query := range []string{"until=x", "until=-1", "until=99999999999999999999", "page=9&until=1", "q=%00"} {
		b.get(list + "?" + query).want(http.StatusOK)
	}
}

func TestAttempt_ShowsWhatDiffersAndWhoCanFixIt(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.attempt(t, s.Acme, "OST-AAAAA-AAAAA", failedAttempt("Cursor")...)
	s.attempt(t, s.Neighbour, "OST-BBBBB-BBBBB", failedAttempt("Foreign")...)
	denied := failedAttempt("Zed")
	denied[1].Kind, denied[1].Reason = attemptlog.KindConsent, "denied"
	s.attempt(t, s.Acme, "OST-CCCCC-CCCCC", denied...)
	waiting := failedAttempt("Goose")[:1]
	s.attempt(t, s.Acme, "OST-DDDDD-DDDDD", waiting...)

	b := s.signedIn(t, s.Acme, tenants.RoleViewer)
	const list = "/environments/acme-dev/activity/"
	p := b.get(list + "OST-AAAAA-AAAAA").want(http.StatusOK)
	p.wantText("Cursor could not connect", "Stopped at Token", "https://mcp.example/mcp/v2", "You can fix it.", "+1.0 s",
		"add the other spelling to its aliases", "1 network address")
	if p.Find(".step--fail .fail").Length() != 1 {
		t.Error("the failing step is not open")
	}
	b.get(list+"ost-ccccc-ccccc").want(http.StatusOK).wantText("Zed was not allowed", "Cancelled by the user")
	b.get(list+"OST-DDDDD-DDDDD").want(http.StatusOK).wantText("Goose is connecting", "In progress", "Not reached.")
	s.Clock.Advance(11 * time.Minute)
	b.get(list + "OST-DDDDD-DDDDD").want(http.StatusOK).wantText("Goose did not finish")
	for _, id := range []string{"OST-BBBBB-BBBBB", "OST-EEEEE-EEEEE", "nonsense", "%00", "OST-AAAAA-AAAAA%27"} {
		b.get(list + id).want(http.StatusNotFound)
	}
	s.browser(t).get(list + "OST-AAAAA-AAAAA").want(http.StatusSeeOther)
}
