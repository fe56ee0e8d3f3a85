-- What an insert costs beside its row. Postgres reads and plans each check of a table, and each expression of an index, anew for
-- every statement that inserts: some five microseconds for a check, fifteen for the hash in consents_lookup, of the seventy that
-- the rest of an insert takes.
--
-- The checks found a value that went into the wrong column, which tests find too. The hash is a column now, which the statement
-- that inserts fills in: what looks for a client asks for client_key = hashtextextended($1, 0) and client_id = $1. A row that an
-- older node writes while nodes are exchanged has none, and its user is asked once more.
--
-- Nothing ever looked for the grants of a client by grants_client.

-- +goose Up
alter table sessions drop constraint sessions_token_hash_check;
alter table consents drop constraint consents_id_check;
alter table grants drop constraint grants_id_check, drop constraint grants_host_check;
alter table audit_events drop constraint audit_events_id_check;

drop index grants_client, consents_lookup;
alter table consents add column client_key bigint not null default 0;
alter table consents no force row level security;
update consents set client_key = hashtextextended(client_id, 0);
alter table consents force row level security;
create index consents_lookup on consents (tenant_id, environment_id, user_id, client_key, created_at desc);

-- +goose Down
drop index consents_lookup;
alter table consents drop column client_key;
create index consents_lookup on consents (tenant_id, environment_id, user_id, hashtextextended(client_id, 0), created_at desc);
create index grants_client on grants (tenant_id, environment_id, hashtextextended(client_id, 0));

alter table audit_events add constraint audit_events_id_check check (octet_length(id) = 30 and starts_with(id, 'aud_'));
alter table grants add constraint grants_id_check check (octet_length(id) = 30 and starts_with(id, 'grt_')),
  add constraint grants_host_check check (char_length(host) <= 256);
alter table consents add constraint consents_id_check check (octet_length(id) = 30 and starts_with(id, 'con_'));
alter table sessions add constraint sessions_token_hash_check check (octet_length(token_hash) = 32);
