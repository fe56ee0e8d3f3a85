package main

import (
	"context"
	"fmt"
	"runtime"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/secret"
)

const (
	hotClients      = 1000 // that the users' consents are for, each registered
	benchPassword   = "correct horse battery"
	sessionPrefix   = "bench-session-" // and the user's number: the session cookie
	cheapMemoryKiB  = 8
	cheapIterations = 1
)

// cheapPasswords hash at next to no cost: what a real hash takes is a matter of its own, and the same for everybody.
func cheapPasswords() *secret.Passwords {
	return secret.NewPasswords(cheapMemoryKiB, cheapIterations, runtime.GOMAXPROCS(0))
}

func userEmail(n int) string   { return fmt.Sprintf("u%d@bench.example", n) }
func userSession(n int) string { return fmt.Sprintf("%s%d", sessionPrefix, n) }
func randomID(seed string) string { // in SQL: 26 characters of the alphabet of our ids, spread evenly over the index
	return "substr(upper(translate(md5(" + seed + "), '0189', 'ghij')), 1, 26)"
}

// earlierID is like randomID, for rows whose ids tell when they were made: loaded in their order, and all before today's.
func earlierID(seed string) string { return "'22' || substr(" + randomID(seed) + ", 1, 24)" }

// register makes the clients by dynamic registration, as hosts do.
func (s *stand) register() error {
	conn, err := dial(s.server.product)
	if err != nil {
		return err
	}
	defer conn.close()
	w := &worker{client: conn}
	for n := range hotClients + 1 {
		redirect := webRedirect
		if n == hotClients {
			redirect = loopback
		}
		id, err := registerClient(w, s.tenant, fmt.Sprintf("Host %d", n), redirect)
		if err != nil {
			return fmt.Errorf("register a client: %w", err)
		}
		if n == hotClients {
			s.desktop = id
		} else {
			s.clients = append(s.clients, id)
		}
	}
	return nil
}

// populate loads the rows, as a superuser and without the foreign keys' checks: they hold by construction.
func (s *stand) populate(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.admin)
	if err != nil {
		return fmt.Errorf("populate: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // everything is committed
	// What sign-in costs is a matter of its own (see operationLogin): these users' passwords are cheap to check.
	hash, err := cheapPasswords().Hash(ctx, benchPassword)
	if err != nil {
		return fmt.Errorf("populate: %w", err)
	}
	for name, statement := range s.loads(hash) {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("populate %s: %w", name, err)
		}
	}
	if err := s.populateLimit(ctx, conn); err != nil {
		return fmt.Errorf("populate: %w", err)
	}
	if _, err := conn.Exec(ctx, "vacuum (analyze)"); err != nil {
		return fmt.Errorf("populate: %w", err)
	}
	if _, err := conn.Exec(ctx, "checkpoint"); err != nil {
		return fmt.Errorf("populate: %w", err)
	}
	return nil
}

// loads yields the statements in order. Sessions were seen last in two hours, so that none is written for having been seen.
func (s *stand) loads(passwordHash string) func(yield func(name, statement string) bool) {
	values := strings.NewReplacer(
		"{tenant}", quote(s.tenant.TenantID), "{environment}", quote(s.tenant.EnvironmentID),
		"{resource}", quote(s.tenant.ResourceID), "{rows}", fmt.Sprint(s.rows), "{hash}", quote(passwordHash),
		"{prefix}", quote(sessionPrefix), "{scopes}", quote("{"+strings.ReplaceAll(scopeWanted, " ", ",")+"}"),
		"{clients}", "array["+quoteAll(s.clients)+"]", "{hot}", fmt.Sprint(len(s.clients)), "{redirect}", quote("{"+webRedirect+"}"),
		"{user}", "'usr_' || "+randomID("'u' || n"), "{consent}", "'con_' || "+earlierID("'c' || n"),
		"{grant}", "'grt_' || "+earlierID("'g' || n"),
		"{organization}", "'org_' || "+randomID("'o' || n / 10"),
	)
	return func(yield func(name, statement string) bool) {
		for _, load := range [][2]string{{"settings", `set session_replication_role = replica`}, {"clients of the consents", `
insert into clients (tenant_id, environment_id, id, source, name, auth_method, redirect_uris, grant_types, created_at)
select {tenant}, {environment}, id, 'dynamic', 'Host', 'none', {redirect}, '{authorization_code,refresh_token}', now()
from unnest({clients}) id`}, {"clients", `
insert into clients (tenant_id, environment_id, id, source, name, auth_method, redirect_uris, grant_types, created_at)
select {tenant}, {environment}, 'dcr_' || md5('k' || n) || md5('l' || n) || md5('m' || n) || md5('o' || n), 'dynamic', 'Host', 'none',
  {redirect}, '{authorization_code,refresh_token}', now()
from generate_series(1, {rows}) n order by 3`}, {"organizations", `
insert into organizations (tenant_id, environment_id, id, slug, name, created_at)
select {tenant}, {environment}, {organization}, 'bench-' || n, 'Organization ' || n, now()
from generate_series(0, {rows} - 1, 10) n`}, {"users", `
insert into users (tenant_id, environment_id, id, email, email_verified, name, password_hash, organization_id, created_at)
select {tenant}, {environment}, {user}, 'u' || n || '@bench.example', true, 'User ' || n, {hash}, {organization}, now()
from generate_series(0, {rows} - 1) n order by 3`}, {"sessions", `
insert into sessions (tenant_id, environment_id, token_hash, user_id, auth_time, last_seen_at, expires_at)
select {tenant}, {environment}, sha256(({prefix} || n)::bytea), {user}, now(), now() + interval '2 hours', now() + interval '7 days'
from generate_series(0, {rows} - 1) n order by 3`}, {"consents", `
insert into consents (tenant_id, environment_id, id, user_id, client_id, client_key, resource_id, organization_id, scopes, revision,
  receipt, lasts, created_at)
select {tenant}, {environment}, {consent}, {user}, ({clients})[n % {hot} + 1], hashtextextended(({clients})[n % {hot} + 1], 0), {resource},
  {organization}, {scopes}, 1,
  jsonb_build_object('shown', '[]'::jsonb, 'redirect_to', 'https://host.example', 'case', 'OST-AAAAA-AAAAA'), 'revoke', now()
from generate_series(0, {rows} - 1) n order by 3`}, {"grants", `
insert into grants (tenant_id, environment_id, id, user_id, client_id, resource_id, organization_id, consent_id, scopes, auth_time,
  created_at, expires_at, generation, refresh_expires_at, last_used_at)
select {tenant}, {environment}, {grant}, {user}, ({clients})[n % {hot} + 1], {resource}, {organization}, {consent}, {scopes}, now(),
  now(), now() + interval '1 year', 1, now() + interval '30 days', now()
from generate_series(0, {rows} - 1) n order by 3`}, {"counters of sign-ins", `
insert into rate_counters (tenant_id, key_hash, window_start, hits)
select {tenant}, sha256(('counter' || n)::bytea), date_trunc('hour', now()), 1 from generate_series(1, {rows}) n`}} {
			if !yield(load[0], values.Replace(load[1])) {
				return
			}
		}
	}
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func quoteAll(list []string) string {
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = quote(s)
	}
	return strings.Join(quoted, ", ")
}
