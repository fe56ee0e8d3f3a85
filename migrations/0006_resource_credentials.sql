-- What an MCP server proves itself with when it asks whether a token is live (RFC 7662): one secret, and a second one while
-- the first is being replaced. The slot is what makes two the limit, whoever races.

-- +goose Up
create table resource_credentials (
  tenant_id      text not null,
  environment_id text not null,
  id             text not null check (id ~ '^rcr_[A-Z2-7]{26}$'),
  resource_id    text not null,
  name           text not null check (char_length(name) between 1 and 80),
  secret_hash    bytea not null check (octet_length(secret_hash) = 32),
  slot           smallint not null check (slot in (1, 2)),
  created_at     timestamptz not null,
  revoked_at     timestamptz,
  primary key (tenant_id, environment_id, id),
  foreign key (tenant_id, environment_id, resource_id) references resources (tenant_id, environment_id, id) on delete cascade
);
create unique index resource_credentials_slot on resource_credentials (tenant_id, environment_id, resource_id, slot)
  where revoked_at is null;
create unique index resource_credentials_name on resource_credentials (tenant_id, environment_id, resource_id, name)
  where revoked_at is null;

alter table resource_credentials enable row level security;
alter table resource_credentials force row level security;
create policy tenant on resource_credentials using (tenant_id = current_tenant()) with check (tenant_id = current_tenant());
grant select, insert, update, delete on resource_credentials to ostiary_app;

-- +goose Down
drop table resource_credentials;
