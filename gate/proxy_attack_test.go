package gate

import (
	"net/http"
	"testing"
)

// What the operator fixed in the address of the MCP server is not the client's to say once more: servers differ in which of two
// they take.
func TestProxy_AClientDoesNotRepeatTheUpstreamsQuery(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.Upstream += "?tenant=acme&mode=safe" })
	token := w.token("data:read")
	for query, want := range map[string]string{
		"":                             "tenant=acme&mode=safe",
		"x=1":                          "tenant=acme&mode=safe&x=1",
		"tenant=evil&x=1":              "tenant=acme&mode=safe&x=1",
		"t%65nant=evil&%6Dode":         "tenant=acme&mode=safe",
		"x=1;tenant=evil&y":            "tenant=acme&mode=safe&y",
		"tenant[]=evil&Tenant=2&x=%zz": "tenant=acme&mode=safe&x=%zz",
	} {
		w.call(t, http.MethodPost, "/mcp?"+query, token, callBody(1, "read_data")).want(t, http.StatusOK)
		if r, _ := w.upstream.last(t); r.URL.RawQuery != want {
			t.Errorf("%s arrives as %s", query, r.URL.RawQuery)
		}
	}
}
