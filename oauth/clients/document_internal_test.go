package clients

import (
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestDocumentURL_HasOneReadingOnly(t *testing.T) {
	t.Parallel()
	for _, id := range []string{
		"https://claude.ai/oauth/mcp-oauth-client-metadata", "https://h.example/c", "https://h.example:443/c", "https://h.example:8443/c",
		"https://h.example/c?v=1", "https://h.example/a//b", "https://h.example/c/", "https://H.example/C", "https://xn--bcher-kva.example/c",
		"https://h.example/a.b/..c/c..", "https://apify.github.io/mcpc/client-metadata.json",
	} {
		if _, err := ParseDocumentURL(id, false); err != nil {
			t.Errorf("%s: refused", id)
		}
	}
	for _, id := range []string{
		"", "https://", "https:///c", "https://h.example", "https://h.example/", "https://h.example?c", "https://h.example/#", "https://h.example/c#",
		"https://h.example/c#f", "https://user@h.example/c", "https://user:pw@h.example/c", "https://@h.example/c", "https://h.example:/c",
		"https://h.example/./c", "https://h.example/../c", "https://h.example/a/..", "https://h.example/a/%2e%2e/c", "https://h.example/%2E/c",
		"https://h.example/.%2e/c", "http://h.example/c", "HTTPS://h.example/c", "ftp://h.example/c", "https:h.example/c", "https:/h.example/c",
		"https://127.0.0.1/c", "https://8.8.8.8/c", "https://[::1]/c", "https://[2606:4700::1]/c", "https://2130706433/c", "https://0x7f.1/c",
		"https://0177.0.0.1/c", "https://127.1/c", "https://1.2.3.4.5/c", "https://localhost/c", "https://intranet/c", "https://h.example./c",
		"https://h..example/c", "https://-h.example/c", "https://h_h.example/c", "https://h.example/c d", "https://h.example/c\n", "https://h.example/ü",
		"https://bücher.example/c", "https://h.example\\@evil.example/c", "https://h.example/c\\d", "https://h.example/%zz", "https://h.example/<c>",
		"https://h.example/" + strings.Repeat("x", maxDocumentURL), "http://localhost/c", "http://127.0.0.1:8000/c", "dcr_x", "javascript:alert(1)",
	} {
		if _, err := ParseDocumentURL(id, false); !errors.Is(err, ErrDocumentURL) {
			t.Errorf("%q: accepted", id)
		}
	}
	for id, want := range map[string]bool{
		"http://localhost:8000/c": true, "http://127.0.0.1/c": true, "http://[::1]:9/c": true, "https://localhost/c": true,
		"http://h.example/c": false, "http://localhost.example/c": false, "http://10.0.0.1/c": false, "http://localhost": false, "http://localhost/../c": false,
	} {
		if _, err := ParseDocumentURL(id, true); (err == nil) != want {
			t.Errorf("on loopback, %s: %v", id, err)
		}
	}
}

const testID = "https://h.example/client.json"

// describe returns a document with members replaced; a nil one is left out.
func describe(members map[string]string) []byte {
	all := map[string]string{
		"client_id": `"` + testID + `"`, "client_name": `"Test host"`, "redirect_uris": `["https://h.example/callback"]`,
	}
	for name, value := range members {
		all[name] = value
	}
	var parts []string
	for name, value := range all {
		if value != "" {
			parts = append(parts, `"`+name+`":`+value)
		}
	}
	slices.Sort(parts)
	return []byte("{" + strings.Join(parts, ",") + "}")
}

const (
	publicJWK  = `{"kty":"EC","crv":"P-256","kid":"a","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`
	privateJWK = `{"kty":"EC","crv":"P-256","kid":"a","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",` +
		`"d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}`
)

func TestDocument_IsRefusedForWhatMakesItUnsafe(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		members map[string]string
		reason  string // empty: accepted
	}{
		"plain":                  {nil, ""},
		"unknown members":        {map[string]string{"x": `{"y":[1]}`, "software_id": `7`, "contacts": `["a"]`}, ""},
		"device grant, jwt":      {map[string]string{"grant_types": `["authorization_code","urn:ietf:params:oauth:grant-type:device_code"]`}, ""},
		"another client_id":      {map[string]string{"client_id": `"https://evil.example/client.json"`}, "client_id"},
		"with a port":            {map[string]string{"client_id": `"https://h.example:443/client.json"`}, "client_id"},
		"other spelling":         {map[string]string{"client_id": `"https://H.example/client.json"`}, "client_id"},
		"a slash more":           {map[string]string{"client_id": `"https://h.example/client.json/"`}, "client_id"},
		"empty client_id":        {map[string]string{"client_id": `""`}, "client_id"},
		"no name":                {map[string]string{"client_name": ""}, "client_name"},
		"invisible name":         {map[string]string{"client_name": "\"\\u200b\\u202e \""}, "client_name"},
		"no redirects":           {map[string]string{"redirect_uris": ""}, "redirect_uris"},
		"empty redirects":        {map[string]string{"redirect_uris": `[]`}, "redirect_uris"},
		"only unusable ones":     {map[string]string{"redirect_uris": `["javascript:alert(1)","http://h.example/cb"]`}, "redirect_uris"},
		"one unusable":           {map[string]string{"redirect_uris": `["javascript:alert(1)","https://h.example/cb"]`}, ""},
		"redirects not a list":   {map[string]string{"redirect_uris": `"https://h.example/cb"`}, "type"},
		"secret":                 {map[string]string{"client_secret": `"x"`}, "client_secret"},
		"null secret":            {map[string]string{"client_secret": `null`}, "client_secret"},
		"secret's expiry":        {map[string]string{"client_secret_expires_at": `0`}, "client_secret"},
		"basic":                  {map[string]string{"token_endpoint_auth_method": `"client_secret_basic"`}, "client_secret_basic"},
		"symmetric jwt":          {map[string]string{"token_endpoint_auth_method": `"client_secret_jwt"`}, "client_secret_jwt"},
		"basic beside none":      {map[string]string{"token_endpoint_auth_method": `"client_secret_post"`, "token_endpoint_auth_methods_supported": `["none"]`}, "client_secret_post"},
		"mutual tls":             {map[string]string{"token_endpoint_auth_method": `"tls_client_auth"`}, "tls_client_auth"},
		"no method at all":       {map[string]string{"token_endpoint_auth_methods_supported": `[]`}, "authentication method"},
		"private key":            {map[string]string{"jwks": `{"keys":[` + privateJWK + `]}`}, "private keys"},
		"private key, second":    {map[string]string{"jwks": `{"keys":[` + publicJWK + `,` + privateJWK + `]}`}, "private keys"},
		"symmetric key":          {map[string]string{"jwks": `{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`}, "private keys"},
		"private key, jwt":       {map[string]string{"token_endpoint_auth_method": `"private_key_jwt"`, "jwks": `{"keys":[` + privateJWK + `]}`}, "private keys"},
		"jwt":                    {map[string]string{"token_endpoint_auth_method": `"private_key_jwt"`, "jwks": `{"keys":[` + publicJWK + `]}`}, ""},
		"jwt by address":         {map[string]string{"token_endpoint_auth_method": `"private_key_jwt"`, "jwks_uri": `"https://h.example/jwks"`}, ""},
		"jwt without keys":       {map[string]string{"token_endpoint_auth_method": `"private_key_jwt"`}, "needs jwks"},
		"jwt with an empty set":  {map[string]string{"token_endpoint_auth_method": `"private_key_jwt"`, "jwks": `{"keys":[]}`}, "no key"},
		"jwt, keys unusable":     {map[string]string{"token_endpoint_auth_method": `"private_key_jwt"`, "jwks": `{"keys":[{"kty":"EC","crv":"P-384"}]}`}, "no key"},
		"keys twice":             {map[string]string{"jwks": `{"keys":[` + publicJWK + `]}`, "jwks_uri": `"https://h.example/jwks"`}, "both"},
		"keys inside":            {map[string]string{"jwks_uri": `"http://169.254.169.254/jwks"`}, "jwks_uri"},
		"keys on another port":   {map[string]string{"jwks_uri": `"https://10.0.0.1/jwks"`}, "jwks_uri"},
		"keys by file":           {map[string]string{"jwks_uri": `"file:///etc/passwd"`}, "jwks_uri"},
		"too many redirects":     {map[string]string{"redirect_uris": "[" + strings.TrimSuffix(strings.Repeat(`"cb://a/b",`, maxDocumentRedirects+1), ",") + "]"}, "too many"},
		"wrong type of a member": {map[string]string{"grant_types": `"authorization_code"`}, "type"},
	} {
		client, err := parseDocument(testID, describe(tt.members), false, testSchemes)
		var refused *DocumentError
		switch {
		case tt.reason == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case tt.reason == "" && (client.ID != testID || client.Document.Host != "h.example" || client.Source != SourceMetadataDocument):
			t.Errorf("%s: %+v", name, client)
		case tt.reason != "" && (!errors.As(err, &refused) || !strings.Contains(refused.Reason, tt.reason)):
			t.Errorf("%s: %v, want %q", name, err, tt.reason)
		}
	}
}

