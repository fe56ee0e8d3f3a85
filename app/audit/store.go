package audit

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/ostiary/ostiary/app/scope"
)

type eventRow struct {
	TenantID      string
	EnvironmentID *string
	ID            string
	At            time.Time
	ActorKind     string
	ActorID       string
	Action        string
	TargetKind    string
	TargetID      string
	Detail        map[string]any `gorm:"serializer:json"`
	RequestID     string
}

func (eventRow) TableName() string { return "audit_events" }

func (r *Recorder) insert(ctx context.Context, e Entry) error {
	return r.db.InTenant(ctx, func(ctx context.Context, tx *gorm.DB) error {
		s, err := scope.From(ctx)
		if err != nil {
			return err
		}
		row := eventRow{
			TenantID: s.TenantID, ID: e.ID, At: e.At,
			ActorKind: string(e.Actor.Kind), ActorID: e.Actor.ID,
			Action: e.Action, TargetKind: e.TargetKind, TargetID: e.TargetID,
			Detail: e.Detail, RequestID: e.RequestID,
		}
		if row.Detail == nil {
			row.Detail = map[string]any{}
		}
		if e.EnvironmentID != "" {
			row.EnvironmentID = &e.EnvironmentID
		}
		return tx.Create(&row).Error
	})
}

// List returns the newest events of the tenant in ctx, newest first, at most limit. Under an environment scope it returns
// that environment's events only.
func (r *Recorder) List(ctx context.Context, limit int) ([]Entry, error) {
	s, err := scope.From(ctx)
	if err != nil {
		return nil, err
	}
	var rows []eventRow
	err = r.db.InTenant(ctx, func(_ context.Context, tx *gorm.DB) error {
		q := tx.Where("tenant_id = ?", s.TenantID)
		if s.EnvironmentID != "" {
			q = q.Where("environment_id = ?", s.EnvironmentID)
		}
		return q.Order("at desc, id desc").Limit(limit).Find(&rows).Error
	})
	entries := make([]Entry, 0, len(rows))
	for _, row := range rows {
		entries = append(entries, row.entry())
	}
	return entries, err
}

func (row eventRow) entry() Entry {
	e := Entry{
		Event: Event{Action: row.Action, TargetKind: row.TargetKind, TargetID: row.TargetID, Detail: row.Detail},
		ID:    row.ID, At: row.At.UTC(), RequestID: row.RequestID,
		Actor: scope.Actor{Kind: scope.ActorKind(row.ActorKind), ID: row.ActorID},
	}
	if row.EnvironmentID != nil {
		e.EnvironmentID = *row.EnvironmentID
	}
	return e
}
