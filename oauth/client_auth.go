package oauth

import (
	"context"
	"errors"
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
	assertion  *clients.Assertion // in place of a secret; it names the client itself
}

func readCredentials(r *http.Request, form url.Values) (clientCredentials, error) {
	if form.Has("client_assertion") || form.Has("client_assertion_type") {
		return readAssertion(r, form)
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

// readAssertion reads a client assertion (RFC 7521 §4.2, RFC 7523 §2.2). client_id may be left out: the assertion has it.
func readAssertion(r *http.Request, form url.Values) (clientCredentials, error) {
	switch {
	case form.Get("client_assertion_type") != clients.AssertionType:
		return clientCredentials{}, badAssertion("client_assertion_type must be " + clients.AssertionType + ".")
	case r.Header.Get("Authorization") != "" || form.Get("client_secret") != "":
		return clientCredentials{}, badRequest(codeInvalidRequest, "The client authenticated in two ways at once.")
	}
	assertion, err := clients.ParseAssertion(form.Get("client_assertion"))
	if err != nil {
		return clientCredentials{}, badAssertion(err.Error())
	}
	if id := form.Get("client_id"); id != "" && id != assertion.ClientID() {
		return clientCredentials{}, badAssertion("client_id is not the one the assertion is about.")
	}
	return clientCredentials{id: assertion.ClientID(), assertion: assertion}, nil
}

func badAssertion(description string) *problem {
	return &problem{code: codeInvalidClient, description: description, status: http.StatusUnauthorized}
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
	client, err := i.Clients.GetConfirmed(ctx, c.id)
	if errs.Is(err, errs.NotFound) {
		return nil, refused
	}
	if err != nil {
		return nil, err
	}
	switch client.AuthMethod {
	case clients.AuthNone:
		if c.secret == "" && c.assertion == nil {
			return client, nil
		}
	case clients.AuthSecret:
		if i.Clients.VerifySecret(client, c.secret) {
			return client, nil
		}
	case clients.AuthPrivateKeyJWT:
		if c.assertion == nil {
			return nil, refused
		}
		return i.verifyAssertion(ctx, client, c.assertion)
	}
	return nil, refused
}

// verifyAssertion says what is wrong with an assertion: whoever sent it signed it, and nobody else can read the answer.
func (i *Issuer) verifyAssertion(ctx context.Context, client *clients.Client, a *clients.Assertion) (*clients.Client, error) {
	err := i.Clients.VerifyAssertion(ctx, client, a, []string{i.URL, i.endpoint(pathToken)})
	switch {
	case err == nil:
		return client, nil
	case errors.Is(err, clients.ErrAssertion):
		return nil, badAssertion(err.Error())
	case errs.Is(err, errs.NotFound):
		return nil, badAssertion("The client's keys cannot be used.")
	}
	return nil, err
}
