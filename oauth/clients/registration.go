package clients

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/ostiary/ostiary/app/secret"
)

// Registration is the client metadata of RFC 7591 §2 that we understand. Unknown members are ignored (§2).
type Registration struct {
	ClientName              string   `json:"client_name"`
	ClientURI               string   `json:"client_uri"`
	RedirectURIs            []string `json:"redirect_uris"`
	PostLogoutRedirectURIs  []string `json:"post_logout_redirect_uris"` // OpenID Connect RP-Initiated Logout §3.1
	GrantTypes              []string `json:"grant_types"`
	ResponseTypes           []string `json:"response_types"`
	TokenEndpointAuthMethod string   `json:"token_endpoint_auth_method"`
	ApplicationType         string   `json:"application_type"`
	Scope                   string   `json:"scope"`
}

// MetadataError is a refused registration with its error code of RFC 7591 §3.2.2.
type MetadataError struct {
	Code        string // invalid_redirect_uri or invalid_client_metadata
	Description string
}

// Error returns code and description.
func (e *MetadataError) Error() string { return e.Code + ": " + e.Description }

// Error codes of RFC 7591 §3.2.2.
const (
	CodeInvalidRedirectURI    = "invalid_redirect_uri"
	CodeInvalidClientMetadata = "invalid_client_metadata"
)

const (
	maxRedirectURIs = 16
	maxNameLength   = 200
	maxIDLength     = 1800 // it travels in URLs, forms and tokens
)

// The token endpoint authentication methods of RFC 7591 §2 a registration can ask for.
const (
	methodNone  = "none"
	methodBasic = "client_secret_basic"
	methodPost  = "client_secret_post"
)

// Normalize validates the metadata and returns it with the values the client will have: what we do not offer is left out
// of lists rather than refused, since hosts register for more than one server's worth of grant types. schemes are those of known
// hosts. Errors: *MetadataError.
func (r Registration) Normalize(schemes Schemes) (Registration, error) {
	if len(r.RedirectURIs) == 0 || len(r.RedirectURIs) > maxRedirectURIs {
		return r, &MetadataError{CodeInvalidRedirectURI, fmt.Sprintf("redirect_uris must list 1 to %d URIs", maxRedirectURIs)}
	}
	for _, uri := range r.RedirectURIs {
		if err := schemes.Validate(uri); err != nil {
			return r, &MetadataError{CodeInvalidRedirectURI, err.Error()}
		}
	}
	if r.TokenEndpointAuthMethod == "" {
		r.TokenEndpointAuthMethod = methodBasic // RFC 7591 §2: the default, so the client is owed a secret
	}
	if !slices.Contains([]string{methodNone, methodBasic, methodPost}, r.TokenEndpointAuthMethod) {
		return r, &MetadataError{CodeInvalidClientMetadata, "token_endpoint_auth_method must be none, client_secret_basic or client_secret_post"}
	}
	if err := r.normalizeGrants(); err != nil {
		return r, err
	}
	r.PostLogoutRedirectURIs = keptPostLogout(r.PostLogoutRedirectURIs, schemes)
	r.ClientName = cleanName(r.ClientName)
	if ParseRedirect(r.ClientURI).Kind != RedirectWeb {
		r.ClientURI = ""
	}
	return r, nil
}

func (r *Registration) normalizeGrants() error {
	if len(r.GrantTypes) == 0 {
		r.GrantTypes = []string{GrantAuthorizationCode, GrantRefreshToken}
	}
	if !slices.Contains(r.GrantTypes, GrantAuthorizationCode) {
		return &MetadataError{CodeInvalidClientMetadata, "grant_types must include authorization_code"}
	}
	offered := []string{GrantAuthorizationCode}
	if slices.Contains(r.GrantTypes, GrantRefreshToken) {
		offered = append(offered, GrantRefreshToken)
	}
	r.GrantTypes = offered
	if len(r.ResponseTypes) > 0 && !slices.Contains(r.ResponseTypes, "code") {
		return &MetadataError{CodeInvalidClientMetadata, "response_types must include code"}
	}
	r.ResponseTypes = []string{"code"}
	if r.ApplicationType != "web" && r.ApplicationType != "native" {
		r.ApplicationType = r.inferApplicationType()
	}
	return nil
}

// inferApplicationType is a hint only: many hosts leave it out, some send the wrong one.
func (r *Registration) inferApplicationType() string {
	for _, uri := range r.RedirectURIs {
		if ParseRedirect(uri).Kind == RedirectWeb {
			return "web"
		}
	}
	return "native"
}

