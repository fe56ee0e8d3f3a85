package db

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// Tracer observes statements and batches; the benchmarks count with it.
type Tracer interface {
	pgx.QueryTracer
	pgx.BatchTracer
}

// gormLogger logs slow statements without their values. Errors are not logged here: whoever handles them does.
type gormLogger struct{ log *slog.Logger }

const slowStatement = time.Second

func newGormLogger(l *slog.Logger) logger.Interface { return gormLogger{log: l} }

func (g gormLogger) LogMode(logger.LogLevel) logger.Interface        { return g }
func (g gormLogger) Info(ctx context.Context, msg string, _ ...any)  { g.log.InfoContext(ctx, msg) }
func (g gormLogger) Warn(ctx context.Context, msg string, _ ...any)  { g.log.WarnContext(ctx, msg) }
func (g gormLogger) Error(ctx context.Context, msg string, _ ...any) { g.log.ErrorContext(ctx, msg) }

// ParamsFilter keeps values out of the statements that Trace sees.
func (g gormLogger) ParamsFilter(_ context.Context, sql string, _ ...any) (string, []any) {
	return sql, nil
}

func (g gormLogger) Trace(ctx context.Context, begin time.Time, fc func() (string, int64), err error) {
	took := time.Since(begin) //nolint:forbidigo // gorm measured begin by the wall clock
	if took < slowStatement || errors.Is(err, gorm.ErrRecordNotFound) {
		return
	}
	statement, rows := fc()
	g.log.WarnContext(ctx, "slow statement", "sql", statement, "rows", rows, "took", took)
}
