//go:build linux || darwin

package postgres

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

const (
	orderlyWait   = 15 * time.Second // flush of everything at a fast shutdown
	immediateWait = 5 * time.Second
)

// child is a process we started.
type child struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // why, once done is closed
}

// start starts cmd. The kernel's parent-death signal is bound to the thread that forks, not to our process, so one locked
// thread forks and then waits for as long as the child lives.
func start(cmd *exec.Cmd) (*child, error) {
	c := &child{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			c.err = cmd.Wait()
			close(c.done)
		}
	}()
	return c, <-started
}

// run starts cmd and waits for its end. When ctx ends first, its whole process group is killed.
func run(ctx context.Context, cmd *exec.Cmd) error {
	c, err := start(cmd)
	if err != nil {
		return err
	}
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) //nolint:errcheck,gosec // it may just have ended
		<-c.done
		return ctx.Err()
	}
}

// shutdown ends the server: SIGINT is Postgres' fast shutdown, SIGQUIT its immediate one.
func (c *child) shutdown(ctx context.Context) error {
	c.signal(syscall.SIGINT)
	if c.ended(ctx, orderlyWait) {
		return nil
	}
	c.signal(syscall.SIGQUIT)
	if c.ended(context.WithoutCancel(ctx), immediateWait) {
		return nil
	}
	c.signal(syscall.SIGKILL)
	if c.ended(context.WithoutCancel(ctx), immediateWait) {
		return nil
	}
	return errors.New("the Postgres server does not end")
}

// signal is best effort: a process that has just ended is what we want.
func (c *child) signal(s os.Signal) { c.cmd.Process.Signal(s) } //nolint:errcheck // see above

// ended waits for the end of the child, at most for wait or until ctx ends.
func (c *child) ended(ctx context.Context, wait time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	select {
	case <-c.done:
		return true
	case <-ctx.Done():
		return false
	}
}

// once returns a function that runs stop the first time and afterwards repeats its result; concurrent callers wait.
func once(stop func(context.Context) error) func(context.Context) error {
	var (
		mu   sync.Mutex
		done bool
		err  error
	)
	return func(ctx context.Context) error {
		mu.Lock()
		defer mu.Unlock()
		if !done {
			err, done = stop(ctx), true
		}
		return err
	}
}
