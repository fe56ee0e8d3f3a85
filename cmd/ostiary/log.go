package main

import (
	"context"
	"log/slog"

	"github.com/ostiary/ostiary/app/scope"
)

// scopeHandler adds whose request it is to every record.
type scopeHandler struct{ slog.Handler }

// Handle adds tenant, environment and request id from the context.
func (h scopeHandler) Handle(ctx context.Context, r slog.Record) error {
	if s, err := scope.From(ctx); err == nil {
		r.AddAttrs(slog.String("tenant", s.TenantID))
		if s.EnvironmentID != "" {
			r.AddAttrs(slog.String("environment", s.EnvironmentID))
		}
	}
	if id := scope.CaseID(ctx); id != "" {
		r.AddAttrs(slog.String("case", id))
	}
	if id := scope.RequestID(ctx); id != "" {
		r.AddAttrs(slog.String("request", id))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs keeps the wrapper.
func (h scopeHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return scopeHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup keeps the wrapper.
func (h scopeHandler) WithGroup(name string) slog.Handler {
	return scopeHandler{h.Handler.WithGroup(name)}
}
