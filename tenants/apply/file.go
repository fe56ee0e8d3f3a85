package apply

import (
	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/tenants"
)

// File describes a tenant.
type File struct {
	Tenant       Tenant        `yaml:"tenant"`
	Members      []Member      `yaml:"members"`
	Environments []Environment `yaml:"environments"`

	places places // where in the text things stand; empty for a File made in Go
}

// Tenant is the account itself, found by its slug.
type Tenant struct {
	Slug string `yaml:"slug"`
	Name string `yaml:"name"`
}

// Member is a person who may use the dashboard, found by e-mail address.
type Member struct {
	Email        string       `yaml:"email"`
	Name         string       `yaml:"name"`
	Role         tenants.Role `yaml:"role"`
	Password     string       `yaml:"password"`      // kept as a hash; an existing one stays when neither is given
	PasswordFile string       `yaml:"password_file"` // in place of Password; Parse reads it
}

// Environment is an environment with everything in it, found by its slug.
type Environment struct {
	Slug          string                 `yaml:"slug"`
	Name          string                 `yaml:"name"`
	Kind          tenants.Kind           `yaml:"kind"`
	Issuer        string                 `yaml:"issuer"` // follows from the slug when empty
	Settings      tenants.SettingChoices `yaml:"settings"`
	Branding      tenants.Branding       `yaml:"branding"`
	Organizations []Organization         `yaml:"organizations"`
	Users         []User                 `yaml:"users"`
	Resources     []Resource             `yaml:"resources"`
	Clients       []Client               `yaml:"clients"`
}

// Organization is a customer of the tenant, found by its slug.
type Organization struct {
	Slug string `yaml:"slug"`
	Name string `yaml:"name"`
}

// User is a person who signs in, found by e-mail address.
type User struct {
	Email         string `yaml:"email"`
	EmailVerified bool   `yaml:"email_verified"`
	Name          string `yaml:"name"`
	Organization  string `yaml:"organization"` // slug
	Password      string `yaml:"password"`     // kept as a hash; an existing one stays when nothing is given
	PasswordFile  string `yaml:"password_file"`
	PasswordHash  string `yaml:"password_hash"` // argon2id PHC string
}

// Resource is an MCP server, found by its identifier. Its scopes, tools and aliases are made equal to the file.
type Resource struct {
	Identifier       string      `yaml:"identifier"`
	Aliases          []string    `yaml:"aliases"`
	Name             string      `yaml:"name"`
	DocumentationURL string      `yaml:"documentation_url"`
	Mode             policy.Mode `yaml:"mode"` // enforce when empty
	Scopes           []Scope     `yaml:"scopes"`
	Tools            []Tool      `yaml:"tools"`
	Prompts          []Prompt    `yaml:"prompts"`  // with one, prompts that are not listed are denied
	Contents         []Content   `yaml:"contents"` // likewise for what MCP calls resources
	Offline          *Offline    `yaml:"offline"`  // how long the server goes on without hearing from the issuer

	Credentials []Credential `yaml:"credentials"` // left alone when there is no such key
}

// Scope is a permission with the wording people read, found by its name.
type Scope struct {
	Name        string      `yaml:"name"`
	Risk        policy.Risk `yaml:"risk"`
	Title       string      `yaml:"title"`
	Description string      `yaml:"description"`
	Warning     string      `yaml:"warning"`
	Baseline    bool        `yaml:"baseline"`
	Required    bool        `yaml:"required"`
	NeverTicked bool        `yaml:"never_ticked"` // destructive ones always are
	Implies     []string    `yaml:"implies"`
}

// Tool is an MCP tool and what it needs, found by its name. Without scopes it is denied.
type Tool struct {
	Name        string       `yaml:"name"`
	Description string       `yaml:"description"`
	Wording     string       `yaml:"wording"`
	Scopes      []string     `yaml:"scopes"`
	Match       policy.Match `yaml:"match"` // all when empty
	Fingerprint string       `yaml:"fingerprint"`
	Audited     []string     `yaml:"audited"` // arguments whose values may be kept in the record of a call
}

// Prompt is an MCP prompt and what it needs, found by its name.
type Prompt struct {
	Name    string       `yaml:"name"`
	Wording string       `yaml:"wording"`
	Scopes  []string     `yaml:"scopes"`
	Match   policy.Match `yaml:"match"`
	Audited []string     `yaml:"audited"`
}

// Content is what MCP calls a resource, and what reading it needs, found by its URI.
type Content struct {
	URI     string       `yaml:"uri"` // or the beginning of URIs and a closing "*"
	Wording string       `yaml:"wording"`
	Scopes  []string     `yaml:"scopes"`
	Match   policy.Match `yaml:"match"`
}

// Offline is how long each risk goes on without hearing from the issuer; what is left out has its default.
type Offline struct {
	Read        *tenants.Duration `yaml:"read"`
	Write       *tenants.Duration `yaml:"write"`
	Destructive *tenants.Duration `yaml:"destructive"`
}

// AuthMethod says how a pre-registered client proves itself.
type AuthMethod string

// The methods a file may name.
const (
	AuthNone          AuthMethod = "none"
	AuthSecret        AuthMethod = "secret"
	AuthPrivateKeyJWT AuthMethod = "private_key_jwt" // RFC 7523 §2.2
)

// Client is a pre-registered OAuth client, found by its id.
type Client struct {
	ID           string     `yaml:"id"`
	Name         string     `yaml:"name"`
	RedirectURIs []string   `yaml:"redirect_uris"`
	Auth         AuthMethod `yaml:"auth"`   // none when empty
	Secret       string     `yaml:"secret"` // one is made and printed once when auth is secret and none is given
	SecretFile   string     `yaml:"secret_file"`
	GrantTypes   []string   `yaml:"grant_types"` // authorization_code and refresh_token when empty

	// The secret before this one, which works as long as the file names it, so that a new one reaches everybody first.
	PreviousSecret     string `yaml:"previous_secret"`
	PreviousSecretFile string `yaml:"previous_secret_file"`

	JWKS     string `yaml:"jwks"`      // public keys of auth: private_key_jwt, as JSON (RFC 7517 §5)
	JWKSFile string `yaml:"jwks_file"` // in place of JWKS; Parse reads it
	JWKSURI  string `yaml:"jwks_uri"`  // or where they are

	PostLogoutRedirectURIs []string `yaml:"post_logout_redirect_uris"` // where it may return to after a sign-out
	Machine                *Machine `yaml:"machine"`                   // for a client that acts for itself and no user
}

// Machine is what a client may do for itself, without a user (OAuth client credentials).
type Machine struct {
	Resource string   `yaml:"resource"` // identifier of the MCP server
	Scopes   []string `yaml:"scopes"`
}
