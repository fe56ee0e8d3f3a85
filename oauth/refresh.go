package oauth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"

	"github.com/ostiary/ostiary/app/secret"
)

// A refresh token is a MAC over its grant and its generation: "ort_" + base64url(grant id, generation, MAC). Forged and
// foreign tokens are refused without a query, the successor of a token can be made again for whoever lost it, and a grant's
// refresh tokens are one integer in its row.
const (
	refreshPrefix = "ort_"
	refreshMACLen = sha256.Size
)

func (i *Issuer) refreshToken(grantID string, generation int) string {
	raw := binary.BigEndian.AppendUint32([]byte(grantID), uint32(generation)) //nolint:gosec // generations count up from 1
	raw = append(raw, i.refreshMAC(raw)...)
	return refreshPrefix + base64.RawURLEncoding.EncodeToString(raw)
}

func (i *Issuer) refreshMAC(message []byte) []byte {
	m := hmac.New(sha256.New, i.refreshKey)
	m.Write([]byte(i.Scope.EnvironmentID))
	m.Write(message)
	return m.Sum(nil)
}

// parseRefreshToken returns the grant and generation of a token that this environment made; ok is false for any other.
func (i *Issuer) parseRefreshToken(token string) (grantID string, generation int, ok bool) {
	text, found := strings.CutPrefix(token, refreshPrefix)
	if !found || len(text) > 256 {
		return "", 0, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) <= 4+refreshMACLen {
		return "", 0, false
	}
	message, presented := raw[:len(raw)-refreshMACLen], raw[len(raw)-refreshMACLen:]
	if !secret.Equal(i.refreshMAC(message), presented) {
		return "", 0, false
	}
	id, number := message[:len(message)-4], binary.BigEndian.Uint32(message[len(message)-4:])
	return string(id), int(number), true
}

// Bounds on predecessors. Honest bursts reach dozens; a bound of hundreds never meets one.
const (
	maxGraced     = 256 // uses of predecessors per rotation
	maxRecoveries = 3   // generations in a row that were recovered late
	keptRotations = 32  // rotation times kept in a grant's row
)

// refreshState is the refresh side of a grant's row.
type refreshState struct {
	Generation int         // of the newest refresh token
	RotatedAt  []time.Time // first use of generation-1, generation-2 …
	Graced     int
	Recovered  bool // a predecessor was already used late in this generation
	Recoveries int
	RevokedAt  *time.Time
	EndsAt     time.Time  // absolute
	IdleEndsAt *time.Time // of the newest token
}

// refreshVerdict is what to do with a presented refresh token.
type refreshVerdict uint8

const (
	refreshDead     refreshVerdict = iota // revoked, expired or never issued: invalid_grant
	refreshRotate                         // the newest token: mint its successor
	refreshRepeat                         // a predecessor inside the grace: the same successor again
	refreshRecover                        // the last predecessor, late, its successor unused: somebody lost an answer
	refreshBusy                           // inside the grace, past its bound: refused, nothing is revoked
	refreshReplayed                       // a used token outside the grace: revoke the grant
)

// judgeRefresh decides. A token that was rotated stays good for grace, so that parallel refreshes never log anybody out.
// Later it is good only while its successor was never used (the answer was lost on its way), and not in several
// generations in a row: that is two parties living off one grant. Anything else is a replay (RFC 9700 §4.14.2).
func judgeRefresh(s refreshState, presented int, grace time.Duration, now time.Time) refreshVerdict {
	expired := !now.Before(s.EndsAt) || (s.IdleEndsAt != nil && !now.Before(*s.IdleEndsAt))
	switch {
	case s.RevokedAt != nil, expired, presented < 1, presented > s.Generation:
		return refreshDead
	case presented == s.Generation:
		return refreshRotate
	}
	back := s.Generation - presented // 1 for the direct predecessor
	inGrace := back <= len(s.RotatedAt) && !now.After(s.RotatedAt[back-1].Add(grace))
	switch {
	case inGrace && s.Graced >= maxGraced:
		return refreshBusy
	case inGrace:
		return refreshRepeat
	case back > 1:
		return refreshReplayed
	case s.Recovered:
		return refreshRepeat // this generation's recovery is already counted
	case s.Recoveries >= maxRecoveries:
		return refreshReplayed
	}
	return refreshRecover
}
