package tenants

import (
	"context"
	"time"

	"github.com/ostiary/ostiary/app/policy"
)

// Published is the newest published revision of one resource.
type Published struct {
	Document    policy.Document
	PublishedAt time.Time
}

// Resources serves the MCP servers of an environment: the draft that members edit and the revisions made of it.
type Resources struct{ base }

// NewResources returns the service.
func NewResources(d Deps) *Resources { return &Resources{newBase(d)} }

// Published returns the newest published revision of each resource of the environment in ctx, in the tenant's order. The
// issuer calls it and keeps the answer until the environment is notified. It is one query, however many resources there are.
func (s *Resources) Published(ctx context.Context) ([]Published, error) {
	sc, err := environmentScope(ctx)
	if err != nil {
		return nil, err
	}
	return s.listPublished(ctx, sc)
}
