//go:build e2e

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// The client_ids of the clients that have a metadata document, which the servers answer for from a file. The client at
// keyedDocumentURL proves itself by a private key.
const (
	documentURL      = "https://client.ostiary-e2e.example/oauth/client.json"
	keyedDocumentURL = "https://client.ostiary-e2e.example/oauth/keyed.json"
)

// hostForm is the host of an environment's issuer, where each has its own.
func hostForm(environment string) string { return environment + ".auth.localhost" }

// customDomain is the host of an issuer that a tenant brought.
const customDomain = "login.northwind.localhost"

// documentName is what the document calls its client.
const documentName = "Ostiary e2e document"

// way is how a client and an issuer meet: the form of the issuer's URL, and how the client is known there. Each way has a
// server of its own, so that what one client deletes is not missed by another.
type way struct {
	name     string
	server   *server
	front    *front // ends TLS for the server, where its issuers need it
	document bool   // known by its metadata document; it registers otherwise
}

// clientName is what the consent page calls a client that would register under a name of its own.
func (w way) clientName(own string) string {
	if w.document {
		return documentName
	}
	return own
}

// flag returns a command's flag that names the document, where there is one.
func (w way) flag(name string) []string {
	if !w.document {
		return nil
	}
	return []string{name, documentURL}
}

// documentOrNone is what the programs of this folder take: the document's URL, or an empty one.
func (w way) documentOrNone() string {
	if !w.document {
		return ""
	}
	return documentURL
}

// eachWay runs a journey on every form of issuer, for clients that register and for those that have a document.
func eachWay(t *testing.T, journey func(t *testing.T, c *client)) {
	t.Helper()
	for _, w := range shared.ways {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			journey(t, w.newClient(t))
		})
	}
}

// startWays starts a server for each way.
func (s *suite) startWays() error {
	documents, err := s.writeDocuments()
	if err != nil {
		return err
	}
	s.ways = []way{
		{name: "path, registered"}, {name: "path, document", document: true},
		{name: "host, registered"}, {name: "host, document", document: true},
	}
	var group sync.WaitGroup
	failed := make([]error, len(s.ways))
	for i := range s.ways {
		group.Go(func() { failed[i] = s.startWay(&s.ways[i], documents) })
	}
	group.Wait()
	s.server = s.ways[0].server
	return errors.Join(failed...)
}

// writeDocuments writes the metadata documents and returns the arguments that make a server answer for them.
func (s *suite) writeDocuments() ([]string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	private := jose.JSONWebKey{Key: key, KeyID: "e2e", Algorithm: "ES256", Use: "sig"}
	s.privateKey = filepath.Join(s.dir, "key.json")
	if err := writeJSON(s.privateKey, private); err != nil {
		return nil, err
	}
	var arguments []string
	for id, more := range map[string]map[string]any{
		documentURL: {"token_endpoint_auth_method": "none"},
		keyedDocumentURL: {
			"token_endpoint_auth_method": "private_key_jwt", "jwks": jose.JSONWebKeySet{Keys: []jose.JSONWebKey{private.Public()}},
			"post_logout_redirect_uris": []string{"http://localhost/callback"},
		},
	} {
		document := map[string]any{
			"client_id": id, "client_name": documentName,
			"grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"},
			"redirect_uris": []string{ // without ports, as hosts publish them
				"http://localhost/callback", "http://127.0.0.1/callback",
				"http://localhost/oauth/callback", "http://127.0.0.1/oauth/callback",
			},
		}
		maps.Copy(document, more)
		file := filepath.Join(s.dir, path.Base(id))
		if err := writeJSON(file, document); err != nil {
			return nil, err
		}
		arguments = append(arguments, "--client-document", id+"="+file)
	}
	return arguments, nil
}

func writeJSON(file string, value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return os.WriteFile(file, raw, 0o600)
}

func (s *suite) startWay(w *way, documents []string) (err error) {
	name := strings.ReplaceAll(w.name, ", ", "-")
	o := start{dataDir: filepath.Join(s.dir, name), logFile: filepath.Join(s.artifacts, "server-"+name+".log")}
	if w.document {
		o.args = append(o.args, documents...)
	}
	if strings.HasPrefix(w.name, "host") {
		port, err := pickPort()
		if err != nil {
			return err
		}
		front, err := startFront(s.authority, port)
		if err != nil {
			return err
		}
		w.front = front
		tenant := filepath.Join(s.dir, name+".yaml")
		if err := os.WriteFile(tenant, []byte(customTenant(front.port)), 0o600); err != nil {
			return err
		}
		o.args = append(o.args, "--port", fmt.Sprint(port), "--apply", tenant)
		o.env = append(o.env, "OSTIARY_TRUSTED_PROXIES=127.0.0.1/32",
			fmt.Sprintf("OSTIARY_ISSUER_PATTERN=https://%s:%d", hostForm("{environment}"), front.port))
	}
	w.server, err = startServer(s.binary, o)
	return err
}

// customUser signs in at the issuer of customTenant.
var customUser = credentials{Email: "user@northwind.example", Password: "correct horse battery staple"}

// customTenant is a tenant file: a neighbour of the demo tenant that brought a domain of its own.
func customTenant(port int) string {
	return fmt.Sprintf(`
tenant: {slug: northwind, name: Northwind}
environments:
  - slug: northwind
    name: Production
    kind: production
    issuer: https://%s:%d
    users: [{email: %s, email_verified: true, name: Demo User, password: %s}]
    resources:
      - identifier: https://mcp.northwind.example/mcp
        name: Northwind
        scopes: [{name: "data:read", risk: read, baseline: true, title: Query your data, description: Read-only queries.}]
        tools: [{name: run_query, wording: Run one query, scopes: ["data:read"]}]
`, customDomain, port, customUser.Email, customUser.Password)
}

// custom is the server of a way as the users of customTenant know it.
func (w way) custom() *server {
	s := *w.server
	s.Issuer, s.User = fmt.Sprintf("https://%s:%d", customDomain, w.front.port), customUser
	return &s
}

func (s *suite) stopWays() (err error) {
	for _, w := range s.ways {
		if w.server != nil {
			err = firstError(err, w.server.stop())
		}
		if w.front != nil {
			err = firstError(err, w.front.server.Close())
		}
	}
	return err
}
