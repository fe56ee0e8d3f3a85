package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/ostiary/ostiary/gate"
)

// gateFile is what `ostiary gate --config` reads. Secrets are never in it but in files of their own.
type gateFile struct {
	Issuer     string `yaml:"issuer"`
	Server     string `yaml:"server"` // res_…
	Identifier string `yaml:"identifier"`
	Listen     string `yaml:"listen"`

	Upstream struct {
		URL           string                       `yaml:"url"`
		Headers       map[string]string            `yaml:"headers"`       // name: file with the value
		Organizations map[string]map[string]string `yaml:"organizations"` // organization id: name: file with the value
		ForwardToken  bool                         `yaml:"forward_token"`
	} `yaml:"upstream"`
	Identity struct {
		KeyFile string `yaml:"key_file"` // signs who calls, in place of plain headers
	} `yaml:"identity"`
	Report struct {
		CredentialFile string `yaml:"credential_file"` // of the MCP server: reports its calls
		Spool          string `yaml:"spool"`           // directory
	} `yaml:"report"`
	ForwardAuth *struct {
		Path      string `yaml:"path"`
		ByHeaders bool   `yaml:"by_headers"`
	} `yaml:"forward_auth"`
	Legacy *struct {
		Header  string      `yaml:"header"`
		Keys    []legacyKey `yaml:"keys"`
		Unknown *struct {
			Scopes []string `yaml:"scopes"`
		} `yaml:"unknown"`
	} `yaml:"legacy"`
}

type legacyKey struct {
	Name         string   `yaml:"name"`
	SHA256       string   `yaml:"sha256"`
	User         string   `yaml:"user"`
	Organization string   `yaml:"organization"`
	Scopes       []string `yaml:"scopes"`
}

const maxGateFile = 1 << 20

// readGateFile reads a configuration. Errors name the line.
func readGateFile(path string) (gateFile, error) {
	var f gateFile
	raw, err := readLimited(path, nil, maxGateFile)
	if err != nil {
		return f, err
	}
	if err := yaml.UnmarshalWithOptions(raw, &f, yaml.Strict()); err != nil {
		return f, fmt.Errorf("%s: %s", path, yaml.FormatError(err, false, true))
	}
	return f, nil
}

// fill adds what the file says to the options. What a flag says already is not overwritten.
func (f gateFile) fill(o *gate.ServeOptions) error {
	for _, set := range []struct {
		option *string
		value  string
	}{
		{&o.Issuer, f.Issuer}, {&o.ResourceID, f.Server}, {&o.Identifier, f.Identifier}, {&o.Upstream, f.Upstream.URL},
		{&o.Listen, f.Listen},
	} {
		if *set.option == "" {
			*set.option = set.value
		}
	}
	o.ForwardToken = f.Upstream.ForwardToken
	if f.ForwardAuth != nil && o.ForwardAuth == nil {
		o.ForwardAuth = &gate.ForwardAuth{Path: f.ForwardAuth.Path, ByHeaders: f.ForwardAuth.ByHeaders}
	}
	var headers, legacy, key error
	o.UpstreamHeaders, headers = f.upstreamHeaders()
	o.Legacy, legacy = f.legacy()
	if f.Identity.KeyFile != "" {
		o.IdentityKey, key = readIdentityKey(f.Identity.KeyFile)
	}
	return errors.Join(headers, legacy, key)
}

func (f gateFile) upstreamHeaders() (*gate.UpstreamHeaders, error) {
	if len(f.Upstream.Headers) == 0 && len(f.Upstream.Organizations) == 0 {
		return nil, nil //nolint:nilnil // a server that wants to see nothing is the usual case
	}
	always, err := headerFiles(f.Upstream.Headers)
	if err != nil {
		return nil, err
	}
	u := &gate.UpstreamHeaders{Always: always, Organizations: map[string]http.Header{}}
	for id, files := range f.Upstream.Organizations {
		if u.Organizations[id], err = headerFiles(files); err != nil {
			return nil, fmt.Errorf("organization %s: %w", id, err)
		}
	}
	return u, nil
}

// headerFiles reads the values of headers.
func headerFiles(files map[string]string) (http.Header, error) {
	header := http.Header{}
	for name, path := range files {
		raw, err := readLimited(path, nil, maxSecretFile)
		if err != nil {
			return nil, fmt.Errorf("header %s: %w", name, err)
		}
		value := strings.TrimSpace(string(raw))
		if value == "" {
			return nil, fmt.Errorf("header %s: %s is empty", name, path)
		}
		header.Set(name, value)
	}
	return header, nil
}

func (f gateFile) legacy() (*gate.Legacy, error) {
	if f.Legacy == nil {
		return nil, nil //nolint:nilnil // no migration is the usual case
	}
	l := &gate.Legacy{Header: f.Legacy.Header}
	if f.Legacy.Unknown != nil {
		l.Unknown = &gate.LegacyUnknown{Scopes: f.Legacy.Unknown.Scopes}
	}
	for _, k := range f.Legacy.Keys {
		sum, err := hex.DecodeString(strings.TrimSpace(k.SHA256))
		if err != nil || len(sum) != sha256.Size {
			return nil, fmt.Errorf("legacy key %q: sha256 has to be the 64 hexadecimal digits that `printf %%s KEY | sha256sum` prints", k.Name)
		}
		l.Keys = append(l.Keys, gate.LegacyKey{SHA256: [sha256.Size]byte(sum), Name: k.Name, User: k.User,
			Organization: k.Organization, Scopes: k.Scopes})
	}
	return l, nil
}

// readIdentityKey reads an Ed25519 private key in PEM (PKCS #8).
func readIdentityKey(path string) (ed25519.PrivateKey, error) {
	raw, err := readLimited(path, nil, maxSecretFile)
	if err != nil {
		return nil, fmt.Errorf("identity key: %w", err)
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, fmt.Errorf("identity key: %s is not PEM; make one with ostiary gate identity-key", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("identity key: %s is not a PKCS #8 private key", path) // the error may quote the key
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("identity key: %s is not an Ed25519 key; make one with ostiary gate identity-key", path)
	}
	return key, nil
}

// writeIdentityKey makes a key in a file that must not exist yet.
func writeIdentityKey(path string) (ed25519.PublicKey, error) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	err = pem.Encode(f, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return public, errors.Join(err, f.Close())
}
