package clients

import (
	"slices"
	"time"
)

// Source says where a client's metadata comes from.
type Source string

const (
	SourcePreregistered    Source = "preregistered"
	SourceMetadataDocument Source = "metadata_document"
	SourceDynamic          Source = "dynamic"
)

// AuthMethod says how a client proves who it is at the token endpoint. Basic and post are one method: a client with a secret
// may use either, whatever it registered (hosts send the one they did not register).
type AuthMethod string

const (
	AuthNone          AuthMethod = "none"
	AuthSecret        AuthMethod = "client_secret"
	AuthPrivateKeyJWT AuthMethod = "private_key_jwt"
)

// Grant types of RFC 6749 and of the client metadata of RFC 7591 §2.
const (
	GrantAuthorizationCode = "authorization_code"
	GrantRefreshToken      = "refresh_token"
	GrantClientCredentials = "client_credentials" // for machine clients only, see Machine
)

// Client is one OAuth client of an environment.
type Client struct {
	ID           string
	Source       Source
	Name         string // self-asserted unless preregistered: shown second, in quotes
	URI          string // self-asserted home page
	RedirectURIs []string
	GrantTypes   []string
	AuthMethod   AuthMethod
	SecretHashes [][]byte // SHA-256 of the live secrets; empty for dynamic clients, whose secret is derived
	CreatedAt    time.Time
	DisabledAt   *time.Time

	PostLogoutURIs []string // where it may be returned to after a sign-out (OpenID Connect RP-Initiated Logout §3.1)
	Machine        *Machine // what it may do for itself; nil for clients that act for users

	Keys     Keys      // public keys of a client that authenticates by private_key_jwt
	Document *Document // where its metadata was read; nil unless Source is SourceMetadataDocument
}

// Document is what is known of a client's metadata document. Its host is the one thing about such a client that was checked.
type Document struct {
	Host    string
	LogoURI string // empty when there is none we would fetch
	Digest  []byte // SHA-256 of the document, empty for one that was kept

	CheckedAt time.Time // when the host was last seen to serve it
}

// Allows reports whether the client may use grant type g.
func (c *Client) Allows(g string) bool { return slices.Contains(c.GrantTypes, g) }

// Public reports whether the client cannot keep a secret (OAuth 2.1 §2.1).
func (c *Client) Public() bool { return c.AuthMethod == AuthNone }
