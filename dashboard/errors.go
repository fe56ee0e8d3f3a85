package dashboard

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/app/web"
	"github.com/ostiary/ostiary/templates/pages"
	"github.com/ostiary/ostiary/templates/ui"
)

// HandleError answers a request that failed with a page. It is the dashboard's only mapper of errors: what is not there and
// what is somebody else's read the same, and our own failures say nothing but a case number.
func (d *Dashboard) HandleError(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	ctx := c.Request().Context()
	err = routed(err)
	status := web.Status(err)
	if tooLarge := (*echo.HTTPError)(nil); errors.As(err, &tooLarge) && tooLarge.Code == http.StatusRequestEntityTooLarge {
		status = tooLarge.Code
	}
	if status >= http.StatusInternalServerError {
		d.log.ErrorContext(ctx, "dashboard request failed", "path", c.Path(), "error", err)
	} else {
		d.log.InfoContext(ctx, "dashboard request refused", "path", c.Path(), "kind", errs.KindOf(err).String())
	}
	view := errorView(err)
	view.CaseID, view.When = scope.RequestID(ctx), moment(d.now())
	view.Primary = ui.Action{Label: "Back to your MCP servers", URL: "/"}
	if v := visitOf(c); v != nil {
		shell := shellOf(v, view.Title)
		view.Shell = &shell
	}
	if c.Request().Method == http.MethodHead {
		err = c.NoContent(status)
	} else {
		err = web.Render(c, status, pages.Error(view))
	}
	if err != nil {
		d.log.ErrorContext(ctx, "error page failed", "error", err)
	}
}

// routed gives the errors of the router and of the edge a kind.
func routed(err error) error {
	var he *echo.HTTPError
	if !errors.As(err, &he) {
		return err
	}
	switch he.Code {
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return errs.New(errs.NotFound, "There is no such page.")
	case http.StatusRequestEntityTooLarge, http.StatusBadRequest:
		return errs.Wrap(errs.Invalid, "This form could not be read.", err)
	}
	return err
}

func errorView(err error) pages.ErrorView {
	var e *errs.Error
	if !errors.As(err, &e) {
		e = &errs.Error{}
	}
	switch e.Kind {
	case errs.NotFound:
		return pages.ErrorView{
			Title: "There is nothing here",
			Lead:  "The address is wrong, or what was here is gone, or it belongs to another workspace.",
			Fixes: []ui.Fix{
				{Icon: ui.IconBack, Title: "Go back", Text: "Find it in the list of your MCP servers."},
				{Icon: ui.IconUsers, Title: "Expected to see it?", Text: "Ask an owner of the workspace to check your access."},
			},
		}
	case errs.Forbidden:
		return pages.ErrorView{
			Title: "Your role does not allow this", Lead: "Nothing was changed.",
			Fixes: []ui.Fix{{Icon: ui.IconUsers, Title: "Ask an owner or admin",
				Text: "They can change your role, or do it for you."}},
		}
	case errs.Conflict:
		return pages.ErrorView{
			Title: "This changed in the meantime", Lead: e.Msg,
			Fixes: []ui.Fix{{Title: "Look again", Text: "Go back, reload the page, and try again. Nothing was changed."}},
		}
	case errs.Invalid:
		return pages.ErrorView{
			Title: "We could not take this form", Lead: "Nothing was changed.",
			Fixes: []ui.Fix{{Icon: ui.IconBack, Title: "Go back",
				Text: "Your browser may still have what you typed. Shorten it and try again."}},
		}
	case errs.Unavailable:
		return pages.ErrorView{
			Title: "We cannot reach our database", Lead: "Nothing was changed, and connected apps go on with what they have.",
			Fixes: []ui.Fix{
				{Title: "Try again in a minute", Text: "Most of the time this passes by itself."},
				{Icon: ui.IconServer, Title: "If it does not, the operator can fix it",
					Text: "Tell them, with the case number below."},
			},
		}
	case errs.RateLimited:
		return pages.ErrorView{Title: "Too many attempts", Lead: e.Msg}
	case errs.Internal, errs.Unauthenticated:
	}
	return pages.ErrorView{
		Title: "Something went wrong on our side", Lead: "It is not your fault. We wrote down what happened.",
		Fixes: []ui.Fix{
			{Title: "Try again", Text: "Reload the page in a moment."},
			{Icon: ui.IconServer, Title: "If it keeps happening, the operator can fix it",
				Text: "Tell them, with the case number below."},
		},
	}
}
