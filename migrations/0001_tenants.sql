-- The control plane: tenants, environments, members, organizations and users, and the three routing tables that find a
-- tenant before one is known. Row-level security is the net under every query: current_tenant() raises when the
-- transaction set no tenant, so a query without scope fails instead of answering for everybody.

-- +goose Up
-- +goose StatementBegin
create function current_tenant() returns text
language plpgsql stable parallel safe
as $$
declare
  tenant text := current_setting('app.tenant_id', true);
begin
  if tenant is null or tenant = '' then
    raise exception 'no tenant scope: app.tenant_id is not set' using errcode = 'insufficient_privilege';
  end if;
  return tenant;
end
$$;
-- +goose StatementEnd

create table tenants (
  id         text primary key check (id ~ '^ten_[A-Z2-7]{26}$'),
  slug       text not null check (slug ~ '^[a-z][a-z0-9-]{0,38}[a-z0-9]$'),
  name       text not null check (char_length(name) between 1 and 80),
  created_at timestamptz not null
);

create table environments (
  tenant_id     text not null references tenants (id),
  id            text not null check (id ~ '^env_[A-Z2-7]{26}$'),
  slug          text not null check (slug ~ '^[a-z][a-z0-9-]{0,58}[a-z0-9]$'),
  name          text not null check (char_length(name) between 1 and 80),
  kind          text not null check (kind in ('development', 'production')),
  issuer        text not null,
  secret_sealed bytea not null,             -- root of code, refresh and client-id keys; envelope-encrypted
  settings      jsonb not null default '{}',
  branding      jsonb not null default '{}',
  created_at    timestamptz not null,
  updated_at    timestamptz not null,
  primary key (tenant_id, id),
  unique (tenant_id, slug)
);

-- Routing tables: found before a tenant is known, so everybody of the app role may read them; only the tenant in scope may
-- write its own rows. They hold nothing secret.
create table tenant_slugs (
  slug      text primary key,
  tenant_id text not null references tenants (id)
);

create table issuers (
  url            text primary key,
  tenant_id      text not null,
  environment_id text not null,
  foreign key (tenant_id, environment_id) references environments (tenant_id, id) on delete cascade
);

create table members (
  tenant_id     text not null references tenants (id),
  id            text not null check (id ~ '^mem_[A-Z2-7]{26}$'),
  email         text not null check (email = lower(email) and char_length(email) between 3 and 254),
  name          text not null check (char_length(name) between 1 and 120),
  role          text not null check (role in ('owner', 'admin', 'editor', 'viewer')),
  password_hash text,
  created_at    timestamptz not null,
  disabled_at   timestamptz,
  primary key (tenant_id, id),
  unique (tenant_id, email)
);

create table member_logins (
  email     text not null,
  tenant_id text not null,
  member_id text not null,
  primary key (email, tenant_id),
  foreign key (tenant_id, member_id) references members (tenant_id, id) on delete cascade
);

create table member_sessions (
  tenant_id  text not null,
  token_hash bytea not null check (octet_length(token_hash) = 32),
  member_id  text not null,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  primary key (tenant_id, token_hash),
  foreign key (tenant_id, member_id) references members (tenant_id, id) on delete cascade
);
create index member_sessions_expiry on member_sessions (expires_at);

create table organizations (
  tenant_id      text not null,
  environment_id text not null,
  id             text not null check (id ~ '^org_[A-Z2-7]{26}$'),
  slug           text not null check (slug ~ '^[a-z0-9][a-z0-9_.-]{0,62}$'),
  name           text not null check (char_length(name) between 1 and 120),
  created_at     timestamptz not null,
  disabled_at    timestamptz,
  primary key (tenant_id, environment_id, id),
  unique (tenant_id, environment_id, slug),
  foreign key (tenant_id, environment_id) references environments (tenant_id, id)
);

create table users (
  tenant_id       text not null,
  environment_id  text not null,
  id              text not null check (id ~ '^usr_[A-Z2-7]{26}$'),
  email           text not null check (email = lower(email) and char_length(email) between 3 and 254),
  email_verified  boolean not null default false,
  name            text not null check (char_length(name) between 1 and 120),
  password_hash   text,
  organization_id text,
  created_at      timestamptz not null,
  disabled_at     timestamptz,
  primary key (tenant_id, environment_id, id),
  unique (tenant_id, environment_id, email),
  foreign key (tenant_id, environment_id) references environments (tenant_id, id),
  foreign key (tenant_id, environment_id, organization_id) references organizations (tenant_id, environment_id, id)
);

-- Attempts per window, counted for the sign-in pages. Unlogged: losing counters in a crash forgives nobody anything lasting.
create unlogged table rate_counters (
  tenant_id    text not null,
  key_hash     bytea not null check (octet_length(key_hash) = 32),
  window_start timestamptz not null,
  hits         integer not null,
  primary key (tenant_id, key_hash, window_start)
);
create index rate_counters_window on rate_counters (window_start);

create table audit_events (
  tenant_id      text not null references tenants (id),
  environment_id text,
  id             text not null check (id ~ '^aud_[A-Z2-7]{26}$'),
  at             timestamptz not null,
  actor_kind     text not null,
  actor_id       text not null default '',
  action         text not null,
  target_kind    text not null default '',
  target_id      text not null default '',
  detail         jsonb not null default '{}',
  request_id     text not null default '',
  primary key (tenant_id, id)
);
create index audit_events_at on audit_events (tenant_id, at desc);

-- +goose Down
drop table audit_events, rate_counters, users, organizations, member_sessions, member_logins, members, issuers,
  tenant_slugs, environments, tenants;
drop function current_tenant();
