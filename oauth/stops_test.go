package oauth_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/apply"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

func stop(t *testing.T, s *host.Stack, tenant *tenanttest.Tenant, kind policy.StopKind, value string) tenants.Stop {
	t.Helper()
	made, err := s.Stops.Create(tenant.Operator(), tenants.NewStop{Kind: kind, ResourceID: tenant.ResourceID, Value: value})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func lift(t *testing.T, s *host.Stack, made tenants.Stop) {
	t.Helper()
	if _, err := s.Stops.Lift(s.Acme.Operator(), made.ID); err != nil {
		t.Fatal(err)
	}
}

func isStopped(a host.Answer) bool {
	return a.Status == http.StatusServiceUnavailable && a.Str("error") == "temporarily_unavailable" && a.Header.Get("Retry-After") != ""
}

// Whatever is stopped, nothing new is given out, nothing that was given out is thrown away, and all of it works again.
func TestStops_HoldEverythingAndLoseNothing(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	mcp := credential(t, s, s.Acme, s.Acme.ResourceID, "gate").knows(t)
	register := func(tenant *tenanttest.Tenant) *host.Client {
		return s.Register(t, tenant, map[string]any{"redirect_uris": []string{"https://chatgpt.com/connector/oauth/a1B2c3"}})
	}
	c, theirs := register(s.Acme), register(s.Neighbour)
	tokens := s.Connect(t, host.NewBrowser(t), s.Acme, c.Authorize("openid", "data:read"), "data:read")
	neighbour := s.Connect(t, host.NewBrowser(t), s.Neighbour, theirs.Authorize("data:read"), "data:read")
	for _, what := range []struct {
		kind  policy.StopKind
		value string
	}{
		{policy.StopHost, "chatgpt"}, {policy.StopUser, s.Acme.UserID}, {policy.StopOrganization, s.Acme.OrganizationID}, {policy.StopServer, ""},
	} {
		t.Run(string(what.kind), func(t *testing.T) {
			signedIn := host.NewBrowser(t)
			asked := c.Authorize("data:read")
			asked.Params.Set("prompt", "consent")
			page := signedIn.SignIn(t, asked.URL(), s.Acme.UserEmail)
			pending := c.Authorize("data:read")
			waiting := signedIn.Open(t, pending.URL()).Param("code")

			made := stop(t, s, s.Acme, what.kind, what.value)
			eventually(t, "the stop", everywhere(func() bool { return mcp.ask(t, tokens.Access).Body["active"] == false }))
			if answer := c.Refresh(t, tokens.Refresh); !isStopped(answer) {
				t.Errorf("refresh: %d %s", answer.Status, answer.Raw)
			}
			if answer := pending.Redeem(t, waiting); !isStopped(answer) {
				t.Errorf("code: %d %s", answer.Status, answer.Raw)
			}
			if answer := askUserinfo(t, s, tokens.Access); answer.Status != http.StatusServiceUnavailable {
				t.Errorf("userinfo: %d %s", answer.Status, answer.Raw)
			}
			a := c.Authorize("data:read")
			for step, p := range map[string]host.Page{
				"who is signed in": signedIn.Open(t, a.URL()), "who decides": signedIn.Decide(t, page, "approve", "data:read"),
			} {
				if p.Param("error") != "temporarily_unavailable" || p.Param("iss") != s.Acme.Issuer || p.Param("state") == "" {
					t.Errorf("%s: %d %v", step, p.Status, p.Location)
				}
			}
			if p := host.NewBrowser(t).Open(t, a.URL()); what.kind == policy.StopHost && p.Param("error") != "temporarily_unavailable" {
				t.Errorf("nobody is signed in: %d %v", p.Status, p.Location)
			}
			if answer := theirs.Refresh(t, neighbour.Refresh); answer.Status != http.StatusOK {
				t.Errorf("the neighbour is stopped: %d %s", answer.Status, answer.Raw)
			} else {
				neighbour.Refresh = answer.Str("refresh_token")
			}

			lift(t, s, made)
			eventually(t, "the lift", everywhere(func() bool { return mcp.ask(t, tokens.Access).Body["active"] == true }))
			if answer := pending.Redeem(t, waiting); answer.Status != http.StatusOK {
				t.Errorf("the code was lost: %s", answer.Raw)
			}
			answer := c.Refresh(t, tokens.Refresh)
			if answer.Status != http.StatusOK {
				t.Fatalf("the refresh token was lost: %d %s", answer.Status, answer.Raw)
			}
			tokens.Access, tokens.Refresh = answer.Str("access_token"), answer.Str("refresh_token")
			if p := signedIn.Open(t, c.Authorize("data:read").URL()); p.Param("error") != "" {
				t.Errorf("the sign-in was lost: %v", p.Location)
			}
		})
	}
}

func askUserinfo(t *testing.T, s *host.Stack, token string) host.Answer {
	t.Helper()
	return host.PostForm(t, s.Acme.Issuer+"/userinfo", url.Values{"access_token": {token}})
}

// Who is not covered is not disturbed, and what is dead is told so even then.
func TestStops_HoldNobodyElse(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithFile(twoServers))
	c, tokens := connect(t, s)
	other, lost := connect(t, s)
	other.Revoke(t, lost.Refresh)
	mcp := credential(t, s, s.Acme, s.Acme.ResourceID, "gate").knows(t)
	stop(t, s, s.Acme, policy.StopHost, "chatgpt")
	stop(t, s, s.Acme, policy.StopTool, "run_query") // MCP servers act on it
	second, err := s.Stops.Create(s.Acme.Operator(), tenants.NewStop{Kind: policy.StopServer, ResourceID: resourceNamed(t, s, secondServer)})
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := c.Authorize("data:read")
	elsewhere.Params.Set("resource", secondServer)
	eventually(t, "the last stop", everywhere(func() bool {
		return host.NewBrowser(t).Open(t, elsewhere.URL()).Param("error") == "temporarily_unavailable"
	}))
	if answer := c.Refresh(t, tokens.Refresh); answer.Status != http.StatusOK {
		t.Errorf("refresh: %d %s", answer.Status, answer.Raw)
	}
	if answer := mcp.ask(t, tokens.Access); answer.Body["active"] != true {
		t.Errorf("introspection: %s", answer.Raw)
	}
	if answer := other.Refresh(t, lost.Refresh); answer.Str("error") != "invalid_grant" {
		t.Errorf("a dead refresh token: %d %s", answer.Status, answer.Raw)
	}
	want := []policy.Stop{{Kind: policy.StopHost, Value: "chatgpt"}, {Kind: policy.StopTool, Value: "run_query"}}
	if got := feedNow(t, s.Acme).Feed.Stops; !equalJSON(t, got, want) {
		t.Errorf("the feed says %+v", got)
	}
	want = []policy.Stop{{Kind: policy.StopHost, Value: "chatgpt"}, {Kind: policy.StopServer, Value: second.Value}}
	if got := feedOf(t, s, s.Acme, second.ResourceID).Feed.Stops; !equalJSON(t, got, want) {
		t.Errorf("the other server's feed says %+v", got)
	}
	if got := feedNow(t, s.Neighbour).Feed.Stops; len(got) != 0 {
		t.Errorf("the neighbour's feed says %+v", got)
	}
}

