package oauth

import (
	"slices"
	"strings"
	"testing"

	"github.com/ostiary/ostiary/app/policy"
)

func TestStillOffered_IsNothingWhenOnlyWhatIsGrantedUnaskedRemains(t *testing.T) {
	t.Parallel()
	r := &Resource{Document: policy.Document{Scopes: map[string]policy.Scope{"data:read": {}}}}
	for granted, want := range map[string]string{
		"data:read gone:read":                    "data:read",
		"data:read gone:read offline_access":     "data:read offline_access",
		"gone:read openid offline_access":        "",
		"gone:read openid profile email":         "openid profile email", // these two are asked about
		"openid offline_access":                  "openid offline_access",
		"gone:read":                              "",
		"data:read openid profile email unknown": "data:read openid profile email",
	} {
		if got := r.stillOffered(strings.Fields(granted)); !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("of %q remains %q, want %q", granted, got, want)
		}
	}
}
