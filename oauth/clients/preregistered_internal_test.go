package clients

import (
	"testing"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/tenants/apply"
)

// A tenant names what it likes, save what a browser would run.
func TestPreregistered_MayHaveAnySchemeThatIsNotDangerous(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]bool{
		"myapp://cb": true, "com.example.app:/cb": true, "https://h.example/cb": true,
		"intent://x/y": false, "javascript://h.example/x": false, "ms-appinstaller:/x": false,
	} {
		for place, f := range map[string]apply.Client{
			"redirect": {ID: "app", RedirectURIs: []string{uri}}, "after a sign-out": {ID: "app", PostLogoutRedirectURIs: []string{uri}},
		} {
			if err := checkRedirects(f); (err == nil) != want || err != nil && !errs.Is(err, errs.Invalid) {
				t.Errorf("%s %s: %v", place, uri, err)
			}
		}
	}
	files := []apply.Client{{ID: "app", RedirectURIs: []string{"intent://x/y"}}}
	if _, err := NewPreregistered(nil).Diff(t.Context(), files); !errs.Is(err, errs.Invalid) {
		t.Errorf("the plan: %v", err)
	}
}
