-- The attempt log: each step of each connection attempt, so that a case id finds the whole handshake. It is a diagnosis and
-- not a record of what happened (audit_events is), so it is unlogged: a crash of Postgres may empty it, and writing costs no
-- WAL. Writers keep it bounded, see oauth/attemptlog.

-- +goose Up
create unlogged table attempt_steps (
  tenant_id      text not null,
  environment_id text not null,
  id             bigint generated always as identity,
  at             timestamptz not null,
  case_id        text not null check (case_id = '' or case_id ~ '^OST-[A-Z2-7]{5}-[A-Z2-7]{5}$'),
  kind           text not null,
  outcome        text not null check (outcome in ('ok', 'waiting', 'refused', 'failed')),
  reason         text not null,
  detail         text not null,
  asked          text not null,  -- what was sent, where it differs from
  expected       text not null,  -- what would have been right
  client_id      text not null,
  client_name    text not null,
  host           text not null,
  user_id        text not null,
  address        text not null,  -- keyed hash: lines up the steps of one machine, keeps no address
  agent          text not null,
  primary key (tenant_id, environment_id, id),
  foreign key (tenant_id, environment_id) references environments (tenant_id, id) on delete cascade
);
create index attempt_steps_at on attempt_steps (tenant_id, environment_id, at desc, id desc);
create index attempt_steps_case on attempt_steps (tenant_id, environment_id, case_id) where case_id <> '';
-- Client ids can be long; their hash finds the few rows to compare.
create index attempt_steps_client on attempt_steps (tenant_id, environment_id, hashtextextended(client_id, 0), at desc, id desc);

alter table attempt_steps enable row level security;
alter table attempt_steps force row level security;
create policy tenant on attempt_steps using (tenant_id = current_tenant()) with check (tenant_id = current_tenant());
grant select, insert, delete on attempt_steps to ostiary_app;

-- +goose Down
drop table attempt_steps;
