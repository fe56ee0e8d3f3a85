package apply

import (
	"context"
	"fmt"
	"strings"

	"github.com/ostiary/ostiary/tenants/check"
	"github.com/ostiary/ostiary/tenants/directory"
)

func (w *work) organizationSteps(ctx context.Context, e *Environment) ([]step, error) {
	found := map[string]directory.Organization{}
	if w.env != nil {
		slugs := make([]string, len(e.Organizations))
		for i, o := range e.Organizations {
			slugs[i] = o.Slug
		}
		var err error
		if found, err = w.organizations.BySlug(ctx, slugs); err != nil {
			return nil, err
		}
		_, total, err := w.organizations.List(ctx, directory.Filter{Limit: 1})
		if err != nil {
			return nil, err
		}
		w.leftAlone(total-len(found), "organization", e.Slug)
	}
	var steps []step
	for _, o := range e.Organizations {
		org, exists := found[o.Slug]
		switch {
		case !exists:
			steps = append(steps, step{
				Change{Op: OpCreate, What: fmt.Sprintf("organization %s (%s)", o.Slug, o.Name)},
				func(ctx context.Context) error {
					_, err := w.organizations.Create(w.inEnvironment(ctx), o.Slug, o.Name)
					return err
				},
			})
		case org.Name != o.Name:
			steps = append(steps, step{
				Change{Op: OpUpdate, What: fmt.Sprintf("organization %s: name %s → %s", o.Slug, org.Name, o.Name)},
				func(ctx context.Context) error { return w.organizations.Rename(w.inEnvironment(ctx), org.ID, o.Name) },
			})
		}
	}
	return steps, nil
}

func (w *work) userSteps(ctx context.Context, e *Environment) ([]step, error) {
	accounts := map[string]directory.Account{}
	if w.env != nil {
		emails := make([]string, len(e.Users))
		for i, u := range e.Users {
			emails[i] = check.NormalEmail(u.Email)
		}
		var err error
		if accounts, err = w.users.Accounts(ctx, emails); err != nil {
			return nil, err
		}
		_, total, err := w.users.List(ctx, directory.Filter{Limit: 1})
		if err != nil {
			return nil, err
		}
		w.leftAlone(total-len(accounts), "user", e.Slug)
	}
	organizations, err := w.organizationSlugs(ctx, accounts)
	if err != nil {
		return nil, err
	}
	var steps []step
	for _, u := range e.Users {
		account, exists := accounts[check.NormalEmail(u.Email)]
		if !exists {
			steps = append(steps, step{Change{Op: OpCreate, What: "user " + u.Email}, w.createUser(u)})
			continue
		}
		changed, err := w.userChanges(ctx, u, account, organizations[account.OrganizationID])
		if err != nil {
			return nil, err
		}
		if len(changed) > 0 {
			what := fmt.Sprintf("user %s: %s", u.Email, strings.Join(changed, ", "))
			steps = append(steps, step{Change{Op: OpUpdate, What: what}, w.updateUser(u, account)})
		}
	}
	return steps, nil
}

// organizationSlugs returns the slugs of the accounts' organizations, by id.
func (w *work) organizationSlugs(
	ctx context.Context, accounts map[string]directory.Account,
) (map[string]string, error) {
	ids := map[string]bool{}
	for _, a := range accounts {
		if a.OrganizationID != "" {
			ids[a.OrganizationID] = true
		}
	}
	if len(ids) == 0 {
		return map[string]string{}, nil
	}
	return w.organizations.Slugs(ctx, ids)
}

func (w *work) userChanges(ctx context.Context, u User, a directory.Account, organization string) ([]string, error) {
	var changed []string
	if a.Name != u.Name {
		changed = append(changed, "name")
	}
	if a.EmailVerified != u.EmailVerified {
		changed = append(changed, "e-mail verified")
	}
	if organization != u.Organization {
		changed = append(changed, "organization")
	}
	other, err := w.otherPassword(ctx, u, a)
	if other {
		changed = append(changed, "password")
	}
	return changed, err
}

// otherPassword reports whether the file gives another password than the account has.
func (w *work) otherPassword(ctx context.Context, u User, a directory.Account) (bool, error) {
	if u.PasswordHash != "" {
		return a.Hash() != u.PasswordHash, nil
	}
	if u.Password == "" {
		return false, nil
	}
	same, err := w.plan.passwords.matches(a.Hash(), u.Password, func() (bool, error) {
		return w.users.PasswordIs(ctx, a, u.Password)
	})
	return !same, err
}

// organizationID looks a user's organization up when it certainly exists: in the transaction that made it.
func (w *work) organizationID(ctx context.Context, slug string) (string, error) {
	if slug == "" {
		return "", nil
	}
	found, err := w.organizations.BySlug(ctx, []string{slug})
	return found[slug].ID, err
}

func (w *work) createUser(u User) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx = w.inEnvironment(ctx)
		organization, err := w.organizationID(ctx, u.Organization)
		if err != nil {
			return err
		}
		_, err = w.users.Create(ctx, directory.NewUser{
			Email: u.Email, EmailVerified: u.EmailVerified, Name: u.Name, OrganizationID: organization,
			Password: u.Password, PasswordHash: u.PasswordHash,
		})
		return err
	}
}

func (w *work) updateUser(u User, a directory.Account) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx = w.inEnvironment(ctx)
		organization, err := w.organizationID(ctx, u.Organization)
		if err != nil {
			return err
		}
		update := directory.UserUpdate{Name: u.Name, EmailVerified: u.EmailVerified, OrganizationID: organization}
		other, err := w.otherPassword(ctx, u, a)
		if err != nil {
			return err
		}
		if other {
			update.Password, update.PasswordHash = u.Password, u.PasswordHash
		}
		_, err = w.users.Update(ctx, a.ID, update)
		return err
	}
}
