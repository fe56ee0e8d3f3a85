package db

import (
	"context"
	"errors"
	"io"
	"net"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"

	"github.com/ostiary/ostiary/app/errs"
)

// mapError gives a driver error the kind its caller can act on. What services already classified passes unchanged.
func mapError(err error) error {
	if err == nil {
		return nil
	}
	var known *errs.Error
	if errors.As(err, &known) {
		return err
	}
	if errors.Is(err, gorm.ErrRecordNotFound) || errors.Is(err, pgx.ErrNoRows) {
		return errs.Wrap(errs.NotFound, "There is nothing here.", err)
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return mapPgError(pg, err)
	}
	if unreachable(err) {
		return errs.Wrap(errs.Unavailable, "The database does not answer.", err)
	}
	return err
}

func mapPgError(pg *pgconn.PgError, err error) error {
	switch {
	case pg.Code == "23505": // unique_violation
		return &errs.Error{Kind: errs.Conflict, Code: pg.ConstraintName, Msg: "This already exists.", Err: err}
	case pg.Code == "40001", pg.Code == "40P01", pg.Code == "55P03", pg.Code == "57014": // serialization, deadlock, lock, cancelled
		return errs.Wrap(errs.Unavailable, "The database is busy.", err)
	case pg.Code[:2] == "08", pg.Code[:2] == "53", pg.Code[:2] == "57", pg.Code[:2] == "58": // connection, resources, shutdown, system
		return errs.Wrap(errs.Unavailable, "The database does not answer.", err)
	}
	return err
}

func unreachable(err error) bool {
	var netErr net.Error
	var connErr *pgconn.ConnectError
	return errors.As(err, &connErr) || errors.As(err, &netErr) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		pgconn.SafeToRetry(err) || pgconn.Timeout(err)
}
