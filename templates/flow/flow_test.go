package flow_test

import (
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"
	"github.com/a-h/templ"

	"github.com/ostiary/ostiary/templates/flow"
	"github.com/ostiary/ostiary/templates/htmltest"
	"github.com/ostiary/ostiary/templates/layout"
	"github.com/ostiary/ostiary/templates/ui"
)

func consentView() flow.ConsentView {
	return flow.ConsentView{
		Branding: layout.Branding{Name: "Acme"}, Title: "Claude wants to use Acme", Action: "/i/acme/consent", Interaction: "int_1",
		Asker: flow.Asker{Host: "claude.ai", Verified: true, Name: "Claude"}, SwitchURL: "/i/acme/switch",
		User: flow.Party{Name: "Sample User", Address: "user@acme.example"},
		Groups: []flow.Group{
			flow.GroupOf(ui.RiskRead,
				flow.Permission{Scope: "data:read", Title: "Query", Ticked: true},
				flow.Permission{Scope: "data:list", Title: "List", Required: true}),
			flow.GroupOf(ui.RiskWrite, flow.Permission{Scope: "data:write", Title: "Change"}),
			flow.GroupOf(ui.RiskDestructive,
				flow.Permission{Scope: "data:delete", Title: "Delete", Ticked: true, Required: true, Warning: "It is gone."}),
		},
		Kept: []flow.Group{flow.GroupOf(ui.RiskRead, flow.Permission{Scope: "data:kept", Title: "Kept", Ticked: true})},
		Durations: []ui.Option{
			{Value: flow.DurationHour, Label: "1 hour"}, {Value: flow.DurationMonth, Label: "30 days", Selected: true},
		},
		Return: flow.Return{Words: "claude.ai"},
	}
}

func parse(t *testing.T, c templ.Component) *goquery.Document {
	t.Helper()
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(htmltest.Render(t, c)))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// sent returns what a browser would send for the form as it stands, without the pressed button.
func sent(form *goquery.Selection) map[string][]string {
	out := make(map[string][]string)
	form.Find("input").Each(func(_ int, s *goquery.Selection) {
		kind := s.AttrOr("type", "text")
		_, checked := s.Attr("checked")
		_, disabled := s.Attr("disabled")
		name := s.AttrOr("name", "")
		if disabled || name == "" || (kind == "checkbox" || kind == "radio") && !checked {
			return
		}
		out[name] = append(out[name], s.AttrOr("value", "on"))
	})
	form.Find("select").Each(func(_ int, s *goquery.Selection) {
		out[s.AttrOr("name", "")] = []string{s.Find("option[selected]").AttrOr("value", "")}
	})
	return out
}

func TestConsent_SendsWhatScriptsRelyOn(t *testing.T) {
	t.Parallel()
	doc := parse(t, flow.Consent(consentView()))
	form := doc.Find("form.sheet")
	if form.AttrOr("method", "") != "post" || form.AttrOr("action", "") != "/i/acme/consent" {
		t.Fatalf("form is %s %s", form.AttrOr("method", ""), form.AttrOr("action", ""))
	}
	got := sent(form)
	want := map[string]string{
		"interaction": "int_1", "scope": "data:read,data:list", "preset": "custom", "duration": "30d",
	}
	for name, value := range want {
		if strings.Join(got[name], ",") != value {
			t.Errorf("%s = %v, want %s", name, got[name], value)
		}
	}
	if len(got) != len(want) {
		t.Errorf("the form sends %v", got)
	}
	for _, scope := range []string{"data:read", "data:write", "data:delete"} {
		if form.Find(`input[type=checkbox][name=scope][value="`+scope+`"]`).Length() != 1 {
			t.Errorf("no box for %s", scope)
		}
	}
	if form.Find(`button[name=decision][value=deny]`).Text() != "Cancel" || form.Find(`button[name=decision][value=approve]`).Text() != "Allow" {
		t.Error("the buttons are not Cancel (deny) and Allow (approve)")
	}
}

// Enter in a field presses the first submit button a form owns (HTML, implicit submission).
func TestConsent_EnterCancels(t *testing.T) {
	t.Parallel()
	first := parse(t, flow.Consent(consentView())).Find("form.sheet button").FilterFunction(func(_ int, s *goquery.Selection) bool {
		_, elsewhere := s.Attr("form")
		return !elsewhere && s.AttrOr("type", "submit") == "submit"
	}).First()
	if first.AttrOr("value", "") != flow.DecisionCancel {
		t.Errorf("the first button of the form is %q, want Cancel", first.Text())
	}
}

