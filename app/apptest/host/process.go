package host

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/ostiary/ostiary/app"
	"github.com/ostiary/ostiary/app/apptest"
	"github.com/ostiary/ostiary/app/clock"
	"github.com/ostiary/ostiary/app/config"
)

const processEnv = "OSTIARY_TEST_PROCESS" // makes a test binary a node

// Main is the whole of a TestMain of a package that starts nodes as processes: the same binary is also such a node.
func Main(m *testing.M) {
	if os.Getenv(processEnv) == "" {
		apptest.Main(m)
		return
	}
	if err := runProcess(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "node:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// runProcess serves the configuration it reads until its input ends, which it does when the test dies.
func runProcess(in io.Reader, out io.Writer) error {
	reader := bufio.NewReader(in)
	line, err := reader.ReadBytes('\n')
	if err != nil {
		return err
	}
	var cfg config.Config
	if err := json.Unmarshal(line, &cfg); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	a, err := app.New(ctx, app.Deps{Config: cfg, Logger: slog.New(slog.DiscardHandler), Now: clock.System})
	if err != nil {
		return err
	}
	defer a.Close()
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, "http://"+ln.Addr().String()); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, reader) // ends with the test
		stop()
	}()
	return a.Run(ctx, ln)
}

// Process is a node in a process of its own, which can be killed. Its clock is the machine's.
type Process struct {
	URL string
	cmd *exec.Cmd
}

// StartProcess starts a node as a process and adds it to what the proxy serves. The package's TestMain must be Main.
func (s *Stack) StartProcess(t testing.TB) *Process {
	t.Helper()
	cfg, err := json.Marshal(s.Config)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^$") //nolint:gosec // ourselves
	cmd.Env, cmd.Stderr = append(os.Environ(), processEnv+"=1"), os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &Process{cmd: cmd}
	t.Cleanup(func() { _ = in.Close(); p.Kill() })
	if _, err := in.Write(append(cfg, '\n')); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the node does not start: %v", err)
	}
	p.URL = strings.TrimSpace(line)
	s.Edge.Add(t, p.URL)
	return p
}

// Kill ends the process with SIGKILL, whatever it is doing. It may be repeated.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended already
	_ = p.cmd.Wait()         // killed
}
