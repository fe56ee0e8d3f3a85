-- The data plane: clients, browser sessions, consents, grants and signing keys.
--
-- There is no table of codes, refresh tokens or interactions. A code and an interaction are sealed values; redeeming a code
-- inserts the grant whose id the code carries, so the grant's primary key is what makes a code single-use. A refresh token
-- is a MAC over (grant, generation); the grant row holds the current generation. See oauth/DECISIONS.md.

-- +goose Up
create table clients (
  tenant_id      text not null,
  environment_id text not null,
  id             text not null check (char_length(id) between 1 and 2048),
  source         text not null check (source in ('preregistered', 'metadata_document', 'dynamic')),
  name           text not null default '' check (char_length(name) <= 200),
  auth_method    text not null check (auth_method in ('none', 'client_secret', 'private_key_jwt')),
  secret_hashes  bytea[] not null default '{}',
  redirect_uris  text[] not null default '{}',
  grant_types    text[] not null default '{}',
  metadata       jsonb not null default '{}',
  created_at     timestamptz not null,
  disabled_at    timestamptz,
  primary key (tenant_id, environment_id, id),
  foreign key (tenant_id, environment_id) references environments (tenant_id, id)
);

create table sessions (
  tenant_id      text not null,
  environment_id text not null,
  token_hash     bytea not null check (octet_length(token_hash) = 32),
  user_id        text not null,
  auth_time      timestamptz not null,
  last_seen_at   timestamptz not null,
  expires_at     timestamptz not null,   -- absolute; the idle limit is counted from last_seen_at
  primary key (tenant_id, environment_id, token_hash),
  foreign key (tenant_id, environment_id, user_id) references users (tenant_id, environment_id, id) on delete cascade
);
create index sessions_user on sessions (tenant_id, environment_id, user_id);
create index sessions_expiry on sessions (expires_at);

create table consents (
  tenant_id       text not null,
  environment_id  text not null,
  id              text not null check (id ~ '^con_[A-Z2-7]{26}$'),
  user_id         text not null,
  client_id       text not null,
  resource_id     text not null,
  organization_id text,
  scopes          text[] not null,
  revision        integer not null,          -- policy revision whose wording was shown
  receipt         jsonb not null,            -- the exact wording shown, the choice made, where it went back to
  lasts           text not null,             -- the duration chosen: 1h, 30d, revoke
  created_at      timestamptz not null,
  expires_at      timestamptz,
  revoked_at      timestamptz,
  primary key (tenant_id, environment_id, id),
  unique (tenant_id, environment_id, id, user_id, client_id, resource_id),
  foreign key (tenant_id, environment_id, user_id) references users (tenant_id, environment_id, id),
  foreign key (tenant_id, environment_id, client_id) references clients (tenant_id, environment_id, id),
  foreign key (tenant_id, environment_id, resource_id) references resources (tenant_id, environment_id, id),
  foreign key (tenant_id, environment_id, organization_id) references organizations (tenant_id, environment_id, id)
);
create index consents_lookup on consents (tenant_id, environment_id, user_id, client_id, resource_id, created_at desc);

-- A grant row is updated at each refresh and no indexed column changes then: room on the page keeps the update in place.
create table grants (
  tenant_id          text not null,
  environment_id     text not null,
  id                 text not null check (id ~ '^grt_[A-Z2-7]{26}$'),
  user_id            text,
  client_id          text not null,
  resource_id        text not null,
  organization_id    text,
  consent_id         text,
  scopes             text[] not null,
  auth_time          timestamptz,
  created_at         timestamptz not null,
  expires_at         timestamptz not null,       -- absolute end, whatever is refreshed
  revoked_at         timestamptz,                -- tombstone: never cleared
  revoked_reason     text,
  generation         integer not null default 0, -- of the newest refresh token; 0 when none was issued
  rotated_at         timestamptz[] not null default '{}', -- first use of the newest generations, newest first
  graced             integer not null default 0, -- uses of predecessors since the last rotation
  recovered          boolean not null default false, -- a predecessor was used late in this generation
  recoveries         integer not null default 0, -- generations in a row that were recovered late
  refresh_expires_at timestamptz,                -- idle end of the newest refresh token
  last_used_at       timestamptz not null,
  primary key (tenant_id, environment_id, id),
  foreign key (tenant_id, environment_id, consent_id, user_id, client_id, resource_id)
    references consents (tenant_id, environment_id, id, user_id, client_id, resource_id)
) with (fillfactor = 80);
create index grants_user on grants (tenant_id, environment_id, user_id, client_id);
create index grants_client on grants (tenant_id, environment_id, client_id);
create index grants_consent on grants (tenant_id, environment_id, consent_id);

create table signing_keys (
  tenant_id      text not null,
  environment_id text not null,
  id             text not null,              -- kid: key_ + 26
  alg            text not null check (alg in ('ES256', 'RS256', 'EdDSA')),
  public_jwk     jsonb not null check (not public_jwk ?| array['d', 'p', 'q', 'dp', 'dq', 'qi', 'k']),
  private_sealed bytea not null,
  state          text not null check (state in ('published', 'active', 'retiring', 'retired')),
  created_at     timestamptz not null,
  activated_at   timestamptz,
  retire_at      timestamptz,
  primary key (tenant_id, environment_id, id),
  foreign key (tenant_id, environment_id) references environments (tenant_id, id)
);
create unique index signing_keys_one_active on signing_keys (tenant_id, environment_id) where state = 'active';

-- +goose Down
drop table signing_keys, grants, consents, sessions, clients;
