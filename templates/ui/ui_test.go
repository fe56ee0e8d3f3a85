package ui_test

import (
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"
	"github.com/a-h/templ"

	"github.com/ostiary/ostiary/templates/htmltest"
	"github.com/ostiary/ostiary/templates/ui"
)

func parse(t *testing.T, c templ.Component) *goquery.Document {
	t.Helper()
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(htmltest.Render(t, c)))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestURLs_LeadOnlyWhereTheyMay(t *testing.T) {
	t.Parallel()
	type verdict struct{ link, post, image bool }
	for raw, want := range map[string]verdict{
		"":                                   {},
		"/servers":                           {true, true, true},
		"/servers?q=a%20b&page=2#x":          {true, true, true},
		"?page=2":                            {true, true, false},
		"#main":                              {link: true},
		"https://acme.example/privacy":       {link: true},
		"http://localhost:8080/i/acme":       {link: true},
		"mailto:support@acme.example":        {link: true},
		"data:image/png;base64,iVBORw0KGg":   {image: true},
		"data:image/svg+xml;base64,PHN2Zz":   {image: true},
		"//evil.example":                     {},
		"/\\evil.example":                    {},
		"https:evil.example":                 {},
		"https://user@evil.example/":         {},
		"javascript:alert(1)":                {},
		"javascript://x.example/%0aalert(1)": {},
		"JAVASCRIPT:alert(1)":                {},
		"java\tscript:alert(1)":              {},
		" /servers":                          {},
		"/serv ers":                          {},
		"/servers\n":                         {},
		"servers":                            {},
		"mailto:":                            {},
		"https://":                           {},
		"ftp://acme.example/":                {},
		"data:text/html;base64,PHN2Zz":       {},
		"data:image/png,raw":                 {},
		"data:image/png;base64,":             {},
		"data:image/png;base64,a\"b":         {},
		"vscode://x":                         {},
		":":                                  {},
	} {
		got := verdict{ui.LinkURL(raw) != "", ui.PostURL(raw) == templ.SafeURL(raw), ui.ImageURL(raw) != ""}
		if raw == "" {
			got.post = false
		}
		if got != want {
			t.Errorf("%q: got %+v, want %+v", raw, got, want)
		}
	}
	if ui.PostURL("") != "about:invalid" || ui.PostURL("https://acme.example/") != "about:invalid" {
		t.Error("a refused address posts somewhere")
	}
}

func TestField_TiesLabelHintAndMessageToTheInput(t *testing.T) {
	t.Parallel()
	doc := parse(t, ui.Field{Name: "title", Label: "Title", Hint: "A hint.", Error: "Wrong.", Max: 3, Value: "äöüß"})
	in := doc.Find("input")
	if doc.Find(`label[for=title]`).Text() != "Title" || in.AttrOr("aria-invalid", "") != "true" {
		t.Error("the label or the state is not tied to the input")
	}
	said := ""
	for _, id := range strings.Fields(in.AttrOr("aria-describedby", "")) {
		said += doc.Find("#"+id).Text() + "|"
	}
	if said != "Wrong.|A hint.|" {
		t.Errorf("the input is described by %q", said)
	}
	counter := doc.Find("[data-counter=title]")
	if counter.Text() != "4 of 3" || !counter.HasClass("is-over") {
		t.Errorf("the counter says %q", counter.Text())
	}
}

func TestField_NeverPrintsAPasswordBack(t *testing.T) {
	t.Parallel()
	if got := htmltest.Render(t, ui.Field{Name: "password", Type: "password", Label: "Password", Value: "hunter2"}); strings.Contains(got, "hunter2") {
		t.Error("the password is in the page")
	}
}

func TestButton_PostsWithWhatBelongsToItOrLinksOrIsNotThere(t *testing.T) {
	t.Parallel()
	doc := parse(t, ui.Button(ui.Action{
		Label: "Go", URL: "/go", Post: true, Hidden: []ui.Hidden{{Name: "interaction", Value: "int_1"}},
	}, ui.Primary))
	if doc.Find(`form[method=post][action="/go"] input[name=interaction]`).AttrOr("value", "") != "int_1" {
		t.Error("the button does not post what belongs to it")
	}
	if got := htmltest.Render(t, ui.Button(ui.Action{Label: "Go", URL: "javascript:alert(1)"}, ui.Plain)); got != "" {
		t.Errorf("a link that leads nowhere is printed: %s", got)
	}
	if got := htmltest.Render(t, ui.Button(ui.Action{URL: "/go"}, ui.Plain)); got != "" {
		t.Errorf("a button without words is printed: %s", got)
	}
}

func TestCopy_SaysWhatItCopies(t *testing.T) {
	t.Parallel()
	b := parse(t, ui.Copy("https://x.example", "issuer")).Find("button")
	if b.AttrOr("data-copy", "") != "https://x.example" || b.AttrOr("aria-label", "") != "Copy issuer" || b.AttrOr("type", "") != "button" {
		t.Error("the copy button does not say what it copies")
	}
}

func TestMatrix_ReadOnlyHasNothingToTickAndBothHaveACellForEachPair(t *testing.T) {
	t.Parallel()
	m := ui.Matrix{
		Columns:  []ui.MatrixColumn{{Title: "Query", Scope: "data:read"}, {Title: "Change", Scope: "data:write"}},
		Rows:     []ui.MatrixRow{{Tool: "run_query", Cells: []ui.MatrixCell{{On: true}}}, {Tool: "export", Unmapped: true}},
		ReadOnly: true,
	}
	doc := parse(t, m)
	if doc.Find("input").Length() != 0 || doc.Find("td").Length() != 4 || doc.Find("td.on").Length() != 1 {
		t.Error("the read-only table is not what its rows say")
	}
	m.ReadOnly = false
	doc = parse(t, m)
	if doc.Find("td input").Length() != 4 || doc.Find("input[checked]").AttrOr("aria-label", "") != "run_query needs Query" {
		t.Error("the table to edit is not what its rows say")
	}
}
