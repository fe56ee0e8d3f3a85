package clients

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

//go:embed hosts/*.json
var hostFiles embed.FS

// LoadHosts reads the hosts this program was built with. Errors: a file that is malformed or contradicts another.
func LoadHosts() (*Hosts, error) {
	sub, err := fs.Sub(hostFiles, "hosts")
	if err != nil {
		return nil, err
	}
	return loadHosts(sub)
}

func loadHosts(files fs.FS) (*Hosts, error) {
	names, err := fs.Glob(files, "*.json")
	if err != nil {
		return nil, err
	}
	h := &Hosts{
		documents: addresses{exact: map[string]int{}}, redirects: addresses{exact: map[string]int{}}, servers: map[string]bool{},
		schemes: Schemes{},
	}
	for _, name := range names {
		raw, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		host, err := parseHost(strings.TrimSuffix(name, ".json"), raw)
		if err == nil {
			err = h.add(host)
		}
		if err != nil {
			return nil, fmt.Errorf("known host %s: %w", name, err)
		}
	}
	return h, nil
}

func parseHost(id string, raw []byte) (Host, error) {
	var h Host
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&h); err != nil {
		return h, err
	}
	_, dateErr := time.Parse("2006-01", h.Checked)
	switch {
	case h.ID != id:
		return h, errors.New("id differs from the file's name")
	case h.Name == "" || h.Name != cleanName(h.Name) || h.Maker == "":
		return h, errors.New("name and maker must be there and fit to be shown")
	case dateErr != nil:
		return h, errors.New("checked must be a year and a month, such as 2026-11")
	case !slices.Contains([]string{"observed", "documented", "reported"}, h.Source):
		return h, errors.New("source must be observed, documented or reported")
	case len(h.Redirects) == 0:
		return h, errors.New("redirects are missing")
	case h.Quirks == nil || h.Documents == nil:
		return h, errors.New("documents and quirks must be there, if empty")
	}
	for _, document := range h.Documents {
		if _, err := ParseDocumentURL(filled(document), false); err != nil {
			return h, fmt.Errorf("document %s: %w", document, err)
		}
	}
	for _, redirect := range h.Redirects {
		if ParseRedirect(filled(redirect)).Kind == RedirectRefused {
			return h, fmt.Errorf("redirect %s: %w", redirect, ErrRedirect)
		}
	}
	for _, scheme := range h.Schemes {
		if ParseRedirect(scheme+"://x").Host != scheme+"://" {
			return h, fmt.Errorf("scheme %s: %w", scheme, ErrRedirect)
		}
	}
	return h, nil
}

const segment = "{id}"

// filled is an address that a pattern stands for.
func filled(pattern string) string { return strings.ReplaceAll(pattern, segment, "x") }

func (h *Hosts) add(host Host) error {
	at := len(h.all)
	h.all = append(h.all, host)
	for _, document := range host.Documents {
		if err := h.documents.add(document, at); err != nil {
			return err
		}
		if u, err := ParseDocumentURL(filled(document), false); err == nil {
			h.servers[strings.ToLower(u.Hostname())] = true
		}
	}
	for _, scheme := range host.Schemes {
		h.schemes[scheme] = true
	}
	for _, redirect := range host.Redirects {
		r := ParseRedirect(filled(redirect))
		if r.Kind == RedirectPrivate {
			h.schemes[strings.TrimSuffix(r.Host, "://")] = true
		}
		if r.Kind != RedirectWeb {
			continue // any program may be behind it
		}
		if err := h.redirects.add(redirect, at); err != nil {
			return err
		}
	}
	return nil
}

func (a *addresses) add(address string, host int) error {
	if !strings.Contains(address, segment) {
		if _, taken := a.exact[address]; taken {
			return fmt.Errorf("%s is another host's", address)
		}
		a.exact[address] = host
		return nil
	}
	if slices.ContainsFunc(a.patterns, func(p pattern) bool { return p.text == address }) {
		return fmt.Errorf("%s is another host's", address)
	}
	u, err := url.Parse(address)
	if err != nil || strings.Contains(u.Host, segment) || u.RawQuery != "" {
		return fmt.Errorf("%s: only a path segment may vary", address)
	}
	expr, err := regexp.Compile("^" + strings.ReplaceAll(regexp.QuoteMeta(address), regexp.QuoteMeta(segment), "[A-Za-z0-9_~-]{1,200}") + "$")
	if err != nil {
		return err
	}
	a.patterns = append(a.patterns, pattern{text: address, expr: expr, host: host})
	return nil
}
