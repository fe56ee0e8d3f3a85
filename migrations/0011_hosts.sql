-- Which host a grant was made for, by what was checked then, so that a refreshed token says it too; and how long tokens
-- lived before that was shortened: what they rest on must be listed as ended until the last of them is gone.

-- +goose Up
alter table grants add column host text not null default '' check (char_length(host) <= 256);
alter table environments add column token_lifetime_before integer not null default 0; -- seconds
alter table environments add column token_lifetime_before_until timestamptz;

-- +goose Down
alter table grants drop column host;
alter table environments drop column token_lifetime_before, drop column token_lifetime_before_until;
