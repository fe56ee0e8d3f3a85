package attempts

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/ostiary/ostiary/app/errs"
)

const (
	// Window is how long attempts are remembered; windows are fixed, so a refusal lasts less than this.
	Window = 10 * time.Minute

	perPair    = 10
	perAddress = 60
	perEmail   = 200
)

// Attempt is one try to sign in.
type Attempt struct {
	Space   string // what the e-mail address is looked up in: an environment id, or "members"
	Email   string // normal form
	Address string // remote IP address
}

// limit is one counter that an attempt passes.
type limit struct {
	key    []byte // SHA-256, so that neither addresses nor e-mails are kept
	most   int
	forget bool // a success clears it; otherwise a success takes its own hit back
}

// limits returns the counters of a, ordered by key so that parallel attempts lock rows in one order.
func (a Attempt) limits() []limit {
	address := Network(a.Address)
	all := []limit{
		{key: key("pair", a.Space, a.Email, address), most: perPair, forget: true},
		{key: key("address", a.Space, address), most: perAddress},
		{key: key("email", a.Space, a.Email), most: perEmail, forget: true},
	}
	slices.SortFunc(all, func(x, y limit) int { return bytes.Compare(x.key, y.key) })
	return all
}

func key(parts ...string) []byte {
	h := sha256.New()
	for _, part := range parts {
		sum := sha256.Sum256([]byte(part)) // fixed length: parts cannot run into each other
		h.Write(sum[:])
	}
	return h.Sum(nil)
}

// Network is who is counted as one address: an IPv4 address, or an IPv6 /64, which one customer of a provider has whole.
func Network(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	prefix, err := ip.Prefix(64)
	if err != nil {
		return ip.String()
	}
	return prefix.String()
}

func windowStart(now time.Time) time.Time { return now.UTC().Truncate(Window) }

// limitedError says when to come back.
type limitedError struct{ after time.Duration }

func (e limitedError) Error() string { return "too many attempts; retry after " + e.after.String() }

func limited(now time.Time) error {
	after := windowStart(now).Add(Window).Sub(now)
	return errs.Wrap(errs.RateLimited, "Too many attempts. Wait a few minutes, then try again.",
		limitedError{after: after})
}

// RetryAfter returns how long to wait after err, if err came from a limit of this package.
func RetryAfter(err error) (time.Duration, bool) {
	var l limitedError
	ok := errors.As(err, &l)
	return l.after, ok
}
