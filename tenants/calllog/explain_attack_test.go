package calllog_test

import (
	"testing"

	"github.com/ostiary/ostiary/app/calls"
	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/tenants/calllog"
)

// Whoever has an MCP server's credential can report what it likes. What does not fit is said, and what nobody here can know is
// not called confirmed.
func TestExplain_DoubtsWhatWasMadeUp(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	grant := f.grant(t, f.Acme, secret.NewID("grt"), "data:read", "profiles:read")
	revoked := f.grant(t, f.Acme, secret.NewID("grt"), "data:read", "profiles:read")
	f.exec(t, f.Acme, `update grants set revoked_at = $1 where id = $2`, f.Clock.Now(), revoked)
	f.stop(t, f.Acme, policy.StopTool, f.Acme.ResourceID, "route_signal")
	with := func(id string) func(*calls.Record) { return func(c *calls.Record) { c.Grant = id } }
	for name, c := range map[string]struct {
		change   []func(*calls.Record)
		standing calllog.Standing
		says     string
	}{
		"as it was":                  {[]func(*calls.Record){with(grant)}, calllog.Confirmed, "Allowed, because"},
		"a grant that never was":     {nil, calllog.Unconfirmed, "not known here"},
		"somebody else's grant":      {[]func(*calls.Record){with(grant), func(c *calls.Record) { c.User = "usr_other" }}, calllog.Contradicted, "another user"},
		"another app's grant":        {[]func(*calls.Record){with(grant), func(c *calls.Record) { c.Client = "cli_other" }}, calllog.Contradicted, "another app"},
		"more than the user allowed": {[]func(*calls.Record){with(grant), func(c *calls.Record) { c.Scopes = append(c.Scopes, "segments:delete") }}, calllog.Unconfirmed, "segments:delete"},
		"revoked, yet allowed":       {[]func(*calls.Record){with(revoked), reason(true, policy.ReasonRevoked)}, calllog.Contradicted, "do not fit together"},
		"stopped, yet allowed": {[]func(*calls.Record){with(grant), reason(true, policy.ReasonStopped), func(c *calls.Record) { c.Tool = "route_signal" }},
			calllog.Contradicted, "do not fit together"},
		"revoked, yet let through": {[]func(*calls.Record){with(revoked), reason(false, policy.ReasonRevoked), func(c *calls.Record) { c.Shadowed = true }},
			calllog.Contradicted, "do not fit together"},
	} {
		wants(t, name, f.explainAsItIs(t, f.call(f.Acme, c.change...)), c.standing, c.says)
	}
}

func TestShown_LeavesNothingThatMovesATerminalOrHides(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"run_query": "run_query", "naïve 工具": "naïve 工具", "a\u202eb": "a\uFFFDb", "a\x1b[2Kb": "a\uFFFD[2Kb", "a\nb\tc": "a\uFFFDb\uFFFDc",
		"a\u009bb": "a\uFFFDb", "a\u2028b": "a\uFFFDb", "a\U000E0041b": "a\uFFFDb",
	} {
		if got := calllog.Shown(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
}
