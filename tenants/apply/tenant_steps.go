package apply

import (
	"context"
	"fmt"
	"strings"

	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/check"
)

// work is one run over a file, for a plan or to apply it.
type work struct {
	*Applier
	tenantID    string // "" while the tenant does not exist
	tenantIsNew bool   // this run created it
	plan        *Plan
	env         *tenants.Environment // of the environment at hand; nil while it does not exist
	secrets     []ClientSecret
	credentials []MadeCredential
}

func createTenant(f File) Change {
	return Change{Op: OpCreate, What: fmt.Sprintf("tenant %s (%s)", f.Tenant.Slug, f.Tenant.Name)}
}

func nothing(context.Context) error { return nil }

// tenant returns the steps for the account and its members.
func (w *work) tenant(ctx context.Context, f File) ([]step, error) {
	var steps []step
	accounts := map[string]tenants.MemberAccount{}
	switch {
	case w.tenantID == "":
		steps = append(steps, step{createTenant(f), nothing})
	case w.tenantIsNew:
		steps = append(steps, step{createTenant(f), nothing}) // done before its transaction could begin
	default:
		t, err := w.tenants.Get(ctx)
		if err != nil {
			return nil, err
		}
		if t.Name != f.Tenant.Name {
			steps = append(steps, step{
				Change{Op: OpUpdate, What: fmt.Sprintf("tenant %s: name %s → %s", t.Slug, t.Name, f.Tenant.Name)},
				func(ctx context.Context) error { return w.tenants.Rename(ctx, f.Tenant.Name) },
			})
		}
		if accounts, err = w.members.Accounts(ctx); err != nil {
			return nil, err
		}
	}
	listed := 0
	for _, m := range f.Members {
		account, exists := accounts[check.NormalEmail(m.Email)]
		if exists {
			listed++
		}
		s, err := w.member(ctx, m, account, exists)
		if err != nil {
			return nil, err
		}
		steps = append(steps, s...)
	}
	w.leftAlone(len(accounts)-listed, "member", "")
	return steps, nil
}

func (w *work) member(ctx context.Context, m Member, a tenants.MemberAccount, exists bool) ([]step, error) {
	if !exists {
		return []step{{
			Change{Op: OpCreate, What: fmt.Sprintf("member %s (%s)", m.Email, m.Role)},
			func(ctx context.Context) error {
				_, err := w.members.Create(ctx, tenants.NewMember{Email: m.Email, Name: m.Name, Role: m.Role, Password: m.Password})
				return err
			},
		}}, nil
	}
	var changed []string
	if a.Name != m.Name {
		changed = append(changed, "name")
	}
	if a.Role != m.Role {
		changed = append(changed, fmt.Sprintf("role %s → %s", a.Role, m.Role))
	}
	password := ""
	if m.Password != "" {
		same, err := w.plan.passwords.matches(a.Hash(), m.Password, func() (bool, error) {
			return w.members.PasswordIs(ctx, a, m.Password)
		})
		if err != nil {
			return nil, err
		}
		if !same {
			changed, password = append(changed, "password"), m.Password
		}
	}
	if len(changed) == 0 {
		return nil, nil
	}
	return []step{{
		Change{Op: OpUpdate, What: fmt.Sprintf("member %s: %s", m.Email, strings.Join(changed, ", "))},
		func(ctx context.Context) error {
			_, err := w.members.Update(ctx, a.ID, tenants.MemberUpdate{
				Name: m.Name, Role: m.Role, Password: password, Disabled: a.DisabledAt != nil,
			})
			return err
		},
	}}, nil
}

// leftAlone notes how many things the file does not name.
func (w *work) leftAlone(n int, thing, environment string) {
	if n <= 0 {
		return
	}
	if n > 1 {
		thing += "s"
	}
	if environment != "" {
		thing += " in " + environment
	}
	w.plan.LeftAlone = append(w.plan.LeftAlone, fmt.Sprintf("%d %s", n, thing))
}

func (w *work) countOtherEnvironments(ctx context.Context, f File) error {
	if w.tenantID == "" {
		return nil
	}
	list, err := w.environments.List(scope.With(ctx, scope.Scope{TenantID: w.tenantID}))
	if err != nil {
		return err
	}
	others := 0
	for _, env := range list {
		others++
		for _, e := range f.Environments {
			if e.Slug == env.Slug {
				others--
			}
		}
	}
	w.leftAlone(others, "environment", "")
	return nil
}
