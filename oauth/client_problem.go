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
	textDocumentLimited = pageText{
		title: "Many new apps are connecting right now",
		lead:  "We have not met this app before, and had to put off reading what it says about itself. Nothing has been shared.",
		fixes: []ui.Fix{
			{Title: "Try again in a minute", Text: "Reload the page to carry on. Nothing is wrong with the app or your account."},
			{Icon: "server", Title: "If it keeps happening", Text: "Tell the people who run this server, with the case number below."},
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
	case clients.CodeDocumentLimited:
		return err
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
	case isBusy(err):
		return "", "too many apps that nobody here knows were named just now"
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

func isBusy(err error) bool {
	_, busy := errors.AsType[*clients.BusyError](err)
	return busy
}

// retryAfter says in how many seconds a page is worth another try; empty where that is not known.
func retryAfter(err error) string {
	if busy, ok := errors.AsType[*clients.BusyError](err); ok {
		return seconds(busy.After)
	}
	if errs.Is(err, errs.Unavailable) {
		return "2"
	}
	return ""
}
