package tenants

import "context"

// ResourceFilter narrows and pages a list of MCP servers.
type ResourceFilter struct {
	Search string // in name or address
	Limit  int    // 20 when zero, at most 100
	Offset int
}

// List returns the MCP servers of the environment in ctx in the tenant's order, and how many there are in all.
// Errors: errs.Forbidden.
func (s *Resources) List(ctx context.Context, f ResourceFilter) ([]ResourceSummary, int, error) {
	if err := AuthorizeView(ctx); err != nil {
		return nil, 0, err
	}
	sc, err := environmentScope(ctx)
	if err != nil {
		return nil, 0, err
	}
	if f.Limit <= 0 {
		f.Limit = 20
	}
	f.Limit, f.Offset = min(f.Limit, 100), max(f.Offset, 0)
	return s.listResources(ctx, sc, f)
}

// ByIdentifier returns the drafts of the MCP servers of the environment in ctx that have these addresses, by address. The
// command line calls it. Errors: errs.Forbidden.
func (s *Resources) ByIdentifier(ctx context.Context, identifiers []string) (map[string]Draft, error) {
	if err := AuthorizeView(ctx); err != nil {
		return nil, err
	}
	sc, err := environmentScope(ctx)
	if err != nil {
		return nil, err
	}
	drafts, err := s.loadDrafts(ctx, sc, "identifier", identifiers)
	found := make(map[string]Draft, len(drafts))
	for _, d := range drafts {
		found[d.Resource.Identifier] = d
	}
	return found, err
}
