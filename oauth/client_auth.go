package oauth

import (
	"context"
	"net/http"
	"net/url"

	"github.com/ory/fosite"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/oauth/clients"
)

// authenticateClient is fosite's hook for client authentication (RFC 6749 §2.3). A client with a secret may send it by Basic
// or in the body, whatever it registered; a public client may send an empty secret; nobody may use two methods at once.
func authenticateClient(ctx context.Context, r *http.Request, form url.Values) (fosite.Client, error) {
	i, err := issuerFrom(ctx)
	if err != nil {
		return nil, err
	}
	credentials, err := readCredentials(r, form)
	if err != nil {
		return nil, err
	}
	client, err := i.authenticate(ctx, credentials)
	if err != nil {
		return nil, err
	}
	return engineClient{Client: client}, nil
}

type clientCredentials struct {
	id, secret string
	basic      bool
}

func readCredentials(r *http.Request, form url.Values) (clientCredentials, error) {
	if form.Has("client_assertion") || form.Has("client_assertion_type") {
		return clientCredentials{}, &problem{code: codeInvalidClient, description: "Client assertions are not offered.", status: http.StatusUnauthorized}
	}
	body := clientCredentials{id: form.Get("client_id"), secret: form.Get("client_secret")}
	rawID, rawSecret, basic := r.BasicAuth()
	if !basic {
		if r.Header.Get("Authorization") != "" {
			return body, badRequest(codeInvalidRequest, "The Authorization header must use Basic.")
		}
		return body, nil
	}
	// RFC 6749 §2.3.1: both halves are form-encoded. Ids and secrets of ours have no character that this would change.
	id, idErr := url.QueryUnescape(rawID)
	password, secretErr := url.QueryUnescape(rawSecret)
	if idErr != nil || secretErr != nil {
		return body, badRequest(codeInvalidRequest, "The Authorization header is malformed.")
	}
	if body.secret != "" || (body.id != "" && body.id != id) {
		return body, badRequest(codeInvalidRequest, "The client authenticated in two ways at once.")
	}
	return clientCredentials{id: id, secret: password, basic: true}, nil
}

// authenticate returns the client the credentials prove. Unknown clients and wrong secrets look the same.
func (i *Issuer) authenticate(ctx context.Context, c clientCredentials) (*clients.Client, error) {
	refused := &problem{
		code: codeInvalidClient, description: "The client is unknown or did not authenticate.",
		status: http.StatusUnauthorized, basic: c.basic,
	}
	if c.id == "" {
		return nil, refused
	}
	client, err := i.Clients.Get(ctx, c.id)
	if errs.Is(err, errs.NotFound) {
		return nil, refused
	}
	if err != nil {
		return nil, err
	}
	switch client.AuthMethod {
	case clients.AuthNone:
		if c.secret != "" {
			return nil, refused
		}
		return client, nil
	case clients.AuthSecret:
		if i.Clients.VerifySecret(client, c.secret) {
			return client, nil
		}
	case clients.AuthPrivateKeyJWT:
	}
	return nil, refused
}
