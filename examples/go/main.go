package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/ostiary/ostiary/examples/acmedata"
	"github.com/ostiary/ostiary/gate"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	port := flag.Int("port", 9000, "port on loopback to listen on; 0 picks a free one")
	issuer := flag.String("issuer", os.Getenv("OSTIARY_ISSUER"), "issuer URL of the environment")
	resource := flag.String("resource", os.Getenv("OSTIARY_RESOURCE"), "id of the MCP server (res_…)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	guard, err := gate.New(ctx, gate.Options{
		Issuer: *issuer, ResourceID: *resource, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		return fmt.Errorf("protect: %w", err)
	}
	defer guard.Close()
	// Mounted on "/": Middleware answers the metadata URLs itself.
	handler := guard.Middleware(whoAsks(acmedata.Handler()))

	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", *port))
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	srv := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-ctx.Done()
		_ = srv.Close() // a demo has nothing to finish
	}()
	if err := json.NewEncoder(os.Stdout).Encode(map[string]string{"url": fmt.Sprintf("http://%s/mcp", ln.Addr())}); err != nil {
		return fmt.Errorf("say that it is ready: %w", err)
	}
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// whoAsks tells the server below who calls, where it looks for it. A server of your own asks gate.IdentityFrom itself.
func whoAsks(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if who, ok := gate.IdentityFrom(r.Context()); ok {
			r = r.Clone(r.Context())
			r.Header.Set(gate.HeaderUser, who.User)
		}
		next.ServeHTTP(w, r)
	})
}
