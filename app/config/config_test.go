package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/ostiary/ostiary/app/config"
)

const key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

func TestLoad_DefaultsAndFiles(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(file, []byte("postgres://app:pw@db/ostiary\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load([]string{"OSTIARY_DATABASE_URL_FILE=" + file, "OSTIARY_MASTER_KEY=" + key, "UNRELATED=x"})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.DatabaseURL != "postgres://app:pw@db/ostiary" || cfg.Listen != ":8080" || cfg.Issuer("acme-dev") != "http://localhost:8080/i/acme-dev" {
		t.Errorf("config %+v", cfg.LogValue())
	}
	if err := cfg.RequireServe(); err != nil {
		t.Error(err)
	}
	if shown := fmt.Sprint(cfg.LogValue()); strings.Contains(shown, "pw") || strings.Contains(shown, key) {
		t.Errorf("the log shows a secret: %s", shown)
	}
}

func TestLoad_SaysEverythingThatIsWrongWithoutItsValues(t *testing.T) {
	t.Parallel()
	_, err := config.Load([]string{
		"OSTIARY_URL=https://Example.com/", "OSTIARY_ISSUER_PATTERN=https://auth.example.com", "OSTIARY_MASTER_KEY=s3cret",
		"OSTIARY_TRUSTED_PROXIES=everyone", "OSTIARY_DATABASE_URL=postgres://x:hunter2@db/x", "OSTIARY_DATABASE_URL_FILE=/nowhere",
		"OSTIARY_LOG_LEVEL=hunter3", "OSTIARY_DRAIN_DELAY=10m", "OSTIARY_RATE_LIMIT=-1", "OSTIARY_CALL_LIMIT=-1",
		"OSTIARY_FEED_CONNECTIONS=-1",
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, name := range []string{
		"OSTIARY_URL", "OSTIARY_ISSUER_PATTERN", "OSTIARY_MASTER_KEY", "OSTIARY_TRUSTED_PROXIES", "OSTIARY_DATABASE_URL", "LogLevel",
		"OSTIARY_DRAIN_DELAY", "OSTIARY_RATE_LIMIT", "OSTIARY_CALL_LIMIT", "OSTIARY_FEED_CONNECTIONS",
	} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("says nothing about %s: %v", name, err)
		}
	}
	for _, value := range []string{"s3cret", "hunter2", "hunter3"} {
		if strings.Contains(err.Error(), value) {
			t.Errorf("the error quotes %q", value)
		}
	}
}

// Whoever runs the compose file can set whatever has a default, and gets that default otherwise.
func TestConfig_TheComposeFilePassesEverySettingOn(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[config.Config]()) {
		value, ok := field.Tag.Lookup("envDefault")
		if !ok || field.Name == "Listen" { // the port inside is the container's own
			continue
		}
		name := "OSTIARY_" + field.Tag.Get("env")
		if line := fmt.Sprintf("      %s: ${%s:-%s}\n", name, name, value); !strings.Contains(string(content), line) {
			t.Errorf("docker-compose.yml lacks %q", line)
		}
	}
}

func TestLoad_IssuersHaveOneSpelling(t *testing.T) {
	t.Parallel()
	for pattern, ok := range map[string]bool{
		"https://{environment}.auth.example.com":     true,
		"{url}/i/{environment}":                      true,
		"https://auth.example.com/t/{environment}":   true,
		"https://{environment}.auth.example.com/":    false,
		"https://{environment}.Auth.example.com":     false,
		"https://{environment}.auth.example.com:443": false,
		"ftp://{environment}":                        false,
		"https://auth.example.com":                   false,
		"https://{environment}.example.com/?x=1":     false,
	} {
		_, err := config.Load([]string{"OSTIARY_ISSUER_PATTERN=" + pattern})
		if (err == nil) != ok {
			t.Errorf("%s: %v", pattern, err)
		}
	}
}