func TestConsent_NeverTicksWhatDestroys(t *testing.T) {
	t.Parallel()
	doc := parse(t, flow.Consent(consentView()))
	box := doc.Find(`input[value="data:delete"]`)
	if box.Length() != 1 || box.AttrOr("type", "") != "checkbox" {
		t.Fatalf("want one box for the destructive permission, got %d", box.Length())
	}
	if _, checked := box.Attr("checked"); checked {
		t.Error("the destructive permission is ticked at load")
	}
	if why := doc.Find("#" + box.AttrOr("id", "") + "-why").Text(); !strings.Contains(why, "Not ticked for you. It is gone.") {
		t.Errorf("why = %q", why)
	}
}

func TestConsent_SendsRequiredOnesByAHiddenFieldAndKeptOnesNotAtAll(t *testing.T) {
	t.Parallel()
	doc := parse(t, flow.Consent(consentView()))
	if doc.Find(`input[type=hidden][name=scope][value="data:list"]`).Length() != 1 {
		t.Error("the required permission is not sent by a hidden field")
	}
	if doc.Find(`[value="data:kept"]`).Length() != 0 {
		t.Error("what was allowed before is part of the form")
	}
}

func TestConsent_SwitchAccountIsAPostOfItsOwn(t *testing.T) {
	t.Parallel()
	doc := parse(t, flow.Consent(consentView()))
	form := doc.Find("form#switch")
	if form.AttrOr("method", "") != "post" || form.AttrOr("action", "") != "/i/acme/switch" ||
		form.Find(`input[name=interaction]`).AttrOr("value", "") != "int_1" {
		t.Error("no form posts the interaction to the switch address")
	}
	if doc.Find("form.sheet form").Length() != 0 || doc.Find(`button[form=switch]`).Text() != "Switch account" {
		t.Error("the button does not belong to that form")
	}
}

func TestConsentPreview_CannotBePressed(t *testing.T) {
	t.Parallel()
	doc := parse(t, flow.ConsentPreview(consentView()))
	if n := doc.Find("form").Length(); n != 0 {
		t.Errorf("%d forms in a preview", n)
	}
	doc.Find("button").Each(func(_ int, s *goquery.Selection) {
		if s.AttrOr("type", "submit") != "button" {
			t.Errorf("button %q would submit", s.Text())
		}
	})
	if _, ok := doc.Find(".consent").Attr("inert"); !ok {
		t.Error("the preview is not inert")
	}
	doc.Find("[id]").Each(func(_ int, s *goquery.Selection) {
		if !strings.HasPrefix(s.AttrOr("id", ""), "preview-") {
			t.Errorf("id %q may clash with the page round it", s.AttrOr("id", ""))
		}
	})
}

func TestConsent_PresetOfTheViewIsTicked(t *testing.T) {
	t.Parallel()
	for preset, want := range map[string]string{"": "custom", flow.PresetRead: "read", flow.PresetAll: "all"} {
		v := consentView()
		v.Preset = preset
		if got := sent(parse(t, flow.Consent(v)).Find("form.sheet"))["preset"]; len(got) != 1 || got[0] != want {
			t.Errorf("preset %q ticks %v, want %s", preset, got, want)
		}
	}
}

// The words of the protocol are not the words of the people who read the page.
func TestPages_NeverSayProtocolWordsToUsers(t *testing.T) {
	t.Parallel()
	login := flow.LoginView{Branding: layout.Branding{Name: "Acme"}, Asker: flow.Asker{Host: "claude.ai"}, Server: "Acme", Action: "/x"}
	for name, c := range map[string]templ.Component{"consent": flow.Consent(consentView()), "login": flow.Login(login)} {
		text := strings.ToLower(parse(t, c).Find("main").Text())
		for _, word := range []string{"scope", "resource", "authoriz", "oauth", "client"} {
			if strings.Contains(text, word) {
				t.Errorf("%s says %q", name, word)
			}
		}
	}
}

func TestLogin_SendsWhatScriptsAndPasswordManagersRelyOn(t *testing.T) {
	t.Parallel()
	doc := parse(t, flow.Login(flow.LoginView{
		Branding: layout.Branding{Name: "Acme"}, Action: "/i/acme/login", Interaction: "int_1", Email: "user@acme.example",
	}))
	form := doc.Find("form")
	got := sent(form)
	if form.AttrOr("action", "") != "/i/acme/login" || got["interaction"][0] != "int_1" || got["email"][0] != "user@acme.example" {
		t.Errorf("the form sends %v to %s", got, form.AttrOr("action", ""))
	}
	for name, want := range map[string]string{"email": "username", "password": "current-password"} {
		if ac := form.Find(`input[name=`+name+`]`).AttrOr("autocomplete", ""); ac != want {
			t.Errorf("%s has autocomplete %q, want %q", name, ac, want)
		}
	}
	if form.Find("input[name=password]").AttrOr("value", "") != "" {
		t.Error("the password field has a value")
	}
	if doc.Find("[autofocus]").Length() != 0 {
		t.Error("autofocus opens the keyboard over the page on a phone")
	}
}
