package clients_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ostiary/ostiary/oauth/clients"
)

func dynamic() *clients.Dynamic {
	return clients.NewDynamic(bytes.Repeat([]byte{7}, 32), "env_A")
}

func normalize(t *testing.T, r clients.Registration) clients.Registration {
	t.Helper()
	out, err := r.Normalize(clients.Schemes{"cursor": true})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestNormalize_OmittedAuthMethodMeansASecret(t *testing.T) {
	t.Parallel()
	r := normalize(t, clients.Registration{RedirectURIs: []string{"https://h.example/cb"}})
	client, secret, err := dynamic().Issue(r)
	if err != nil || secret == "" || client.AuthMethod != clients.AuthSecret {
		t.Fatalf("client %+v, secret %q, err %v; RFC 7591 §2 defaults to client_secret_basic", client, secret, err)
	}
	if strings.ContainsAny(client.ID+secret, ":+%/ ") {
		t.Errorf("id or secret holds a character that Basic encodings disagree about")
	}
}

func TestNormalize_KeepsWhatIsOffered(t *testing.T) {
	t.Parallel()
	r := normalize(t, clients.Registration{
		RedirectURIs:            []string{"http://127.0.0.1/", "https://vscode.dev/redirect", "cursor://a/b"},
		GrantTypes:              []string{"authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"},
		TokenEndpointAuthMethod: "none", ApplicationType: "something", Scope: "",
	})
	if !slices.Equal(r.GrantTypes, []string{"authorization_code", "refresh_token"}) || r.ApplicationType != "web" {
		t.Errorf("normalized to %+v", r)
	}
}

func TestNormalize_InfersTheKindOfApplication(t *testing.T) {
	t.Parallel()
	for want, uris := range map[string][]string{
		"native": {"http://localhost:1/callback", "http://127.0.0.1/", "cursor://a/b"},
		"web":    {"http://localhost:1/callback", "https://h.example/cb"},
	} {
		if got := normalize(t, clients.Registration{RedirectURIs: uris}).ApplicationType; got != want {
			t.Errorf("%v: %q, want %q", uris, got, want)
		}
	}
	mixed := clients.Registration{ApplicationType: "web", RedirectURIs: []string{"cursor://a/b", "http://localhost:8787/cb"}}
	if got := normalize(t, mixed); got.ApplicationType != "web" || len(got.RedirectURIs) != 2 {
		t.Errorf("what a host says of itself is a hint: %+v", got)
	}
}

func TestNormalize_RefusesWithTheRightCode(t *testing.T) {
	t.Parallel()
	ok := []string{"https://h.example/cb"}
	for name, tt := range map[string]struct {
		r    clients.Registration
		code string
	}{
		"no redirect":      {clients.Registration{}, clients.CodeInvalidRedirectURI},
		"script redirect":  {clients.Registration{RedirectURIs: []string{"javascript:alert(1)"}}, clients.CodeInvalidRedirectURI},
		"one bad of many":  {clients.Registration{RedirectURIs: []string{ok[0], "http://example.com/"}}, clients.CodeInvalidRedirectURI},
		"any scheme":       {clients.Registration{RedirectURIs: []string{ok[0], "myapp://cb"}}, clients.CodeInvalidRedirectURI},
		"too many":         {clients.Registration{RedirectURIs: slices.Repeat(ok, 17)}, clients.CodeInvalidRedirectURI},
		"unknown auth":     {clients.Registration{RedirectURIs: ok, TokenEndpointAuthMethod: "tls_client_auth"}, clients.CodeInvalidClientMetadata},
		"a key":            {clients.Registration{RedirectURIs: ok, TokenEndpointAuthMethod: "private_key_jwt"}, clients.CodeInvalidClientMetadata},
		"no code grant":    {clients.Registration{RedirectURIs: ok, GrantTypes: []string{"implicit"}}, clients.CodeInvalidClientMetadata},
		"no code response": {clients.Registration{RedirectURIs: ok, ResponseTypes: []string{"token"}}, clients.CodeInvalidClientMetadata},
	} {
		_, err := tt.r.Normalize(clients.Schemes{"cursor": true})
		var refused *clients.MetadataError
		if !errors.As(err, &refused) || refused.Code != tt.code {
			t.Errorf("%s: %v, want %s", name, err, tt.code)
		}
	}
}

func TestNormalize_NameIsOnePlainLine(t *testing.T) {
	t.Parallel()
	r := normalize(t, clients.Registration{
		ClientName: "  Cla\u202eude\u200b\n\tCode\x00 ", RedirectURIs: []string{"https://h.example/cb"},
	})
	if r.ClientName != "Claude Code" {
		t.Errorf("name %q", r.ClientName)
	}
}

func TestDynamic_SameRegistrationSameClient(t *testing.T) {
	t.Parallel()
	r := normalize(t, clients.Registration{ClientName: "CLI", RedirectURIs: []string{"http://localhost/cb"}, TokenEndpointAuthMethod: "none"})
	a, _, errA := dynamic().Issue(r)
	b, _, errB := dynamic().Issue(r)
	if errA != nil || errB != nil || a.ID != b.ID {
		t.Errorf("a public client got two ids for one registration")
	}
	r.TokenEndpointAuthMethod = "client_secret_post"
	c, secretC, errC := dynamic().Issue(r)
	d, secretD, errD := dynamic().Issue(r)
	if errC != nil || errD != nil || c.ID == d.ID || secretC == secretD {
		t.Errorf("two clients with a secret share it")
	}
}

func TestDynamic_OpensOnlyItsOwn(t *testing.T) {
	t.Parallel()
	d := dynamic()
	client, _, err := d.Issue(normalize(t, clients.Registration{
		ClientName: "CLI", RedirectURIs: []string{"http://localhost/cb", "cursor://a/b"}, TokenEndpointAuthMethod: "none",
	}))
	if err != nil {
		t.Fatal(err)
	}
	opened, err := d.Open(client.ID)
	if err != nil || opened.Name != "CLI" || !slices.Equal(opened.RedirectURIs, client.RedirectURIs) || !opened.Allows("refresh_token") {
		t.Fatalf("opened %+v, %v", opened, err)
	}
	neighbour := clients.NewDynamic(bytes.Repeat([]byte{7}, 32), "env_B")
	stranger := clients.NewDynamic(bytes.Repeat([]byte{8}, 32), "env_A")
	flipped := []byte(client.ID)
	flipped[len(flipped)/2] ^= 1
	for name, try := range map[string]func() error{
		"another environment": func() error { _, err := neighbour.Open(client.ID); return err },
		"another secret":      func() error { _, err := stranger.Open(client.ID); return err },
		"altered":             func() error { _, err := d.Open(string(flipped)); return err },
		"cut short":           func() error { _, err := d.Open(client.ID[:20]); return err },
		"made up":             func() error { _, err := d.Open("dcr_AAAA"); return err },
	} {
		if err := try(); !errors.Is(err, clients.ErrNotDynamic) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Hosts register every address they may ever use: as many as we have seen fit, with room to spare.
func TestDynamic_CarriesAsManyRedirectsAsHostsSend(t *testing.T) {
	t.Parallel()
	var uris []string
	for i := range 10 {
		uris = append(uris, fmt.Sprintf("https://connectors.host.example/region-%d/oauth/callback", i), fmt.Sprintf("http://127.0.0.1:%d/callback", 13316+i))
	}
	uris = uris[:16]
	for _, method := range []string{"none", "client_secret_post"} {
		client, _, err := dynamic().Issue(normalize(t, clients.Registration{ClientName: "Host", RedirectURIs: uris, TokenEndpointAuthMethod: method}))
		if err != nil {
			t.Fatalf("%s: %v", method, err)
		}
		if opened, err := dynamic().Open(client.ID); err != nil || !slices.Equal(opened.RedirectURIs, uris) {
			t.Errorf("%s: %v, %v", method, opened, err)
		}
	}
}

func TestDynamic_RefusesWhatItCannotCarry(t *testing.T) {
	t.Parallel()
	var uris []string
	for i := range 16 {
		uris = append(uris, fmt.Sprintf("https://h.example/%d/%s", i, strings.Repeat("x", 200)))
	}
	_, _, err := dynamic().Issue(normalize(t, clients.Registration{RedirectURIs: uris, TokenEndpointAuthMethod: "none"}))
	var refused *clients.MetadataError
	if !errors.As(err, &refused) {
		t.Errorf("issued an id of any length: %v", err)
	}
}

func FuzzRegistration(f *testing.F) {
	f.Add([]byte(`{"client_name":"Cursor","redirect_uris":["cursor://a/b","http://localhost:8787/callback"],"token_endpoint_auth_method":"none"}`))
	f.Add([]byte(`{"redirect_uris":["javascript:alert(1)"],"grant_types":[]}`))
	f.Add([]byte(`{"redirect_uris":null,"scope":""}`))
	d := dynamic()
	f.Fuzz(func(t *testing.T, body []byte) {
		var r clients.Registration
		if json.Unmarshal(body, &r) != nil {
			return
		}
		r, err := r.Normalize(clients.Schemes{"cursor": true})
		if err != nil {
			return
		}
		client, _, err := d.Issue(r)
		if err != nil {
			return
		}
		opened, err := d.Open(client.ID)
		if err != nil {
			t.Fatalf("an issued client does not open: %v", err)
		}
		for _, uri := range opened.RedirectURIs {
			if !opened.MatchRedirect(clients.ParseRedirect(uri)) {
				t.Fatalf("registered %q, which is then refused", uri)
			}
		}
	})
}
