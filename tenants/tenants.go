package tenants

import (
	"log/slog"
	"time"

	"github.com/ostiary/ostiary/app/audit"
	"github.com/ostiary/ostiary/app/db"
	"github.com/ostiary/ostiary/app/secret"
)

// Deps is what the services of this package and of tenants/directory are built from.
type Deps struct {
	DB        *db.DB
	Now       func() time.Time
	Keyring   *secret.Keyring
	Passwords *secret.Passwords
	Logger    *slog.Logger
}

// base is what every service has.
type base struct {
	deps  Deps
	audit *audit.Recorder
}

func newBase(d Deps) base {
	return base{deps: d, audit: audit.NewRecorder(audit.Deps{DB: d.DB, Now: d.Now})}
}

// now is the time of one use case, in the resolution that Postgres keeps.
func (b base) now() time.Time { return b.deps.Now().UTC().Truncate(time.Microsecond) }
