package oauth

import (
	"testing"
	"time"

	"github.com/ory/fosite"
)

// The engine's own sessions are cloned by reflection. Not parallel: allocations are counted.
func TestTokenSession_CloneIsItsOwnAndCheap(t *testing.T) {
	original := &tokenSession{issuer: &Issuer{}}
	soon := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	original.SetExpiresAt(fosite.AccessToken, soon)
	clone := original.Clone()
	clone.SetExpiresAt(fosite.AccessToken, soon.Add(time.Hour))
	clone.SetExpiresAt(fosite.RefreshToken, soon)
	if !original.GetExpiresAt(fosite.AccessToken).Equal(soon) || !original.GetExpiresAt(fosite.RefreshToken).IsZero() {
		t.Error("a clone writes into what it was cloned from")
	}
	if clone.(*tokenSession).issuer != original.issuer {
		t.Error("a clone copies the issuer")
	}
	empty := &tokenSession{}
	if allocations := testing.AllocsPerRun(100, func() { _ = empty.Clone() }); allocations > 1 {
		t.Errorf("%v allocations", allocations)
	}
}
