package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
	"golang.org/x/oauth2"
)

func main() {
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "usage: gosdk MCP_URL PROXY_URL SEGMENT DOCUMENT_URL")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	if err := run(ctx, os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, mcpURL, proxyURL, segment, documentURL string) error {
	proxy, err := url.Parse(proxyURL)
	if err != nil {
		return err
	}
	// Go never proxies localhost on its own account, so the proxy is named here.
	web := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy)}}
	callback, err := listen(ctx)
	if err != nil {
		return err
	}
	handler, err := authorization(web, callback, documentURL)
	if err != nil {
		return err
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "ostiary-e2e", Version: "1.0.0"}, nil)
	transport := &mcp.StreamableClientTransport{Endpoint: mcpURL, HTTPClient: web, OAuthHandler: handler}
	session, err := client.Connect(ctx, transport, nil)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer session.Close()

	if err := call(ctx, session, "run_query", map[string]any{"dataset": "accounts"}); err != nil {
		return err
	}
	// The token source below made this very call refresh.
	say("refreshed", "")
	if err := call(ctx, session, "delete_segment", map[string]any{"segment_id": segment}); err != nil {
		return err
	}
	say("done", "")
	return nil
}

// authorization is the SDK's authorization-code handler. Its token source starts out with an access token whose time is up,
// so that the first call refreshes: the SDK refreshes by the clock only. Without a metadata document it registers.
func authorization(web *http.Client, callback *callbackServer, documentURL string) (auth.OAuthHandler, error) {
	config := &auth.AuthorizationCodeHandlerConfig{
		Client:              web,
		RedirectURL:         callback.url,
		RequestRefreshToken: true,
		AuthorizationCodeFetcher: func(ctx context.Context, args *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
			if err := exec.CommandContext(ctx, "xdg-open", args.URL).Run(); err != nil {
				return nil, fmt.Errorf("open a browser: %w", err)
			}
			return callback.next(ctx)
		},
		NewTokenSource: func(ctx context.Context, cfg *oauth2.Config, token *oauth2.Token) (oauth2.TokenSource, error) {
			expired := *token
			expired.Expiry = time.Now().Add(-time.Minute)
			return cfg.TokenSource(ctx, &expired), nil
		},
	}
	if documentURL != "" {
		config.ClientIDMetadataDocumentConfig = &auth.ClientIDMetadataDocumentConfig{URL: documentURL}
		return auth.NewAuthorizationCodeHandler(config)
	}
	config.DynamicClientRegistrationConfig = &auth.DynamicClientRegistrationConfig{
		Metadata: &oauthex.ClientRegistrationMetadata{
			ClientName:              "Ostiary e2e",
			RedirectURIs:            []string{callback.url},
			GrantTypes:              []string{"authorization_code", "refresh_token"},
			ResponseTypes:           []string{"code"},
			TokenEndpointAuthMethod: "none",
		},
	}
	return auth.NewAuthorizationCodeHandler(config)
}

func call(ctx context.Context, session *mcp.ClientSession, tool string, arguments map[string]any) error {
	result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: arguments})
	if err != nil {
		return fmt.Errorf("call %s: %w", tool, err)
	}
	var text []string
	for _, content := range result.Content {
		if block, ok := content.(*mcp.TextContent); ok {
			text = append(text, block.Text)
		}
	}
	if result.IsError {
		return fmt.Errorf("%s failed: %s", tool, strings.Join(text, " "))
	}
	say("called", strings.Join(text, "\n"))
	return nil
}

// callbackServer is the loopback redirect URI of RFC 8252 §7.3.
type callbackServer struct {
	url     string
	answers chan url.Values
}

func listen(ctx context.Context) (*callbackServer, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &callbackServer{url: fmt.Sprintf("http://%s/callback", listener.Addr()), answers: make(chan url.Values, 4)}
	server := &http.Server{Handler: c, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		if err := server.Serve(listener); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	return c, nil
}

func (c *callbackServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/callback" {
		http.NotFound(w, r)
		return
	}
	fmt.Fprintln(w, "Done. You can close this window.")
	c.answers <- r.URL.Query()
}

func (c *callbackServer) next(ctx context.Context) (*auth.AuthorizationResult, error) {
	select {
	case answer := <-c.answers:
		if answer.Get("error") != "" {
			return nil, errors.New(answer.Get("error"))
		}
		return &auth.AuthorizationResult{
			Code: answer.Get("code"), State: answer.Get("state"), Iss: answer.Get("iss"),
		}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func say(step, text string) {
	line, err := json.Marshal(map[string]string{"step": step, "text": text})
	if err != nil {
		panic(err) // two strings always marshal
	}
	fmt.Println(string(line))
}
