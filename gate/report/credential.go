package report

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// Credential is what an MCP server proves itself with at the issuer: the id (rcr_…) and its secret.
type Credential struct{ ID, Secret string }

// ParseCredential reads "id:secret". Errors say what is wrong and quote nothing.
func ParseCredential(text string) (Credential, error) {
	id, secret, ok := strings.Cut(strings.TrimSpace(text), ":")
	if !ok || !strings.HasPrefix(id, "rcr_") || secret == "" || strings.ContainsAny(secret, " \t\r\n") {
		return Credential{}, errors.New("a credential is written as one line, rcr_…:secret")
	}
	return Credential{ID: id, Secret: secret}, nil
}

// FromFile reads the credential from a file, again whenever the issuer refuses the one in use, so that it can be replaced
// while the process runs.
func FromFile(path string) func() (Credential, error) {
	return func() (Credential, error) {
		text, err := os.ReadFile(path) //nolint:gosec // the file the operator names
		if err != nil {
			return Credential{}, fmt.Errorf("credential: %w", err)
		}
		c, err := ParseCredential(string(text))
		if err != nil {
			return Credential{}, fmt.Errorf("%s: %w", path, err)
		}
		return c, nil
	}
}

// Fixed is a credential that does not change.
func Fixed(c Credential) func() (Credential, error) {
	return func() (Credential, error) { return c, nil }
}
