package policy

// Risk says what a permission can do to data, from harmless to irreversible.
type Risk string

const (
	RiskRead        Risk = "read"
	RiskWrite       Risk = "write"
	RiskDestructive Risk = "destructive"
)

// Mode says whether the resource side acts on denials or only records them.
type Mode string

const (
	ModeEnforce Mode = "enforce"
	ModeShadow  Mode = "shadow"
)

// Match says how many of a tool's scopes a token must carry.
type Match string

const (
	MatchAny Match = "any"
	MatchAll Match = "all"
)

// Document is one immutable policy revision of one resource.
type Document struct {
	Revision int              `json:"revision"`
	Mode     Mode             `json:"mode"`
	Resource Resource         `json:"resource"`
	Scopes   map[string]Scope `json:"scopes"` // by scope string
	Tools    map[string]Tool  `json:"tools"`  // by tool name
	// Prompts and Contents map what prompts/get and resources/read name (a URI, or the beginning of URIs before a closing
	// "*"). Without any entry they are open to every valid token; with one, what is not mapped is denied like a tool.
	Prompts  map[string]Tool `json:"prompts,omitempty"`
	Contents map[string]Tool `json:"contents,omitempty"`
	Offline  *Offline        `json:"offline,omitempty"` // nil means DefaultOffline
}

// Offline says how long, in seconds, the resource side goes on without hearing from the issuer, by the risk of what is
// called: what does most harm stops first.
type Offline struct {
	Read        int64 `json:"read"`
	Write       int64 `json:"write"`
	Destructive int64 `json:"destructive"`
}

// DefaultOffline is what applies to a document that says nothing: a day, an hour, five minutes.
func DefaultOffline() Offline { return Offline{Read: 86400, Write: 3600, Destructive: 300} }

// Bounds of each time in Offline, in seconds.
const (
	MinOffline = 60
	MaxOffline = 7 * 86400
)

// Resource identifies the protected resource a document belongs to (RFC 8707, RFC 9728).
type Resource struct {
	ID         string   `json:"id"`                // res_…
	Identifier string   `json:"identifier"`        // canonical resource identifier, the `aud` of its tokens
	Aliases    []string `json:"aliases,omitempty"` // other spellings clients send; never minted
	Name       string   `json:"name"`
}

// Scope is one permission with the wording people read at consent.
type Scope struct {
	Risk        Risk     `json:"risk"`
	Implies     []string `json:"implies,omitempty"`  // narrower scopes this one includes
	Baseline    bool     `json:"baseline,omitempty"` // asked for when a client names no scope; listed in RFC 9728 metadata
	Required    bool     `json:"required,omitempty"` // cannot be unticked at consent
	NeverTicked bool     `json:"never_ticked,omitempty"`
	Title       string   `json:"title"`                 // completes "Allow Claude to …"
	Description string   `json:"description,omitempty"` // what happens if I say yes
	Warning     string   `json:"warning,omitempty"`     // why it is not ticked, for destructive ones
	Position    int      `json:"position,omitempty"`
}

// Tool is one MCP tool and the scopes a token needs to call it. A tool without scopes is unmapped and denied.
type Tool struct {
	Scopes      []string `json:"scopes"`
	Match       Match    `json:"match"`
	Wording     string   `json:"wording,omitempty"` // the tool in plain words
	Fingerprint string   `json:"fingerprint,omitempty"`
	Audited     []string `json:"audited,omitempty"` // arguments whose values may be kept in the record of a call
}

// TokenType is the JWS `typ` of a signed policy document.
const TokenType = "ostiary-policy+jwt" //nolint:gosec // the name of a type, not a credential

// Bundle is the claim set of a signed policy document: iss is the issuer, sub the resource id.
type Bundle struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	IssuedAt  int64    `json:"iat"`
	ExpiresAt int64    `json:"exp"`
	Policy    Document `json:"policy"`
}
