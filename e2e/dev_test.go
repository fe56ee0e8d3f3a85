//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A second start finds what the first one left, even when the first was killed; --reset forgets it.
func TestDev_KeepsItsDataUntilReset(t *testing.T) {
	t.Parallel()
	dataDir := filepath.Join(shared.dir, "kept")
	port := fmt.Sprint(freePort(t))
	run := func(args ...string) *server {
		t.Helper()
		logFile := filepath.Join(shared.artifacts, "server-"+t.Name()+".log")
		s, err := startServer(shared.binary, start{dataDir: dataDir, logFile: logFile, args: append([]string{"--port", port}, args...)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.stop(); err != nil {
				t.Error(err)
			}
		})
		return s
	}

	first := run()
	const redirect = "http://127.0.0.1:1/callback"
	client := registerAt(t, first.Issuer, redirect)
	if !knows(t, first.Issuer, client, redirect) {
		t.Fatal("the issuer does not know the client it just registered")
	}
	if out, err := stops(dataDir); err != nil || !strings.Contains(out, "Nothing is stopped") {
		t.Errorf("ostiary stops --dev: %v: %s", err, out)
	}
	first.kill(t)

	second := run()
	if second.Issuer != first.Issuer || second.User != first.User || second.Member != first.Member {
		t.Errorf("the second start says %+v, the first said %+v", second.ready, first.ready)
	}
	if !knows(t, second.Issuer, client, redirect) {
		t.Error("the client is gone after a kill and a second start")
	}
	if err := second.stop(); err != nil {
		t.Fatal(err)
	}

	third := run("--reset")
	if knows(t, third.Issuer, client, redirect) {
		t.Error("the client is still known after --reset")
	}
}

// stops asks what is stopped on the installation that dev runs from a directory.
func stops(dataDir string) (string, error) {
	out, err := exec.Command(shared.binary, "stops", "--tenant", "acme", "--dev="+dataDir).CombinedOutput()
	return string(out), err
}

// ordinaryUser is the account that belongs to nobody on every system we know.
const ordinaryUser = 65534

// Somebody without any right on the machine starts everything, and finds it again. CI runs the other tests as root.
func TestDev_AsAnOrdinaryUser(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(shared.dir, "ordinary")
	o := start{
		dataDir: dir, logFile: filepath.Join(shared.artifacts, "server-"+t.Name()+".log"),
		env: []string{"HOME=" + dir, "XDG_DATA_HOME=", "XDG_CACHE_HOME="},
	}
	if os.Geteuid() == 0 {
		o.user = ordinaryUser
	}
	var first ready
	for round := range 2 {
		s, err := startServer(shared.binary, o)
		if err != nil {
			t.Fatal(err)
		}
		if discoverAt(t, s.Issuer); round == 0 {
			first = s.ready
		}
		if s.User != first.User || s.Member != first.Member {
			t.Errorf("the second start has other sign-ins")
		}
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	}
}

// knows reports whether the authorization endpoint accepts the client: an unknown one gets an error page.
func knows(t *testing.T, issuer, clientID, redirect string) bool {
	t.Helper()
	query := url.Values{
		"response_type": {"code"}, "client_id": {clientID}, "redirect_uri": {redirect}, "state": {"state-of-the-host"},
		"code_challenge": {codeChallenge}, "code_challenge_method": {"S256"},
	}
	noRedirects := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := noRedirects.Get(discoverAt(t, issuer).AuthorizationEndpoint + "?" + query.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if strings.HasPrefix(response.Header.Get("Location"), redirect) {
		t.Errorf("the request was refused: %s", response.Header.Get("Location"))
	}
	return response.StatusCode < http.StatusBadRequest
}
