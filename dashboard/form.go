package dashboard

import (
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/app/errs"
)

// form is the body of a post. Values in the URL are not part of it.
type form struct{ values url.Values }

// parseForm reads the body. Errors: errs.Invalid, or the edge's for a body that is too large.
func parseForm(c echo.Context) (form, error) {
	r := c.Request()
	if err := r.ParseForm(); err != nil {
		return form{}, errs.Wrap(errs.Invalid, "This form could not be read.", err)
	}
	return form{r.PostForm}, nil
}

// raw returns a field as it was sent.
func (f form) raw(name string) string { return f.values.Get(name) }

// text returns a field without the space around it, which nobody means to send.
func (f form) text(name string) string { return strings.TrimSpace(f.values.Get(name)) }

// under returns the fields whose names begin with prefix, by the rest of their names.
func (f form) under(prefix string) map[string]string {
	found := map[string]string{}
	for name := range f.values {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			found[rest] = f.text(name)
		}
	}
	return found
}
