package attemptlog

import (
	"context"
	"time"

	"github.com/ostiary/ostiary/app/db"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/tenants"
)

// Reader finds attempts of the environment in the context, for members and for the command line.
type Reader struct {
	db  *db.DB
	now func() time.Time
}

// NewReader returns a Reader.
func NewReader(database *db.DB, now func() time.Time) *Reader { return &Reader{db: database, now: now} }

// Attempt is one case in short: how it began, and its latest step.
type Attempt struct {
	CaseID     string    `json:"case"`
	StartedAt  time.Time `json:"started_at"`
	Last       Step      `json:"latest"`
	Steps      int       `json:"steps"`
	ClientID   string    `json:"client_id,omitempty"`
	ClientName string    `json:"client_name,omitempty"`
	Host       string    `json:"host,omitempty"`
	UserID     string    `json:"user_id,omitempty"`
	UserName   string    `json:"user_name,omitempty"`
	UserEmail  string    `json:"user_email,omitempty"`
}

// AttemptFilter narrows and pages a list of attempts.
type AttemptFilter struct {
	Search   string    // in case id, client, host or user
	ClientID string    // exactly
	Until    time.Time // attempts that began later are left out, so that pages stay the same while new ones come
	Limit    int       // 20 when zero, at most 100
	Offset   int
}

// List returns attempts, the newest first, and how many there are in all. Errors: errs.Forbidden.
func (r *Reader) List(ctx context.Context, f AttemptFilter) ([]Attempt, int, error) {
	sc, err := readable(ctx)
	if err != nil {
		return nil, 0, err
	}
	if f.Until.IsZero() {
		f.Until = r.now()
	}
	f.Limit, f.Offset = limit(f.Limit), max(f.Offset, 0)
	return r.listAttempts(ctx, sc, f, r.now().Add(-keepFor))
}

// Cursor is a place in a list of steps.
type Cursor struct {
	At time.Time
	ID int64
}

// Cursor returns the place of a step.
func (s Step) Cursor() Cursor { return Cursor{At: s.At, ID: s.ID} }

// StepFilter narrows and pages a list of steps. Of Before and After at most one is set.
type StepFilter struct {
	ClientID string // exactly, empty for every client
	Before   Cursor // older ones only
	After    Cursor // newer ones only
	Limit    int    // 20 when zero, at most 100
}

// Steps returns steps of every attempt and of none, the newest first. Errors: errs.Forbidden.
func (r *Reader) Steps(ctx context.Context, f StepFilter) ([]Step, error) {
	sc, err := readable(ctx)
	if err != nil {
		return nil, err
	}
	f.Limit = limit(f.Limit)
	return r.listSteps(ctx, sc, f, r.now().Add(-keepFor))
}

// earlier is how long before an attempt what its client or its machine read and registered still belongs to it.
const earlier = 15 * time.Minute

// Find returns the steps of a case, the oldest first. What the same client or the same machine read and registered shortly
// before stands in front: those steps happen before an attempt has an id. Errors: errs.NotFound, errs.Forbidden.
func (r *Reader) Find(ctx context.Context, caseID string) ([]Step, error) {
	sc, err := readable(ctx)
	if err != nil {
		return nil, err
	}
	id, ok := ParseCaseID(caseID)
	if !ok {
		return nil, errNoCase
	}
	steps, err := r.findCase(ctx, sc, id)
	if err != nil {
		return nil, err
	}
	if len(steps) == 0 {
		return nil, errNoCase
	}
	return steps, nil
}

var errNoCase = errs.New(errs.NotFound, "There is no attempt with this case id. Attempts are kept for seven days.")

func readable(ctx context.Context) (scope.Scope, error) {
	if err := tenants.AuthorizeView(ctx); err != nil {
		return scope.Scope{}, err
	}
	sc, err := scope.From(ctx)
	if err == nil && sc.EnvironmentID == "" {
		err = errs.New(errs.Internal, "no environment in context")
	}
	return sc, err
}

func limit(n int) int {
	const usual, most = 20, 100
	if n <= 0 {
		return usual
	}
	return min(n, most)
}
