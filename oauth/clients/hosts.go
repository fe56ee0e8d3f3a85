package clients

import (
	"regexp"
	"slices"
	"strings"
)

// Host is a product that is known to connect, by addresses that only its maker controls. What hosts do drifts, so it is data
// with a date, never code.
type Host struct {
	ID        string   `json:"id"`        // file name without .json
	Name      string   `json:"name"`      // what people call it
	Maker     string   `json:"maker"`     // who makes it
	Checked   string   `json:"checked"`   // year and month somebody last compared this with the product
	Source    string   `json:"source"`    // observed on the wire, documented by the maker, or reported by others
	Documents []string `json:"documents"` // client_ids; {id} stands for one path segment
	Redirects []string `json:"redirects"` // redirect URIs, likewise; a loopback one names nobody
	Schemes   []string `json:"schemes"`   // private-use schemes of its own, besides those in redirects; may be left out
	Quirks    []string `json:"quirks"`    // what it does that others do not
}

// Hosts is every host we know.
type Hosts struct {
	all       []Host
	documents addresses
	redirects addresses
	servers   map[string]bool // where documents are
	schemes   Schemes
}

// addresses finds a host by an exact address first, by a pattern second: chatgpt.com/oauth/codex/client.json is not ChatGPT's.
type addresses struct {
	exact    map[string]int
	patterns []pattern
}

type pattern struct {
	text string
	expr *regexp.Regexp
	host int
}

func (a *addresses) find(address string) (int, bool) {
	if at, ok := a.exact[address]; ok {
		return at, true
	}
	for _, p := range a.patterns {
		if p.expr.MatchString(address) {
			return p.host, true
		}
	}
	return 0, false
}

// All returns every known host.
func (h *Hosts) All() []Host { return slices.Clone(h.all) }

// ByDocument returns the host whose metadata document is at this URL.
func (h *Hosts) ByDocument(id string) (Host, bool) { return h.host(h.documents.find(id)) }

// ByRedirect returns the host an https redirect URI leads to.
func (h *Hosts) ByRedirect(uri string) (Host, bool) { return h.host(h.redirects.find(uri)) }

// Serves reports whether a known host's metadata document is at this host name.
func (h *Hosts) Serves(hostname string) bool { return h.servers[strings.ToLower(hostname)] }

// Schemes returns the private-use schemes of all known hosts; the caller must not change it.
func (h *Hosts) Schemes() Schemes { return h.schemes }

func (h *Hosts) host(at int, ok bool) (Host, bool) {
	if !ok {
		return Host{}, false
	}
	return h.all[at], true
}

// HostOf returns what tokens call the host of a client that got its answer at redirect, empty when nothing could be checked:
// the id of a known host that the metadata document or the https redirect URI belongs to, else the host name of the document.
// A client that a tenant named is called by its id, unless its answers go to a known host.
func (h *Hosts) HostOf(c *Client, redirect Redirect) string {
	if c.Document != nil {
		if known, ok := h.ByDocument(c.ID); ok {
			return known.ID
		}
		return c.Document.Host
	}
	if redirect.Kind == RedirectWeb {
		if known, ok := h.ByRedirect(redirect.URI); ok {
			return known.ID
		}
	}
	if c.Source == SourcePreregistered && len(c.ID) <= maxHost {
		return c.ID
	}
	return ""
}

const maxHost = 256 // what a stop can name

// Standing is what was checked about who asks, as opposed to what a client says of itself.
type Standing struct {
	Host string // the host that was checked; empty when nothing could be
	Name string // what people call it, by our records or a tenant's; empty when nobody here knows it
}

// StandingOf returns what is known of a client that wants its answer at redirect. A metadata document proves its host. A
// registration proves nothing but where the answer goes, so a known product is known by its own address there, and a program on
// the user's device never is.
func (h *Hosts) StandingOf(c *Client, redirect Redirect) Standing {
	switch {
	case c.Source == SourcePreregistered:
		return Standing{Host: redirect.Host, Name: c.Name}
	case c.Document != nil:
		known, _ := h.ByDocument(c.ID)
		return Standing{Host: c.Document.Host, Name: known.Name}
	case redirect.Kind == RedirectWeb:
		if known, ok := h.ByRedirect(redirect.URI); ok {
			return Standing{Host: redirect.Host, Name: known.Name}
		}
	}
	return Standing{}
}
