package oauth

import (
	"context"
	"time"

	"github.com/ory/fosite"

	"github.com/ostiary/ostiary/oauth/clients"
)

// machineGrant gives machine clients tokens for themselves (RFC 6749 §4.4, the MCP extension oauth-client-credentials). Only
// clients that a tenant named get any: whoever registered itself proves nothing about who runs it. Nothing is read and
// nothing is written: the client, with its standing grant, is in memory.
type machineGrant struct{ now func() time.Time }

// CanSkipClientAuth is never true.
func (*machineGrant) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool { return false }

// CanHandleTokenEndpointRequest takes client_credentials.
func (*machineGrant) CanHandleTokenEndpointRequest(_ context.Context, r fosite.AccessRequester) bool {
	return r.GetGrantTypes().ExactOne(clients.GrantClientCredentials)
}

// HandleTokenEndpointRequest decides what the client gets.
func (*machineGrant) HandleTokenEndpointRequest(_ context.Context, r fosite.AccessRequester) error {
	session := r.GetSession().(*tokenSession)
	session.client = r.GetClient().(engineClient).Client
	target, err := session.issuer.target(r.GetRequestForm()["resource"])
	if err != nil {
		return err
	}
	session.machine, err = session.issuer.machineIssuance(session.client, target, r.GetRequestForm().Get("scope"))
	if err != nil {
		return err
	}
	return session.issuer.stoppedToken(session.machine.grant)
}

// machineIssuance returns what a client may have for itself, narrowed to the scopes it asks for.
func (i *Issuer) machineIssuance(client *clients.Client, target, requested string) (issuance, error) {
	machine := client.Machine
	if client.Source != clients.SourcePreregistered || client.Public() || machine == nil ||
		!client.Allows(clients.GrantClientCredentials) {
		return issuance{}, badRequest(codeUnauthorizedClient, "The client may not use this grant type.")
	}
	if machine.RevokedAt != nil {
		return issuance{}, badRequest(codeUnauthorizedClient, "What the client was allowed was revoked. An admin can allow it anew.")
	}
	if target != "" && target != machine.ResourceID {
		return issuance{}, badRequest(codeInvalidTarget, "The client is not for this MCP server.")
	}
	resource, ok := i.resourceByID(machine.ResourceID)
	if !ok {
		return issuance{}, badRequest(codeInvalidTarget, "The MCP server of this client is not published.")
	}
	scopes, ok := narrow(resource.stillOffered(machine.Scopes), splitScopes(requested))
	if !ok {
		return issuance{}, badRequest(codeInvalidScope, "Nothing of what was asked for is allowed.")
	}
	return issuance{
		grant: grant{
			ID: machine.GrantID, ClientID: client.ID, ResourceID: machine.ResourceID, Scopes: machine.Scopes,
			Host: i.hosts.HostOf(client, clients.Redirect{}),
		},
		resource: resource, scopes: scopes,
	}, nil
}

// PopulateTokenEndpointResponse signs. There is no refresh token: the client can ask again (RFC 6749 §4.4.3).
func (h *machineGrant) PopulateTokenEndpointResponse(ctx context.Context, r fosite.AccessRequester, resp fosite.AccessResponder) error {
	if !h.CanHandleTokenEndpointRequest(ctx, r) {
		return fosite.ErrUnknownRequest
	}
	session := r.GetSession().(*tokenSession)
	return session.issuer.answerTokens(resp, session.machine, h.now())
}
