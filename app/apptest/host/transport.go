package host

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"
)

// customDomain is the issuer of an environment that brought its own domain. The name says where the test's TLS listens.
func customDomain(slug, port string) string { return fmt.Sprintf("https://%s-q%s.test", slug, port) }

var domainPort = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`-q(\d+)\.test:443$`) })

// transport is how everybody in this package reaches the servers under test: names below localhost and the made-up domains
// are on loopback, whatever the machine's resolver says, and nothing else is reachable.
var transport = sync.OnceValue(func() *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			name, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			if m := domainPort().FindStringSubmatch(address); m != nil {
				name, port = "localhost", m[1]
			}
			if name != "localhost" && name != "127.0.0.1" && !strings.HasSuffix(name, ".localhost") {
				return nil, fmt.Errorf("%s is not part of the test", address)
			}
			return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
		},
		TLSClientConfig:     &tls.Config{RootCAs: authority().pool, MinVersion: tls.VersionTLS12},
		MaxIdleConnsPerHost: 32,
		IdleConnTimeout:     time.Minute,
	}
})

// Transport returns how tests reach the servers of this package.
func Transport() http.RoundTripper { return transport() }

type certificates struct {
	pool *x509.CertPool
	leaf tls.Certificate
}

// authority is a certificate for every made-up domain, and the pool that trusts it.
var authority = sync.OnceValue(func() certificates {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"*.test"}, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(20, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return certificates{pool, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}}
})

func serverTLS() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{authority().leaf}, MinVersion: tls.VersionTLS12}
}
