package flow

import (
	"github.com/ostiary/ostiary/templates/layout"
	"github.com/ostiary/ostiary/templates/ui"
)

// Form names: what the forms of this package send.
const (
	FieldInteraction = "interaction" // hidden, on every form
	FieldEmail       = "email"
	FieldPassword    = "password"
	FieldScope       = "scope"    // one per ticked permission
	FieldPreset      = "preset"   // all | read | custom; absent means custom
	FieldDuration    = "duration" // 1h | 30d | revoke
	FieldDecision    = "decision" // approve | deny
)

// Values of FieldPreset, FieldDuration and FieldDecision.
const (
	PresetAll      = "all"
	PresetRead     = "read"
	PresetCustom   = "custom"
	DurationHour   = "1h"
	DurationMonth  = "30d"
	DurationRevoke = "revoke"
	DecisionAllow  = "approve"
	DecisionCancel = "deny"
)

// LoginView is the built-in e-mail and password login of an issuer.
type LoginView struct {
	Branding      layout.Branding
	Title         string // "Sign in to Acme Data" when empty, with Branding.Name
	Asker         Asker  // left out when its Host is empty (a sign-in nobody asked for)
	Server        string // "Acme Data": the MCP server the asker wants to use
	Action        string // where the form posts, a path on this host
	Interaction   string
	Email         string
	Error         *ui.Notice // above the form: "That e-mail and password do not match."
	EmailError    string
	PasswordError string
	Cancel        ui.Action // "Cancel and go back to claude.ai"; left out when its Label is empty
	HelpLink      ui.Link   // "Forgot your password?"; left out when empty
}

// Asker is the host that asks. Host is what was checked and stands first; Name is what the app says of itself and stands
// second, in quotes.
type Asker struct {
	Host     string // "claude.ai", "127.0.0.1"
	Verified bool
	Seal     string // "Verified", "Not verified"; chosen by Verified when empty
	Name     string // "Claude"; left out when empty
	Local    bool   // runs on the user's own computer; draws a laptop in place of a letter
	LogoURL  string // a path on this host; drawn in place of both
}

// ConsentView is the one question: may this app do these things?
type ConsentView struct {
	Branding    layout.Branding
	Action      string // where the form posts, a path on this host
	Interaction string

	Title   string // "Claude wants to use Acme Data"
	Lead    string // "It will act as you, and only within what you allow here."
	Asker   Asker
	Warning *ui.Notice // "We cannot tell who made this app."
	Error   *ui.Notice // after a post that could not be taken: "Tick at least one permission, or choose Cancel."

	Server       Party  // name and host of the MCP server
	Organization string // left out when empty
	User         Party  // name and e-mail
	SwitchURL    string // POST here (with the interaction) to sign in as somebody else; left out when empty

	Question string // "What may Claude do?"
	Preset   string // ticked preset; PresetCustom when empty, and the boxes are then usable without script
	NoPreset bool   // leaves the presets out, for one or two permissions
	Notes    PresetNotes
	Groups   []Group // by risk, the gentlest first
	Kept     []Group // already allowed before; collapsed, not part of the form
	KeptNote string  // "Already allowed: 3 permissions"
	NoGroups string  // said in place of the list when Groups is empty

	Durations []ui.Option
	Return    Return
	Footnote  string  // beside the buttons: Footnote, as a rule
	FootLink  ui.Link // after the footnote; left out when empty

	Preview bool // draws the same page with nothing to press, ids prefixed by "preview-"
}

// Party is a name and the address under it.
type Party struct {
	Name    string
	Address string
}

// PresetNotes is the line under the presets, one for each.
type PresetNotes struct {
	All    string
	Read   string
	Custom string
}

// Group is the permissions of one risk.
type Group struct {
	Risk        ui.Risk
	Title       string // "See"
	Lead        string // "Looks at data, changes nothing"
	Permissions []Permission
}

// Permission is one thing the app asks to do.
type Permission struct {
	Scope       string
	Title       string // "Query your data"
	Description string // "Run read-only queries on datasets you can already open."
	Warning     string // "a deleted segment cannot be restored."
	Ticked      bool   // ignored for destructive ones: they are never ticked at load
	Required    bool   // always included, sent by a hidden field
	New         bool   // "New" beside the title, when others are already allowed
	Edited      bool   // preview only: the one being edited, drawn open
	Tools       []Tool
	ToolsLabel  string // "2 tools"

	drawn *ui.Stencil // set by Drawn
}

// Tool is one tool a permission allows.
type Tool struct {
	Wording string
	Name    string
}

// Return says where the browser goes next.
type Return struct {
	Words  string // "claude.ai", "this computer"
	Detail string // "127.0.0.1:53682", in monospace; left out when empty
}

// ErrorView is a page that says what happened, whether the request is safe, and who can fix it.
type ErrorView struct {
	Branding  layout.Branding
	Title     string // "Acme’s sign-in did not answer"
	Lead      string // "Your request is safe and waits for you until 22:40; nothing has been shared."
	Fixes     []ui.Fix
	Primary   ui.Action // "Try again"; left out when its Label is empty
	Secondary ui.Action // "Back to claude.ai"
	Facts     []ui.Fact // for whoever fixes it: the error code, the address that was sent
	CaseID    string
	When      string
	Support   ui.Link
}

// SignedOutView confirms that the browser is signed out.
type SignedOutView struct {
	Branding layout.Branding
	Title    string // "You are signed out" when empty
	Lead     string
	Primary  ui.Action // "Sign in again"; left out when its Label is empty
}
