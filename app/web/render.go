package web

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"sync"

	"github.com/a-h/templ"
	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/app/errs"
)

// Render writes a page. The page is rendered before the first byte is sent, so a failing template is a clean error. Pages
// are never stored by caches: they show who is signed in.
func Render(c echo.Context, status int, page templ.Component) error {
	buf := pages.Get().(*bytes.Buffer)
	defer giveBack(buf)
	if err := page.Render(c.Request().Context(), buf); err != nil {
		return fmt.Errorf("render page: %w", err)
	}
	h := c.Response().Header()
	NoStore(h)
	h["Content-Type"] = htmlType
	h.Set("Content-Length", strconv.Itoa(buf.Len())) // or it would be sent in chunks, with one write more
	return c.HTMLBlob(status, buf.Bytes())
}

// pages are buffers that pages are rendered into, each as large as the largest page it held so far.
var pages = sync.Pool{New: func() any { return &bytes.Buffer{} }}

// maxKept bounds what a buffer keeps: one huge page must not be remembered.
const maxKept = 128 << 10

func giveBack(buf *bytes.Buffer) {
	if buf.Cap() <= maxKept {
		buf.Reset()
		pages.Put(buf)
	}
}

// Status maps an error kind to the HTTP status of a page or problem document.
func Status(err error) int {
	switch errs.KindOf(err) {
	case errs.Invalid:
		return http.StatusUnprocessableEntity
	case errs.NotFound:
		return http.StatusNotFound
	case errs.Conflict:
		return http.StatusConflict
	case errs.Unauthenticated:
		return http.StatusUnauthorized
	case errs.Forbidden:
		return http.StatusForbidden
	case errs.RateLimited:
		return http.StatusTooManyRequests
	case errs.Unavailable:
		return http.StatusServiceUnavailable
	case errs.Internal:
		return http.StatusInternalServerError
	}
	return http.StatusInternalServerError
}
