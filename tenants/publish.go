package tenants

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/ostiary/ostiary/app/audit"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/app/scope"
)

// Revision is one published, immutable policy of a resource.
type Revision struct {
	Number      int
	Document    policy.Document
	PublishedAt time.Time
	PublishedBy string // member id, or the kind of actor
}

// DraftStatus says how a draft differs from what is published.
type DraftStatus struct {
	Draft     Draft
	Published *Revision // nil before the first
	Changes   []Change
	Version   string // names exactly this draft; Publish refuses another one
}

// Draft returns the draft of an MCP server and what publishing it would change. Errors: errs.NotFound, errs.Forbidden.
func (s *Resources) Draft(ctx context.Context, id string) (DraftStatus, error) {
	if err := AuthorizeView(ctx); err != nil {
		return DraftStatus{}, err
	}
	sc, err := environmentScope(ctx)
	if err != nil {
		return DraftStatus{}, err
	}
	var status DraftStatus
	err = s.inTenant(ctx, func(ctx context.Context) error {
		status, err = s.status(ctx, sc, id)
		return err
	})
	return status, err
}

func (s *Resources) status(ctx context.Context, sc scope.Scope, id string) (DraftStatus, error) {
	d, err := s.loadDraft(ctx, sc, id)
	if err != nil {
		return DraftStatus{}, err
	}
	status := DraftStatus{Draft: d}
	var published policy.Document
	if d.Resource.Revision > 0 {
		r, err := s.loadRevision(ctx, sc, id, d.Resource.Revision)
		if err != nil {
			return DraftStatus{}, err
		}
		status.Published, published = &r, r.Document
	}
	next := d.Document(d.Resource.Revision + 1)
	status.Changes = Changes(published, next)
	status.Version, err = documentVersion(next)
	return status, err
}

// documentVersion names a document by its content: two editors who saw the same text hold the same version.
func documentVersion(doc policy.Document) (string, error) {
	text, err := json.Marshal(doc) // maps are written in the order of their keys
	if err != nil {
		return "", err
	}
	return contentVersion(string(text)), nil
}

func contentVersion(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		sum := sha256.Sum256([]byte(part))
		h.Write(sum[:])
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:16])
}

// Publish turns the draft into the next policy revision, which every node takes up at once. version is the DraftStatus's
// that the publisher saw, or "" to publish whatever the draft is now. Publishing a draft that changes nothing returns the
// revision that is published. Errors: errs.Invalid, errs.Conflict when the draft changed since, errs.NotFound, errs.Forbidden.
func (s *Resources) Publish(ctx context.Context, id, version string) (Revision, error) {
	if err := AuthorizeEdit(ctx); err != nil {
		return Revision{}, err
	}
	sc, err := environmentScope(ctx)
	if err != nil {
		return Revision{}, err
	}
	var published Revision
	err = s.inTenant(ctx, func(ctx context.Context) error {
		kind, err := s.lockEnvironment(ctx, sc)
		if err != nil {
			return err
		}
		status, err := s.status(ctx, sc, id)
		if err != nil {
			return err
		}
		switch {
		case version != "" && version != status.Version:
			return &errs.Error{
				Kind: errs.Conflict, Code: "draft_changed",
				Msg: "The draft changed after you opened this page. Look at the changes again, then publish.",
			}
		case status.Published != nil && len(status.Changes) == 0:
			published = *status.Published
			return nil
		}
		published, err = s.publish(ctx, sc, status, kind)
		return err
	})
	return published, err
}

func (s *Resources) publish(ctx context.Context, sc scope.Scope, status DraftStatus, kind Kind) (Revision, error) {
	if err := s.check(ctx, sc, status.Draft, kind); err != nil {
		return Revision{}, err
	}
	number := status.Draft.Resource.Revision + 1
	actor := scope.ActorFrom(ctx)
	r := Revision{Number: number, Document: status.Draft.Document(number), PublishedAt: s.now(), PublishedBy: actor.ID}
	if r.PublishedBy == "" {
		r.PublishedBy = string(actor.Kind)
	}
	if err := s.insertRevision(ctx, sc, r); err != nil {
		return Revision{}, err
	}
	err := s.audit.Record(ctx, audit.Event{
		Action: "resource.published", TargetKind: "resource", TargetID: status.Draft.Resource.ID,
		Detail: map[string]any{"revision": number, "changes": changeLines(status.Changes)},
	})
	if err != nil {
		return Revision{}, err
	}
	return r, s.deps.DB.Notify(ctx, sc.EnvironmentID)
}

// changeLines bounds what one audit event keeps; the revisions themselves have the rest.
func changeLines(changes []Change) []string {
	const most = 100
	lines := make([]string, 0, min(len(changes), most))
	for _, c := range changes[:min(len(changes), most)] {
		lines = append(lines, c.String())
	}
	return lines
}
