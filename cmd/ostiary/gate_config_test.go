package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/ostiary/ostiary/gate"
)

// write puts a file into a folder and returns its path.
func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// What the documentation shows is what the gate reads.
func TestGateConfig_DocumentedFilesAreRead(t *testing.T) {
	t.Parallel()
	shown := regexp.MustCompile("(?s)```yaml\n(.*?)```")
	for _, doc := range []string{"gate.md", "migrate.md"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "docs", doc))
		if err != nil {
			t.Fatal(err)
		}
		files := 0
		for _, block := range shown.FindAllStringSubmatch(string(text), -1) {
			if !strings.Contains(block[1], "upstream:") {
				continue
			}
			files++
			f, err := readGateFile(write(t, t.TempDir(), "gate.yaml", block[1]))
			if err != nil {
				t.Errorf("%s: %v", doc, err)
				continue
			}
			if keys := f.Legacy.Keys; len(keys) != 1 || !slices.Equal(keys[0].Scopes, []string{"data:read"}) {
				t.Errorf("%s: %+v", doc, keys)
			}
		}
		if files != 1 {
			t.Errorf("%s shows %d configuration files", doc, files)
		}
	}
}

func TestGateConfig_EverythingInAFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key := write(t, dir, "key", "northwind-secret\n")
	identity := filepath.Join(dir, "identity.pem")
	out, err := run(t, "", "gate", "identity-key", identity)
	var set jose.JSONWebKeySet
	if err != nil || json.Unmarshal([]byte(out), &set) != nil || len(set.Keys) != 1 || !set.Keys[0].IsPublic() {
		t.Fatalf("identity key: %q, %v", out, err)
	}
	if _, err := run(t, "", "gate", "identity-key", identity); err == nil {
		t.Error("an identity key was overwritten")
	}
	path := write(t, dir, "gate.yaml", fmt.Sprintf(`
issuer: https://acme.auth.example.com
server: res_1
listen: :9999
upstream:
  url: http://127.0.0.1:9000/mcp
  forward_token: true
  headers: {X-Gateway: %[1]s}
  organizations:
    org_1: {X-Api-Key: %[1]s}
identity: {key_file: %[2]s}
forward_auth: {path: /ask, by_headers: true}
legacy:
  header: X-Api-Key
  keys:
    - {name: nightly, sha256: %[3]x, organization: org_1, scopes: ["data:read"]}
  unknown: {scopes: ["data:read"]}
`, key, identity, sha256.Sum256([]byte("old"))))
	o := gateOptions{config: path, flags: gate.ServeOptions{Options: gate.Options{Issuer: "https://flag.example"}}}
	serve, err := o.serve(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if serve.Issuer != "https://flag.example" || serve.ResourceID != "res_1" || serve.Listen != ":9999" || !serve.ForwardToken {
		t.Errorf("%+v", serve)
	}
	if serve.UpstreamHeaders.Organizations["org_1"].Get("X-Api-Key") != "northwind-secret" || serve.UpstreamHeaders.Always.Get("X-Gateway") == "" {
		t.Errorf("upstream %+v", serve.UpstreamHeaders)
	}
	if l := serve.Legacy; l.Header != "X-Api-Key" || l.Keys[0].SHA256 != sha256.Sum256([]byte("old")) || l.Keys[0].Scopes[0] != "data:read" || l.Unknown == nil {
		t.Errorf("legacy %+v", l)
	}
	if f := serve.ForwardAuth; f == nil || f.Path != "/ask" || !f.ByHeaders || serve.IdentityKey == nil {
		t.Errorf("forward auth %+v", f)
	}
}

func TestGateConfig_SaysWhatIsWrongAndNoSecret(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good := "issuer: https://a.example\nserver: res_1\nupstream: {url: \"http://127.0.0.1:1\"}\n"
	secret := write(t, dir, "secret.pem", "-----BEGIN PRIVATE KEY-----\nc2VjcmV0LXNlY3JldA==\n-----END PRIVATE KEY-----\n")
	empty := write(t, dir, "empty", " \n")
	for want, text := range map[string]string{
		"[4:1] unknown field \"nonsense\"": good + "nonsense: 1\n",
		"--issuer is missing":              "server: res_1\nupstream: {url: \"http://x\"}\n",
		"--upstream is missing":            "issuer: https://a.example\nserver: res_1\n",
		"is not a PKCS #8 private key":     good + "identity: {key_file: " + secret + "}\n",
		"is not PEM":                       good + "identity: {key_file: " + empty + "}\n",
		"no such file":                     good + "identity: {key_file: /does/not/exist}\n",
		"is empty":                         strings.Replace(good, "1\"}", "1\", headers: {X-Key: "+empty+"}}", 1),
		"64 hexadecimal digits":            good + "legacy: {header: X-Api-Key, keys: [{name: a, sha256: old-key}]}\n",
	} {
		o := gateOptions{config: write(t, t.TempDir(), "gate.yaml", text)}
		_, err := o.serve(slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
			continue
		}
		if strings.Contains(err.Error(), "c2VjcmV0") || strings.Contains(err.Error(), "old-key") {
			t.Errorf("%s: shows a secret: %v", want, err)
		}
	}
}
