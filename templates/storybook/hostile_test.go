package storybook

import (
	"fmt"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"
	"github.com/a-h/templ"

	"github.com/ostiary/ostiary/templates/flow"
	"github.com/ostiary/ostiary/templates/htmltest"
	"github.com/ostiary/ostiary/templates/pages"
	"github.com/ostiary/ostiary/templates/ui"
)

// filled returns every page with every string of its view set to s and every bool to b.
func filled(s string, b bool) map[string]templ.Component {
	var (
		login     flow.LoginView
		consent   flow.ConsentView
		fault     flow.ErrorView
		signedOut flow.SignedOutView
		signIn    pages.MemberSignInView
		servers   pages.ServersView
		listed    pages.ServersView
		server    pages.ServerView
		wording   pages.WordingView
		broken    pages.ErrorView
	)
	for _, view := range []any{&login, &consent, &fault, &signedOut, &signIn, &servers, &listed, &server, &wording, &broken} {
		htmltest.Fill(view, s, b)
	}
	listed.Start = nil // so that the rows are printed
	for _, risk := range []ui.Risk{ui.RiskRead, ui.RiskWrite, ui.RiskDestructive} {
		var g flow.Group
		htmltest.Fill(&g, s, b)
		g.Risk = risk
		consent.Groups = append(consent.Groups, g)
	}
	return map[string]templ.Component{
		"login": flow.Login(login), "consent": flow.Consent(consent), "preview": flow.ConsentPreview(consent),
		"error": flow.Error(fault), "signed out": flow.SignedOut(signedOut), "member sign-in": pages.MemberSignIn(signIn),
		"servers": pages.Servers(servers), "servers listed": pages.Servers(listed), "server": pages.Server(server),
		"wording": pages.Wording(wording), "dashboard error": pages.Error(broken),
	}
}

func TestPages_EscapeHostileStringsInEveryField(t *testing.T) {
	t.Parallel()
	for _, evil := range []string{
		`<x-evil>hello</x-evil>`,
		`"><x-evil onmouseover="alert(1)">`,
		`'><x-evil onclick='alert(1)'>`,
		`"onfocus="alert(1)"autofocus="`,
		` onmouseover=alert(1) style=background:red `,
		`</title></textarea></script></style><x-evil>`,
		"</pre><x-evil>\x00\u202e`${alert(1)}`",
	} {
		for _, b := range []bool{true, false} {
			for name, c := range filled(evil, b) {
				t.Run(fmt.Sprintf("%s/%v/%.12s", name, b, evil), func(t *testing.T) {
					t.Parallel()
					doc := parse(t, htmltest.Render(t, c))
					if n := doc.Find("x-evil").Length(); n > 0 {
						t.Errorf("%d elements were injected", n)
					}
					for _, p := range htmltest.Injected(doc) {
						t.Error(p)
					}
				})
			}
		}
	}
}

func TestPages_RefuseHostileURLsInEveryField(t *testing.T) {
	t.Parallel()
	for _, evil := range []string{
		"javascript:alert(1)", "javascript://evil.example/%0aalert(1)", "JaVaScRiPt:alert(1)", " javascript:alert(1)", "java\nscript:alert(1)", "\x01javascript:alert(1)",
		"data:text/html,<script>alert(1)</script>", "data:text/html;base64,PHNjcmlwdD4=", "vbscript:x", "blob:https://x/1",
		"//evil.example/x", `/\evil.example/x`, `\\evil.example/x`, "https:evil.example", "https://user:pass@evil.example/",
		"file:///etc/passwd", "about:blank", "view-source:https://evil.example",
	} {
		for name, c := range filled(evil, true) {
			t.Run(fmt.Sprintf("%s/%q", name, evil), func(t *testing.T) {
				t.Parallel()
				doc := parse(t, htmltest.Render(t, c))
				for _, attr := range []string{"href", "src", "action", "formaction", "hx-post", "hx-get", "srcset", "poster"} {
					doc.Find("[" + attr + "]").Each(func(_ int, s *goquery.Selection) {
						if got := s.AttrOr(attr, ""); strings.Contains(got, "evil") || strings.Contains(got, "alert") ||
							got != "" && got == evil {
							t.Errorf("<%s %s=%q>", goquery.NodeName(s), attr, got)
						}
					})
				}
			})
		}
	}
}

// What loads by itself or carries a password stays on this host even when the address is a perfectly good one elsewhere.
func TestPages_NeverLoadFromOrPostToAnotherHost(t *testing.T) {
	t.Parallel()
	for name, c := range filled("https://elsewhere.example/x", true) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc := parse(t, htmltest.Render(t, c))
			for selector, attr := range map[string]string{
				"link": "href", "script": "src", "img": "src", "form": "action", "button": "formaction", "[hx-post]": "hx-post",
			} {
				doc.Find(selector).Each(func(_ int, s *goquery.Selection) {
					if got := s.AttrOr(attr, ""); strings.Contains(got, "elsewhere") {
						t.Errorf("<%s %s=%q>", goquery.NodeName(s), attr, got)
					}
				})
			}
		})
	}
}

func parse(t *testing.T, src string) *goquery.Document {
	t.Helper()
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(src))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}
