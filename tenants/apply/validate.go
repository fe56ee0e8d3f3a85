package apply

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/check"
	"github.com/ostiary/ostiary/tenants/directory"
)

// Validate returns everything wrong with the file, by paths into it.
func (f *File) Validate() check.Problems {
	var p check.Problems
	p.Join("tenant", tenants.ValidateTenant(f.Tenant.Slug, f.Tenant.Name))
	seen := unique{problems: &p}
	for i, m := range f.Members {
		at := fmt.Sprintf("members[%d]", i)
		p.Join(at, tenants.NewMember{Email: m.Email, Name: m.Name, Role: m.Role, Password: m.Password}.Validate())
		seen.add(at+".email", "member", check.NormalEmail(m.Email))
	}
	for i, e := range f.Environments {
		at := fmt.Sprintf("environments[%d]", i)
		p.Join(at, e.validate())
		seen.add(at+".slug", "environment", e.Slug)
		if issuer, err := tenants.CanonicalIssuer(e.Issuer); err == nil {
			seen.add(at+".issuer", "issuer", issuer)
		}
	}
	return p
}

// unique finds what is in a file twice.
type unique struct {
	problems *check.Problems
	seen     map[string]bool
}

func (u *unique) add(path, kind, name string) {
	if u.seen == nil {
		u.seen = map[string]bool{}
	}
	key := kind + " " + name
	if name != "" && u.seen[key] {
		u.problems.Addf(path, "There is another %s with this name in the file.", kind)
	}
	u.seen[key] = true
}

func (e *Environment) validate() check.Problems {
	var p check.Problems
	p.Join("", tenants.NewEnvironment{
		Slug: e.Slug, Name: e.Name, Kind: e.Kind, Settings: e.Settings, Branding: e.Branding,
	}.Validate())
	if e.Issuer != "" {
		if _, err := tenants.CanonicalIssuer(e.Issuer); err != nil {
			p.Add("issuer", message(err))
		}
	}
	seen := unique{problems: &p}
	var organizations []string
	for i, o := range e.Organizations {
		at := fmt.Sprintf("organizations[%d]", i)
		p.Join(at, directory.ValidateOrganization(o.Slug, o.Name))
		seen.add(at+".slug", "organization", o.Slug)
		organizations = append(organizations, o.Slug)
	}
	for i, u := range e.Users {
		at := fmt.Sprintf("users[%d]", i)
		p.Join(at, directory.NewUser{
			Email: u.Email, Name: u.Name, Password: u.Password, PasswordHash: u.PasswordHash,
		}.Validate())
		seen.add(at+".email", "user", check.NormalEmail(u.Email))
		if u.Organization != "" && !slices.Contains(organizations, u.Organization) {
			p.Addf(at+".organization", "There is no organization %q in this environment of the file.", u.Organization)
		}
	}
	p.Join("", e.validateResources())
	for i, c := range e.Clients {
		at := fmt.Sprintf("clients[%d]", i)
		p.Join(at, c.validate())
		p.Join(at, e.validateAllowance(c.Machine))
		seen.add(at+".id", "client", c.ID)
	}
	return p
}

func message(err error) string {
	var e *errs.Error
	if errors.As(err, &e) {
		return e.Msg
	}
	return err.Error()
}

func (e *Environment) validateResources() check.Problems {
	var p check.Problems
	seen := unique{problems: &p}
	for i, r := range e.Resources {
		at := fmt.Sprintf("resources[%d]", i)
		d := r.draft()
		for _, problem := range d.Validate(e.Kind) {
			p.Join(at, check.Problems{{Path: r.pathInFile(problem.Path), Msg: problem.Msg}})
		}
		p.Join(at, r.validateCredentials())
		seen.add(at+".identifier", "address", r.Identifier)
		for j, alias := range r.Aliases {
			seen.add(fmt.Sprintf("%s.aliases[%d]", at, j), "address", alias)
		}
	}
	return p
}

