package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"github.com/ostiary/ostiary/app/secret"
)

// Config is what an operator sets. Zero values are usable where a default is named.
type Config struct {
	Listen             string     `env:"LISTEN" envDefault:":8080"`                         // address of dashboard and issuers
	URL                string     `env:"URL" envDefault:"http://localhost:8080"`            // public base URL of the dashboard
	IssuerPattern      string     `env:"ISSUER_PATTERN" envDefault:"{url}/i/{environment}"` // public URL of an environment's issuer
	DatabaseURL        string     `env:"DATABASE_URL"`                                      // as ostiary_app
	MigrateDatabaseURL string     `env:"MIGRATE_DATABASE_URL"`                              // as ostiary_owner
	MasterKey          string     `env:"MASTER_KEY"`                                        // key-encryption key: 32 bytes, base64
	PreviousMasterKeys []string   `env:"PREVIOUS_MASTER_KEYS"`                              // still open what they sealed
	TrustedProxies     []string   `env:"TRUSTED_PROXIES"`                                   // CIDRs whose X-Forwarded-For is believed
	LogLevel           slog.Level `env:"LOG_LEVEL" envDefault:"info"`
	RateLimit          int        `env:"RATE_LIMIT" envDefault:"6000"`        // token requests per minute of one client, grant type and address; 0: none
	CallLimit          int        `env:"CALL_LIMIT" envDefault:"64"`          // MiB that records of one MCP server's calls may fill in a minute; 0: no bound
	FeedConnections    int        `env:"FEED_CONNECTIONS" envDefault:"25000"` // streams and waiting requests of MCP servers at one node
	DatabaseMaxConns   int32      `env:"DATABASE_MAX_CONNS" envDefault:"20"`

	// DrainDelay is how long a node that is told to stop goes on serving while /readyz says no: longer than a load balancer
	// takes to notice.
	DrainDelay time.Duration `env:"DRAIN_DELAY" envDefault:"0s"`
}

// secretNames can also be given as OSTIARY_<name>_FILE.
var secretNames = [...]string{"DATABASE_URL", "MIGRATE_DATABASE_URL", "MASTER_KEY", "PREVIOUS_MASTER_KEYS"}

const (
	prefix        = "OSTIARY_"
	maxDrainDelay = 5 * time.Minute
)

// Load reads and validates the environment given as "NAME=value" strings. It returns every problem at once.
func Load(environ []string) (Config, error) {
	vars := env.ToMap(environ)
	var problems []error
	for _, name := range secretNames {
		if err := fromFile(vars, prefix+name); err != nil {
			problems = append(problems, err)
		}
	}
	cfg, err := env.ParseAsWithOptions[Config](env.Options{Environment: vars, Prefix: prefix})
	if err != nil {
		problems = append(problems, errors.New("a variable does not parse: "+redactParseError(err)))
	}
	problems = append(problems, cfg.validate()...)
	return cfg, errors.Join(problems...)
}

// fromFile puts the content of the file named by NAME_FILE in NAME. Setting both is a mistake somebody should hear about.
func fromFile(vars map[string]string, name string) error {
	path, ok := vars[name+"_FILE"]
	if !ok || path == "" {
		return nil
	}
	if vars[name] != "" {
		return fmt.Errorf("%s and %s_FILE are both set: keep one", name, name)
	}
	content, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return fmt.Errorf("%s_FILE: %w", name, err)
	}
	vars[name] = strings.TrimSpace(string(content))
	return nil
}

// redactParseError keeps the variable's name and drops its value.
func redactParseError(err error) string {
	var parse env.AggregateError
	if !errors.As(err, &parse) {
		return "unknown variable"
	}
	var names []string
	for _, e := range parse.Errors {
		var p env.ParseError
		if errors.As(e, &p) {
			names = append(names, p.Name)
		}
	}
	return strings.Join(names, ", ")
}

