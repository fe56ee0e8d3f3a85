-- Finds consents by the column that 0014 added. Each statement is a transaction of its own and none keeps others from reading or
-- writing, however many consents there are; what was done before a failure is done again without harm. Row-level security binds the
-- owner too, who for once looks after every tenant's rows; it stays in force for the role that serves.
--
-- A consent that a node of before writes after this would not be found by its client: exchange all nodes when the schema is new.

-- +goose NO TRANSACTION
-- +goose Up
alter table consents no force row level security;
update consents set client_key = hashtextextended(client_id, 0) where client_key = 0;
alter table consents force row level security;
drop index concurrently if exists consents_by_client;
create index concurrently consents_by_client on consents (tenant_id, environment_id, user_id, client_key, created_at desc);
drop index concurrently if exists consents_lookup;

-- +goose Down
create index concurrently if not exists consents_lookup
  on consents (tenant_id, environment_id, user_id, hashtextextended(client_id, 0), created_at desc);
drop index concurrently if exists consents_by_client;
