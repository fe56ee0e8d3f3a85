package tenants

import (
	"context"
	"errors"
	"slices"

	"github.com/ostiary/ostiary/app/audit"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/app/secret"
)

// NewResource is an MCP server to be guarded.
type NewResource struct {
	Identifier       string // canonicalised by Create
	Name             string
	DocumentationURL string
	Mode             policy.Mode    // enforce when empty
	Offline          policy.Offline // policy.DefaultOffline when zero
	Aliases          []string
}

// Create adds an MCP server with an empty draft. Errors: errs.Invalid, errs.Conflict when the address is taken,
// errs.Forbidden.
func (s *Resources) Create(ctx context.Context, n NewResource) (Resource, error) {
	if err := AuthorizeEdit(ctx); err != nil {
		return Resource{}, err
	}
	sc, err := environmentScope(ctx)
	if err != nil {
		return Resource{}, err
	}
	identifier, err := CanonicalIdentifier(n.Identifier)
	if err != nil {
		return Resource{}, fieldError("identifier", err)
	}
	now := s.now()
	d := Draft{
		Resource: Resource{
			ID: secret.NewID("res"), Identifier: identifier, Name: n.Name, DocumentationURL: n.DocumentationURL, Mode: n.Mode,
			Offline:        n.Offline,
			DraftChangedAt: &now, CreatedAt: now, UpdatedAt: now,
		},
		Aliases: n.Aliases,
	}
	d.normalize()
	err = s.inTenant(ctx, func(ctx context.Context) error {
		kind, err := s.lockEnvironment(ctx, sc)
		if err != nil {
			return err
		}
		if err := s.check(ctx, sc, d, kind); err != nil {
			return err
		}
		if err := s.insertResource(ctx, sc, &d.Resource); err != nil {
			return err
		}
		empty := Draft{Resource: d.Resource}
		if err := s.writeDraft(ctx, draftWrite{sc, d.Resource.ID, now}, empty, d); err != nil {
			return err
		}
		return s.audit.Record(ctx, audit.Event{
			Action: "resource.created", TargetKind: "resource", TargetID: d.Resource.ID,
			Detail: map[string]any{"identifier": identifier, "name": n.Name},
		})
	})
	return d.Resource, err
}

func fieldError(field string, err error) error {
	var e *errs.Error
	if errors.As(err, &e) && e.Kind == errs.Invalid {
		return errs.InvalidFields(map[string]string{field: e.Msg})
	}
	return err
}

// check validates d, and that no other MCP server of the environment answers to one of its addresses.
func (s *Resources) check(ctx context.Context, sc scope.Scope, d Draft, kind Kind) error {
	if err := d.Validate(kind).Err(); err != nil {
		return err
	}
	addresses := append(slices.Clone(d.Aliases), d.Resource.Identifier)
	taken, err := s.addressOwner(ctx, sc, d.Resource.ID, addresses)
	if err != nil || taken == "" {
		return err
	}
	msg := "Another MCP server of this environment already has the address " + taken + "."
	return &errs.Error{
		Kind: errs.Conflict, Code: "address_taken", Msg: msg, Fields: map[string]string{"identifier": msg},
	}
}

// Get returns the draft of an MCP server. Errors: errs.NotFound, errs.Forbidden.
func (s *Resources) Get(ctx context.Context, id string) (Draft, error) {
	if err := AuthorizeView(ctx); err != nil {
		return Draft{}, err
	}
	sc, err := environmentScope(ctx)
	if err != nil {
		return Draft{}, err
	}
	var d Draft
	err = s.inTenant(ctx, func(ctx context.Context) error {
		d, err = s.loadDraft(ctx, sc, id)
		return err
	})
	return d, err
}

