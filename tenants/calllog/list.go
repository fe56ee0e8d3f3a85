package calllog

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ostiary/ostiary/app/calls"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/tenants"
)

// Call is a kept record with the names of what it is about, as they are now; a name is empty for what does not exist.
type Call struct {
	calls.Record
	ResourceID       string    `json:"resource"`
	ResourceName     string    `json:"resource_name,omitempty"`
	UserName         string    `json:"user_name,omitempty"`
	UserEmail        string    `json:"user_email,omitempty"`
	OrganizationName string    `json:"org_name,omitempty"`
	ReceivedAt       time.Time `json:"received_at"`
}

// Decision is what became of a call, in one word.
type Decision string

// The decisions.
const (
	Allowed  Decision = "allowed"
	Denied   Decision = "denied"
	Shadowed Decision = "shadowed" // would have been denied; the server is in shadow mode, so it was let through
)

// Decision says what became of the call.
func (c Call) Decision() Decision {
	switch {
	case c.Shadowed:
		return Shadowed
	case c.Allowed:
		return Allowed
	}
	return Denied
}

// Cursor is a place in a list of calls.
type Cursor struct {
	At time.Time
	ID string
}

// Cursor returns the place of a call.
func (c Call) Cursor() Cursor { return Cursor{At: c.At, ID: c.ID} }

// Filter narrows and pages a list of calls. Texts are compared whole; empty ones match everything. Of Before and After at
// most one is set.
type Filter struct {
	Server       string // id
	Tool         string
	User         string // id, or the e-mail address of a user
	Organization string // id or slug
	Host         string // "unverified" for clients of which nothing could be checked
	Decision     Decision
	Legacy       bool // only callers without OAuth
	Since, Until time.Time
	Before       Cursor // older ones only
	After        Cursor // newer ones only
	Limit        int    // 20 when zero, at most 100
}

// isText reports whether the filter holds only what the database can compare with.
func (f Filter) isText() bool {
	all := strings.Join([]string{f.Server, f.Tool, f.User, f.Organization, f.Host, f.Before.ID, f.After.ID}, "")
	return utf8.ValidString(all) && !strings.Contains(all, "\x00")
}

// Page is a part of a list, the newest call first.
type Page struct {
	Calls        []Call
	Newer, Older bool // whether there are more in that direction
}

// List returns calls, the newest first. Errors: errs.Forbidden, errs.Invalid for an unknown decision.
func (l *Log) List(ctx context.Context, f Filter) (Page, error) {
	sc, err := readable(ctx)
	if err != nil {
		return Page{}, err
	}
	switch f.Decision {
	case "", Allowed, Denied, Shadowed:
	default:
		return Page{}, errs.InvalidFields(map[string]string{"decision": "Choose allowed, denied or shadowed."})
	}
	if !f.isText() {
		return Page{}, nil // no call is like that
	}
	f.Limit = limit(f.Limit)
	return l.list(ctx, sc, f)
}

// Get returns one call. Errors: errs.NotFound, errs.Forbidden.
func (l *Log) Get(ctx context.Context, id string) (Call, error) {
	sc, err := readable(ctx)
	if err != nil {
		return Call{}, err
	}
	return l.get(ctx, sc, id)
}

// Lost returns how many calls gates and SDKs say they lost since a time, of one server or of all.
// Errors: errs.Forbidden.
func (l *Log) Lost(ctx context.Context, resourceID string, since time.Time) (int64, error) {
	sc, err := readable(ctx)
	if err != nil {
		return 0, err
	}
	return l.sumLost(ctx, sc, resourceID, since)
}

// LegacyUse is who still comes with a header or key from before OAuth.
type LegacyUse struct {
	User         string    `json:"user"`
	UserName     string    `json:"user_name,omitempty"`
	ResourceID   string    `json:"resource"`
	ResourceName string    `json:"resource_name"`
	Calls        int64     `json:"calls"`
	Denied       int64     `json:"denied"` // or would have been, in shadow mode
	FirstAt      time.Time `json:"first_at"`
	LastAt       time.Time `json:"last_at"`
}

// Legacy returns who used legacy keys since a time, who did last first; at most 500 of them. Errors: errs.Forbidden.
func (l *Log) Legacy(ctx context.Context, since time.Time) ([]LegacyUse, error) {
	sc, err := readable(ctx)
	if err != nil {
		return nil, err
	}
	return l.listLegacy(ctx, sc, since)
}

var errNoCall = errs.New(errs.NotFound, "There is no call with this id. Calls are kept for as long as call_retention says.")

func readable(ctx context.Context) (scope.Scope, error) {
	if err := tenants.AuthorizeView(ctx); err != nil {
		return scope.Scope{}, err
	}
	return environmentScope(ctx)
}

func limit(n int) int {
	const usual, most = 20, 100
	if n <= 0 {
		return usual
	}
	return min(n, most)
}
