-- The form of an id is ours: a row's check only has to find a value that went into the wrong column. A regular expression costs some
-- ten microseconds for each row that is written, four of them at each sign-in with consent; a length and a prefix cost nothing.

-- +goose Up
alter table consents drop constraint consents_id_check,
  add constraint consents_id_check check (octet_length(id) = 30 and starts_with(id, 'con_'));
alter table grants drop constraint grants_id_check,
  add constraint grants_id_check check (octet_length(id) = 30 and starts_with(id, 'grt_'));
alter table audit_events drop constraint audit_events_id_check,
  add constraint audit_events_id_check check (octet_length(id) = 30 and starts_with(id, 'aud_'));

-- +goose Down
alter table audit_events drop constraint audit_events_id_check, add constraint audit_events_id_check check (id ~ '^aud_[A-Z2-7]{26}$');
alter table grants drop constraint grants_id_check, add constraint grants_id_check check (id ~ '^grt_[A-Z2-7]{26}$');
alter table consents drop constraint consents_id_check, add constraint consents_id_check check (id ~ '^con_[A-Z2-7]{26}$');
