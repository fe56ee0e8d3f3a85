-- What an insert costs beside its row. Postgres reads and plans each check of a table, and each expression of an index, anew for
-- every statement that inserts: some five microseconds for a check, fifteen for the hash in consents_lookup, of the seventy that
-- the rest of an insert takes.
--
-- The checks found a value that went into the wrong column, which tests find too. The hash is a column now, which the statement
-- that inserts fills in: what looks for a client asks for client_key = hashtextextended($1, 0) and client_id = $1. The next file
-- fills it in for the rows there are, without holding up anybody.
--
-- Nothing ever looked for the grants of a client by grants_client.

-- +goose Up
alter table sessions drop constraint sessions_token_hash_check;
alter table consents drop constraint consents_id_check, add column client_key bigint not null default 0;
alter table grants drop constraint grants_id_check, drop constraint grants_host_check;
alter table audit_events drop constraint audit_events_id_check;
drop index grants_client;

-- +goose Down
create index grants_client on grants (tenant_id, environment_id, hashtextextended(client_id, 0));
alter table audit_events add constraint audit_events_id_check check (octet_length(id) = 30 and starts_with(id, 'aud_'));
alter table grants add constraint grants_id_check check (octet_length(id) = 30 and starts_with(id, 'grt_')),
  add constraint grants_host_check check (char_length(host) <= 256);
alter table consents drop column client_key,
  add constraint consents_id_check check (octet_length(id) = 30 and starts_with(id, 'con_'));
alter table sessions add constraint sessions_token_hash_check check (octet_length(token_hash) = 32);
