// Package apptest gives each test a real database: the shipped migrations, the two roles, nobody else's rows.
//
//	func TestMain(m *testing.M) { apptest.Main(m) }
//
//	func TestStore(t *testing.T) {
//		t.Parallel()
//		db := apptest.Database(t) // db.AppURL, db.OwnerURL; dropped when the test ends
//	}
//
// One server serves all packages of a `go test ./...` and the next runs too. The first test binary that needs it runs
// itself once more as a supervisor, which starts app/postgres without durability under the temporary directory, and stops
// it when no test binary has used it for half a minute. Test binaries hold a file lock as their lease, which the kernel
// ends with them, however they end; the server ends with its supervisor. With OSTIARY_TEST_DATABASE_URL, the URL of a
// superuser, that server is used instead and none is started.
//
// Migrations run once per content, in a template database; a test gets a copy of its files.
//
// It refuses fixtures of any package's domain: those live with the package. Packages that apptest itself imports (app/db,
// app/postgres) use it from an external test package.
package apptest