// edit is the one way a draft changes: read it under the environment's lock, change it in memory, validate the whole, write
// the difference. change may refuse. Nothing is written when nothing changed.
func (s *Resources) edit(
	ctx context.Context, id string, event audit.Event, change func(d *Draft) error,
) (Draft, error) {
	if err := AuthorizeEdit(ctx); err != nil {
		return Draft{}, err
	}
	sc, err := environmentScope(ctx)
	if err != nil {
		return Draft{}, err
	}
	var to Draft
	err = s.inTenant(ctx, func(ctx context.Context) error {
		kind, err := s.lockEnvironment(ctx, sc)
		if err != nil {
			return err
		}
		from, err := s.loadDraft(ctx, sc, id)
		if err != nil {
			return err
		}
		to = from.clone()
		if err := change(&to); err != nil {
			return err
		}
		to.normalize()
		if from.equal(to) {
			return nil
		}
		if err := s.check(ctx, sc, to, kind); err != nil {
			return err
		}
		if err := s.settle(ctx, sc, &to); err != nil {
			return err
		}
		if err := s.writeDraft(ctx, draftWrite{sc, id, s.now()}, from, to); err != nil {
			return err
		}
		event.TargetKind, event.TargetID = "resource", id
		return s.audit.Record(ctx, event)
	})
	return to, err
}

// settle notes whether the draft differs from what is published.
func (s *Resources) settle(ctx context.Context, sc scope.Scope, d *Draft) error {
	if d.Resource.Revision > 0 {
		published, err := s.publishedDocument(ctx, sc, d.Resource.ID, d.Resource.Revision)
		if err != nil {
			return err
		}
		if len(Changes(published, d.Document(d.Resource.Revision))) == 0 {
			d.Resource.DraftChangedAt = nil
			return nil
		}
	}
	now := s.now()
	d.Resource.DraftChangedAt = &now
	return nil
}

// clone returns a draft whose lists can be changed without changing d.
func (d *Draft) clone() Draft {
	c := *d
	c.Aliases = slices.Clone(d.Aliases)
	c.Scopes = slices.Clone(d.Scopes)
	c.Tools = slices.Clone(d.Tools)
	for i := range c.Scopes {
		c.Scopes[i].Implies = slices.Clone(c.Scopes[i].Implies)
	}
	for i := range c.Tools {
		c.Tools[i].Scopes, c.Tools[i].Audited = slices.Clone(c.Tools[i].Scopes), slices.Clone(c.Tools[i].Audited)
	}
	return c
}

func (d *Draft) equal(o Draft) bool {
	a, b := d.Resource, o.Resource
	return a.Identifier == b.Identifier && a.Name == b.Name && a.DocumentationURL == b.DocumentationURL &&
		a.Mode == b.Mode && a.Offline == b.Offline && a.Position == b.Position && slices.Equal(d.Aliases, o.Aliases) &&
		slices.EqualFunc(d.Scopes, o.Scopes, sameScope) &&
		slices.EqualFunc(d.Tools, o.Tools, func(x, y Tool) bool { return sameTool(x, y) && slices.Equal(x.Scopes, y.Scopes) })
}

// Delete removes an MCP server that was never published. Errors: errs.NotFound, errs.Forbidden, errs.Conflict when it was
// published: consents and tokens refer to it, so it is switched off and not forgotten.
func (s *Resources) Delete(ctx context.Context, id string) error {
	if err := AuthorizeEdit(ctx); err != nil {
		return err
	}
	sc, err := environmentScope(ctx)
	if err != nil {
		return err
	}
	return s.inTenant(ctx, func(ctx context.Context) error {
		if _, err := s.lockEnvironment(ctx, sc); err != nil {
			return err
		}
		d, err := s.loadDraft(ctx, sc, id)
		if err != nil {
			return err
		}
		if d.Resource.Revision > 0 {
			return errs.New(errs.Conflict,
				"This MCP server was published: what people agreed to refers to it, so it cannot be deleted.")
		}
		if err := s.deleteResource(ctx, sc, id); err != nil {
			return err
		}
		return s.audit.Record(ctx, audit.Event{
			Action: "resource.deleted", TargetKind: "resource", TargetID: id,
			Detail: map[string]any{"identifier": d.Resource.Identifier, "name": d.Resource.Name},
		})
	})
}
