package web

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/app/secret"
)

// Deps of an Echo instance.
type Deps struct {
	Logger         *slog.Logger
	TrustedProxies []*net.IPNet // whose X-Forwarded-For is believed; empty means nobody's
	ErrorHandler   echo.HTTPErrorHandler
	BodyLimit      string // e.g. "64K"
	// OwnLimit says which requests have a handler that bounds their body itself; nil means none.
	OwnLimit func(*http.Request) bool
}

// RequestIDHeader names the request on the way out; a value on the way in is not believed.
const RequestIDHeader = "X-Request-Id"

// New returns an Echo that answers with security headers, a request id, and the given error handler, and that survives a
// panicking handler.
func New(d Deps) *echo.Echo {
	e := echo.New()
	e.HideBanner = true
	e.HidePort = true
	e.HTTPErrorHandler = d.ErrorHandler
	e.IPExtractor = ipExtractor(d.TrustedProxies)
	e.Use(prepare(d.Logger), bodyLimit(d))
	return e
}

func bodyLimit(d Deps) echo.MiddlewareFunc {
	return middleware.BodyLimitWithConfig(middleware.BodyLimitConfig{
		Limit:   d.BodyLimit,
		Skipper: func(c echo.Context) bool { return d.OwnLimit != nil && d.OwnLimit(c.Request()) },
	})
}

// ipExtractor never trusts a header unless the peer is a configured proxy (echo v4's default trusts everyone).
func ipExtractor(trusted []*net.IPNet) echo.IPExtractor {
	if len(trusted) == 0 {
		return echo.ExtractIPDirect()
	}
	options := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, network := range trusted {
		options = append(options, echo.TrustIPRange(network))
	}
	return echo.ExtractIPFromXFFHeader(options...)
}

// prepare is what comes before every handler. It is one middleware, because Echo chains them anew for each request.
func prepare(log *slog.Logger) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) (err error) {
			setRequestID(c)
			setSecurityHeaders(c)
			defer recoverPanic(c, log, &err)
			return next(c)
		}
	}
}

func setRequestID(c echo.Context) {
	id := secret.NewID("req")
	c.Response().Header().Set(RequestIDHeader, id)
	c.SetRequest(c.Request().WithContext(scope.WithRequestID(c.Request().Context(), id)))
}

// recoverPanic, deferred, turns a panic into an Internal error for the error handler; http.ErrAbortHandler keeps its meaning.
func recoverPanic(c echo.Context, log *slog.Logger, err *error) {
	v := recover()
	if v == nil {
		return
	}
	if abort, ok := v.(error); ok && errors.Is(abort, http.ErrAbortHandler) {
		panic(v)
	}
	log.ErrorContext(c.Request().Context(), "handler panicked", "panic", v, "stack", string(debug.Stack()))
	*err = errs.New(errs.Internal, "Something went wrong on our side.")
}