// What is no client's document at all says nothing about the client: its host shows an error, or a challenge to robots.
func TestDocument_OtherAnswersAreNotDocuments(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		"", "{}", "null", "[]", `"x"`, `{"error":"blocked"}`, `{"client_id":"` + testID, "<html>", `{"client_id":null}`,
		`{"CLIENT_ID":"` + testID + `"}`, `{"client_id":"` + testID + `"} trailing`,
	} {
		_, err := parseDocument(testID, []byte(raw), false, testSchemes)
		if !hostAway(err) {
			t.Errorf("%q: %v", raw, err)
		}
	}
}

// testSchemes are what known hosts would bring.
var testSchemes = Schemes{"cursor": true}

func TestDocument_PrivateSchemesOnlyByRule(t *testing.T) {
	t.Parallel()
	mixed, err := parseDocument(testID, describe(map[string]string{
		"redirect_uris":             `["cursor://a/b","com.example.app:/cb","myapp://cb","https://h.example/cb"]`,
		"post_logout_redirect_uris": `["myapp://bye","com.example.app:/bye"]`,
	}), false, testSchemes)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"cursor://a/b", "com.example.app:/cb", "https://h.example/cb"}; !slices.Equal(mixed.RedirectURIs, want) {
		t.Errorf("kept %q", mixed.RedirectURIs)
	}
	if !slices.Equal(mixed.PostLogoutURIs, []string{"com.example.app:/bye"}) {
		t.Errorf("after a sign-out: %q", mixed.PostLogoutURIs)
	}
	_, err = parseDocument(testID, describe(map[string]string{"redirect_uris": `["myapp://cb"]`}), false, testSchemes)
	var refused *DocumentError
	if !errors.As(err, &refused) || !strings.Contains(refused.Reason, "com.example.app") {
		t.Errorf("nothing else: %v; its maker must hear what to do", err)
	}
}

