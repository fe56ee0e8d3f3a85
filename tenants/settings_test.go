package tenants_test

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/ostiary/tenants"
)

func TestSettings_ChoicesAreStoredAsPeopleWriteThem(t *testing.T) {
	t.Parallel()
	idle, off := tenants.Duration(30*24*time.Hour), false
	text, err := json.Marshal(tenants.SettingChoices{RefreshIdle: &idle, DynamicRegistration: &off})
	if err != nil || string(text) != `{"refresh_idle":"30d","dynamic_registration":false}` {
		t.Fatalf("stored as %s, %v", text, err)
	}
	var back tenants.SettingChoices
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	s := back.WithDefaults()
	want := tenants.DefaultSettings()
	want.DynamicRegistration = false
	if !reflect.DeepEqual(s, want) {
		t.Errorf("effective %+v", s)
	}
}

func TestDuration_Text(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "10m": 10 * time.Minute, "1h30m": 90 * time.Minute, "30d": 720 * time.Hour,
		"365d": 8760 * time.Hour,
	} {
		var d tenants.Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || time.Duration(d) != want {
			t.Errorf("%q is %v, %v", text, d, err)
		}
		var again tenants.Duration
		if err := again.UnmarshalText([]byte(d.String())); err != nil || again != d {
			t.Errorf("%q is written %q, which is %v, %v", text, d, again, err)
		}
	}
	for _, text := range []string{"", "1", "d", "-1d", "1.5d", "99999999d", "1y", "ten"} {
		var d tenants.Duration
		if err := d.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is %v, want an error", text, d)
		}
	}
}

func TestSettings_Validate(t *testing.T) {
	t.Parallel()
	long, short := tenants.Duration(400*24*time.Hour), tenants.Duration(time.Second)
	alg := "HS256"
	choices := tenants.SettingChoices{
		AccessTokenLifetime: &short, RefreshGrace: &short, SessionIdle: &long, SigningAlg: &alg, KeyRotation: &short,
		CallRetention: &short, RedirectSchemes: []string{"Wind Surf"},
	}
	found := map[string]bool{}
	for _, p := range choices.Validate() {
		found[p.Path] = true
	}
	for _, path := range []string{
		"access_token_lifetime", "refresh_grace", "session_idle", "signing_alg", "key_rotation", "call_retention", "redirect_schemes",
	} {
		if !found[path] {
			t.Errorf("no problem with %s: %v", path, found)
		}
	}
	for _, alg := range tenants.SigningAlgs() {
		if problems := (tenants.SettingChoices{SigningAlg: &alg}).Validate(); len(problems) != 0 {
			t.Errorf("%s is refused: %v", alg, problems)
		}
	}
	if problems := (tenants.SettingChoices{}).Validate(); len(problems) != 0 {
		t.Errorf("the defaults have problems: %v", problems)
	}
}

// docs/settings.md is where people look a setting up: it names each with its default and its bounds.
func TestSettings_AreDocumentedAsTheyAre(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/settings.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if name, rest, ok := strings.Cut(strings.TrimPrefix(line, "| `"), "` | "); ok {
			rows[name] = rest
		}
	}
	for field := range reflect.TypeFor[tenants.SettingChoices]().Fields() {
		name := field.Tag.Get("yaml")
		if rows[name] == "" {
			t.Errorf("%s is not documented", name)
			continue
		}
		effective := reflect.ValueOf(tenants.DefaultSettings()).FieldByName(field.Name).Interface()
		want := fmt.Sprintf("`%v` |", effective)
		switch value := effective.(type) {
		case []string:
			want = "none | 20 |"
		case time.Duration:
			want = fmt.Sprintf("`%s` | %s |", tenants.Duration(value), bounds(t, name))
		}
		if !strings.HasPrefix(rows[name], want) {
			t.Errorf("%s is documented as %q, and is %q", name, rows[name], want)
		}
	}
}

// bounds returns what a refused choice says they are: "Choose between 10m and 1d."
func bounds(t *testing.T, name string) string {
	t.Helper()
	var choices tenants.SettingChoices
	if err := json.Unmarshal([]byte(`{"`+name+`":"99999h"}`), &choices); err != nil {
		t.Fatal(err)
	}
	for _, p := range choices.Validate() {
		if p.Path == name && strings.HasPrefix(p.Msg, "Choose between ") {
			return strings.Replace(strings.TrimSuffix(strings.TrimPrefix(p.Msg, "Choose between "), "."), " and ", ", ", 1)
		}
	}
	t.Fatalf("%s has no bounds", name)
	return ""
}
