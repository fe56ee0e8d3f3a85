package dashboard

import (
	"math"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/web"
	"github.com/ostiary/ostiary/templates/pages"
	"github.com/ostiary/ostiary/templates/ui"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/attempts"
)

// showSignIn shows the sign-in page, or leads on who is signed in already.
func (d *Dashboard) showSignIn(c echo.Context) error {
	next := safeNext(c.QueryParam("next"))
	_, err := d.currentMember(c)
	if err == nil {
		return c.Redirect(http.StatusSeeOther, next)
	}
	if !errs.Is(err, errs.Unauthenticated) {
		return err
	}
	return d.renderSignIn(c, http.StatusOK, pages.MemberSignInView{Next: next})
}

func (d *Dashboard) renderSignIn(c echo.Context, status int, view pages.MemberSignInView) error {
	view.Action, view.Hint = "/sign-in", d.hint
	if view.Next == "/" {
		view.Next = ""
	}
	return web.Render(c, status, pages.MemberSignIn(view))
}

// createMemberSession signs a member in.
func (d *Dashboard) createMemberSession(c echo.Context) error {
	form, err := parseForm(c)
	if err != nil {
		return err
	}
	view := pages.MemberSignInView{Email: form.text("email"), Next: safeNext(form.raw("next"))}
	if view.Email == "" {
		view.EmailError = "Write your e-mail address."
	}
	if form.raw("password") == "" {
		view.PasswordError = "Write your password."
	}
	if view.EmailError != "" || view.PasswordError != "" {
		return d.renderSignIn(c, http.StatusUnprocessableEntity, view)
	}
	m, err := d.members.Authenticate(c.Request().Context(), tenants.Credentials{
		Email: view.Email, Password: form.raw("password"), Address: c.RealIP(),
	})
	if err != nil {
		return d.refuseSignIn(c, view, err)
	}
	return d.startSession(c, m, view.Next)
}

// refuseSignIn shows the form again for what the person at it can mend.
func (d *Dashboard) refuseSignIn(c echo.Context, view pages.MemberSignInView, err error) error {
	switch errs.KindOf(err) {
	case errs.Unauthenticated:
		view.Error = &ui.Notice{
			Tone: ui.ToneDanger, What: "That e-mail and password do not match.",
			Then: "Try again, or ask an owner of your workspace for a new password.",
		}
		return d.renderSignIn(c, http.StatusUnprocessableEntity, view)
	case errs.RateLimited:
		if after, ok := attempts.RetryAfter(err); ok {
			c.Response().Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(after.Seconds()))))
		}
		view.Error = &ui.Notice{Tone: ui.ToneWarn, What: "Too many attempts.", Then: "Wait a few minutes, then try again."}
		return d.renderSignIn(c, http.StatusTooManyRequests, view)
	case errs.Internal, errs.Invalid, errs.NotFound, errs.Conflict, errs.Forbidden, errs.Unavailable:
	}
	return err
}

// startSession replaces whatever session the browser had.
func (d *Dashboard) startSession(c echo.Context, m tenants.Member, next string) error {
	ctx := c.Request().Context()
	if err := d.sessions.End(ctx, d.sessionValue(c)); err != nil {
		return err
	}
	value, expires, err := d.sessions.Create(ctx, m)
	if err != nil {
		return err
	}
	d.setCookie(c, sessionCookie, value, expires)
	return c.Redirect(http.StatusSeeOther, next)
}
