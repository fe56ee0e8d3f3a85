package dashboard

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/tenants"
)

// visit is who asks for which environment. The two middlewares below make it; handlers and the error page read it.
type visit struct {
	member       tenants.Member
	environments []*tenants.Environment
	env          *tenants.Environment // nil outside /environments/{slug}
}

const visitKey = "visit"

func visitOf(c echo.Context) *visit {
	v, _ := c.Get(visitKey).(*visit)
	return v
}

// signedIn puts the member of the session cookie into the context, with the tenant's scope. It is the dashboard's one way
// to a tenant: nothing in a URL or form names one.
func (d *Dashboard) signedIn(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		m, err := d.currentMember(c)
		if errs.Is(err, errs.Unauthenticated) {
			return askToSignIn(c)
		}
		if err != nil {
			return err
		}
		ctx := tenants.WithMember(c.Request().Context(), m)
		list, err := d.environments.List(ctx)
		if err != nil {
			return err
		}
		c.SetRequest(c.Request().WithContext(ctx))
		c.Set(visitKey, &visit{member: m, environments: list})
		return next(c)
	}
}

func (d *Dashboard) currentMember(c echo.Context) (tenants.Member, error) {
	return d.sessions.Get(c.Request().Context(), d.sessionValue(c))
}

// askToSignIn sends people to the sign-in page and back afterwards. A script gets a bare 401: it would put the sign-in page
// into the middle of another one.
func askToSignIn(c echo.Context) error {
	r := c.Request()
	if r.Header.Get("HX-Request") != "" {
		return c.NoContent(http.StatusUnauthorized)
	}
	target := "/sign-in"
	if r.Method == http.MethodGet {
		target += "?" + url.Values{"next": {r.URL.RequestURI()}}.Encode()
	}
	return c.Redirect(http.StatusSeeOther, target)
}

// inEnvironment narrows the scope to the environment in the URL, which must be one of the member's tenant.
func (d *Dashboard) inEnvironment(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		v := visitOf(c)
		for _, env := range v.environments {
			if env.Slug == c.Param("env") {
				v.env = env
			}
		}
		if v.env == nil {
			return errs.New(errs.NotFound, "There is no such environment.")
		}
		c.SetRequest(c.Request().WithContext(scope.With(c.Request().Context(), v.env.Scope())))
		return next(c)
	}
}

// safeNext returns where to go after signing in: a page of an environment on this host, or the home page.
func safeNext(next string) string {
	plain := !strings.ContainsFunc(next, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\\' })
	u, err := url.Parse(next)
	if !plain || err != nil || u.Scheme != "" || u.Host != "" || u.Fragment != "" ||
		!strings.HasPrefix(u.Path, "/environments/") {
		return "/"
	}
	return u.RequestURI()
}
