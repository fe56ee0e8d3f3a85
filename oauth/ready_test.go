package oauth_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/ostiary/ostiary/app/apptest/host"
)

// Documents do not go through Echo, so what Echo does elsewhere is asked of them here.
func TestServeDocument_AnswersEveryMethodAndNobodyElsesPaths(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	mine := s.Acme.Issuer + "/resources/" + s.Acme.ResourceID + "/policy"
	nobodys := strings.Replace(s.Acme.Issuer, s.Acme.Environment, s.Acme.Environment+"-not", 1)
	for name, c := range map[string]struct {
		method, target string
		status         int
	}{
		"keys":                        {http.MethodGet, s.Acme.Issuer + "/.well-known/jwks.json", http.StatusOK},
		"keys, preflight":             {http.MethodOptions, s.Acme.Issuer + "/.well-known/jwks.json", http.StatusNoContent},
		"keys, posted to":             {http.MethodPost, s.Acme.Issuer + "/.well-known/jwks.json", http.StatusMethodNotAllowed},
		"policy":                      {http.MethodGet, mine, http.StatusOK},
		"policy, deleted":             {http.MethodDelete, mine, http.StatusMethodNotAllowed},
		"the neighbour's policy here": {http.MethodGet, s.Acme.Issuer + "/resources/" + s.Neighbour.ResourceID + "/policy", http.StatusNotFound},
		"no policy's id":              {http.MethodGet, s.Acme.Issuer + "/resources//policy", http.StatusNotFound},
		"below a policy's path":       {http.MethodGet, s.Acme.Issuer + "/resources/a/b/policy", http.StatusNotFound},
		"keys of no issuer":           {http.MethodGet, nobodys + "/.well-known/jwks.json", http.StatusNotFound},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, c.target, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		answer := host.Do(t, r)
		if answer.Status != c.status {
			t.Errorf("%s: %d %s", name, answer.Status, answer.Raw)
		}
		if c.status == http.StatusOK && answer.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s may be taken for something else: %v", name, answer.Header)
		}
		if c.status == http.StatusMethodNotAllowed && answer.Header.Get("Allow") != "GET, HEAD, OPTIONS" {
			t.Errorf("%s: allowed is %q", name, answer.Header.Get("Allow"))
		}
	}
}
