//go:build e2e

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"time"
)

// authority is a certificate for the made-up names of issuers, and the file that makes a client trust it.
type authority struct {
	certificate tls.Certificate
	pool        *x509.CertPool
	file        string
}

func newAuthority(file string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{hostForm("acme-dev"), customDomain},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	a := &authority{certificate: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool: x509.NewCertPool(), file: file}
	a.pool.AddCert(leaf)
	return a, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
}

// env makes Node and Go trust the authority.
func (a *authority) env() []string {
	return []string{"NODE_EXTRA_CA_CERTS=" + a.file, "SSL_CERT_FILE=" + a.file}
}

func (a *authority) server() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{a.certificate}}
}
func (a *authority) client() *tls.Config { return &tls.Config{RootCAs: a.pool} }

// front is what operators put in front of a server: it ends TLS and passes requests on as they came. Released clients refuse
// http for every host but localhost.
type front struct {
	port   int
	server *http.Server
}

// startFront passes requests on to a port of this machine.
func startFront(a *authority, to int) (*front, error) {
	listener, err := tls.Listen("tcp", "127.0.0.1:0", a.server())
	if err != nil {
		return nil, err
	}
	target := &url.URL{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", to)}
	f := &front{port: listener.Addr().(*net.TCPAddr).Port}
	f.server = &http.Server{Handler: &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
		r.SetXForwarded()
	}}}
	go f.server.Serve(listener)
	return f, nil
}
