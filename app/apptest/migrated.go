//go:build linux || darwin

package apptest

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"testing"

	"github.com/ostiary/ostiary/app/db"
	"github.com/ostiary/ostiary/migrations"
)

// Database returns a new database with the shipped migrations. It is dropped when the test ends.
func Database(t testing.TB) DB {
	t.Helper()
	template, err := Migrated()
	if err != nil {
		t.Fatalf("apptest: %v", err)
	}
	return From(t, template)
}

// Migrated returns the template of the shipped migrations, for a test package that adds rows of its own to it and to its
// key.
func Migrated() (Template, error) {
	hash := sha256.New()
	err := fs.WalkDir(migrations.FS, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(migrations.FS, path)
		hash.Write([]byte(path + "\x00"))
		hash.Write(content)
		hash.Write([]byte{0})
		return err
	})
	return Template{Key: "migrations " + hex.EncodeToString(hash.Sum(nil)), Migrate: db.Migrate}, err
}
