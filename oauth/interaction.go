package oauth

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/secret"
)

// Interaction is a pending authorization request. It travels sealed, in the form and the URL of the pages it leads through,
// and is bound to the browser that began it; nothing is stored until the user decides.
type Interaction struct {
	ClientID      string    `json:"c"`
	RedirectURI   string    `json:"r"`
	State         string    `json:"s,omitempty"`
	HasState      bool      `json:"hs,omitempty"` // a client that sent state="" gets it back
	Scopes        []string  `json:"sc"`           // requested, already limited to what the resource offers
	ResourceID    string    `json:"re"`
	CodeChallenge string    `json:"cc"`
	Nonce         string    `json:"n,omitempty"` // goes into the id_token as it came (OpenID Connect Core §3.1.2.1)
	Prompt        string    `json:"p,omitempty"`
	LoginHint     string    `json:"lh,omitempty"`
	Subject       string    `json:"su,omitempty"` // whom the client expects, by its id_token_hint
	MaxAge        int       `json:"ma"`           // seconds; negative when absent
	Browser       []byte    `json:"b"`            // hash of the browser cookie
	CreatedAt     time.Time `json:"t"`
	CaseID        string    `json:"id"` // shown on error pages, logged with every step

	// What the consent page showed, so that a decision is about exactly that.
	UserID   string `json:"u,omitempty"`
	Revision int    `json:"v,omitempty"`
	GoesOn   bool   `json:"g,omitempty"` // the page said what was allowed before
	// LoggedInAt is set when the user signed in during this interaction: prompt=login and max_age are then satisfied.
	LoggedInAt time.Time `json:"l,omitzero"`
}

// Prompt values of OpenID Connect Core §3.1.2.1.
const (
	promptNone          = "none"
	promptLogin         = "login"
	promptConsent       = "consent"
	promptSelectAccount = "select_account"
)

func (i *Issuer) sealInteraction(in Interaction) (string, error) {
	plaintext, err := json.Marshal(in)
	if err != nil {
		return "", fmt.Errorf("seal interaction: %w", err)
	}
	return i.interactions.SealText(plaintext, []byte(i.Scope.EnvironmentID)), nil
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
	if err != nil || json.Unmarshal(plaintext, &in) != nil {
		return Interaction{}, errInteraction
	}
	if !secret.Equal(in.Browser, browser) {
		return Interaction{CaseID: in.CaseID}, errOtherBrowser
	}
	if now.After(in.CreatedAt.Add(i.Settings.InteractionLifetime)) {
		return in, errInteractionExpired
	}
	return in, nil
}
