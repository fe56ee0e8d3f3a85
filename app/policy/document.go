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
}

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
