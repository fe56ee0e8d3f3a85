package clients

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	strictjson "github.com/go-jose/go-jose/v4/json" // case-sensitive, and refuses a member that comes twice
)

const (
	maxDocument          = 5 << 10 // draft -02 §8.7
	maxDocumentRedirects = 64      // hosts without a fixed port list many; the size of a document bounds them anyway
)

// DocumentError says why a metadata document cannot be used. Host is the only thing in it that came from outside.
type DocumentError struct {
	Host   string
	Reason string
}

// Error returns host and reason.
func (e *DocumentError) Error() string { return "metadata document of " + e.Host + ": " + e.Reason }

// metadataDocument is what we read of a document; other members are ignored (RFC 7591 §2).
type metadataDocument struct {
	ClientID        *string         `json:"client_id"`
	ClientName      string          `json:"client_name"`
	ClientURI       string          `json:"client_uri"`
	LogoURI         string          `json:"logo_uri"`
	RedirectURIs    []string        `json:"redirect_uris"`
	PostLogoutURIs  []string        `json:"post_logout_redirect_uris"`
	GrantTypes      []string        `json:"grant_types"`
	AuthMethod      *string         `json:"token_endpoint_auth_method"`
	AuthMethods     *[]string       `json:"token_endpoint_auth_methods_supported"`
	JWKS            json.RawMessage `json:"jwks"`
	JWKSURI         string          `json:"jwks_uri"`
	Secret          json.RawMessage `json:"client_secret"`
	SecretExpiresAt json.RawMessage `json:"client_secret_expires_at"`
}

// parseDocument validates the document found at the URL id and returns the client it describes (draft -02 §4; MCP
// 2026-07-28, Client Registration). loopback is as in ParseDocumentURL. Errors: ErrDocumentURL; *FetchError when this is some
// other answer, such as an error in JSON; *DocumentError when it is a client's document that cannot be accepted.
func parseDocument(id string, raw []byte, loopback bool, schemes Schemes) (*Client, error) {
	at, err := ParseDocumentURL(id, loopback)
	if err != nil {
		return nil, err
	}
	refuse := func(reason string) (*Client, error) { return nil, &DocumentError{Host: at.Hostname(), Reason: reason} }
	var d metadataDocument
	if err := strictjson.Unmarshal(raw, &d); err != nil && d.ClientID == nil {
		return nil, &FetchError{Host: at.Hostname(), Reason: "answered with something that is no client metadata", cause: err}
	} else if err != nil {
		return refuse("a member has the wrong type or comes twice")
	}
	switch {
	case d.ClientID == nil:
		return nil, &FetchError{Host: at.Hostname(), Reason: "answered with something that is no client metadata"}
	case *d.ClientID != id: // simple string comparison (RFC 3986 §6.2.1)
		return refuse("its client_id is not the address it was found at")
	case strings.TrimSpace(cleanName(d.ClientName)) == "":
		return refuse("client_name is missing")
	case d.Secret != nil || d.SecretExpiresAt != nil:
		return refuse("it contains a client_secret, which everybody can read")
	}
	redirects, err := d.redirects(schemes)
	if err != nil {
		return refuse(err.Error())
	}
	method, err := chooseAuthMethod(d.AuthMethod, d.AuthMethods)
	if err != nil {
		return refuse(err.Error())
	}
	sum := sha256.Sum256(raw)
	client := &Client{
		ID: id, Source: SourceMetadataDocument, Name: cleanName(d.ClientName), RedirectURIs: redirects,
		GrantTypes: offeredGrants(d.GrantTypes), AuthMethod: method, PostLogoutURIs: keptPostLogout(d.PostLogoutURIs, schemes),
		Document: &Document{Host: strings.ToLower(at.Hostname()), Digest: sum[:]},
	}
	if err := d.setKeys(client, loopback); err != nil {
		return refuse(err.Error())
	}
	if ParseRedirect(d.ClientURI).Kind == RedirectWeb {
		client.URI = d.ClientURI
	}
	if _, err := ParseDocumentURL(d.LogoURI, loopback); err == nil {
		client.Document.LogoURI = d.LogoURI
	}
	return client, nil
}

