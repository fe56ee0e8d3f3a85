package storybook

import (
	"net/http"
	"strings"

	"github.com/a-h/templ"

	"github.com/ostiary/ostiary/templates/flow"
)

// Prefix is the path under which Handler expects to be mounted.
const Prefix = "/storybook/"

// Story is one component or page in one state.
type Story struct {
	Slug      string // "consent-long": its address under Prefix
	Group     string // "Consent"
	Name      string // "Long names"
	Component templ.Component
	Fragment  bool // not a whole document
}

// Handler serves the index and each story under Prefix. The stylesheet and the script come from static.Handler, which the
// server mounts for every page.
func Handler() http.Handler {
	stories := make(map[string]Story)
	for _, s := range Stories() {
		stories[s.Slug] = s
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		slug := strings.TrimPrefix(r.URL.Path, Prefix)
		w.Header().Set("Cache-Control", "no-store")
		switch {
		case slug == "brand.css":
			w.Header().Set("Content-Type", "text/css; charset=utf-8")
			_, _ = w.Write(flow.BrandCSS(acmeBrand())) // the client went away; nobody is left to tell
		case slug == "preview" && r.Method == http.MethodPost:
			servePreview(w, r)
		case slug == "posted":
			http.Redirect(w, r, Prefix, http.StatusSeeOther)
		case slug == "":
			serve(w, r, index(Stories()))
		default:
			s, ok := stories[slug]
			if !ok {
				http.NotFound(w, r)
				return
			}
			serve(w, r, s.page())
		}
	})
}

func serve(w http.ResponseWriter, r *http.Request, c templ.Component) {
	templ.Handler(c).ServeHTTP(w, r)
}

// servePreview answers as the dashboard's preview endpoint does: the consent page with the words just typed.
func servePreview(w http.ResponseWriter, r *http.Request) {
	view := wordingView()
	p := &view.Preview.Groups[1].Permissions[0]
	p.Title = r.PostFormValue("title")
	p.Description = r.PostFormValue("description")
	p.Warning = r.PostFormValue("warning")
	for i, t := range p.Tools {
		p.Tools[i].Wording = r.PostFormValue("tool." + t.Name)
	}
	serve(w, r, flow.ConsentPreview(view.Preview))
}

// page is the story as a document of its own.
func (s Story) page() templ.Component {
	if s.Fragment {
		return frame(s)
	}
	return s.Component
}
