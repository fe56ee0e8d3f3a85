package htmltest

import (
	"fmt"
	"strings"

	"golang.org/x/net/html"
)

// void tells whether an element has no end tag.
func void(tag string) bool {
	switch tag {
	case "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr":
		return true
	}
	return false
}

// selfClosing tells whether a start tag is all there is of its element; shapes inside svg are written so.
func selfClosing(tok html.Token) bool { return tok.Type == html.SelfClosingTagToken || void(tok.Data) }

// Pretty prints one tag or text a line, indented by depth, so that a golden's diff can be read.
func Pretty(src string) string {
	var out strings.Builder
	depth, raw := 0, 0
	line := func(s string) { fmt.Fprintf(&out, "%s%s\n", strings.Repeat("  ", max(depth, 0)), s) }
	z := html.NewTokenizer(strings.NewReader(src))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return out.String()
		case html.StartTagToken, html.SelfClosingTagToken:
			tok := z.Token()
			line(tok.String())
			if !selfClosing(tok) {
				depth++
			}
			if tok.Data == "pre" || tok.Data == "textarea" {
				raw++
			}
		case html.EndTagToken:
			tok := z.Token()
			depth--
			if tok.Data == "pre" || tok.Data == "textarea" {
				raw--
			}
			line(tok.String())
		case html.TextToken:
			text := z.Token().String()
			if raw == 0 {
				text = strings.Join(strings.Fields(text), " ")
			}
			if text != "" {
				line(text)
			}
		default:
			line(z.Token().String())
		}
	}
}
