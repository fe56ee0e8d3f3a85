package oauth

import (
	"testing"

	"github.com/ostiary/ostiary/oauth/attemptlog"
	"github.com/ostiary/ostiary/oauth/clients"
)

// A reason without an explanation is a dead end for who looks a case up.
func TestAttempt_EveryReasonIsExplained(t *testing.T) {
	t.Parallel()
	reasons := []string{
		codeInvalidRequest, codeInvalidClient, codeInvalidGrant, codeInvalidScope, codeInvalidTarget, codeUnauthorizedClient,
		codeUnsupportedGrantType, codeUnsupportedResponse, codeServerError, codeUnavailable, "request_malformed", reasonStopped,
		"request_not_supported", "request_uri_not_supported",
		clients.CodeInvalidRedirectURI, clients.CodeInvalidClientMetadata, clients.CodeDocumentRefused,
		clients.CodeDocumentUnavailable,
	}
	for code := range pageTexts {
		reasons = append(reasons, code)
	}
	for _, reason := range reasons {
		if !attemptlog.Explains(reason) {
			t.Errorf("%q has no explanation", reason)
		}
		e := attemptlog.Explain(attemptlog.Step{Reason: reason})
		if e.What == "" || e.Who == "" || e.How == "" {
			t.Errorf("%q: %+v", reason, e)
		}
	}
}

func TestCleanScopes_KeepsNoTokens(t *testing.T) {
	t.Parallel()
	long := "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ1c3JfMSJ9.c2lnbmF0dXJlLXRoYXQtaXMtbG9uZy1lbm91Z2g"
	if got := cleanScopes("data:read " + long + " https://a.example/?token=x"); got != "data:read … …" {
		t.Errorf("kept %q", got)
	}
	if got := cleanID("https://a.example/client.json?secret=x"); got != "https://a.example/client.json" {
		t.Errorf("kept %q", got)
	}
}
