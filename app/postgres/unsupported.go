//go:build !linux && !darwin

package postgres

import (
	"context"

	"github.com/ostiary/ostiary/app/errs"
)

func startLocal(context.Context, Options) (*Server, error) {
	return nil, errs.New(errs.Invalid, "Ostiary cannot run its own Postgres on this system: name a server's URL.")
}

// Reset has nothing to remove on this system.
func Reset(context.Context, Options) error { return nil }

// SetAside has nothing to keep on this system.
func SetAside(context.Context, Options) error { return nil }