func TestDocument_TrustsNothingItSays(t *testing.T) {
	t.Parallel()
	client, err := parseDocument(testID, describe(map[string]string{
		"client_name": "\"Acme\\u202e\\n<script>\"", "client_uri": `"javascript:alert(1)"`, "logo_uri": `"http://10.0.0.1/logo.png"`,
		"redirect_uris": `["https://h.example/cb","https://h.example/cb"]`, "post_logout_redirect_uris": `["javascript:1","https://h.example/bye"]`,
		"grant_types": `["authorization_code","client_credentials","password"]`,
	}), false, testSchemes)
	if err != nil {
		t.Fatal(err)
	}
	if client.Name != "Acme <script>" || client.URI != "" || client.Document.LogoURI != "" || len(client.RedirectURIs) != 1 ||
		!slices.Equal(client.PostLogoutURIs, []string{"https://h.example/bye"}) || !slices.Equal(client.GrantTypes, []string{GrantAuthorizationCode}) {
		t.Errorf("%+v %+v", client, client.Document)
	}
}

func TestChooseAuthMethod_PluralAndSingular(t *testing.T) {
	t.Parallel()
	word := func(s string) *string { return &s }
	list := func(s ...string) *[]string { return &s }
	for name, tt := range map[string]struct {
		singular *string
		plural   *[]string
		want     AuthMethod // empty: refused
	}{
		"nothing":                      {nil, nil, AuthNone},
		"none":                         {word("none"), nil, AuthNone},
		"jwt":                          {word("private_key_jwt"), nil, AuthPrivateKeyJWT},
		"ChatGPT":                      {word("private_key_jwt"), list("none", "private_key_jwt"), AuthPrivateKeyJWT},
		"both listed":                  {nil, list("none", "private_key_jwt"), AuthPrivateKeyJWT},
		"both listed, none is named":   {word("none"), list("none", "private_key_jwt"), AuthNone},
		"named but not listed":         {word("private_key_jwt"), list("none"), AuthNone},
		"named one is not offered":     {word("tls_client_auth"), list("tls_client_auth", "none"), AuthNone},
		"listed secrets are not ours":  {nil, list("client_secret_post", "none"), AuthNone},
		"only secrets are listed":      {nil, list("client_secret_post"), ""},
		"an empty list":                {word("none"), list(), ""},
		"a secret is named":            {word("client_secret_basic"), list("none"), ""},
		"something nobody knows":       {word("magic"), nil, ""},
		"something nobody knows, list": {nil, list("magic"), ""},
	} {
		got, err := chooseAuthMethod(tt.singular, tt.plural)
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
}

func FuzzDocumentURL(f *testing.F) {
	for _, id := range []string{
		testID, "https://h.example:443/c?d", "http://localhost:8000/c", "https://0x7f.1/c", "https://h.example/%2e%2E/c", "https://h.example\\@e/c",
		"https://[::1]/c", "https://h.example/a;b=c/d,e", "https://a@b@c.example/d",
	} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		u, err := ParseDocumentURL(id, false)
		if err != nil {
			return
		}
		again, err := url.Parse(id)
		if err != nil || again.Host != u.Host {
			t.Fatalf("%q reads differently: %v", id, err)
		}
		_, addrErr := netip.ParseAddr(u.Hostname())
		if u.Scheme != "https" || u.User != nil || u.Fragment != "" || addrErr == nil || IsLoopbackHost(u.Hostname()) || !strings.Contains(u.Hostname(), ".") {
			t.Fatalf("accepted %q", id)
		}
		resolved := (&url.URL{Scheme: "https", Host: u.Host, Path: "/"}).ResolveReference(u)
		if resolved.EscapedPath() != u.EscapedPath() || len(u.EscapedPath()) < 2 {
			t.Fatalf("%q leads to %q", id, resolved)
		}
		if !strings.HasPrefix(id, "https://"+u.Host+"/") {
			t.Fatalf("%q: the host %q is not where people see it", id, u.Host)
		}
	})
}

