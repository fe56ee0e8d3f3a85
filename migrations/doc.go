// Package migrations holds the schema as plain numbered SQL, applied in order by goose as the ostiary_owner role.
//
// It owns every table, policy, role grant and SQL function. It imports nothing of ours. A merged file is never edited: a
// change of schema is a new file that begins with a comment on why. Row-level security is enabled and forced on every
// table; app/db's guard tests read the catalogue and fail when one is missing.
package migrations
