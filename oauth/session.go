package oauth

import (
	"net/http"
	"time"

	"github.com/ostiary/ostiary/app/secret"
)

// Session is a browser's sign-in at an issuer.
type Session struct {
	User     SessionUser
	AuthTime time.Time // when the user last proved who they are
}

// SessionUser is who is signed in, as the consent page shows them.
type SessionUser struct {
	ID               string
	Email            string
	Name             string
	OrganizationID   string
	OrganizationName string
}

// Consent is a remembered decision: what this user allows this client on this resource.
type Consent struct {
	ID        string
	Scopes    []string
	ExpiresAt *time.Time
	Lasts     string
}

// touchAfter bounds how often a used session writes: once in this long.
const touchAfter = 5 * time.Minute

// cookieName returns the name of one of the issuer's cookies. Over https they carry a prefix that browsers hold to Secure;
// __Host- would need Path=/ and would let two path issuers share a cookie.
func (i *Issuer) cookieName(name string) string {
	if i.secureCookies {
		if i.cookiePath == "/" {
			return "__Host-ostiary_" + name
		}
		return "__Secure-ostiary_" + name
	}
	return "ostiary_" + name
}

const (
	cookieBrowser = "browser" // binds interactions to the browser that began them
	cookieSession = "session"
)

func (i *Issuer) setCookie(w http.ResponseWriter, name, value string, maxAge time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: i.cookieName(name), Value: value, Path: i.cookiePath, MaxAge: int(maxAge / time.Second),
		Secure: i.secureCookies, HttpOnly: true,
		SameSite: http.SameSiteLaxMode, // hosts lead the browser here from their own pages
	})
}

func (i *Issuer) clearCookie(w http.ResponseWriter, name string) {
	http.SetCookie(w, &http.Cookie{
		Name: i.cookieName(name), Path: i.cookiePath, MaxAge: -1, Secure: i.secureCookies, HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
	})
}

// browser returns the hash of this browser's binding cookie, setting the cookie when it has none.
func (i *Issuer) browser(w http.ResponseWriter, r *http.Request) []byte {
	if hash := i.knownBrowser(r); hash != nil {
		return hash
	}
	token := secret.NewToken()
	i.setCookie(w, cookieBrowser, token, 0)
	return secret.Hash(token)
}

// knownBrowser returns the hash of the binding cookie, nil without one.
func (i *Issuer) knownBrowser(r *http.Request) []byte {
	cookie, err := r.Cookie(i.cookieName(cookieBrowser))
	if err != nil || cookie.Value == "" {
		return nil
	}
	return secret.Hash(cookie.Value)
}

// sessionToken returns the session cookie's value, empty without one.
func (i *Issuer) sessionToken(r *http.Request) string {
	cookie, err := r.Cookie(i.cookieName(cookieSession))
	if err != nil {
		return ""
	}
	return cookie.Value
}
