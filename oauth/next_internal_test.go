package oauth

import (
	"testing"
	"time"
)

func TestReadPrompt_HonoursEachValue(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"": "", "login": promptLogin, "consent": promptConsent, "none": promptNone, "select_account": promptLogin,
		"login consent": promptLoginConsent, "consent login": promptLoginConsent, "select_account consent": promptLoginConsent,
		" consent  login  consent ": promptLoginConsent, "create": "", "create consent": promptConsent,
	} {
		if got, err := readPrompt(raw); got != want || err != nil {
			t.Errorf("%q is read as %q, %v; want %q", raw, got, err, want)
		}
	}
	for _, raw := range []string{"none login", "login none", "consent none", "none create", "none none"} {
		_, err := readPrompt(raw)
		if p := problemOf(err); err == nil || p.code != codeInvalidRequest {
			t.Errorf("%q: %v", raw, err)
		}
	}
}

func TestNext_IsTheOnlyDecision(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	session := &Session{AuthTime: now.Add(-10 * time.Minute)}
	consent := &Consent{Scopes: []string{"a", "b"}}
	in := func(change func(*Interaction)) Interaction {
		i := Interaction{MaxAge: -1}
		if change != nil {
			change(&i)
		}
		return i
	}
	for name, tt := range map[string]struct {
		in    Interaction
		facts facts
		want  Step
		code  string
	}{
		"nobody signed in":   {in(nil), facts{}, StepLogin, ""},
		"nothing remembered": {in(nil), facts{session: session}, StepConsent, ""},
		"all remembered":     {in(nil), facts{session: session, consent: consent, requested: []string{"a"}}, StepIssue, ""},
		"something new":      {in(nil), facts{session: session, consent: consent, requested: []string{"a", "c"}}, StepConsent, ""},
		"loopback always asks": {
			in(nil), facts{session: session, consent: consent, requested: []string{"a"}, local: true}, StepConsent, "",
		},
		"prompt=consent asks": {
			in(func(i *Interaction) { i.Prompt = promptConsent }),
			facts{session: session, consent: consent, requested: []string{"a"}}, StepConsent, "",
		},
		"prompt=login signs in again": {
			in(func(i *Interaction) { i.Prompt = promptLogin }), facts{session: session, consent: consent}, StepLogin, "",
		},
		"prompt=login is satisfied once": {
			in(func(i *Interaction) { i.Prompt, i.LoggedInAt = promptLogin, now.Add(-time.Minute) }),
			facts{session: &Session{AuthTime: now.Add(-time.Minute)}, consent: consent, requested: []string{"a"}}, StepIssue, "",
		},
		"an old sign-in does not satisfy prompt=login": {
			in(func(i *Interaction) { i.Prompt, i.LoggedInAt = promptLogin, now.Add(-time.Minute) }),
			facts{session: session, consent: consent}, StepLogin, "",
		},
		"prompt=login consent signs in first": {
			in(func(i *Interaction) { i.Prompt = promptLoginConsent }),
			facts{session: session, consent: consent, requested: []string{"a"}}, StepLogin, "",
		},
		"prompt=login consent asks then": {
			in(func(i *Interaction) { i.Prompt, i.LoggedInAt = promptLoginConsent, now.Add(-time.Minute) }),
			facts{session: &Session{AuthTime: now.Add(-time.Minute)}, consent: consent, requested: []string{"a"}}, StepConsent, "",
		},
		"max_age exceeded": {
			in(func(i *Interaction) { i.MaxAge = 60 }), facts{session: session, consent: consent}, StepLogin, "",
		},
		"max_age kept": {
			in(func(i *Interaction) { i.MaxAge = 3600 }), facts{session: session, consent: consent, requested: []string{"a"}}, StepIssue, "",
		},
		"prompt=none without a session": {
			in(func(i *Interaction) { i.Prompt = promptNone }), facts{}, StepRefuse, "login_required",
		},
		"prompt=none without consent": {
			in(func(i *Interaction) { i.Prompt = promptNone }), facts{session: session}, StepRefuse, "consent_required",
		},
	} {
		tt.facts.now = now
		if step, code := next(tt.in, tt.facts); step != tt.want || code != tt.code {
			t.Errorf("%s: step %d %q, want %d %q", name, step, code, tt.want, tt.code)
		}
	}
}
