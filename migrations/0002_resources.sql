-- Protected resources (MCP servers), their scopes, tools and the map between them: the draft that admins edit, and the
-- immutable revisions that publishing makes of it.

-- +goose Up
create table resources (
  tenant_id         text not null,
  environment_id    text not null,
  id                text not null check (id ~ '^res_[A-Z2-7]{26}$'),
  identifier        text not null check (char_length(identifier) between 8 and 2000),
  name              text not null check (char_length(name) between 1 and 80),
  documentation_url text not null default '',
  mode              text not null default 'enforce' check (mode in ('enforce', 'shadow')),
  position          integer not null default 0,
  revision          integer not null default 0,  -- newest published revision, 0 before the first
  draft_changed_at  timestamptz,                 -- null when the draft equals the published revision
  created_at        timestamptz not null,
  updated_at        timestamptz not null,
  primary key (tenant_id, environment_id, id),
  unique (tenant_id, environment_id, identifier),
  foreign key (tenant_id, environment_id) references environments (tenant_id, id)
);

create table resource_aliases (
  tenant_id      text not null,
  environment_id text not null,
  identifier     text not null check (char_length(identifier) between 8 and 2000),
  resource_id    text not null,
  primary key (tenant_id, environment_id, identifier),
  foreign key (tenant_id, environment_id, resource_id) references resources (tenant_id, environment_id, id) on delete cascade
);

create table scopes (
  tenant_id      text not null,
  environment_id text not null,
  resource_id    text not null,
  id             text not null check (id ~ '^scp_[A-Z2-7]{26}$'),
  name           text not null check (name ~ '^[!#-\[\]-~]{1,128}$'),  -- RFC 6749 §3.3 scope-token
  risk           text not null check (risk in ('read', 'write', 'destructive')),
  title          text not null check (char_length(title) between 1 and 80),
  description    text not null default '' check (char_length(description) <= 400),
  warning        text not null default '' check (char_length(warning) <= 200),
  baseline       boolean not null default false,
  required       boolean not null default false,
  never_ticked   boolean not null default false,
  implies        text[] not null default '{}',
  position       integer not null default 0,
  created_at     timestamptz not null,
  updated_at     timestamptz not null,
  primary key (tenant_id, environment_id, id),
  unique (tenant_id, environment_id, resource_id, name),
  unique (tenant_id, environment_id, resource_id, id),
  foreign key (tenant_id, environment_id, resource_id) references resources (tenant_id, environment_id, id) on delete cascade
);

create table tools (
  tenant_id      text not null,
  environment_id text not null,
  resource_id    text not null,
  id             text not null check (id ~ '^tool_[A-Z2-7]{26}$'),
  name           text not null check (char_length(name) between 1 and 128),
  description    text not null default '',      -- as the MCP server gives it
  wording        text not null default '' check (char_length(wording) <= 140),
  match          text not null default 'all' check (match in ('any', 'all')),
  fingerprint    text not null default '',
  position       integer not null default 0,
  created_at     timestamptz not null,
  updated_at     timestamptz not null,
  primary key (tenant_id, environment_id, id),
  unique (tenant_id, environment_id, resource_id, name),
  unique (tenant_id, environment_id, resource_id, id),
  foreign key (tenant_id, environment_id, resource_id) references resources (tenant_id, environment_id, id) on delete cascade
);

create table tool_scopes (
  tenant_id      text not null,
  environment_id text not null,
  resource_id    text not null,
  tool_id        text not null,
  scope_id       text not null,
  primary key (tenant_id, environment_id, tool_id, scope_id),
  foreign key (tenant_id, environment_id, resource_id, tool_id)
    references tools (tenant_id, environment_id, resource_id, id) on delete cascade,
  foreign key (tenant_id, environment_id, resource_id, scope_id)
    references scopes (tenant_id, environment_id, resource_id, id) on delete cascade
);
create index tool_scopes_scope on tool_scopes (tenant_id, environment_id, scope_id);

create table policy_revisions (
  tenant_id      text not null,
  environment_id text not null,
  resource_id    text not null,
  revision       integer not null check (revision > 0),
  document       jsonb not null,
  published_at   timestamptz not null,
  published_by   text not null,
  primary key (tenant_id, environment_id, resource_id, revision),
  foreign key (tenant_id, environment_id, resource_id) references resources (tenant_id, environment_id, id)
);

-- +goose Down
drop table policy_revisions, tool_scopes, tools, scopes, resource_aliases, resources;
