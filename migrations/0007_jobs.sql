-- Regular work: when each job is due, so that of many nodes one does it, once per interval; and indexes that find what has
-- expired in one tenant without looking at everybody's.

-- +goose Up
create table job_runs (
  name        text primary key check (name ~ '^[a-z][a-z-]{1,40}$'),
  due_at      timestamptz not null,      -- while a run is under way: when others try again in case it died
  started_at  timestamptz not null,      -- the last run
  finished_at timestamptz,               -- the last run that ended well
  problem     text not null default ''   -- what ended the last run, empty when it ended well
);
-- It belongs to the installation, not to a tenant, and holds no data of one.
alter table job_runs enable row level security;
alter table job_runs force row level security;
create policy everybody on job_runs using (true) with check (true);
grant select, insert, update on job_runs to ostiary_app;

drop index sessions_expiry, member_sessions_expiry, rate_counters_window;
create index sessions_expiry on sessions (tenant_id, expires_at);
create index member_sessions_expiry on member_sessions (tenant_id, expires_at);
create index rate_counters_window on rate_counters (tenant_id, window_start);

-- +goose Down
drop index sessions_expiry, member_sessions_expiry, rate_counters_window;
create index sessions_expiry on sessions (expires_at);
create index member_sessions_expiry on member_sessions (expires_at);
create index rate_counters_window on rate_counters (window_start);
drop table job_runs;
