package dashboard

import (
	"log/slog"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/tenants"
)

// Deps is what the dashboard is built from.
type Deps struct {
	Services tenants.Deps
	Logger   *slog.Logger
	Now      func() time.Time
	URL      string // public base URL of the dashboard; https makes the session cookie a __Host- one
}

// Dashboard is the dashboard of one process.
type Dashboard struct {
	log          *slog.Logger
	now          func() time.Time
	secure       bool
	members      *tenants.Members
	sessions     *tenants.MemberSessions
	environments *tenants.Environments
	resources    *tenants.Resources
}

// New returns a Dashboard.
func New(d Deps) *Dashboard {
	return &Dashboard{
		log: d.Logger, now: d.Now, secure: strings.HasPrefix(d.URL, "https://"),
		members:      tenants.NewMembers(d.Services),
		sessions:     tenants.NewMemberSessions(d.Services),
		environments: tenants.NewEnvironments(d.Services),
		resources:    tenants.NewResources(d.Services),
	}
}

// Register mounts every screen.
func (d *Dashboard) Register(e *echo.Echo) {
}

// HandleError answers a request that failed with a page; it is the dashboard's only mapper of errors.
func (d *Dashboard) HandleError(err error, c echo.Context) {
}
