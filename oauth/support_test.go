package oauth_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/tenants/apply"
)

const secondServer = "https://second.acme.example/mcp"

// twoServers gives Acme a second MCP server.
func twoServers(f *apply.File) {
	second := f.Environments[0].Resources[0]
	second.Identifier, second.Name = secondServer, "Second"
	f.Environments[0].Resources = append(f.Environments[0].Resources, second)
}

// claims reads a JWT without checking it.
func claims(t *testing.T, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("not a JWT: %q", token)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func noRegistration(f *apply.File) {
	off := false
	f.Environments[0].Settings.DynamicRegistration = &off
}

// query reads one value as Acme.
func query(t *testing.T, s *host.Stack, statement string, into any, args ...any) {
	t.Helper()
	err := s.DB.Pipe(s.Acme.Context(), func(b *pgx.Batch) {
		b.Queue(statement, args...).QueryRow(func(row pgx.Row) error { return row.Scan(into) })
	})
	if err != nil {
		t.Fatal(err)
	}
}
