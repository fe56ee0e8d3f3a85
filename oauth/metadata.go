package oauth

import "github.com/ostiary/ostiary/oauth/clients"

// metadata is the authorization server metadata of RFC 8414 §2, with the members strict OpenID Connect parsers ask for. It
// says what is switched on and nothing else: clients act on every word.
type metadata struct {
	Issuer                                     string   `json:"issuer"`
	AuthorizationEndpoint                      string   `json:"authorization_endpoint"`
	TokenEndpoint                              string   `json:"token_endpoint"`
	RegistrationEndpoint                       string   `json:"registration_endpoint,omitempty"`
	JWKSURI                                    string   `json:"jwks_uri"`
	RevocationEndpoint                         string   `json:"revocation_endpoint"`
	ScopesSupported                            []string `json:"scopes_supported"`
	ResponseTypesSupported                     []string `json:"response_types_supported"`
	ResponseModesSupported                     []string `json:"response_modes_supported"`
	GrantTypesSupported                        []string `json:"grant_types_supported"`
	TokenEndpointAuthMethodsSupported          []string `json:"token_endpoint_auth_methods_supported"`
	TokenEndpointAuthSigningAlgValuesSupported []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	RevocationEndpointAuthMethodsSupported     []string `json:"revocation_endpoint_auth_methods_supported"`
	RevocationEndpointAuthSigningAlgsSupported []string `json:"revocation_endpoint_auth_signing_alg_values_supported"`
	CodeChallengeMethodsSupported              []string `json:"code_challenge_methods_supported"`
	ClientIDMetadataDocumentSupported          bool     `json:"client_id_metadata_document_supported"`          // draft -02 §6
	AuthorizationResponseIssParameterSupported bool     `json:"authorization_response_iss_parameter_supported"` // RFC 9207 §3
	SubjectTypesSupported                      []string `json:"subject_types_supported"`
	IDTokenSigningAlgValuesSupported           []string `json:"id_token_signing_alg_values_supported"`
	UserinfoEndpoint                           string   `json:"userinfo_endpoint"`
	EndSessionEndpoint                         string   `json:"end_session_endpoint"`
	ClaimsSupported                            []string `json:"claims_supported"`
	PromptValuesSupported                      []string `json:"prompt_values_supported"`
	ClaimsParameterSupported                   bool     `json:"claims_parameter_supported"`
	RequestParameterSupported                  bool     `json:"request_parameter_supported"`
	RequestURIParameterSupported               bool     `json:"request_uri_parameter_supported"` // left out would mean true
	IntrospectionEndpoint                      string   `json:"introspection_endpoint"`
	IntrospectionEndpointAuthMethodsSupported  []string `json:"introspection_endpoint_auth_methods_supported"`
	ProtectedResources                         []string `json:"protected_resources,omitempty"` // RFC 9728 §4
}

// authMethods are the ways a client may authenticate. Without none among them some hosts do not use their metadata document.
func authMethods() []string {
	return []string{"none", "client_secret_basic", "client_secret_post", string(clients.AuthPrivateKeyJWT)}
}

// describe lists our own scopes only: the scopes of MCP servers stand in their protected resource metadata, because some
// hosts ask for every scope they read here.
func (i *Issuer) describe() metadata {
	m := metadata{
		Issuer:                            i.URL,
		AuthorizationEndpoint:             i.endpoint(pathAuthorize),
		TokenEndpoint:                     i.endpoint(pathToken),
		JWKSURI:                           i.endpoint(pathJWKS),
		RevocationEndpoint:                i.endpoint(pathRevoke),
		ScopesSupported:                   ownScopes(),
		ResponseTypesSupported:            []string{"code"},
		ResponseModesSupported:            []string{"query"},
		GrantTypesSupported:               []string{clients.GrantAuthorizationCode, clients.GrantRefreshToken, clients.GrantClientCredentials},
		TokenEndpointAuthMethodsSupported: authMethods(),
		TokenEndpointAuthSigningAlgValuesSupported: clients.AssertionAlgorithms(),
		RevocationEndpointAuthMethodsSupported:     authMethods(),
		RevocationEndpointAuthSigningAlgsSupported: clients.AssertionAlgorithms(),
		ClientIDMetadataDocumentSupported:          i.Settings.MetadataDocuments,
		CodeChallengeMethodsSupported:              []string{"S256"},
		AuthorizationResponseIssParameterSupported: true,
		SubjectTypesSupported:                      []string{"public"},
		IDTokenSigningAlgValuesSupported:           i.Keys.Algs(),
		UserinfoEndpoint:                           i.endpoint(pathUserinfo),
		EndSessionEndpoint:                         i.endpoint(pathLogout),
		ClaimsSupported:                            claimsSupported(),
		PromptValuesSupported:                      []string{promptNone, promptLogin, promptConsent, promptSelectAccount},
		IntrospectionEndpoint:                      i.endpoint(pathIntrospect),
		IntrospectionEndpointAuthMethodsSupported:  []string{"client_secret_basic", "client_secret_post"},
	}
	if i.Settings.DynamicRegistration {
		m.RegistrationEndpoint = i.endpoint(pathRegister)
	}
	for _, r := range i.Resources {
		m.ProtectedResources = append(m.ProtectedResources, r.Identifier())
	}
	return m
}
