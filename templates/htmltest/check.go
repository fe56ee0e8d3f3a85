package htmltest

import (
	"fmt"
	"strings"

	"github.com/PuerkitoBio/goquery"
	"golang.org/x/net/html"
)

// Problems returns what is wrong with a piece of HTML, one sentence each; none when it is as it should be. Page adds the
// checks that only a whole document can meet.
func Problems(src string, page bool) []string {
	out := balance(src)
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(src))
	if err != nil {
		return append(out, "does not parse: "+err.Error())
	}
	out = append(out, ids(doc)...)
	out = append(out, labels(doc)...)
	out = append(out, Injected(doc)...)
	out = append(out, foreign(doc)...)
	if page {
		out = append(out, document(doc)...)
	}
	return out
}

// balance checks that tags close in the order they open and that nothing stands inside its own kind where HTML forbids it.
// A browser would repair both silently.
func balance(src string) []string {
	var out, open []string
	z := html.NewTokenizer(strings.NewReader(src))
	for {
		switch z.Next() {
		case html.ErrorToken:
			for _, tag := range open {
				out = append(out, "<"+tag+"> is never closed")
			}
			return out
		case html.StartTagToken:
			tok := z.Token()
			if selfClosing(tok) {
				continue
			}
			for _, outer := range open {
				if forbidden(outer, tok.Data) {
					out = append(out, fmt.Sprintf("<%s> inside <%s>", tok.Data, outer))
				}
			}
			open = append(open, tok.Data)
		case html.EndTagToken:
			tag := z.Token().Data
			if len(open) == 0 || open[len(open)-1] != tag {
				out = append(out, "</"+tag+"> closes something else")
				continue
			}
			open = open[:len(open)-1]
		}
	}
}

// forbidden tells whether inner may not stand in outer.
func forbidden(outer, inner string) bool {
	switch outer {
	case "form":
		return inner == "form"
	case "a", "button":
		return inner == "a" || inner == "button" || inner == "input" || inner == "select" || inner == "label"
	case "label":
		return inner == "label" || inner == "a" || inner == "button"
	case "p", "h1", "h2", "h3", "pre":
		return inner == "div" || inner == "p" || inner == "ul" || inner == "form" || inner == "table" || inner == "section"
	case "span":
		return inner == "div" || inner == "p" || inner == "ul" || inner == "table"
	}
	return false
}

func ids(doc *goquery.Document) []string {
	var out []string
	seen := make(map[string]bool)
	doc.Find("[id]").Each(func(_ int, s *goquery.Selection) {
		id := s.AttrOr("id", "")
		if id == "" || strings.ContainsAny(id, " \t\n") {
			out = append(out, fmt.Sprintf("id %q is not an id", id))
		}
		if seen[id] {
			out = append(out, fmt.Sprintf("id %q is used twice", id))
		}
		seen[id] = true
	})
	for _, attr := range []string{"for", "form", "aria-labelledby", "aria-describedby", "data-counter", "list"} {
		doc.Find("[" + attr + "]").Each(func(_ int, s *goquery.Selection) {
			for _, id := range strings.Fields(s.AttrOr(attr, "")) {
				if !seen[id] {
					out = append(out, fmt.Sprintf("%s=%q points at nothing", attr, id))
				}
			}
		})
	}
	return out
}

func labels(doc *goquery.Document) []string {
	var out []string
	doc.Find("input, select, textarea").Each(func(_ int, s *goquery.Selection) {
		if s.AttrOr("type", "") == "hidden" {
			return
		}
		id, _ := s.Attr("id")
		named := s.AttrOr("aria-label", "") != "" || s.AttrOr("aria-labelledby", "") != ""
		named = named || strings.TrimSpace(s.Closest("label").Text()) != ""
		doc.Find("label").Each(func(_ int, l *goquery.Selection) {
			named = named || id != "" && l.AttrOr("for", "") == id && strings.TrimSpace(l.Text()) != ""
		})
		if !named {
			out = append(out, fmt.Sprintf("%s %q has no label", goquery.NodeName(s), s.AttrOr("name", "")))
		}
	})
	doc.Find("button, a").Each(func(_ int, s *goquery.Selection) {
		if strings.TrimSpace(s.Text()) == "" && s.AttrOr("aria-label", "") == "" {
			out = append(out, fmt.Sprintf("%s.%s has no name", goquery.NodeName(s), s.AttrOr("class", "")))
		}
	})
	doc.Find("img").Each(func(_ int, s *goquery.Selection) {
		if _, ok := s.Attr("alt"); !ok {
			out = append(out, "img without alt")
		}
	})
	return out
}

// Injected returns every place where a document carries script or style of its own. Our pages have none, so one that does
// was written by somebody else.
func Injected(doc *goquery.Document) []string {
	var out []string
	doc.Find("*").Each(func(_ int, s *goquery.Selection) {
		for _, a := range s.Nodes[0].Attr {
			if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
				out = append(out, fmt.Sprintf("<%s> has the attribute %s", goquery.NodeName(s), a.Key))
			}
		}
	})
	doc.Find("style, iframe, object, embed, base, script:not([src])").Each(func(_ int, s *goquery.Selection) {
		out = append(out, "<"+goquery.NodeName(s)+"> in a page")
	})
	return out
}

// foreign returns every address from which the browser would fetch, or to which it would post, on another host.
func foreign(doc *goquery.Document) []string {
	var out []string
	at := func(selector, attr string) {
		doc.Find(selector).Each(func(_ int, s *goquery.Selection) {
			raw, ok := s.Attr(attr)
			own := strings.HasPrefix(raw, "/") && !strings.HasPrefix(raw, "//") || strings.HasPrefix(raw, "data:image/")
			if ok && !own && raw != "about:invalid" {
				out = append(out, fmt.Sprintf("<%s %s=%q> leaves this host", goquery.NodeName(s), attr, raw))
			}
		})
	}
	at("link", "href")
	at("script, img, source", "src")
	at("form", "action")
	at("button, input", "formaction")
	at("[hx-post]", "hx-post")
	at("[hx-get]", "hx-get")
	return out
}

func document(doc *goquery.Document) []string {
	var out []string
	exactly := func(selector string, n int) {
		if got := doc.Find(selector).Length(); got != n {
			out = append(out, fmt.Sprintf("%d of %q, want %d", got, selector, n))
		}
	}
	exactly("main", 1)
	exactly("html[lang]", 1)
	exactly(`meta[name="viewport"]`, 1)
	if strings.TrimSpace(doc.Find("title").Text()) == "" {
		out = append(out, "no title")
	}
	if got := doc.Find("h1").Length() - doc.Find("[inert] h1").Length(); got != 1 {
		out = append(out, fmt.Sprintf("%d h1, want 1", got))
	}
	return out
}
