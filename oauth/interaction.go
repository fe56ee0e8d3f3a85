package oauth

import (
	"time"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/oauth/clients"
)

// Interaction is a pending authorization request. It travels sealed, in the form and the URL of the pages it leads through,
// and is bound to the browser that began it; nothing is stored until the user decides.
type Interaction struct {
	ClientID      string
	RedirectURI   string
	State         string
	HasState      bool     // a client that sent state="" gets it back
	Scopes        []string // requested, already limited to what the resource offers
	ResourceID    string
	CodeChallenge string
	Nonce         string // goes into the id_token as it came (OpenID Connect Core §3.1.2.1)
	Prompt        string // what readPrompt made of it
	LoginHint     string
	Subject       string // whom the client expects, by its id_token_hint
	MaxAge        int    // seconds; negative when absent
	Browser       []byte // hash of the browser cookie
	CreatedAt     time.Time
	CaseID        string // shown on error pages, logged with every step

	// What the consent page showed, so that a decision is about exactly that.
	UserID   string
	Revision int
	GoesOn   bool // the page said what was allowed before
	// LoggedInAt is set when the user signed in during this interaction: prompt=login and max_age are then satisfied.
	LoggedInAt time.Time

	// Proof is who just signed in, for the page that follows at once.
	Proof proof

	redirect clients.Redirect // what RedirectURI says, read again whenever the interaction is opened
}

// fields lists what is sealed.
func (in *Interaction) fields(p *packed) {
	for _, text := range [...]*string{
		&in.ClientID, &in.RedirectURI, &in.State, &in.ResourceID, &in.CodeChallenge, &in.Nonce, &in.Prompt, &in.LoginHint, &in.Subject,
		&in.CaseID, &in.UserID,
	} {
		p.text(text)
	}
	p.flag(&in.HasState)
	p.list(&in.Scopes)
	p.count(&in.MaxAge)
	p.blob(&in.Browser)
	p.moment(&in.CreatedAt)
	p.count(&in.Revision)
	p.flag(&in.GoesOn)
	p.moment(&in.LoggedInAt)
	in.Proof.fields(p)
}

// Prompt values of OpenID Connect Core §3.1.2.1.
const (
	promptNone          = "none"
	promptLogin         = "login"
	promptConsent       = "consent"
	promptSelectAccount = "select_account"
	promptLoginConsent  = promptLogin + " " + promptConsent
)

// prompts reports whether the client asked for a value, promptLogin or promptConsent, alone or together with the other.
func (in Interaction) prompts(value string) bool {
	return in.Prompt == value || in.Prompt == promptLoginConsent
}

func (i *Issuer) sealInteraction(in Interaction) string {
	return i.interactions.SealText(pack(1024, in.fields), []byte(i.Scope.EnvironmentID))
}

var (
	errInteraction = &errs.Error{
		Kind: errs.Invalid, Code: "interaction_unknown",
		Msg: "This page belongs to a request we cannot continue.",
	}
	errInteractionExpired = &errs.Error{Kind: errs.Invalid, Code: "interaction_expired", Msg: "This request has waited too long."}
	errOtherBrowser       = &errs.Error{
		Kind: errs.Forbidden, Code: "interaction_other_browser",
		Msg: "This request was started in another browser.",
	}
)

// openInteraction returns the interaction that text seals, when it is fresh and this browser began it.
// Errors: errs.Invalid, errs.Forbidden.
func (i *Issuer) openInteraction(text string, browser []byte, now time.Time) (Interaction, error) {
	var in Interaction
	plaintext, err := i.interactions.OpenText(text, []byte(i.Scope.EnvironmentID))
	if err != nil || unpack(plaintext, in.fields) != nil {
		return Interaction{}, errInteraction
	}
	in.redirect = clients.ParseRedirect(in.RedirectURI)
	if !secret.Equal(in.Browser, browser) {
		return Interaction{CaseID: in.CaseID}, errOtherBrowser
	}
	if now.After(in.CreatedAt.Add(i.Settings.InteractionLifetime)) {
		return in, errInteractionExpired
	}
	return in, nil
}
