package clients

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
)

// errForbiddenAddress is returned for addresses that no URL of a stranger may make us connect to.
var errForbiddenAddress = errors.New("the address is not a public one")

// specialIPv4 is every IPv4 range that is not ordinary public space (RFC 6890 and the IANA registry it started), with two of
// which a cloud makes something else.
var specialIPv4 = prefixes(
	"0.0.0.0/8",          // this network
	"10.0.0.0/8",         // private
	"100.64.0.0/10",      // carrier-grade NAT; some clouds keep their metadata here
	"127.0.0.0/8",        // loopback
	"168.63.129.16/32",   // Azure's host services, reached from inside every virtual machine
	"169.254.0.0/16",     // link-local; the metadata services of most clouds
	"172.16.0.0/12",      // private
	"192.0.0.0/24",       // IETF protocol assignments
	"192.0.2.0/24",       // documentation
	"192.31.196.0/24",    // AS112
	"192.52.193.0/24",    // AMT
	"192.88.99.0/24",     // 6to4 relays
	"192.168.0.0/16",     // private
	"192.175.48.0/24",    // AS112
	"198.18.0.0/15",      // benchmarks
	"198.51.100.0/24",    // documentation
	"203.0.113.0/24",     // documentation
	"224.0.0.0/4",        // multicast
	"240.0.0.0/4",        // reserved
	"255.255.255.255/32", // broadcast
)

// publicIPv6 is the only space ordinary hosts have: everything outside it (loopback, mapped and translated IPv4 with NAT64,
// unique local, link-local, multicast) is special.
var publicIPv6 = netip.MustParsePrefix("2000::/3")

// specialIPv6 is what is special within publicIPv6.
var specialIPv6 = prefixes(
	"2001::/23",         // IETF protocol assignments: Teredo, ORCHID, benchmarks, AMT …
	"2001:db8::/32",     // documentation
	"2002::/16",         // 6to4: carries any IPv4 address
	"2620:4f:8000::/48", // AS112
	"3fff::/20",         // documentation
)

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		out[i] = netip.MustParsePrefix(text)
	}
	return out
}

// publicAddress reports whether an address is ordinary public space. IPv6 forms that carry an IPv4 address inside are judged by
// neither half: they are not public, whatever they carry.
func publicAddress(a netip.Addr) bool {
	special := specialIPv6
	switch {
	case !a.IsValid(), a.Zone() != "":
		return false
	case a.Is4():
		special = specialIPv4
	case !publicIPv6.Contains(a):
		return false
	}
	for _, p := range special {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// guard decides about each connection just before it is made, by the address that is really dialed: a name that resolves to
// something else the second time (DNS rebinding) gains nothing.
type guard struct {
	loopback bool // this machine is allowed too, on any port
	// admitted runs after an address was allowed; tests stop there what would leave the machine.
	admitted func(netip.AddrPort) error
}

// control is a net.Dialer.ControlContext.
func (g guard) control(_ context.Context, network, address string, _ syscall.RawConn) error {
	if network != "tcp4" && network != "tcp6" {
		return fmt.Errorf("%w: network %s", errForbiddenAddress, network)
	}
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: unreadable", errForbiddenAddress)
	}
	switch {
	case g.loopback && to.Addr().Unmap().IsLoopback():
	case !publicAddress(to.Addr()):
		return errForbiddenAddress
	case to.Port() != httpsPort:
		return fmt.Errorf("%w: port %d", errForbiddenAddress, to.Port())
	}
	if g.admitted != nil {
		return g.admitted(to)
	}
	return nil
}

const httpsPort = 443
