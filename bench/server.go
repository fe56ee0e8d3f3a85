package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"time"

	"github.com/ostiary/ostiary/app/config"
)

// serverSetup is what the server process is told on its standard input, before the commands.
type serverSetup struct {
	Config config.Config
	Tenant tenantIDs
}

// command is one thing the server process is asked, a line of JSON; its answer is a line too.
type command struct {
	Do      string // sample, settle, profile, allocations, gate, proxies, stop, lift
	File    string
	Gate    gateSetup
	Profile bool // start or stop
	User    string
	Stop    string
}

// reply is its answer.
type reply struct {
	Error  string
	Sample sample
	Gate   gateResult
	Proxy  [2]string // addresses of the gate and of the bare proxy
	Stop   stopped
}

// sample is a reading of the server process.
type sample struct {
	CPU      time.Duration // user and system
	Mallocs  uint64
	Bytes    uint64
	Resident uint64 // highest so far
	Product  traced
	Limit    traced
}

// server is the server process as the driver holds it.
type server struct {
	product, limit string // addresses
	pid            int
	cmd            *exec.Cmd
	in             io.WriteCloser
	out            *bufio.Reader
}

// startServer runs this program again as the server. It ends when its standard input does, so never outlives us.
func startServer(setup serverSetup, product, limit *net.TCPListener) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find myself: %w", err)
	}
	cmd := exec.Command(self, serveArgument) //nolint:noctx // ends with its input; a context would kill it
	for _, ln := range []*net.TCPListener{product, limit} {
		file, err := ln.File()
		if err != nil {
			return nil, fmt.Errorf("hand over the listener: %w", err)
		}
		defer file.Close() //nolint:errcheck // the child has its own
		defer ln.Close()   //nolint:errcheck // as above
		cmd.ExtraFiles = append(cmd.ExtraFiles, file)
	}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("server process: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("server process: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("server process: %w", err)
	}
	s := &server{
		product: product.Addr().String(), limit: limit.Addr().String(), pid: cmd.Process.Pid, cmd: cmd, in: in, out: bufio.NewReader(out),
	}
	if err := json.NewEncoder(in).Encode(setup); err != nil {
		s.stop()
		return nil, fmt.Errorf("server process: %w", err)
	}
	if _, err := s.ask(command{Do: "sample"}); err != nil { // it answers once it serves
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *server) stop() {
	_ = s.in.Close() // that is the signal
	_ = s.cmd.Wait() // it was asked to end: how it did matters to nobody
}

func (s *server) ask(c command) (reply, error) {
	var r reply
	if err := json.NewEncoder(s.in).Encode(c); err != nil {
		return r, fmt.Errorf("server process: %w", err)
	}
	line, err := s.out.ReadBytes('\n')
	if err != nil {
		return r, fmt.Errorf("server process: %w", err)
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return r, fmt.Errorf("server process: %w", err)
	}
	if r.Error != "" {
		return r, fmt.Errorf("server process: %w", errors.New(r.Error))
	}
	return r, nil
}

func (s *server) sample() (sample, error) {
	r, err := s.ask(command{Do: "sample"})
	return r.Sample, err
}

// settle collects garbage, so that neither side pays for the other's.
func (s *server) settle() error {
	_, err := s.ask(command{Do: "settle"})
	return err
}

// obey reads commands until its input ends.
func obey(ctx context.Context, in *json.Decoder, out io.Writer, do func(context.Context, command) (reply, error)) {
	encoder := json.NewEncoder(out)
	for {
		var c command
		if err := in.Decode(&c); err != nil {
			return // the driver is gone, and so are we
		}
		r, err := do(ctx, c)
		if err != nil {
			r.Error = err.Error()
		}
		if err := encoder.Encode(r); err != nil {
			return
		}
	}
}
