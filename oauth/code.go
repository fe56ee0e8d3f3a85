package oauth

import (
	"errors"
	"time"
)

// authorizationCode is what a code carries. The code is this value sealed; there is no row. The grant id is chosen when the
// code is made and redeeming inserts the grant under it: a second redemption meets the first one's row.
type authorizationCode struct {
	GrantID       string
	ConsentID     string
	ClientID      string
	UserID        string
	OrgID         string
	ResourceID    string
	Scopes        []string
	RedirectURI   string
	CodeChallenge string // kept inside the code: it cannot be dropped on a retry (PKCE downgrade)
	Nonce         string
	AuthTime      time.Time
	CaseID        string // of the attempt, so that the token request belongs to it
	ExpiresAt     time.Time
	GrantEndsAt   time.Time
}

// fields lists what is sealed.
func (c *authorizationCode) fields(p *packed) {
	for _, text := range [...]*string{
		&c.GrantID, &c.ConsentID, &c.ClientID, &c.UserID, &c.OrgID, &c.ResourceID, &c.RedirectURI, &c.CodeChallenge, &c.Nonce, &c.CaseID,
	} {
		p.text(text)
	}
	p.list(&c.Scopes)
	p.moment(&c.AuthTime)
	p.moment(&c.ExpiresAt)
	p.moment(&c.GrantEndsAt)
}

var errCode = errors.New("authorization code is not valid here")

func (i *Issuer) sealCode(c authorizationCode) string {
	return i.codes.SealText(pack(1024, c.fields), []byte(i.Scope.EnvironmentID))
}

// openCode returns what a code carries. Errors: errCode for one that is not this environment's.
func (i *Issuer) openCode(text string) (authorizationCode, error) {
	var c authorizationCode
	plaintext, err := i.codes.OpenText(text, []byte(i.Scope.EnvironmentID))
	if err != nil || unpack(plaintext, c.fields) != nil {
		return authorizationCode{}, errCode
	}
	return c, nil
}