func (c Config) validate() []error {
	var problems []error
	if err := checkBaseURL(c.URL); err != nil {
		problems = append(problems, fmt.Errorf("OSTIARY_URL: %w", err))
	}
	if !strings.Contains(c.IssuerPattern, "{environment}") {
		problems = append(problems, errors.New("OSTIARY_ISSUER_PATTERN: needs {environment}"))
	} else if err := checkBaseURL(c.Issuer("a")); err != nil {
		problems = append(problems, fmt.Errorf("OSTIARY_ISSUER_PATTERN: %w", err))
	}
	if _, err := c.Proxies(); err != nil {
		problems = append(problems, err)
	}
	if c.RateLimit < 0 {
		problems = append(problems, errors.New("OSTIARY_RATE_LIMIT: must be a number of requests, 0 for no limit"))
	}
	if c.CallLimit < 0 {
		problems = append(problems, errors.New("OSTIARY_CALL_LIMIT: must be a number of MiB, 0 for no bound"))
	}
	if c.FeedConnections < 0 {
		problems = append(problems, errors.New("OSTIARY_FEED_CONNECTIONS: must be a number of connections"))
	}
	if c.DrainDelay < 0 || c.DrainDelay > maxDrainDelay {
		problems = append(problems, fmt.Errorf("OSTIARY_DRAIN_DELAY: must be between 0s and %s", maxDrainDelay))
	}
	if c.MasterKey != "" {
		if _, err := c.Keyring(); err != nil {
			problems = append(problems, err)
		}
	}
	return problems
}

// RequireServe returns what is missing to serve: dev fills these in by itself.
func (c Config) RequireServe() error {
	var problems []error
	if c.DatabaseURL == "" {
		problems = append(problems, errors.New("OSTIARY_DATABASE_URL (or _FILE): the database as ostiary_app"))
	}
	if c.MasterKey == "" {
		problems = append(problems, errors.New("OSTIARY_MASTER_KEY (or _FILE): 32 random bytes in base64, e.g. from `openssl rand -base64 32`"))
	}
	return errors.Join(problems...)
}

// checkBaseURL holds issuers and the dashboard to one spelling: lowercase http(s) origin, no default port, no trailing
// slash, no query. Clients compare issuers byte for byte (RFC 8414 §3.3).
func checkBaseURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https"):
		return errors.New("must be an http or https URL")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("must have no user, query or fragment")
	case strings.HasSuffix(raw, "/"):
		return errors.New("must not end with a slash")
	case u.Host != strings.ToLower(u.Host):
		return errors.New("must be lowercase")
	case (u.Scheme == "https" && u.Port() == "443") || (u.Scheme == "http" && u.Port() == "80"):
		return errors.New("must not name the default port")
	}
	return nil
}

// Issuer returns the issuer URL of the environment with this slug.
func (c Config) Issuer(environment string) string {
	return strings.NewReplacer("{url}", c.URL, "{environment}", environment).Replace(c.IssuerPattern)
}

// Keyring returns the key-encryption keys, the current one first.
func (c Config) Keyring() (*secret.Keyring, error) {
	var keys [][]byte
	for _, text := range append([]string{c.MasterKey}, c.PreviousMasterKeys...) {
		key, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(key) != secret.KeySize {
			return nil, errors.New("OSTIARY_MASTER_KEY, OSTIARY_PREVIOUS_MASTER_KEYS: each is 32 bytes in base64")
		}
		keys = append(keys, key)
	}
	return secret.NewKeyring(keys...)
}

// Proxies returns the networks of trusted proxies.
func (c Config) Proxies() ([]*net.IPNet, error) {
	var networks []*net.IPNet
	for _, text := range c.TrustedProxies {
		_, network, err := net.ParseCIDR(text)
		if err != nil {
			return nil, fmt.Errorf("OSTIARY_TRUSTED_PROXIES: %q is not a CIDR such as 10.0.0.0/8", text)
		}
		networks = append(networks, network)
	}
	return networks, nil
}

// LogValue is the configuration without its secrets.
func (c Config) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("listen", c.Listen), slog.String("url", c.URL), slog.String("issuer_pattern", c.IssuerPattern),
		slog.Bool("database_url_set", c.DatabaseURL != ""), slog.Bool("master_key_set", c.MasterKey != ""),
		slog.Any("trusted_proxies", c.TrustedProxies), slog.String("log_level", c.LogLevel.String()),
	)
}
