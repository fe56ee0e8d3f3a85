// Package tenanttest builds tenants for tests from the same files that operators apply: two of them, always, so that what
// one can see of the other is a question every test can ask.
//
//	db := apptest.Database(t)
//	w := tenanttest.New(t, db.AppURL)
//	draft, err := w.Resources.Get(w.Acme.Member(tenants.RoleViewer), w.Acme.ResourceID)
//
// It is imported by tests only. The database comes from app/apptest, which only tests may import.
package tenanttest
