// Package postgres runs the Postgres server of `ostiary dev` and of the tests. Production brings its own server.
//
// Start takes, in this order: a configured superuser URL (nothing is started), a server found on the machine, or binaries
// downloaded once. A server it starts is a child of this process, with everything it keeps under Options.DataDir; it is
// reached over a Unix socket in a directory only we may enter, with a generated password besides, and it opens no TCP port
// unless Options.Port asks for one on the loopback address.
//
// The child runs in its own process group, so a terminal's Ctrl-C reaches us first and we stop it in order; on Linux it
// also shuts down when we are killed. A file lock keeps a second process off the data directory, and whoever holds that lock
// may clean up after a predecessor that died: a server still running there is stopped, stale lock files are removed.
//
// Postgres refuses to run as root. As root the child therefore runs as `postgres` or `nobody`; when that user cannot reach
// DataDir (below /root, say) the data live under /var/lib/ostiary instead, and the log says so.
//
// EnsureRoles makes the database and its two roles, ostiary_owner and ostiary_app, on any server.
//
// The package refuses to manage, back up or upgrade a production cluster, and to touch a data directory of another major
// version. It binds to no RFC but one: role passwords reach the server as SCRAM-SHA-256 verifiers (RFC 5803), never in clear.
package postgres
