-- What became of calls that were not reported: a log with holes has to say so. And indexes for what tool_calls is asked.

-- +goose Up
create table call_losses (
  tenant_id      text not null,
  environment_id text not null,
  resource_id    text not null,
  id             text not null check (id ~ '^call_[A-Z2-7]{26}$'), -- of the first call in the report: told twice it is one loss
  received_at    timestamptz not null,
  dropped        bigint not null check (dropped > 0),
  primary key (tenant_id, environment_id, id),
  foreign key (tenant_id, environment_id, resource_id) references resources (tenant_id, environment_id, id)
);
create index call_losses_received on call_losses (tenant_id, environment_id, received_at);
alter table call_losses enable row level security;
alter table call_losses force row level security;
create policy tenant on call_losses using (tenant_id = current_tenant()) with check (tenant_id = current_tenant());
grant select, insert, delete on call_losses to ostiary_app;

-- How long calls are kept is a setting of each environment.
drop index tool_calls_received;
create index tool_calls_received on tool_calls (tenant_id, environment_id, received_at);

-- A tool is looked for by its name, on one server or on all.
drop index tool_calls_tool;
create index tool_calls_tool on tool_calls (tenant_id, environment_id, tool, at desc, id desc);
drop index tool_calls_user;
create index tool_calls_user on tool_calls (tenant_id, environment_id, user_id, at desc, id desc);

-- Lists by server, organization and host; denials, which are few and looked at most; who still comes without OAuth.
create index tool_calls_resource on tool_calls (tenant_id, environment_id, resource_id, at desc, id desc);
create index tool_calls_organization on tool_calls (tenant_id, environment_id, organization_id, at desc, id desc)
  where organization_id <> '';
create index tool_calls_host on tool_calls (tenant_id, environment_id, host, at desc, id desc);
create index tool_calls_denied on tool_calls (tenant_id, environment_id, at desc, id desc) where not allowed or shadowed;
create index tool_calls_legacy on tool_calls (tenant_id, environment_id, at desc, id desc) where proof = 'legacy';

-- +goose Down
drop index tool_calls_resource, tool_calls_organization, tool_calls_host, tool_calls_denied, tool_calls_legacy;
drop index tool_calls_received, tool_calls_tool, tool_calls_user;
create index tool_calls_received on tool_calls (tenant_id, received_at);
create index tool_calls_tool on tool_calls (tenant_id, environment_id, resource_id, tool, at desc);
create index tool_calls_user on tool_calls (tenant_id, environment_id, user_id, at desc);
drop table call_losses;
