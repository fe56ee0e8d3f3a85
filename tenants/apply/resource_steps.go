package apply

import (
	"context"
	"fmt"
	"strings"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/tenants"
)

// drafts returns what the environment has of the file's MCP servers, by address.
func (w *work) drafts(ctx context.Context, e *Environment) (map[string]tenants.Draft, error) {
	if w.env == nil {
		return map[string]tenants.Draft{}, nil
	}
	identifiers := make([]string, len(e.Resources))
	for i, r := range e.Resources {
		identifiers[i] = r.Identifier
	}
	return w.resources.ByIdentifier(ctx, identifiers)
}

func (w *work) resourceSteps(ctx context.Context, e *Environment) ([]step, error) {
	drafts, err := w.drafts(ctx, e)
	if err != nil {
		return nil, err
	}
	if w.env != nil {
		_, total, err := w.resources.List(ctx, tenants.ResourceFilter{Limit: 1})
		if err != nil {
			return nil, err
		}
		w.leftAlone(total-len(drafts), "MCP server", e.Slug)
	}
	var steps []step
	for i := range e.Resources {
		r := &e.Resources[i]
		current, exists := drafts[r.Identifier]
		if !exists {
			what := fmt.Sprintf("MCP server %s (%s): %d permissions, %d tools",
				r.Name, r.Identifier, len(r.Scopes), len(r.Tools))
			steps = append(steps, step{Change{Op: OpCreate, What: what}, w.createResource(r)})
			continue
		}
		steps = append(steps, w.replaceSteps(r, current)...)
	}
	return steps, nil
}

func (w *work) createResource(r *Resource) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx = w.inEnvironment(ctx)
		created, err := w.resources.Create(ctx, tenants.NewResource{
			Identifier: r.Identifier, Name: r.Name, DocumentationURL: r.DocumentationURL, Mode: r.Mode, Aliases: r.Aliases,
			Offline: r.Offline.choices(),
		})
		if err != nil {
			return err
		}
		_, err = w.resources.Replace(ctx, created.ID, r.draft())
		return err
	}
}

// replaceSteps prints every difference on a line of its own; the first one makes them all, in one edit.
func (w *work) replaceSteps(r *Resource, current tenants.Draft) []step {
	desired := r.draft()
	adopted := current.Adopt(desired)
	changes := tenants.Changes(current.Document(0), adopted.Document(0))
	if current.Resource.DocumentationURL != r.DocumentationURL {
		changes = append(changes, tenants.Change{Kind: tenants.ChangeServer, What: "documentation address"})
	}
	changes = append(changes, describedTools(current, desired)...)
	var steps []step
	for _, c := range changes {
		op := OpUpdate
		switch {
		case strings.HasSuffix(c.What, "added"):
			op = OpCreate
		case strings.HasSuffix(c.What, "removed"):
			op = OpRemove
		}
		steps = append(steps, step{Change{Op: op, What: fmt.Sprintf("MCP server %s: %s", r.Name, c)}, nothing})
	}
	if len(steps) > 0 {
		steps[0].run = func(ctx context.Context) error {
			_, err := w.resources.Replace(w.inEnvironment(ctx), current.Resource.ID, desired)
			return err
		}
	}
	return steps
}

// describedTools returns the tools whose own description, which is not published, the file changes.
func describedTools(current, desired tenants.Draft) []tenants.Change {
	was := map[string]string{}
	for _, t := range current.Tools {
		was[t.Name] = t.Description
	}
	var changes []tenants.Change
	for _, t := range desired.Tools {
		if before, known := was[t.Name]; known && t.Description != "" && t.Description != before {
			changes = append(changes, tenants.Change{Kind: tenants.ChangeTool, Subject: t.Name, What: "description"})
		}
	}
	return changes
}

// publishSteps publishes the file's MCP servers whose policy is not what the file says.
func (w *work) publishSteps(ctx context.Context, e *Environment) ([]step, error) {
	drafts, err := w.drafts(ctx, e)
	if err != nil {
		return nil, err
	}
	published, err := w.publishedDocuments(ctx)
	if err != nil {
		return nil, err
	}
	var steps []step
	for i := range e.Resources {
		r := &e.Resources[i]
		current := drafts[r.Identifier]
		adopted := current.Adopt(r.draft())
		doc, before := published[current.Resource.ID]
		changes := tenants.Changes(doc, adopted.Document(0))
		if before && len(changes) == 0 {
			continue
		}
		what := fmt.Sprintf("publish %s as revision %d (%d changes)", r.Name, current.Resource.Revision+1, len(changes))
		steps = append(steps, step{Change{Op: OpPublish, What: what}, w.publish(r.Identifier)})
	}
	return steps, nil
}

// publishedDocuments returns what is published in the environment, by resource id.
func (w *work) publishedDocuments(ctx context.Context) (map[string]policy.Document, error) {
	if w.env == nil {
		return map[string]policy.Document{}, nil
	}
	list, err := w.resources.Published(ctx)
	documents := make(map[string]policy.Document, len(list))
	for _, p := range list {
		documents[p.Document.Resource.ID] = p.Document
	}
	return documents, err
}

func (w *work) publish(identifier string) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx = w.inEnvironment(ctx)
		drafts, err := w.resources.ByIdentifier(ctx, []string{identifier})
		if err != nil {
			return err
		}
		d, ok := drafts[identifier]
		if !ok {
			return errs.New(errs.NotFound, "There is no such MCP server.")
		}
		_, err = w.resources.Publish(ctx, d.Resource.ID, "")
		return err
	}
}
