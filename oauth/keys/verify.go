package keys

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
)

// ErrToken is returned for every token that is not ours, of another type, altered or malformed.
var ErrToken = errors.New("token is not valid here")

// Verify returns the payload of a compact JWS of type typ that one of the published keys signed. It checks no claims.
// Errors: ErrToken.
func (s *Set) Verify(typ, token string) ([]byte, error) {
	header, rest, ok1 := strings.Cut(token, ".")
	payload, signature, ok2 := strings.Cut(rest, ".")
	if !ok1 || !ok2 || strings.Contains(signature, ".") {
		return nil, ErrToken
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(header)
	if err != nil {
		return nil, ErrToken
	}
	var protected struct {
		Alg Alg      `json:"alg"`
		Kid string   `json:"kid"`
		Typ string   `json:"typ"`
		Crt []string `json:"crit"`
	}
	if json.Unmarshal(raw, &protected) != nil || protected.Typ != typ || len(protected.Crt) > 0 {
		return nil, ErrToken
	}
	key, known := s.published[protected.Kid]
	if !known || key.Alg != protected.Alg { // RFC 8725 §3.1: the key decides the algorithm, not the token
		return nil, ErrToken
	}
	sig, err := base64.RawURLEncoding.Strict().DecodeString(signature)
	if err != nil || !key.verify([]byte(token[:len(header)+1+len(payload)]), sig) {
		return nil, ErrToken
	}
	body, err := base64.RawURLEncoding.Strict().DecodeString(payload)
	if err != nil {
		return nil, ErrToken
	}
	return body, nil
}
