package dashboard

import (
	"log/slog"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/oauth/attemptlog"
	"github.com/ostiary/ostiary/oauth/clients"
	"github.com/ostiary/ostiary/templates/ui"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/calllog"
)

// Deps is what the dashboard is built from.
type Deps struct {
	Services tenants.Deps
	Logger   *slog.Logger
	Now      func() time.Time
	URL      string         // public base URL of the dashboard; https makes the session cookie a __Host- one
	Hosts    []clients.Host // known ones, to be called by their names
	Hint     *ui.Notice     // shown under the sign-in form; `dev` names its demo sign-in there
}

// Dashboard is the dashboard of one process.
type Dashboard struct {
	log          *slog.Logger
	now          func() time.Time
	secure       bool
	hint         *ui.Notice
	members      *tenants.Members
	sessions     *tenants.MemberSessions
	environments *tenants.Environments
	resources    *tenants.Resources
	stops        *tenants.Stops
	attempts     *attemptlog.Reader
	calls        *calllog.Log
	hosts        []clients.Host // known ones
}

// New returns a Dashboard.
func New(d Deps) *Dashboard {
	return &Dashboard{
		log: d.Logger, now: d.Now, secure: strings.HasPrefix(d.URL, "https://"), hint: d.Hint,
		members:      tenants.NewMembers(d.Services),
		sessions:     tenants.NewMemberSessions(d.Services),
		environments: tenants.NewEnvironments(d.Services),
		resources:    tenants.NewResources(d.Services),
		stops:        tenants.NewStops(d.Services),
		attempts:     attemptlog.NewReader(d.Services.DB, d.Now),
		calls:        calllog.New(d.Services),
		hosts:        d.Hosts,
	}
}

// Register mounts every screen. Posts from other origins are refused before they arrive here (app/routes.go).
func (d *Dashboard) Register(e *echo.Echo) {
	e.GET("/", d.showHome)
	e.GET("/sign-in", d.showSignIn)
	e.POST("/sign-in", d.createMemberSession)
	e.POST("/sign-out", d.deleteMemberSession)

	env := e.Group("/environments/:env", d.signedIn, d.inEnvironment)
	env.GET("", d.showEnvironment)
	env.GET("/brand.css", d.showBrand)
	env.GET("/servers", d.showServers)
	env.GET("/activity", d.showActivity)
	env.GET("/activity/calls", d.showCalls)
	env.GET("/activity/calls/:call", d.showCall)
	env.GET("/activity/:case", d.showAttempt)
	env.GET("/stops", d.showStops)
	env.POST("/stops", d.createStop)
	env.GET("/stops/new", d.showStopForm)
	env.POST("/stops/new", d.checkStop)
	env.GET("/stops/confirm", d.showStopConfirm)
	env.POST("/stops/:stop/lift", d.liftStop)
	server := env.Group("/servers/:server")
	server.GET("", d.showServer)
	server.GET("/tools", d.showTools)
	server.GET("/permissions", d.showPermissions)
	server.POST("/publish", d.createRevision)
	server.GET("/wording", d.showFirstWording)
	server.GET("/wording/:permission", d.showWording)
	server.POST("/wording/:permission", d.updateWording)
	server.POST("/wording/:permission/preview", d.showWordingPreview)
}
