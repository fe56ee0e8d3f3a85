package layout

import (
	"strings"
	"unicode/utf8"

	"github.com/a-h/templ"

	"github.com/ostiary/ostiary/templates/ui"
)

// htmxConfig keeps htmx inside the content security policy: no style element of its own, no eval, no scripts from answers,
// no request to another host. It also keeps previews out of the history cache, which is stored in the browser.
const htmxConfig = `{"includeIndicatorStyles":false,"allowEval":false,"allowScriptTags":false,"selfRequestsOnly":true,` +
	`"historyEnabled":false,"historyCacheSize":0}`

func documentTitle(title string) string {
	if title == "" {
		return "Ostiary"
	}
	return title + " · Ostiary"
}

func homeURL(view DashboardView) templ.SafeURL {
	if href := ui.LinkURL(view.HomeURL); href != "" {
		return href
	}
	return "/"
}

// initial returns the first letter of a name, for the tile that stands in for a logo.
func initial(name string) string {
	r, size := utf8.DecodeRuneInString(strings.TrimSpace(name))
	if size == 0 || r == utf8.RuneError {
		return ""
	}
	return strings.ToUpper(string(r))
}
