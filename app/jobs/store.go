package jobs

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/ostiary/ostiary/app/db"
)

// store keeps when jobs ran. job_runs belongs to the installation, not to a tenant.
type store struct{ db *db.DB }

// due returns when each job is due that ever ran.
func (s store) due(ctx context.Context) (map[string]time.Time, error) {
	var rows []struct {
		Name  string
		DueAt time.Time
	}
	err := s.db.Platform(ctx, func(tx *gorm.DB) error {
		return tx.Raw(`select name, due_at from job_runs`).Scan(&rows).Error
	})
	at := make(map[string]time.Time, len(rows))
	for _, row := range rows {
		at[row.Name] = row.DueAt
	}
	return at, err
}

// claim records that job starts now if it is due still, and that it is due again after retry unless its end says otherwise.
func (s store) claim(ctx context.Context, job Job, now time.Time, retry time.Duration) (bool, error) {
	claimed := false
	err := s.db.Platform(ctx, func(tx *gorm.DB) error {
		done := tx.Exec(`insert into job_runs (name, started_at, due_at) values (?, ?, ?)
			on conflict (name) do update set started_at = excluded.started_at, due_at = excluded.due_at
			where job_runs.due_at <= ? or job_runs.due_at > ?`, job.Name, now, now.Add(retry), now, now.Add(job.Every))
		claimed = done.RowsAffected == 1
		return done.Error
	})
	return claimed, err
}

func (s store) succeeded(ctx context.Context, job Job, started, now time.Time) error {
	return s.note(ctx, `update job_runs set due_at = ?, finished_at = ?, problem = '' where name = ?`,
		started.Add(job.Every), now, job.Name)
}

func (s store) failed(ctx context.Context, job Job, problem string) error {
	return s.note(ctx, `update job_runs set problem = ? where name = ?`, problem, job.Name)
}

func (s store) note(ctx context.Context, statement string, args ...any) error {
	return s.db.Platform(ctx, func(tx *gorm.DB) error { return tx.Exec(statement, args...).Error })
}
