package oauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// authorizationCode is what a code carries. The code is this value sealed; there is no row. The grant id is chosen when the
// code is made and redeeming inserts the grant under it: a second redemption meets the first one's row.
type authorizationCode struct {
	GrantID       string    `json:"g"`
	ConsentID     string    `json:"k"`
	ClientID      string    `json:"c"`
	UserID        string    `json:"u"`
	OrgID         string    `json:"o,omitempty"`
	ResourceID    string    `json:"re"`
	Scopes        []string  `json:"s"`
	RedirectURI   string    `json:"r"`
	CodeChallenge string    `json:"cc"` // kept inside the code: it cannot be dropped on a retry (PKCE downgrade)
	Nonce         string    `json:"n,omitempty"`
	AuthTime      time.Time `json:"a"`
	CaseID        string    `json:"id,omitempty"` // of the attempt, so that the token request belongs to it
	ExpiresAt     time.Time `json:"x"`
	GrantEndsAt   time.Time `json:"e"`
}

var errCode = errors.New("authorization code is not valid here")

func (i *Issuer) sealCode(c authorizationCode) (string, error) {
	plaintext, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("seal code: %w", err)
	}
	return i.codes.SealText(plaintext, []byte(i.Scope.EnvironmentID)), nil
}

// openCode returns what a code carries. Errors: errCode for one that is not this environment's.
func (i *Issuer) openCode(text string) (authorizationCode, error) {
	var c authorizationCode
	plaintext, err := i.codes.OpenText(text, []byte(i.Scope.EnvironmentID))
	if err != nil || json.Unmarshal(plaintext, &c) != nil {
		return authorizationCode{}, errCode
	}
	return c, nil
}
