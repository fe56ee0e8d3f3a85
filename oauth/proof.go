package oauth

import (
	"net/http"
	"time"

	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/tenants/directory"
)

// proofLasts is how long the page after a sign-in may be drawn from what the sign-in found.
const proofLasts = 30 * time.Second

// proof says who signed in a moment ago, so that the page that follows need not ask the database what it was just told. It is
// sealed with the interaction and counts in the browser that holds the session's cookie. It shows a page and allows nothing: the
// statement that records the decision looks at the session, its user and all else by itself.
type proof struct {
	Session []byte // hash of the session's cookie
	User    SessionUser
	At      time.Time // of the sign-in
}

func (f *proof) fields(p *packed) {
	p.blob(&f.Session)
	u := &f.User
	for _, text := range [...]*string{&u.ID, &u.Email, &u.Name, &u.OrganizationID, &u.OrganizationName} {
		p.text(text)
	}
	p.moment(&f.At)
}

func proofOf(token string, user directory.User, at time.Time) proof {
	return proof{
		Session: secret.Hash(token), At: at,
		User: SessionUser{
			ID: user.ID, Email: user.Email, Name: user.Name,
			OrganizationID: user.OrganizationID, OrganizationName: user.OrganizationName,
		},
	}
}

// session returns the session that a proof stands for in a browser with this cookie, nil when it is another's or too old.
func (f proof) session(token string, now time.Time) *Session {
	age := now.Sub(f.At)
	if token == "" || f.User.ID == "" || age < 0 || age > proofLasts || !secret.Equal(f.Session, secret.Hash(token)) {
		return nil
	}
	return &Session{User: f.User, AuthTime: f.At}
}

// whoAsks returns who is signed in and what is remembered of them, each nil when there is none. For a program on the user's device
// nothing is ever remembered: it is always asked, so right after a sign-in there is nothing to look up.
// Errors: errs.Unavailable.
func (m *Module) whoAsks(r *http.Request, i *Issuer, in Interaction) (*Session, *Consent, error) {
	token := i.sessionToken(r)
	if in.redirect.StaysLocal() {
		if session := in.Proof.session(token, m.now()); session != nil {
			return session, nil, nil
		}
	}
	return m.store.who(r.Context(), i, token, in)
}
