package oauth

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v3"
	"github.com/ory/fosite"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/oauth/clients"
)

// newEngine returns the fosite provider that serves every issuer: what differs between them is read from the context.
func newEngine(s *store, now func() time.Time) *fosite.Fosite {
	config := &fosite.Config{
		// Every value that fosite would fill in lazily is set: its getters write to the struct they read, a data race.
		ScopeStrategy:                  fosite.ExactScopeStrategy,
		AudienceMatchingStrategy:       fosite.ExactAudienceMatchingStrategy,
		ClientSecretsHasher:            refusingHasher{},
		ClientAuthenticationStrategy:   authenticateClient,
		JWKSFetcherStrategy:            refusingFetcher{},
		EnforcePKCE:                    true,
		EnablePKCEPlainChallengeMethod: false,
		RefreshTokenScopes:             []string{},
		OmitRedirectScopeParam:         true,
	}
	config.AuthorizeEndpointHandlers = fosite.AuthorizeEndpointHandlers{&codeAuthorizer{now: now}}
	config.TokenEndpointHandlers = fosite.TokenEndpointHandlers{
		&codeGrant{store: s, now: now},
		&refreshGrant{store: s, now: now},
		&machineGrant{now: now},
		unsupportedGrant{},
	}
	return &fosite.Fosite{Store: engineStore{}, Config: config}
}

type issuerKey struct{}

func withIssuer(ctx context.Context, i *Issuer) context.Context {
	return context.WithValue(ctx, issuerKey{}, i)
}

// issuerFrom returns the issuer a request is for. Every request below the issuer middleware has one.
func issuerFrom(ctx context.Context) (*Issuer, error) {
	i, ok := ctx.Value(issuerKey{}).(*Issuer)
	if !ok {
		return nil, errs.New(errs.Internal, "no issuer in context")
	}
	return i, nil
}

// engineStore is fosite's view of our clients. fosite calls nothing else of it: our handlers keep codes and tokens.
type engineStore struct{}

// GetClient returns the client for fosite's checks of an authorization request.
func (engineStore) GetClient(ctx context.Context, id string) (fosite.Client, error) {
	i, err := issuerFrom(ctx)
	if err != nil {
		return nil, err
	}
	c, err := i.Clients.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	requested := ""
	if r, ok := ctx.Value(fosite.RequestContextKey).(*http.Request); ok {
		requested = r.Form.Get("redirect_uri")
	}
	return engineClient{Client: c, requested: requested}, nil
}

var errNotUsed = errors.New("client assertions are handled by the authenticator")

func (engineStore) ClientAssertionJWTValid(context.Context, string) error { return errNotUsed }

func (engineStore) SetClientAssertionJWT(context.Context, string, time.Time) error { return errNotUsed }

// engineClient shows a client to fosite. fosite matches redirect URIs exactly, with a port exception for IP literals only;
// so where our matcher accepts the requested URI, it is the one the client has.
type engineClient struct {
	*clients.Client
	requested string
}

func (c engineClient) GetID() string           { return c.ID }
func (c engineClient) GetHashedSecret() []byte { return nil }
func (c engineClient) GetRedirectURIs() []string {
	if c.MatchRedirect(clients.ParseRedirect(c.requested)) {
		return []string{c.requested}
	}
	return []string{}
}
func (c engineClient) GetGrantTypes() fosite.Arguments    { return c.GrantTypes }
func (c engineClient) GetResponseTypes() fosite.Arguments { return fosite.Arguments{"code"} }
func (c engineClient) GetScopes() fosite.Arguments        { return nil } // scopes belong to resources, not to clients
func (c engineClient) IsPublic() bool                     { return c.Public() }
func (c engineClient) GetAudience() fosite.Arguments      { return nil }

// GetResponseModes offers query only.
func (c engineClient) GetResponseModes() []fosite.ResponseModeType {
	return []fosite.ResponseModeType{fosite.ResponseModeQuery}
}

// refusingHasher and refusingFetcher stand where fosite would compare bcrypt hashes or fetch URLs by itself.
type refusingHasher struct{}

func (refusingHasher) Compare(context.Context, []byte, []byte) error { return errNotUsed }
func (refusingHasher) Hash(context.Context, []byte) ([]byte, error)  { return nil, errNotUsed }

type refusingFetcher struct{}

func (refusingFetcher) Resolve(context.Context, string, bool) (*jose.JSONWebKeySet, error) {
	return nil, errNotUsed
}

// tokenSession carries what a token handler found out from its check to its answer.
type tokenSession struct {
	issuer   *Issuer
	client   *clients.Client
	code     authorizationCode
	redirect clients.Redirect // where the code was sent
	refresh  refreshRequest
	machine  issuance
	expiry   map[fosite.TokenType]time.Time
}

func (s *tokenSession) SetExpiresAt(key fosite.TokenType, at time.Time) {
	if s.expiry == nil {
		s.expiry = map[fosite.TokenType]time.Time{}
	}
	s.expiry[key] = at
}
func (s *tokenSession) GetExpiresAt(key fosite.TokenType) time.Time { return s.expiry[key] }
func (s *tokenSession) GetUsername() string                         { return "" }
func (s *tokenSession) GetSubject() string                          { return "" }
func (s *tokenSession) Clone() fosite.Session {
	clone := *s
	clone.expiry = maps.Clone(s.expiry)
	return &clone
}

// unsupportedGrant answers every grant type nobody else handles with the code RFC 6749 §5.2 names; fosite alone would say
// invalid_request.
type unsupportedGrant struct{}

func (unsupportedGrant) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool { return true }
func (unsupportedGrant) CanHandleTokenEndpointRequest(_ context.Context, r fosite.AccessRequester) bool {
	types := r.GetGrantTypes()
	return !types.ExactOne(clients.GrantAuthorizationCode) && !types.ExactOne(clients.GrantRefreshToken) &&
		!types.ExactOne(clients.GrantClientCredentials)
}
func (unsupportedGrant) HandleTokenEndpointRequest(context.Context, fosite.AccessRequester) error {
	return fosite.ErrUnsupportedGrantType
}
func (unsupportedGrant) PopulateTokenEndpointResponse(context.Context, fosite.AccessRequester, fosite.AccessResponder) error {
	return fosite.ErrUnknownRequest
}