func FuzzDocument(f *testing.F) {
	f.Add(describe(nil))
	f.Add(describe(map[string]string{"token_endpoint_auth_method": `"private_key_jwt"`, "jwks": `{"keys":[` + publicJWK + `]}`}))
	f.Add(describe(map[string]string{"token_endpoint_auth_methods_supported": `["none","private_key_jwt"]`, "jwks_uri": `"https://h.example/jwks"`}))
	f.Add(describe(map[string]string{"jwks": `{"keys":[` + privateJWK + `]}`}))
	f.Add(describe(map[string]string{"redirect_uris": `["http://localhost/cb","cursor://a/b","javascript:alert(1)"]`, "logo_uri": `"https://h.example/logo"`}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		client, err := parseDocument(testID, raw, false, testSchemes)
		if err != nil {
			return
		}
		if client.ID != testID || client.Name == "" || client.Name != cleanName(client.Name) || len(client.RedirectURIs) == 0 {
			t.Fatalf("%s: %+v", raw, client)
		}
		for _, uri := range client.RedirectURIs {
			if testSchemes.Validate(uri) != nil {
				t.Fatalf("accepted redirect %q", uri)
			}
		}
		switch client.AuthMethod {
		case AuthNone:
		case AuthPrivateKeyJWT:
			if client.Keys.empty() {
				t.Fatalf("%s: no keys", raw)
			}
		default:
			t.Fatalf("method %q", client.AuthMethod)
		}
		if client.Keys.JWKS != nil && strings.Contains(string(client.Keys.JWKS), `"d":`) && showsPrivateKey(client.Keys) {
			t.Fatalf("%s: keeps a private key", raw)
		}
	})
}

func showsPrivateKey(k Keys) bool {
	_, err := parseKeySet(k.JWKS)
	return errors.Is(err, errPrivateKey)
}
