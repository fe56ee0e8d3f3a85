package oauth_test

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/apptest/host"
)

// Our own failures are told to the operator, and to everybody else nothing but the case to name.
func TestErrors_IssuersOwnFailuresSayNothingButACase(t *testing.T) {
	t.Parallel()
	log := &lockedBuffer{}
	s := host.New(t, host.WithLogger(slog.New(slog.NewTextHandler(log, nil))), host.WithNodes(1))
	c, b := s.Register(t, s.Acme, nil), host.NewBrowser(t)
	tokens := s.Connect(t, b, s.Acme, c.Authorize(), "data:read")
	conn, err := pgx.Connect(t.Context(), s.Database.OwnerURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context()) //nolint:errcheck // done
	if _, err := conn.Exec(t.Context(), `alter table sessions rename to mislaid; alter table grants rename to mislaid_too`); err != nil {
		t.Fatal(err)
	}
	silent := func(where, said string) {
		t.Helper()
		for _, word := range []string{"relation", "mislaid", "sessions", "grants", "42P01", "select", "pgx"} {
			if strings.Contains(said, word) {
				t.Errorf("%s says %q: %s", where, word, said)
			}
		}
	}
	page := b.Open(t, c.Authorize().URL())
	caseID := caseOnPage.FindString(page.Text("body"))
	if page.Status != http.StatusInternalServerError || page.Location != nil || caseID == "" {
		t.Fatalf("%d %v: %s", page.Status, page.Location, page.Text("body"))
	}
	silent("the page", strings.ReplaceAll(page.Text("body"), caseID, "")) // random, so it may spell anything
	if got := story(findAttempt(t, s, caseID)); !strings.HasSuffix(got, " authorize:failed:server_error") {
		t.Errorf("the attempt reads %q", got)
	}
	answer := c.Refresh(t, tokens.Refresh)
	refused(t, "token", answer, http.StatusInternalServerError, "server_error")
	silent("the answer", answer.Raw)
	log.mu.Lock()
	defer log.mu.Unlock()
	if told := log.b.String(); strings.Count(told, "level=ERROR") < 2 || !strings.Contains(told, "42P01") {
		t.Errorf("the operator hears %q", told)
	}
}
