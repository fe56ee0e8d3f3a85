package oauth

import (
	"testing"
	"time"

	"github.com/ostiary/ostiary/oauth/keys"
	"github.com/ostiary/ostiary/tenants"
)

// A key leaves the key set keys.LongestToken after it stopped signing: nothing it signed may live longer.
func TestKeys_OutliveEverythingTheySign(t *testing.T) {
	t.Parallel()
	if policyLifetime > keys.LongestToken {
		t.Errorf("a policy lives %v", policyLifetime)
	}
	longer := tenants.Duration(keys.LongestToken + time.Second) // access tokens, and id_tokens with them
	if problems := (tenants.SettingChoices{AccessTokenLifetime: &longer}).Validate(); len(problems) == 0 {
		t.Error("an access token may outlive its key")
	}
	shortest := tenants.Duration(keys.PublishLead + keys.LongestToken) // the next key would be published before this one signs
	if problems := (tenants.SettingChoices{KeyRotation: &shortest}).Validate(); len(problems) == 0 {
		t.Error("keys may rotate faster than they are published and retired")
	}
}
