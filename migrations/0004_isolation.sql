-- Isolation: row-level security on every table, forced on its owner too, and the rights of the role that serves requests.

-- +goose Up
-- +goose StatementBegin
do $$
declare
  name text;
begin
  foreach name in array array[
    'environments', 'members', 'member_sessions', 'organizations', 'users', 'rate_counters', 'audit_events',
    'resources', 'resource_aliases', 'scopes', 'tools', 'tool_scopes', 'policy_revisions',
    'clients', 'sessions', 'consents', 'grants', 'signing_keys'
  ] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    execute format('create policy tenant on %I using (tenant_id = current_tenant()) with check (tenant_id = current_tenant())', name);
    execute format('grant select, insert, update, delete on %I to ostiary_app', name);
  end loop;

  -- read by everybody to find a tenant, written only for the tenant in scope
  foreach name in array array['tenant_slugs', 'issuers', 'member_logins'] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    execute format('create policy lookup on %I for select using (true)', name);
    execute format('create policy tenant_insert on %I for insert with check (tenant_id = current_tenant())', name);
    execute format('create policy tenant_update on %I for update using (tenant_id = current_tenant()) with check (tenant_id = current_tenant())', name);
    execute format('create policy tenant_delete on %I for delete using (tenant_id = current_tenant())', name);
    execute format('grant select, insert, update, delete on %I to ostiary_app', name);
  end loop;
end
$$;
-- +goose StatementEnd

alter table tenants enable row level security;
alter table tenants force row level security;
create policy tenant on tenants using (id = current_tenant()) with check (id = current_tenant());
grant select, insert, update on tenants to ostiary_app;

-- what was published, consented and recorded is never rewritten
revoke update, delete on policy_revisions, audit_events from ostiary_app;
revoke delete on consents, grants from ostiary_app;

-- serve refuses to run on an old schema; it only needs to read how far the schema is
grant select on goose_db_version to ostiary_app;

-- +goose Down
-- +goose StatementBegin
do $$
declare
  name text;
begin
  for name in select tablename from pg_policies where schemaname = 'public' group by tablename loop
    execute format('alter table %I disable row level security', name);
  end loop;
end
$$;
-- +goose StatementEnd
