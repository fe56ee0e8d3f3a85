package oauth

import (
	"mime"
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/app/web"
)

// createToken is the token endpoint (RFC 6749 §3.2).
func (m *Module) createToken(c echo.Context) error {
	r, w := c.Request(), c.Response()
	ctx := r.Context()
	i, err := issuerFrom(ctx)
	if err == nil {
		err = readForm(r)
	}
	if err == nil {
		err = m.limitToken(c, i)
	}
	session := &tokenSession{issuer: i}
	if err != nil {
		m.tokenRefused(c, i, session, err)
		writeProblem(w, r, m.log, err)
		return nil
	}
	access, err := m.engine.NewAccessRequest(ctx, r, session)
	if err != nil {
		m.tokenRefused(c, i, session, err)
		m.rememberDead(r, err)
		writeProblem(w, r, m.log, err)
		return nil
	}
	answer, err := m.engine.NewAccessResponse(ctx, access)
	if err != nil {
		m.tokenRefused(c, i, session, err)
		m.rememberDead(r, err)
		writeProblem(w, r, m.log, err)
		return nil
	}
	m.tokenIssued(c, i, session)
	h := w.Header()
	web.JSON(h)
	web.NoStore(h) // RFC 6749 §5.1
	h.Set("Pragma", "no-cache")
	w.WriteHeader(http.StatusOK)
	writeJSON(w, tokenAnswer{
		AccessToken: answer.GetAccessToken(), ExpiresIn: answer.GetExtra("expires_in"), IDToken: answer.GetExtra("id_token"),
		RefreshToken: answer.GetExtra("refresh_token"), Scope: answer.GetExtra("scope"), TokenType: answer.GetTokenType(),
	})
	return nil
}

// tokenAnswer is a token response (RFC 6749 §5.1, OpenID Connect Core §3.1.3.3). What was not issued is left out.
type tokenAnswer struct {
	AccessToken  string `json:"access_token"`
	ExpiresIn    any    `json:"expires_in"`
	IDToken      any    `json:"id_token,omitempty"`
	RefreshToken any    `json:"refresh_token,omitempty"`
	Scope        any    `json:"scope"`
	TokenType    string `json:"token_type"`
}

// readForm parses a protocol post. Whatever is not a form by its content type is refused before anything is read of it (RFC 6749
// §4.1.3, appendix B): fosite would read other kinds after our checks. Credentials in the URL are refused (§2.3.1), and so is any
// parameter that comes twice (§3.2), save resource (RFC 8707 §2).
func readForm(r *http.Request) error {
	if !isForm(r) {
		return badRequest(codeInvalidRequest, "Send the parameters as "+formType+".")
	}
	if r.URL.RawQuery != "" {
		return badRequest(codeInvalidRequest, "Send parameters in the body, not in the URL.")
	}
	if err := parsePost(r); err != nil {
		return &problem{code: codeInvalidRequest, description: "The body is not a form.", status: http.StatusBadRequest, cause: err}
	}
	if repeated(r.PostForm) {
		return badRequest(codeInvalidRequest, "A parameter is repeated.")
	}
	return nil
}

const formType = "application/x-www-form-urlencoded"

// isForm reports whether a post says that it carries a form, or carries nothing and says nothing.
func isForm(r *http.Request) bool {
	contentType := r.Header.Get("Content-Type")
	switch contentType {
	case formType:
		return true
	case "":
		return r.ContentLength == 0
	}
	mediaType, _, _ := mime.ParseMediaType(contentType) // what is malformed, http.Request refuses
	return mediaType == formType
}

// parsePost parses a posted form. Without a query in the URL the form of both is not copied together: it is the posted one.
func parsePost(r *http.Request) error {
	if r.URL.RawQuery != "" {
		return r.ParseForm()
	}
	r.Form = url.Values{}
	err := r.ParseForm()
	r.Form = r.PostForm
	return err
}

// repeated reports whether a parameter, even one without a name, has more than one value.
func repeated(form url.Values) bool {
	for name, values := range form {
		if len(values) > 1 && name != "resource" {
			return true
		}
	}
	return false
}
