package oauth

import (
	"errors"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/oauth/clients"
	"github.com/ostiary/ostiary/templates/ui"
)

var (
	textDocumentRefused = pageText{
		title: "This app describes itself in a way we cannot accept",
		lead:  "It points to a document about itself, and something in that document is wrong. Nothing has been shared.",
		fixes: []ui.Fix{
			{Icon: "server", Title: appMakerFix, Text: "The facts below say what is wrong with its client metadata document."},
			{Icon: "warn", Title: "If a link or a message brought you here, close this page", Text: "It may be an attempt to get at your data."},
		},
	}
	textDocumentUnavailable = pageText{
		title: "We cannot reach the app’s own address",
		lead:  "The app points to a document about itself, and we could not read it. Nothing has been shared.",
		fixes: []ui.Fix{
			{Title: "You can try again", Text: "Most of the time this passes within a minute. Reload the page to carry on."},
			{Icon: "server", Title: "If it keeps happening", Text: "Tell the people who run this server: the app’s address may be blocked from here."},
		},
	}
)

// clientProblem turns a failed lookup of a client into the page that says why. What the database or a bug did stays what it is.
func clientProblem(err error) error {
	switch code := codeOf(err); code {
	case clients.CodeDocumentRefused, clients.CodeDocumentUnavailable:
		return pageProblem(code, err)
	}
	if errs.Is(err, errs.NotFound) {
		return pageProblem("client_unknown", err)
	}
	return err
}

// documentReason says what is wrong with a client's metadata document, and where it is; empty for other errors.
func documentReason(err error) (host, reason string) {
	var refused *clients.DocumentError
	var fetch *clients.FetchError
	switch {
	case errors.As(err, &refused):
		return refused.Host, refused.Reason
	case errors.As(err, &fetch):
		return fetch.Host, "the host " + fetch.Reason
	case errors.Is(err, clients.ErrDocumentURL):
		return "", clients.ErrDocumentURL.Error()
	}
	return "", ""
}

// documentFacts are the facts of an error page about a metadata document.
func documentFacts(err error) []ui.Fact {
	host, reason := documentReason(err)
	if reason == "" {
		return nil
	}
	facts := []ui.Fact{{Label: "What is wrong", Value: reason}}
	if host != "" {
		facts = append(facts, ui.Fact{Label: "Document at", Value: host, Mono: true})
	}
	return facts
}
