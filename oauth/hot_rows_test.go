package oauth_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/apptest/host"
)

// Sessions, consents and grants have no foreign keys: what they refer to must stay, whatever the role that serves is made to do.
func TestHotRows_WhatTheyReferToStays(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	for _, statement := range []string{
		"delete from users", "delete from organizations", "delete from clients", "delete from tenants", "delete from consents",
		"delete from grants", "delete from policy_revisions", "update consents set user_id = user_id", "update consents set id = id",
		"update consents set client_id = client_id", "update consents set scopes = scopes",
	} {
		err := s.DB.Pipe(s.Acme.Context(), func(b *pgx.Batch) { b.Queue(statement) })
		if err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("%s: %v", statement, err)
		}
	}
}
