-- What reaches the resource side in seconds: a number per environment that grows with everything a gate must hear of, the
-- stops of the kill switch, the tool calls that gates and SDKs report, and prompts and contents beside tools.

-- +goose Up
create table feed_versions (
  tenant_id      text not null,
  environment_id text not null,
  sequence       bigint not null,
  primary key (tenant_id, environment_id),
  foreign key (tenant_id, environment_id) references environments (tenant_id, id) on delete cascade
);

-- Triggers, so that no path through the code can forget to tell. One transaction counts once, however many rows it touches:
-- updating one row over and over within a transaction would get slower with each. The row stays locked until the commit, so
-- numbers become visible in their order.
-- +goose StatementBegin
create function tell_feed() returns trigger
language plpgsql
as $$
declare
  this text := pg_current_xact_id()::text || ' ' || new.environment_id;
begin
  if current_setting('app.feed_told', true) = this then
    return null;
  end if;
  perform set_config('app.feed_told', this, true);
  insert into feed_versions as f (tenant_id, environment_id, sequence) values (new.tenant_id, new.environment_id, 1)
    on conflict (tenant_id, environment_id) do update set sequence = f.sequence + 1;
  perform pg_notify('ostiary_feed', new.tenant_id || ' ' || new.environment_id);
  return null;
end
$$;
-- +goose StatementEnd

-- The kill switch: what is stopped until somebody lifts it. Nothing is deleted.
create table stops (
  tenant_id      text not null,
  environment_id text not null,
  id             text not null check (id ~ '^stp_[A-Z2-7]{26}$'),
  kind           text not null check (kind in ('tool', 'host', 'user', 'organization', 'server')),
  resource_id    text,
  value          text not null check (char_length(value) between 1 and 256), -- tool name, host, user, organization or resource id
  reason         text not null default '' check (char_length(reason) <= 200),
  created_at     timestamptz not null,
  created_by     text not null,
  lifted_at      timestamptz,
  lifted_by      text,
  primary key (tenant_id, environment_id, id),
  check ((kind in ('tool', 'server')) = (resource_id is not null)),
  foreign key (tenant_id, environment_id) references environments (tenant_id, id),
  foreign key (tenant_id, environment_id, resource_id) references resources (tenant_id, environment_id, id)
);
create unique index stops_live on stops (tenant_id, environment_id, kind, coalesce(resource_id, ''), value) where lifted_at is null;

-- Finds what was revoked lately. Refreshes change none of these columns, so they stay updates in place.
create index grants_revoked on grants (tenant_id, environment_id, revoked_at) where revoked_at is not null;
create index users_disabled on users (tenant_id, environment_id, disabled_at) where disabled_at is not null;
create index organizations_disabled on organizations (tenant_id, environment_id, disabled_at) where disabled_at is not null;
create index clients_disabled on clients (tenant_id, environment_id, disabled_at) where disabled_at is not null;

create trigger tell_feed after update of revoked_at on grants
  for each row when (old.revoked_at is distinct from new.revoked_at) execute function tell_feed();
create trigger tell_feed after update of disabled_at on users
  for each row when (old.disabled_at is distinct from new.disabled_at) execute function tell_feed();
create trigger tell_feed after update of disabled_at on organizations
  for each row when (old.disabled_at is distinct from new.disabled_at) execute function tell_feed();
create trigger tell_feed after update of disabled_at on clients
  for each row when (old.disabled_at is distinct from new.disabled_at) execute function tell_feed();
create trigger tell_feed after insert or update on stops for each row execute function tell_feed();
create trigger tell_feed after insert on policy_revisions for each row execute function tell_feed();

-- What gates and SDKs decided, one row per call. Reported again after a lost answer, a call has the same id.
create table tool_calls (
  tenant_id       text not null,
  environment_id  text not null,
  resource_id     text not null,
  id              text not null check (id ~ '^call_[A-Z2-7]{26}$'),
  at              timestamptz not null,  -- by the reporter's clock
  received_at     timestamptz not null,
  kind            text not null check (kind in ('tool', 'prompt', 'content', 'request')),
  tool            text not null,         -- or the prompt's name, the content's URI
  user_id         text not null,
  organization_id text not null,
  client_id       text not null,
  host            text not null,
  grant_id        text not null,
  proof           text not null check (proof in ('token', 'legacy')),
  scopes          text[] not null,       -- of the token: what the decision was made from
  allowed         boolean not null,
  shadowed        boolean not null,      -- would have been denied; shadow mode let it through
  reason          text not null,
  missing         text[] not null,
  revision        integer not null,      -- policy revision in force at the gate
  sequence        bigint not null,       -- feed in force at the gate
  silence         integer not null,      -- seconds since the gate had last heard from the issuer
  status          integer not null,      -- HTTP status of the answer, 0 when there was none
  latency_us      bigint not null,
  arguments       jsonb not null default '{}', -- only fields the tenant opted in to
  primary key (tenant_id, environment_id, id),
  foreign key (tenant_id, environment_id, resource_id) references resources (tenant_id, environment_id, id)
);
create index tool_calls_at on tool_calls (tenant_id, environment_id, at desc, id desc);
create index tool_calls_tool on tool_calls (tenant_id, environment_id, resource_id, tool, at desc);
create index tool_calls_user on tool_calls (tenant_id, environment_id, user_id, at desc);
create index tool_calls_received on tool_calls (tenant_id, received_at);

-- Prompts and contents (resources in MCP's words) are mapped to scopes like tools.
alter table tools add column kind text not null default 'tool' check (kind in ('tool', 'prompt', 'content'));
alter table tools add column audited text[] not null default '{}'; -- arguments that may be written to tool_calls
alter table tools drop constraint tools_tenant_id_environment_id_resource_id_name_key;
alter table tools add constraint tools_name unique (tenant_id, environment_id, resource_id, kind, name);

-- How long the resource side goes on without hearing from the issuer, by risk; seconds.
alter table resources add column offline_read integer not null default 86400 check (offline_read between 60 and 604800);
alter table resources add column offline_write integer not null default 3600 check (offline_write between 60 and 604800);
alter table resources add column offline_destructive integer not null default 300
  check (offline_destructive between 60 and 604800);

-- +goose StatementBegin
do $$
declare
  name text;
begin
  foreach name in array array['feed_versions', 'stops', 'tool_calls'] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    execute format('create policy tenant on %I using (tenant_id = current_tenant()) with check (tenant_id = current_tenant())', name);
  end loop;
end
$$;
-- +goose StatementEnd
grant select, insert, update on feed_versions, stops to ostiary_app;
grant select, insert, delete on tool_calls to ostiary_app;

-- +goose Down
drop table tool_calls, stops;
drop trigger tell_feed on grants;
drop trigger tell_feed on users;
drop trigger tell_feed on organizations;
drop trigger tell_feed on clients;
drop trigger tell_feed on policy_revisions;
drop table feed_versions;
drop function tell_feed();
drop index grants_revoked, users_disabled, organizations_disabled, clients_disabled;
alter table resources drop column offline_read, drop column offline_write, drop column offline_destructive;
alter table tools drop constraint tools_name;
delete from tools where kind <> 'tool';
alter table tools drop column kind, drop column audited;
alter table tools add constraint tools_tenant_id_environment_id_resource_id_name_key
  unique (tenant_id, environment_id, resource_id, name);
