package apply

import (
	"context"
	"fmt"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/directory"
	"github.com/ostiary/ostiary/tenants/rows"
)

// Clients stores pre-registered clients of the environment in the context, in the transaction of the context. The
// authorization server, which owns clients, implements it.
type Clients interface {
	// Diff says for each client what Upsert would do.
	Diff(ctx context.Context, clients []Client) ([]ClientDiff, error)
	// Upsert makes a stored client equal to c. It returns the secret it made, if it made one: nobody can read it later.
	Upsert(ctx context.Context, c Client) (secret string, err error)
}

// ClientDiff is how a stored client differs from the file.
type ClientDiff struct {
	Missing bool
	Changed []string // for people: "name", "redirect addresses", "secret"
}

// Deps is what an Applier needs.
type Deps struct {
	tenants.Deps
	// IssuerURL returns the issuer of an environment whose file names none.
	IssuerURL func(environmentSlug string) string
	// Clients may be nil when no file has clients.
	Clients Clients
	// OnEnvironment is called in the transaction that creates an environment, under its scope; the authorization server makes
	// the first signing key there. It may be nil.
	OnEnvironment func(ctx context.Context, env *tenants.Environment) error
}

// Applier makes tenants equal to files.
type Applier struct {
	deps          Deps
	tenants       *tenants.Tenants
	members       *tenants.Members
	environments  *tenants.Environments
	resources     *tenants.Resources
	organizations *directory.Organizations
	users         *directory.Users
}

// New returns an Applier.
func New(d Deps) *Applier {
	return &Applier{
		deps:          d,
		tenants:       tenants.NewTenants(d.Deps),
		members:       tenants.NewMembers(d.Deps),
		environments:  tenants.NewEnvironments(d.Deps),
		resources:     tenants.NewResources(d.Deps),
		organizations: directory.NewOrganizations(d.Deps),
		users:         directory.NewUsers(d.Deps),
	}
}

// step is a change and how to make it. run gets the context of the transaction.
type step struct {
	Change
	run func(ctx context.Context) error
}

// Result is what applying a plan brought about.
type Result struct {
	TenantID      string
	Environments  map[string]scope.Scope // by slug
	ClientSecrets []ClientSecret         // made now, shown once
	Credentials   []MadeCredential       // the same
}

// ClientSecret is a secret made for a pre-registered client.
type ClientSecret struct {
	Environment string // slug
	ClientID    string
	Secret      string
}

// Plan says what applying f would change. Only the operator may ask. Errors: *InvalidError, errs.Forbidden.
func (a *Applier) Plan(ctx context.Context, f File) (Plan, error) {
	if err := tenants.AuthorizeOperator(ctx); err != nil {
		return Plan{}, err
	}
	if problems := f.Validate(); len(problems) > 0 {
		return Plan{}, newInvalidError(problems, f.places)
	}
	p := Plan{file: f, passwords: passwords{}}
	tenantID, err := a.tenantID(ctx, f)
	if err != nil {
		return Plan{}, err
	}
	w := &work{Applier: a, tenantID: tenantID, plan: &p}
	if tenantID != "" {
		ctx = scope.With(ctx, scope.Scope{TenantID: tenantID})
	}
	steps, err := w.tenant(ctx, f)
	if err != nil {
		return Plan{}, err
	}
	p.add(steps)
	for i := range f.Environments {
		steps, err := w.environment(ctx, &f.Environments[i])
		if err != nil {
			return Plan{}, fmt.Errorf("environment %s: %w", f.Environments[i].Slug, err)
		}
		p.add(steps)
	}
	return p, w.countOtherEnvironments(ctx, f)
}

func (p *Plan) add(steps []step) {
	for _, s := range steps {
		p.Changes = append(p.Changes, s.Change)
	}
}

// tenantID returns the id of the file's tenant, "" when it does not exist yet.
func (a *Applier) tenantID(ctx context.Context, f File) (string, error) {
	id, err := a.tenants.Find(ctx, f.Tenant.Slug)
	if errs.Is(err, errs.NotFound) {
		return "", nil
	}
	return id, err
}

// Apply does what p says: the tenant, then its members in one transaction, then each environment in one of its own. It
// refuses with errs.Conflict when something changed since the plan, before it writes to that part. Applying again goes on
// where a failure stopped. Errors: errs.Forbidden and whatever the services refuse.
func (a *Applier) Apply(ctx context.Context, p Plan) (Result, error) {
	if err := tenants.AuthorizeOperator(ctx); err != nil {
		return Result{}, err
	}
	f := p.file
	tenantID, err := a.tenantID(ctx, f)
	if err != nil {
		return Result{}, err
	}
	w := &work{Applier: a, tenantID: tenantID, plan: &Plan{passwords: p.passwords}}
	if err := w.applyTenant(ctx, p); err != nil {
		return Result{}, err
	}
	result := Result{TenantID: w.tenantID, Environments: map[string]scope.Scope{}}
	ctx = scope.With(ctx, scope.Scope{TenantID: w.tenantID})
	for i := range f.Environments {
		e := &f.Environments[i]
		w.secrets, w.credentials = nil, nil
		err := rows.InTenant(ctx, a.deps.DB, func(ctx context.Context) error { return w.applyEnvironment(ctx, e, p) })
		if err != nil {
			return result, fmt.Errorf("environment %s: %w", e.Slug, err)
		}
		result.Environments[e.Slug] = w.env.Scope()
		result.ClientSecrets = append(result.ClientSecrets, w.secrets...)
		result.Credentials = append(result.Credentials, w.credentials...)
	}
	return result, nil
}

func (w *work) applyTenant(ctx context.Context, p Plan) error {
	if w.tenantID == "" {
		if !startsWithTenant(p) {
			return changedSince()
		}
		t, err := w.tenants.Create(ctx, p.file.Tenant.Slug, p.file.Tenant.Name)
		if err != nil {
			return err
		}
		w.tenantID, w.tenantIsNew = t.ID, true
	}
	ctx = scope.With(ctx, scope.Scope{TenantID: w.tenantID})
	return rows.InTenant(ctx, w.deps.DB, func(ctx context.Context) error {
		steps, err := w.tenant(ctx, p.file)
		if err != nil {
			return err
		}
		return run(ctx, steps, p.of(""))
	})
}

func startsWithTenant(p Plan) bool { return len(p.Changes) > 0 && p.Changes[0] == createTenant(p.file) }

func (w *work) applyEnvironment(ctx context.Context, e *Environment, p Plan) error {
	steps, err := w.environment(ctx, e)
	if err != nil {
		return err
	}
	return run(ctx, steps, p.of(e.Slug))
}

// run makes the changes, if they are the ones that were planned.
func run(ctx context.Context, steps []step, planned []Change) error {
	now := make([]Change, len(steps))
	for i, s := range steps {
		now[i] = s.Change
	}
	if !sameChanges(now, planned) {
		return changedSince()
	}
	for _, s := range steps {
		if err := s.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", s.What, err)
		}
	}
	return nil
}

func changedSince() error {
	return errs.New(errs.Conflict, "Something changed after the plan was made. Plan again.")
}
