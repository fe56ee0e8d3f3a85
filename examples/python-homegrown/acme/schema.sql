-- Acme's database. Every customer (organization) shares the tables; row-level security keeps each to its own rows. The server
-- connects as acme_app, which owns nothing and cannot get around the policies.

create function current_org() returns text language plpgsql stable as $$
declare org text := nullif(current_setting('app.org', true), '');
begin
  -- Forgetting to say who asks is an error, never "everybody".
  if org is null then raise exception 'app.org is not set in this transaction'; end if;
  return org;
end $$;

create table organizations (
  id          text primary key,
  name        text not null,
  external_id text unique -- what a system in front calls this organization
);

create table api_keys (
  hash       bytea primary key check (length(hash) = 32), -- SHA-256; the key itself is shown once and kept nowhere
  org        text not null references organizations,
  label      text not null,
  created_at timestamptz not null default now(),
  revoked_at timestamptz
);

create table accounts (
  org        text not null default current_org() references organizations,
  account_id text not null,
  name       text not null,
  industry   text not null,
  country    text not null,
  plan       text not null check (plan in ('starter', 'growth', 'enterprise')),
  seats      integer not null,
  arr_eur    integer not null,
  health     double precision not null check (health between 0 and 1),
  primary key (org, account_id)
);

create table usage (
  org        text not null default current_org(),
  account_id text not null,
  month      text not null,
  queries    integer not null,
  primary key (org, account_id, month),
  foreign key (org, account_id) references accounts
);

create table segments (
  org         text not null default current_org() references organizations,
  segment_id  text not null,
  name        text not null,
  description text not null,
  primary key (org, segment_id)
);

create table segment_members (
  org        text not null default current_org(),
  segment_id text not null,
  account_id text not null,
  primary key (org, segment_id, account_id),
  foreign key (org, segment_id) references segments on delete cascade,
  foreign key (org, account_id) references accounts
);

create table signals (
  org          text not null default current_org(),
  signal_id    text not null default 'sig_' || replace(gen_random_uuid()::text, '-', ''),
  account_id   text not null,
  kind         text not null check (kind in ('churn_risk', 'upsell', 'support')),
  channel      text not null check (channel in ('sales', 'success', 'support')),
  note         text not null default '',
  requested_by text not null,
  created_at   timestamptz not null default now(),
  primary key (org, signal_id),
  foreign key (org, account_id) references accounts
);

do $$
declare name text;
begin
  foreach name in array array['accounts', 'usage', 'segments', 'segment_members', 'signals'] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name); -- binds the owner too
    execute format('create policy own_rows on %I using (org = current_org()) with check (org = current_org())', name);
  end loop;
end $$;

-- Who calls is found before an organization is set, so not through the policies: the server may ask these two questions and
-- cannot read the tables behind them.
create function organization_by_key(key_hash bytea) returns text
  language sql stable security definer set search_path = public, pg_temp
  return (select org from api_keys where hash = key_hash and revoked_at is null);
create function organization_by_external_id(wanted text) returns text
  language sql stable security definer set search_path = public, pg_temp
  return (select id from organizations where external_id = wanted);
revoke all on function organization_by_key, organization_by_external_id from public;
grant execute on function organization_by_key, organization_by_external_id to acme_app;

grant select on accounts, usage, segments, segment_members, signals to acme_app;
grant update (name, description), delete on segments to acme_app;
grant insert, delete on segment_members to acme_app;
grant insert (account_id, kind, channel, note, requested_by) on signals to acme_app;
