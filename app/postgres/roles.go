package postgres

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/errs"
)

const (
	// OwnerRole owns the database and its schema and runs the migrations.
	OwnerRole = "ostiary_owner"
	// AppRole serves requests: row-level security binds it, and the migrations grant it each table.
	AppRole = "ostiary_app"
)

// rolesLock is the advisory lock that serializes EnsureRoles: Postgres fails concurrent changes of one role.
const rolesLock = 0x6f73746961727901

// RoleSpec is what EnsureRoles makes.
type RoleSpec struct {
	Database      string
	OwnerPassword string
	AppPassword   string
}

// Roles are the URLs of the two roles in the database. They carry passwords.
type Roles struct {
	OwnerURL string
	AppURL   string
}

// EnsureRoles makes the two roles and the database, or brings them back to what they must be: passwords, attributes and
// grants included. adminURL is a superuser's, or that of a role that may create roles and databases. It may be repeated and
// run by several processes at once. Errors: Invalid for a spec or URL that cannot work.
func EnsureRoles(ctx context.Context, adminURL string, spec RoleSpec) (Roles, error) {
	if spec.Database == "" || spec.OwnerPassword == "" || spec.AppPassword == "" {
		return Roles{}, errs.New(errs.Invalid, "The database needs a name, and both of its roles need a password.")
	}
	urls, err := RoleURLs(adminURL, spec)
	if err != nil {
		return Roles{}, err
	}
	conn, err := pgx.Connect(ctx, adminURL)
	if err != nil {
		return Roles{}, errs.Wrap(errs.Unavailable, "Postgres does not answer.", err)
	}
	defer conn.Close(ctx) //nolint:errcheck // the session's end only frees the advisory lock
	if _, err := conn.Exec(ctx, `select pg_advisory_lock($1)`, int64(rolesLock)); err != nil {
		return Roles{}, fmt.Errorf("lock roles: %w", err)
	}
	if err := ensureRole(ctx, conn, OwnerRole, spec.OwnerPassword); err != nil {
		return Roles{}, err
	}
	if err := ensureRole(ctx, conn, AppRole, spec.AppPassword); err != nil {
		return Roles{}, err
	}
	if err := ensureMemberships(ctx, conn); err != nil {
		return Roles{}, err
	}
	if err := ensureDatabase(ctx, conn, spec.Database); err != nil {
		return Roles{}, err
	}
	return urls, nil
}

// RoleURLs returns the URLs that EnsureRoles returns for the same arguments, and asks no server.
func RoleURLs(adminURL string, spec RoleSpec) (Roles, error) {
	owner, err := withLogin(adminURL, OwnerRole, spec.OwnerPassword, spec.Database)
	if err != nil {
		return Roles{}, err
	}
	app, err := withLogin(adminURL, AppRole, spec.AppPassword, spec.Database)
	return Roles{OwnerURL: owner, AppURL: app}, err
}

// withLogin returns the URL with another user and database; host, TLS and other settings stay.
func withLogin(rawURL, user, password, database string) (string, error) {
	u, err := url.Parse(rawURL)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return "", errs.New(errs.Invalid, "The database URL must look like postgres://user:password@host:5432/postgres.")
	}
	query := u.Query()
	for _, key := range []string{"user", "password", "passfile", "dbname", "database"} {
		query.Del(key) // in the query they would win over what is set below
	}
	u.RawQuery = query.Encode()
	u.User = url.UserPassword(user, password)
	u.Path, u.RawPath = "/"+database, ""
	return u.String(), nil
}

func ensureRole(ctx context.Context, conn *pgx.Conn, role, password string) error {
	verifier, err := scramVerifier(password)
	if err != nil {
		return err
	}
	var exists, powerful bool
	err = conn.QueryRow(ctx, `select true, rolsuper or rolbypassrls or rolcreatedb or rolcreaterole or rolreplication
		from pg_roles where rolname = $1`, role).Scan(&exists, &powerful)
	if err != nil && err != pgx.ErrNoRows { //nolint:errorlint // pgx returns it bare
		return fmt.Errorf("look up role %s: %w", role, err)
	}
	verb := "create"
	if exists {
		verb = "alter"
	}
	// The attributes are named only to correct a drift: a creator that is no superuser may not even deny them.
	attributes := ""
	if powerful {
		attributes = " nosuperuser nobypassrls nocreatedb nocreaterole noreplication"
	}
	if _, err := conn.Exec(ctx, verb+" role "+quote(role)+" login"+attributes+" password "+literal(verifier)); err != nil {
		return fmt.Errorf("%s role %s: %w", verb, role, err)
	}
	return nil
}

// ensureMemberships keeps the app role out of the owner role, and lets an admin that is no superuser act for the owner.
func ensureMemberships(ctx context.Context, conn *pgx.Conn) error {
	var appIsOwner, adminIsOwner bool
	err := conn.QueryRow(ctx, `select pg_has_role($1, $2, 'member'), pg_has_role(current_user, $2, 'usage')`,
		AppRole, OwnerRole).Scan(&appIsOwner, &adminIsOwner)
	if err != nil {
		return fmt.Errorf("look up role memberships: %w", err)
	}
	if appIsOwner {
		if _, err := conn.Exec(ctx, "revoke "+quote(OwnerRole)+" from "+quote(AppRole)); err != nil {
			return fmt.Errorf("revoke ownership from %s: %w", AppRole, err)
		}
	}
	if !adminIsOwner {
		if _, err := conn.Exec(ctx, "grant "+quote(OwnerRole)+" to current_user"); err != nil {
			return fmt.Errorf("act for %s: %w", OwnerRole, err)
		}
	}
	return nil
}

func ensureDatabase(ctx context.Context, conn *pgx.Conn, database string) error {
	var exists bool
	err := conn.QueryRow(ctx, `select exists (select from pg_database where datname = $1)`, database).Scan(&exists)
	if err != nil {
		return fmt.Errorf("look up database: %w", err)
	}
	if !exists {
		create := "create database " + quote(database) + " owner " + quote(OwnerRole) + " encoding 'UTF8' template template0"
		if _, err := conn.Exec(ctx, create); err != nil {
			return fmt.Errorf("create database: %w", err)
		}
	}
	statements := append(DatabaseGrants(database), "alter database "+quote(database)+" owner to "+quote(OwnerRole))
	if _, err := conn.Exec(ctx, strings.Join(statements, ";")); err != nil {
		return fmt.Errorf("set rights on the database: %w", err)
	}
	cfg := conn.Config()
	cfg.Database = database
	inside, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return fmt.Errorf("enter the database: %w", err)
	}
	defer inside.Close(ctx) //nolint:errcheck // everything is committed
	if _, err := inside.Exec(ctx, strings.Join([]string{
		"alter schema public owner to " + quote(OwnerRole),
		"revoke all on schema public from public",
		"grant usage on schema public to " + quote(AppRole),
	}, ";")); err != nil {
		return fmt.Errorf("set rights on the schema: %w", err)
	}
	return nil
}

// DatabaseGrants returns the statements that let the two roles, and nobody else, connect to a database. They have to be
// repeated on a database made from a template: rights on the database itself are not copied.
func DatabaseGrants(database string) []string {
	return []string{
		"revoke all on database " + quote(database) + " from public",
		"grant connect on database " + quote(database) + " to " + quote(AppRole),
	}
}

func quote(identifier string) string { return pgx.Identifier{identifier}.Sanitize() }

// literal quotes a string that holds no backslash.
func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
