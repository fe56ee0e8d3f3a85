-- Client assertions that were used (RFC 7523 §3, private_key_jwt): each works once per client, on every node.
--
-- A row is kept until its assertion would have expired by itself, minutes later; a job deletes it then.

-- +goose Up
create table client_assertions (
  tenant_id      text not null,
  environment_id text not null,
  client_hash    bytea not null check (octet_length(client_hash) = 32),
  jti_hash       bytea not null check (octet_length(jti_hash) = 32),
  expires_at     timestamptz not null,
  primary key (tenant_id, environment_id, client_hash, jti_hash),
  foreign key (tenant_id, environment_id) references environments (tenant_id, id)
);
create index client_assertions_expiry on client_assertions (tenant_id, expires_at);

alter table client_assertions enable row level security;
alter table client_assertions force row level security;
create policy tenant on client_assertions using (tenant_id = current_tenant()) with check (tenant_id = current_tenant());
grant select, insert, delete on client_assertions to ostiary_app;
-- deleting by batches locks rows first, which asks for the right to update one column; which jti was used is never rewritten
grant update (expires_at) on client_assertions to ostiary_app;

-- +goose Down
drop table client_assertions;
