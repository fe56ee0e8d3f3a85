package oauth

import (
	"net/url"
	"time"

	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/oauth/clients"
	"github.com/ostiary/ostiary/oauth/keys"
	"github.com/ostiary/ostiary/templates/layout"
	"github.com/ostiary/ostiary/tenants"
)

// Issuer is an immutable snapshot of one environment's authorization server: everything that requests read and no request
// writes. A change of the environment makes a new snapshot.
type Issuer struct {
	URL       string // stored, never derived from a request; no trailing slash
	Scope     scope.Scope
	Env       *tenants.Environment
	Settings  tenants.Settings // defaults filled in
	Resources []*Resource      // published only, in the tenant's order
	Keys      *keys.Set
	Clients   *clients.Book
	hosts     *clients.Hosts

	codes         *secret.Sealer // authorization codes
	interactions  *secret.Sealer // pending authorization requests
	refreshKey    []byte         // MAC key of refresh tokens
	attemptKey    []byte         // hashes the addresses in the attempt log
	basePath      string         // path of the issuer URL, empty for a host of its own
	cookiePath    string
	secureCookies bool
	metadata      document
	jwks          document
	policies      map[string]*document          // by resource id
	credentials   map[string]tenants.Credential // live ones of MCP servers, by id
	stops         stops
	brand         layout.Branding // of its pages
	loadedAt      time.Time
}

// Resource is one published MCP server.
type Resource struct {
	policy.Document
	offered     []string                     // its scopes in the tenant's order
	permissions func() map[string]permission // see drawPermissions
}

// ID returns the resource's id.
func (r *Resource) ID() string { return r.Document.Resource.ID }

// Identifier returns the canonical resource identifier, the audience of its tokens.
func (r *Resource) Identifier() string { return r.Document.Resource.Identifier }

// Name returns the name people know the MCP server by.
func (r *Resource) Name() string { return r.Document.Resource.Name }

// resource returns the published resource with this identifier or alias, in its canonical spelling.
func (i *Issuer) resource(identifier string) (*Resource, bool) {
	for _, r := range i.Resources {
		if r.Identifier() == identifier {
			return r, true
		}
		for _, alias := range r.Document.Resource.Aliases {
			if alias == identifier {
				return r, true
			}
		}
	}
	return nil, false
}

func (i *Issuer) resourceByID(id string) (*Resource, bool) {
	for _, r := range i.Resources {
		if r.ID() == id {
			return r, true
		}
	}
	return nil, false
}

// endpoint returns the absolute URL of one of the issuer's endpoints.
func (i *Issuer) endpoint(path string) string { return i.URL + path }

// path returns the path of one of the issuer's endpoints on its host, for our own pages.
func (i *Issuer) path(endpoint string) string { return i.basePath + endpoint }

// origin returns scheme and host of the issuer.
func (i *Issuer) origin() string {
	u, err := url.Parse(i.URL)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}
