package check

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestText(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]string{
		"plain": "Query your data", "accents": "Élargir l’accès", "decomposed": "e\u0301tude", "Japanese": "データを読む",
		"Arabic": "قراءة البيانات", "Persian with a joiner": "می\u200cخواهم", "emoji with a joiner": "👩\u200d💻 work",
		"Thai marks": "ที่นี่", "no-break space": "10\u00a0000 rows", "quotes": `"<b>&amp;</b>"`,
	} {
		if msg := Text(s, 80); msg != "" {
			t.Errorf("%s is refused: %s", name, msg)
		}
	}
	for name, s := range map[string]string{
		"empty": "", "spaces": "  ", "space before": " x", "space behind": "x ", "tab": "a\tb", "line feed": "a\nb",
		"carriage return": "a\rb", "line separator": "a\u2028b", "NUL": "a\x00b", "escape": "a\x1b[31mb", "C1": "a\u0085b",
		"right-to-left override": "a\u202eb", "isolate": "a\u2066b", "mark": "a\u200eb", "Arabic mark": "a\u061cb",
		"zero-width space": "a\u200bb", "zero-width joiner in Latin": "a\u200db", "byte order mark": "\ufeffa",
		"soft hyphen": "a\u00adb", "word joiner": "a\u2060b", "Hangul filler": "a\u3164b", "tag": "a\U000e0041b",
		"private use": "a\ue000b", "replacement": "a\ufffdb", "invalid": "a\xffb",
		"stacked marks": "a" + strings.Repeat("\u0301", 5),
		"too long":      strings.Repeat("é", 81), "joiner at the end": "می\u200c", "joiner beside hidden": "ب\u200d\u200bب",
	} {
		if msg := Text(s, 80); msg == "" {
			t.Errorf("%s is accepted", name)
		}
	}
	if msg := Text(strings.Repeat("é", 80), 80); msg != "" {
		t.Errorf("characters are not counted as characters: %s", msg)
	}
}

func FuzzText(f *testing.F) {
	for _, seed := range []string{"Query your data", "a\u202eb", "می\u200cخواهم", "a\x00", "\xff",
		strings.Repeat("\u0301", 9)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if OptionalText(s, 80) != "" {
			return
		}
		if !utf8.ValidString(s) || utf8.RuneCountInString(s) > 80 {
			t.Fatalf("accepted %q", s)
		}
		for _, r := range s {
			if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
				t.Fatalf("accepted %q with %U", s, r)
			}
		}
	})
}

func TestNames(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rule      func(string) string
		good, bad []string
	}{
		"slug": {func(s string) string { return Slug(s, 40) }, []string{"ab", "acme-dev", "a1"},
			[]string{"", "a", "Acme", "1a", "a-", "-a", "a_b", "a b", "é", strings.Repeat("a", 41)}},
		"organization": {OrganizationSlug, []string{"a", "northwind", "1.2_3-x"}, []string{"", "A", "-a", "a b",
			strings.Repeat("a", 64)}},
		"email": {Email, []string{"a@b", "name+tag@sub.example.com", "o'hara@example.com"},
			[]string{"", "a", "@b", "a@", "a@b@c", "a b@c", "A@b", "a@b..c", "a@-b", "é@b", "a@b\n", strings.Repeat("a",
				65) + "@b",
				"a@" + strings.Repeat("b.", 130) + "c"}},
		"scope": {ScopeToken, []string{"data:read", "a", "!", "https://x/y", strings.Repeat("a", 128)},
			[]string{"", "a b", `a"b`, `a\b`, "é", "a\n", "offline_access", "openid", strings.Repeat("a", 129)}},
		"password": {Password, []string{"12345678", strings.Repeat("x", 256)}, []string{"", "1234567", strings.Repeat("x",
			257)}},
		"link": {WebLink, []string{"", "https://acme.example/privacy?x=1"},
			[]string{"http://acme.example", "javascript:alert(1)", "//acme.example", "https://", "https://u@acme.example", "https://a\u202e"}},
		"hash": {PasswordHash, []string{"$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$" + strings.Repeat("A", 43)},
			[]string{"", "secret", "$2y$10$abc", "$argon2id$v=19$m=99999999999,t=2,p=1$AAAA$A"}},
	} {
		for _, s := range c.good {
			if msg := c.rule(s); msg != "" {
				t.Errorf("%s %q is refused: %s", name, s, msg)
			}
		}
		for _, s := range c.bad {
			if c.rule(s) == "" {
				t.Errorf("%s %q is accepted", name, s)
			}
		}
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	var part, all Problems
	part.Add("name", "")
	part.Add("name", "first")
	part.Add("name", "second")
	all.Join("users[2]", part)
	all.Join("users", Problems{{Path: "[3].email", Msg: "x"}})
	if err := all.Err(); err == nil || !strings.Contains(err.Error(), "invalid") {
		t.Errorf("Err = %v", err)
	}
	if len(all) != 3 || all[0] != (Problem{"users[2].name", "first"}) || all[2].Path != "users[3].email" {
		t.Errorf("problems %v", all)
	}
	if (Problems{}).Err() != nil {
		t.Error("no problems are an error")
	}
}