// cleanName makes a self-asserted name safe to show: no control, invisible or direction-changing characters, one line.
func cleanName(name string) string {
	cleaned := strings.Map(func(c rune) rune {
		if unicode.IsSpace(c) {
			return ' '
		}
		if !unicode.IsPrint(c) || unicode.Is(unicode.Cf, c) {
			return -1
		}
		return c
	}, name)
	cleaned = strings.Join(strings.Fields(cleaned), " ")
	if runes := []rune(cleaned); len(runes) > maxNameLength {
		cleaned = string(runes[:maxNameLength])
	}
	return cleaned
}

// sealedRegistration is what a dynamic client_id carries.
type sealedRegistration struct {
	Name     string   `json:"n,omitempty"`
	URI      string   `json:"u,omitempty"`
	Redirect []string `json:"r"`
	Logout   []string `json:"l,omitempty"` // where to go after a sign-out
	Refresh  bool     `json:"f,omitempty"`
	Secret   bool     `json:"s,omitempty"`
	Salt     []byte   `json:"x,omitempty"` // makes a secret client's id its own
}

const dynamicPrefix = "dcr_"

// Dynamic seals registrations into client_ids and opens them again. It is safe for concurrent use.
type Dynamic struct {
	sealer    *secret.Sealer
	secretKey []byte
	aad       []byte
}

// NewDynamic returns the sealer of one environment's dynamic clients. root is the environment's secret.
func NewDynamic(root []byte, environmentID string) *Dynamic {
	return &Dynamic{
		sealer:    secret.NewSealer(root, "ostiary dynamic client"),
		secretKey: secret.Derive(root, "ostiary dynamic client secret"),
		aad:       []byte(environmentID),
	}
}

// Issue returns the client for a normalized registration and, for a client with a secret, the secret. Nothing is written.
// Errors: *MetadataError when the registration is too large to carry.
func (d *Dynamic) Issue(r Registration) (*Client, string, error) {
	sealed := sealedRegistration{
		Name: r.ClientName, URI: r.ClientURI, Redirect: r.RedirectURIs, Logout: r.PostLogoutRedirectURIs,
		Refresh: slices.Contains(r.GrantTypes, GrantRefreshToken),
		Secret:  r.TokenEndpointAuthMethod != methodNone,
	}
	if sealed.Secret {
		sealed.Salt = secret.Bytes(12)
	}
	plaintext, err := json.Marshal(sealed)
	if err != nil {
		return nil, "", fmt.Errorf("seal registration: %w", err)
	}
	id := dynamicPrefix + encode(d.sealer.SealSame(plaintext, d.aad))
	if len(id) > maxIDLength {
		return nil, "", &MetadataError{CodeInvalidClientMetadata, "the registration is too large: shorten client_name or redirect_uris"}
	}
	client := sealed.client(id)
	if sealed.Secret {
		return client, d.Secret(id), nil
	}
	return client, "", nil
}

// ErrNotDynamic is returned for ids that this environment did not issue.
var ErrNotDynamic = errors.New("not a dynamic client of this environment")

// Open returns the client a dynamic client_id carries. Errors: ErrNotDynamic.
func (d *Dynamic) Open(id string) (*Client, error) {
	text, ok := strings.CutPrefix(id, dynamicPrefix)
	if !ok || len(id) > maxIDLength {
		return nil, ErrNotDynamic
	}
	plaintext, err := d.sealer.OpenText(text, d.aad)
	if err != nil {
		return nil, ErrNotDynamic
	}
	var sealed sealedRegistration
	if err := json.Unmarshal(plaintext, &sealed); err != nil {
		return nil, ErrNotDynamic
	}
	return sealed.client(id), nil
}

// Secret returns the secret of a dynamic client with this id: a MAC of the id, so it needs no storage.
func (d *Dynamic) Secret(id string) string { return "ocs_" + encode(mac(d.secretKey, id)) }

func (s sealedRegistration) client(id string) *Client {
	c := &Client{
		ID: id, Source: SourceDynamic, Name: s.Name, URI: s.URI, RedirectURIs: s.Redirect,
		GrantTypes: []string{GrantAuthorizationCode}, AuthMethod: AuthNone, PostLogoutURIs: s.Logout,
	}
	if s.Refresh {
		c.GrantTypes = append(c.GrantTypes, GrantRefreshToken)
	}
	if s.Secret {
		c.AuthMethod = AuthSecret
	}
	return c
}
