package oauth

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/oauth/clients"
)

const maxRegistration = 16 << 10

// registered is the answer of RFC 7591 §3.2.1. Absent members are left out: the official TypeScript SDK refuses nulls.
type registered struct {
	ClientID                string   `json:"client_id"`
	ClientIDIssuedAt        int64    `json:"client_id_issued_at"`
	ClientSecret            string   `json:"client_secret,omitempty"`
	ClientSecretExpiresAt   *int64   `json:"client_secret_expires_at,omitempty"` // required with a secret; 0 means never
	ClientName              string   `json:"client_name,omitempty"`
	ClientURI               string   `json:"client_uri,omitempty"`
	RedirectURIs            []string `json:"redirect_uris"`
	PostLogoutRedirectURIs  []string `json:"post_logout_redirect_uris,omitempty"`
	GrantTypes              []string `json:"grant_types"`
	ResponseTypes           []string `json:"response_types"`
	TokenEndpointAuthMethod string   `json:"token_endpoint_auth_method"`
	ApplicationType         string   `json:"application_type"`
	Scope                   string   `json:"scope,omitempty"`
}

// createClient is dynamic client registration (RFC 7591 §3). It writes nothing: see clients.Dynamic.
func (m *Module) createClient(c echo.Context) error {
	r, w := c.Request(), c.Response()
	i, err := issuerFrom(r.Context())
	if err != nil {
		return err
	}
	if !i.Settings.DynamicRegistration {
		m.clientRefused(c, i, clients.Registration{}, badRequest("registration_off", ""))
		return bareNotFound(c)
	}
	var (
		registration clients.Registration
		client       *clients.Client
		secret       string
	)
	err = m.limitRegistration(c, i)
	if err == nil {
		registration, err = readRegistration(r)
	}
	if err == nil {
		registration, err = registration.Normalize(i.Clients.Schemes())
	}
	if err == nil {
		client, secret, err = i.Clients.Issue(registration)
	}
	if err != nil { // every refusal is recorded: a host in trouble is looked for by what it sent
		err = registrationProblem(err)
		m.clientRefused(c, i, registration, err)
		writeProblem(w, r, m.log, err)
		return nil
	}
	m.clientRegistered(c, i, client)
	answer := registered{
		ClientID: client.ID, ClientIDIssuedAt: m.now().Unix(), ClientSecret: secret,
		ClientName: registration.ClientName, ClientURI: registration.ClientURI,
		RedirectURIs: registration.RedirectURIs, GrantTypes: registration.GrantTypes, ResponseTypes: registration.ResponseTypes,
		TokenEndpointAuthMethod: registration.TokenEndpointAuthMethod, ApplicationType: registration.ApplicationType,
		Scope: registration.Scope, PostLogoutRedirectURIs: registration.PostLogoutRedirectURIs,
	}
	if secret != "" {
		answer.ClientSecretExpiresAt = new(int64)
	}
	answerJSON(w, http.StatusCreated, answer)
	return nil
}

func readRegistration(r *http.Request) (clients.Registration, error) {
	var registration clients.Registration
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != jsonType {
		return registration, &clients.MetadataError{Code: clients.CodeInvalidClientMetadata, Description: "send application/json"}
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRegistration+1))
	if err != nil || len(body) > maxRegistration {
		return registration, &clients.MetadataError{Code: clients.CodeInvalidClientMetadata, Description: "the body is too large or was cut off"}
	}
	if err := json.Unmarshal(body, &registration); err != nil {
		return registration, &clients.MetadataError{
			Code: clients.CodeInvalidClientMetadata, Description: "the body is not client metadata in JSON",
		}
	}
	return registration, nil
}

func registrationProblem(err error) error {
	var refused *clients.MetadataError
	if errors.As(err, &refused) {
		return badRequest(refused.Code, refused.Description)
	}
	return err
}