// A host of which nothing could be checked has a name too.
func TestStops_CoverWhoCannotBeChecked(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithFile(func(f *apply.File) {
		f.Environments[0].Clients = append(f.Environments[0].Clients, apply.Client{
			ID: "nightly", Name: "Nightly", Auth: apply.AuthSecret, Secret: "only-for-this-test-only-for-this-test",
			GrantTypes: []string{"client_credentials"}, Machine: &apply.Machine{Resource: tenanttest.Identifier, Scopes: []string{"data:read"}},
		})
	}))
	c, tokens := connect(t, s)
	machine := func() host.Answer {
		return host.PostForm(t, s.Acme.Issuer+"/token", url.Values{
			"grant_type": {"client_credentials"}, "client_id": {"nightly"}, "client_secret": {"only-for-this-test-only-for-this-test"},
		})
	}
	stop(t, s, s.Acme, policy.StopHost, policy.HostUnverified)
	eventually(t, "the stop", everywhere(func() bool { return isStopped(c.Refresh(t, tokens.Refresh)) }))
	answer := machine()
	if answer.Status != http.StatusOK || claims(t, answer.Str("access_token"))["host"] != "nightly" {
		t.Errorf("who is known by name: %d %s", answer.Status, answer.Raw)
	}
	stop(t, s, s.Acme, policy.StopHost, "nightly")
	eventually(t, "the stop of the machine", everywhere(func() bool { return isStopped(machine()) }))
	s.FlushAttempts(t)
	logged := 0
	query(t, s, `select count(*) from attempt_steps where reason = 'stopped'`, &logged)
	if logged == 0 {
		t.Error("who looks the attempt up does not learn why")
	}
}

// A node that hears no notification acts on a stop within seconds while an MCP server listens at it.
func TestStops_LostNotificationsCostSeconds(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithNodes(1))
	c, tokens := connect(t, s)
	stream := host.OpenStream(t, feedURL(s.Acme), nil)
	stream.Next(t)
	s.Cable.Deafen()
	stop(t, s, s.Acme, policy.StopUser, s.Acme.UserID)
	until(t, stream, "the stop", func(b policy.FeedBundle) bool { return len(b.Feed.Stops) == 1 })
	if answer := c.Refresh(t, tokens.Refresh); !isStopped(answer) {
		t.Errorf("who was told of the stop, the issuer was not: %d %s", answer.Status, answer.Raw)
	}
}
