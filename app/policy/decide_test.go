package policy_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/ostiary/ostiary/app/policy"
)

type vectors struct {
	Documents map[string]*policy.Document `json:"documents"`
	Vectors   []struct {
		Name     string            `json:"name"`
		Document string            `json:"document"`
		Kind     policy.TargetKind `json:"kind"`    // "tool" when absent
		Tool     string            `json:"tool"`    // what the target is named, whatever its kind
		Granted  []string          `json:"granted"` // the token's scopes
		Subject  policy.Subject    `json:"subject"` // the rest of the token, without scopes
		Feed     *policy.Feed      `json:"feed"`    // none: nothing has ended or is stopped
		Silence  int64             `json:"silence"` // seconds
		Want     struct {
			Allowed  bool          `json:"allowed"`
			Reason   policy.Reason `json:"reason"`
			Required []string      `json:"required"`
			Missing  []string      `json:"missing"`
		} `json:"want"`
	} `json:"vectors"`
}

func loadVectors(t testing.TB, file string) vectors {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Vectors) < 30 {
		t.Fatalf("only %d vectors loaded", len(v.Vectors))
	}
	return v
}

func TestDecide_Vectors(t *testing.T)       { replay(t, loadVectors(t, "vectors.json")) }
func TestDecide_FuzzedVectors(t *testing.T) { replay(t, loadVectors(t, "fuzzed.json")) }

func replay(t *testing.T, v vectors) {
	t.Parallel()
	for _, tc := range v.Vectors {
		t.Run(tc.Name, func(t *testing.T) {
			t.Parallel()
			doc := v.Documents[tc.Document]
			if doc == nil {
				t.Fatalf("no document %q", tc.Document)
			}
			c := policy.Compile(doc)
			if tc.Kind == "" {
				tc.Kind = policy.TargetTool
			}
			tc.Subject.Scopes = tc.Granted
			target := policy.Target{Kind: tc.Kind, Name: tc.Tool}
			situation := policy.Situation{Feed: policy.CompileFeed(tc.Feed), Silence: time.Duration(tc.Silence) * time.Second}
			got := c.Judge(target, tc.Subject, c.Granted(tc.Granted), situation)
			if got.Allowed != tc.Want.Allowed || got.Reason != tc.Want.Reason {
				t.Errorf("got %v (%s), want %v (%s)", got.Allowed, got.Reason, tc.Want.Allowed, tc.Want.Reason)
			}
			if !slices.Equal(got.Required, tc.Want.Required) || !slices.Equal(got.Missing, tc.Want.Missing) {
				t.Errorf("got required %v missing %v, want %v and %v",
					got.Required, got.Missing, tc.Want.Required, tc.Want.Missing)
			}
			if c.Lists(target, tc.Subject, c.Granted(tc.Granted), situation) != tc.Want.Allowed {
				t.Error("Lists and Judge disagree")
			}
			if tc.Kind == policy.TargetTool && tc.Feed == nil && tc.Silence == 0 &&
				c.Allows(tc.Tool, c.Granted(tc.Granted)) != tc.Want.Allowed {
				t.Error("Allows and Judge disagree")
			}
		})
	}
}

func TestCompile_ScopesBeyondTheLimitGrantNothing(t *testing.T) {
	t.Parallel()
	doc := &policy.Document{Scopes: map[string]policy.Scope{}, Tools: map[string]policy.Tool{}}
	for i := range policy.MaxScopes + 10 {
		name := fmt.Sprintf("s%04d", i)
		doc.Scopes[name] = policy.Scope{Risk: policy.RiskRead}
		doc.Tools[name] = policy.Tool{Scopes: []string{name}, Match: policy.MatchAll}
	}
	for i := range policy.MaxScopes + 10 {
		name := fmt.Sprintf("s%04d", i)
		if got := policy.Decide(doc, name, []string{name}).Allowed; got != (i < policy.MaxScopes) {
			t.Errorf("scope %d of %d: allowed %v", i+1, policy.MaxScopes, got)
		}
	}
}

func TestCompile_GrantedSetsAreIndependent(t *testing.T) {
	t.Parallel()
	doc := loadVectors(t, "vectors.json").Documents["acme"]
	c := policy.Compile(doc)
	all := c.Granted([]string{"everything"})
	none := c.Granted(nil)
	if c.Allows("run_query", none) || !c.Allows("run_query", all) {
		t.Error("one token's scopes leaked into another's")
	}
}

func TestBaselineScopes_AreInTheTenantsOrder(t *testing.T) {
	t.Parallel()
	doc := &policy.Document{Scopes: map[string]policy.Scope{
		"z:first": {Baseline: true, Position: 1}, "a:second": {Baseline: true, Position: 2},
		"b:second": {Baseline: true, Position: 2}, "never": {Position: 0},
	}}
	want := []string{"z:first", "a:second", "b:second"}
	if got := doc.BaselineScopes(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestDecide_AllowedCallAllocatesNothing(t *testing.T) {
	doc := loadVectors(t, "vectors.json").Documents["acme"]
	c := policy.Compile(doc)
	granted := []string{"data:read", "signals:manage", "unknown"}
	if n := testing.AllocsPerRun(100, func() {
		if !c.Decide("analyze_profile", c.Granted(granted)).Allowed {
			t.Fatal("denied")
		}
	}); n != 0 {
		t.Errorf("%v allocations per call", n)
	}
}

func BenchmarkDecide(b *testing.B) {
	c := policy.Compile(loadVectors(b, "vectors.json").Documents["acme"])
	granted := []string{"data:read", "profiles:read", "signals:write"}
	b.ReportAllocs()
	for b.Loop() {
		if !c.Decide("analyze_profile", c.Granted(granted)).Allowed {
			b.Fatal("denied")
		}
	}
}