// pathInFile turns the path of a draft's problem, which names things, into the place in the file, which counts them.
func (r *Resource) pathInFile(path string) string {
	path = strings.TrimPrefix(path, "resource.")
	for i := len(r.Scopes) - 1; i >= 0; i-- {
		if rest, ok := strings.CutPrefix(path, "scopes["+r.Scopes[i].Name+"]"); ok {
			return fmt.Sprintf("scopes[%d]%s", i, rest)
		}
	}
	for i := len(r.Tools) - 1; i >= 0; i-- {
		if rest, ok := strings.CutPrefix(path, "tools["+r.Tools[i].Name+"]"); ok {
			return fmt.Sprintf("tools[%d]%s", i, rest)
		}
	}
	for i := len(r.Prompts) - 1; i >= 0; i-- {
		if rest, ok := strings.CutPrefix(path, "prompts["+r.Prompts[i].Name+"]"); ok {
			return fmt.Sprintf("prompts[%d]%s", i, rest)
		}
	}
	for i := len(r.Contents) - 1; i >= 0; i-- {
		if rest, ok := strings.CutPrefix(path, "contents["+r.Contents[i].URI+"]"); ok {
			return fmt.Sprintf("contents[%d]%s", i, strings.Replace(rest, ".name", ".uri", 1))
		}
	}
	for i, alias := range r.Aliases {
		if path == "aliases["+alias+"]" {
			return fmt.Sprintf("aliases[%d]", i)
		}
	}
	return path
}

// draft is the resource as the control plane knows it.
func (r *Resource) draft() tenants.Draft {
	d := tenants.Draft{
		Resource: tenants.Resource{
			Identifier: r.Identifier, Name: r.Name, DocumentationURL: r.DocumentationURL, Mode: r.Mode,
			Offline: r.Offline.choices(),
		},
		Aliases: r.Aliases,
	}
	for _, s := range r.Scopes {
		d.Scopes = append(d.Scopes, tenants.Scope{
			Name: s.Name, Risk: s.Risk, Title: s.Title, Description: s.Description, Warning: s.Warning,
			Baseline: s.Baseline, Required: s.Required, NeverTicked: s.NeverTicked, Implies: s.Implies,
		})
	}
	for _, t := range r.Tools {
		d.Tools = append(d.Tools, tenants.Tool{
			Name: t.Name, Description: t.Description, Wording: t.Wording, Match: t.Match, Scopes: t.Scopes,
			Fingerprint: t.Fingerprint, Audited: t.Audited,
		})
	}
	for _, p := range r.Prompts {
		d.Tools = append(d.Tools, tenants.Tool{
			Kind: policy.TargetPrompt, Name: p.Name, Wording: p.Wording, Match: p.Match, Scopes: p.Scopes, Audited: p.Audited,
		})
	}
	for _, c := range r.Contents {
		d.Tools = append(d.Tools, tenants.Tool{
			Kind: policy.TargetContent, Name: c.URI, Wording: c.Wording, Match: c.Match, Scopes: c.Scopes,
		})
	}
	return d.Normal()
}

// choices returns what applies: the file's times, and the defaults of what it leaves out.
func (o *Offline) choices() policy.Offline {
	all := policy.DefaultOffline()
	if o == nil {
		return all
	}
	for _, chosen := range [...]struct {
		from *tenants.Duration
		to   *int64
	}{{o.Read, &all.Read}, {o.Write, &all.Write}, {o.Destructive, &all.Destructive}} {
		if chosen.from == nil {
			continue
		}
		if *chosen.to = int64(time.Duration(*chosen.from) / time.Second); *chosen.to == 0 {
			*chosen.to = -1 // zero would mean the default: let it be refused
		}
	}
	return all
}

func (c *Client) validate() check.Problems {
	var p check.Problems
	if c.ID == "" || len(c.ID) > 200 || strings.ContainsFunc(c.ID, func(r rune) bool { return r <= ' ' || r > '~' }) {
		p.Add("id", "Use 1 to 200 visible ASCII characters.")
	} else if strings.Contains(c.ID, "://") {
		p.Add("id", "A URL names a client by its metadata document; choose a plain id.")
	}
	p.Add("name", check.Text(c.Name, 100))
	p = append(p, c.validateAuth()...)
	if c.Machine != nil {
		p = append(p, c.validateMachine()...)
		return p
	}
	p = append(p, c.validateGrants()...)
	return p
}
