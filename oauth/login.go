package oauth

import (
	"context"
	"net/http"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/app/audit"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/web"
	"github.com/ostiary/ostiary/oauth/attemptlog"
	"github.com/ostiary/ostiary/oauth/clients"
	"github.com/ostiary/ostiary/templates/flow"
	"github.com/ostiary/ostiary/templates/ui"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/directory"
)

// loginForm is what the sign-in page shows again after a failed try; never the password.
type loginForm struct {
	email  string
	failed *ui.Notice
	status int
}

func (m *Module) showLogin(c echo.Context, i *Issuer, client *clients.Client, in Interaction, form loginForm) error {
	in.Proof = proof{}
	sealed := i.sealInteraction(in)
	resource, ok := i.resourceByID(in.ResourceID)
	if !ok {
		return pageProblem("resource_gone", nil)
	}
	view := flow.LoginView{
		Branding: i.brand, Asker: i.askerOf(client, in), Server: resource.Name(),
		Action: i.path(pathLogin), Interaction: sealed, Email: form.email, Error: form.failed,
	}
	if form.status == 0 {
		form.status = http.StatusOK
		m.step(c.Request().Context(), attemptlog.KindLogin, attemptlog.OutcomeWaiting, "", "Sign-in page shown.")
	}
	return web.Render(c, form.status, flow.Login(view))
}

// login signs a user in with the environment's built-in e-mail and password.
func (m *Module) login(c echo.Context) error {
	r := c.Request()
	if err := parsePost(r); err != nil {
		return pageProblem("request_malformed", err)
	}
	i, client, in, err := m.interaction(c, r.PostForm.Get(flow.FieldInteraction))
	if err != nil {
		return err
	}
	email := strings.TrimSpace(r.PostForm.Get(flow.FieldEmail))
	var token string
	authTime := m.now().UTC()
	user, err := m.users.Authenticate(r.Context(), tenants.Credentials{
		Email: email, Password: r.PostForm.Get(flow.FieldPassword), Address: m.address(r),
	}, func(ctx context.Context, b *pgx.Batch, user directory.User, event audit.Event) (err error) {
		token, err = m.store.queueSession(ctx, b, i, newSession{
			userID: user.ID, replaces: i.sessionToken(r), at: authTime, event: event,
		})
		return err
	})
	if err != nil {
		return m.loginFailed(c, i, client, in, email, err)
	}
	i.setCookie(c.Response(), cookieSession, token, i.Settings.SessionAbsolute)
	attemptOf(r.Context()).facts.UserID = user.ID
	m.step(r.Context(), attemptlog.KindLogin, attemptlog.OutcomeOK, "", "Signed in with e-mail and password.")
	in.LoggedInAt = m.now().UTC()
	in.Proof = proofOf(token, user, authTime)
	return seeOther(c, i.resumeURL(in))
}

func (m *Module) loginFailed(c echo.Context, i *Issuer, client *clients.Client, in Interaction, email string, err error) error {
	form, reason := loginForm{email: email, status: http.StatusUnprocessableEntity}, "password_wrong"
	switch errs.KindOf(err) {
	case errs.Unauthenticated, errs.Invalid:
		form.failed = &ui.Notice{Tone: ui.ToneDanger, What: "That e-mail and password do not match.", Then: "Check both and try again."}
	case errs.RateLimited:
		form.status, reason = http.StatusTooManyRequests, "too_many_attempts"
		form.failed = &ui.Notice{
			Tone: ui.ToneWarn, What: "Too many attempts.", Then: "Wait a few minutes, then try again. Your request waits for you.",
		}
		c.Response().Header().Set("Retry-After", "300")
	default:
		return err
	}
	m.log.InfoContext(c.Request().Context(), "sign-in refused", "reason", errs.KindOf(err).String())
	m.step(c.Request().Context(), attemptlog.KindLogin, attemptlog.OutcomeRefused, reason, "")
	return m.showLogin(c, i, client, in, form)
}

// switchUser signs this browser out and asks again who the user is.
func (m *Module) switchUser(c echo.Context) error {
	r := c.Request()
	if err := parsePost(r); err != nil {
		return pageProblem("request_malformed", err)
	}
	i, _, in, err := m.interaction(c, r.PostForm.Get(flow.FieldInteraction))
	if err != nil {
		return err
	}
	if err := m.store.endSession(r.Context(), i, i.sessionToken(r)); err != nil {
		return err
	}
	i.clearCookie(c.Response(), cookieSession)
	in.LoginHint, in.UserID, in.Proof = "", "", proof{}
	return seeOther(c, i.resumeURL(in))
}