// redirects returns the redirect URIs that anybody may have. One that nobody may have spoils itself and not its neighbours: it
// is never matched.
func (d *metadataDocument) redirects(schemes Schemes) ([]string, error) {
	if len(d.RedirectURIs) > maxDocumentRedirects {
		return nil, errors.New("it lists too many redirect_uris")
	}
	var kept []string
	scheme := false
	for _, uri := range d.RedirectURIs {
		err := schemes.Validate(uri)
		scheme = scheme || errors.Is(err, ErrScheme)
		if err == nil && !slices.Contains(kept, uri) {
			kept = append(kept, uri)
		}
	}
	if len(kept) == 0 && scheme {
		return nil, ErrScheme
	}
	if len(kept) == 0 {
		return nil, errors.New("redirect_uris has no address that an answer may be sent to")
	}
	return kept, nil
}

// chooseAuthMethod picks the one method the client authenticates with. Newer documents list several, older ones name one; where
// both are there, the one that is named counts if it is also listed.
func chooseAuthMethod(singular *string, plural *[]string) (AuthMethod, error) {
	if singular != nil && strings.HasPrefix(*singular, "client_secret_") {
		return "", errors.New("token_endpoint_auth_method is " + printable(*singular) + ", which needs a secret nobody else can read")
	}
	declared := []string{methodNone} // RFC 7591's default needs a secret, so it cannot be meant
	switch {
	case plural != nil:
		declared = *plural
	case singular != nil:
		declared = []string{*singular}
	}
	usable := func(method string) bool {
		return (method == methodNone || method == methodPrivateKeyJWT) && slices.Contains(declared, method)
	}
	if singular != nil && usable(*singular) {
		return AuthMethod(*singular), nil
	}
	for _, method := range [...]string{methodPrivateKeyJWT, methodNone} {
		if usable(method) {
			return AuthMethod(method), nil
		}
	}
	return "", errors.New("it offers no token endpoint authentication method but " + printable(strings.Join(declared, ", ")) +
		"; none and private_key_jwt are possible")
}

const methodPrivateKeyJWT = "private_key_jwt"

// printable makes a word of a stranger fit to be shown.
func printable(word string) string {
	const most = 60
	word = cleanName(word)
	if runes := []rune(word); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return word
}

// offeredGrants returns what of the grant types we offer to such clients. What else a document lists is for other servers.
func offeredGrants(listed []string) []string {
	if len(listed) == 0 {
		return []string{GrantAuthorizationCode, GrantRefreshToken}
	}
	var offered []string
	for _, g := range [...]string{GrantAuthorizationCode, GrantRefreshToken} {
		if slices.Contains(listed, g) {
			offered = append(offered, g)
		}
	}
	return offered
}

// setKeys takes over where the client's public keys are. They are read even where another method is in use: a document that
// shows a private key is a mistake that its maker must hear of.
func (d *metadataDocument) setKeys(client *Client, loopback bool) error {
	inline := len(d.JWKS) > 0 && !bytes.Equal(d.JWKS, []byte("null"))
	if inline && d.JWKSURI != "" {
		return errors.New("it has both jwks and jwks_uri") // RFC 7591 §2
	}
	if inline {
		if _, err := parseKeySet(d.JWKS); errors.Is(err, errPrivateKey) {
			return err
		} else if err != nil && client.AuthMethod == AuthPrivateKeyJWT {
			return err
		}
		client.Keys.JWKS = d.JWKS
	}
	if d.JWKSURI != "" {
		if _, err := ParseDocumentURL(d.JWKSURI, loopback); err != nil {
			return errors.New("its jwks_uri is not an https address we may fetch")
		}
		client.Keys.URI = d.JWKSURI
	}
	if client.AuthMethod == AuthPrivateKeyJWT && client.Keys.empty() {
		return errors.New("private_key_jwt needs jwks or jwks_uri")
	}
	return nil
}
