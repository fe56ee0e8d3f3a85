package oauth

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
	RevocationEndpointAuthMethodsSupported     []string `json:"revocation_endpoint_auth_methods_supported"`
	CodeChallengeMethodsSupported              []string `json:"code_challenge_methods_supported"`
	AuthorizationResponseIssParameterSupported bool     `json:"authorization_response_iss_parameter_supported"` // RFC 9207 §3
	SubjectTypesSupported                      []string `json:"subject_types_supported"`
	IDTokenSigningAlgValuesSupported           []string `json:"id_token_signing_alg_values_supported"`
	ProtectedResources                         []string `json:"protected_resources,omitempty"` // RFC 9728 §4
}

const scopeOfflineAccess = "offline_access"

// describe lists offline_access only: the scopes of MCP servers stand in their protected resource metadata, because some
// hosts ask for every scope they read here.
func (i *Issuer) describe() metadata {
	m := metadata{
		Issuer:                                     i.URL,
		AuthorizationEndpoint:                      i.endpoint(pathAuthorize),
		TokenEndpoint:                              i.endpoint(pathToken),
		JWKSURI:                                    i.endpoint(pathJWKS),
		RevocationEndpoint:                         i.endpoint(pathRevoke),
		ScopesSupported:                            []string{scopeOfflineAccess},
		ResponseTypesSupported:                     []string{"code"},
		ResponseModesSupported:                     []string{"query"},
		GrantTypesSupported:                        []string{"authorization_code", "refresh_token"},
		TokenEndpointAuthMethodsSupported:          []string{"none", "client_secret_basic", "client_secret_post"},
		RevocationEndpointAuthMethodsSupported:     []string{"none", "client_secret_basic", "client_secret_post"},
		CodeChallengeMethodsSupported:              []string{"S256"},
		AuthorizationResponseIssParameterSupported: true,
		SubjectTypesSupported:                      []string{"public"},
		IDTokenSigningAlgValuesSupported:           i.Keys.Algs(),
	}
	if i.Settings.DynamicRegistration {
		m.RegistrationEndpoint = i.endpoint(pathRegister)
	}
	for _, r := range i.Resources {
		m.ProtectedResources = append(m.ProtectedResources, r.Identifier())
	}
	return m
}
