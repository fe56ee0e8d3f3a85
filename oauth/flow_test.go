package oauth_test

import (
	"testing"

	"github.com/ostiary/ostiary/app/apptest"
	"github.com/ostiary/ostiary/app/apptest/host"
)

func TestMain(m *testing.M) { apptest.Main(m) }

func TestFlow_RegisterSignInConsentCodeTokenRefresh(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	c := s.Register(t, s.Acme, nil)
	tokens := s.Connect(t, host.NewBrowser(t), s.Acme, c.Authorize(), "data:read", "signals:write")
	if tokens.Scope != "data:read signals:write" || tokens.Refresh == "" {
		t.Fatalf("tokens %+v", tokens)
	}
	answer := c.Refresh(t, tokens.Refresh)
	if answer.Status != 200 || answer.Str("scope") != tokens.Scope || answer.Str("refresh_token") == tokens.Refresh {
		t.Fatalf("refresh: %d %s", answer.Status, answer.Raw)
	}
}
