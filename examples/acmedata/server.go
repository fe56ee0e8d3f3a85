package acmedata

import (
	"net/http"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const sessionTimeout = 30 * time.Minute

// statelessSince is the protocol revision that has no sessions any more.
const statelessSince = "2026-07-28"

// Handler returns the MCP endpoint with fresh data. It serves whatever path it is mounted on.
func Handler() http.Handler {
	name := &mcp.Implementation{Name: "acme-data", Title: "Acme Data", Version: "1.0.0"}
	server := mcp.NewServer(name, &mcp.ServerOptions{
		Instructions: "Acme's customer data. Start with list_datasets or search_accounts.",
		Capabilities: &mcp.ServerCapabilities{}, // tools are added by registering them; there is nothing else
	})
	addTools(server, newStore())
	get := func(*http.Request) *mcp.Server { return server }
	sessions := mcp.NewStreamableHTTPHandler(get, &mcp.StreamableHTTPOptions{SessionTimeout: sessionTimeout})
	stateless := mcp.NewStreamableHTTPHandler(get,
		&mcp.StreamableHTTPOptions{Stateless: true, PropagateRequestCancellation: true})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Versions are dates: what sorts later is newer.
		if r.Header.Get("Mcp-Protocol-Version") >= statelessSince {
			stateless.ServeHTTP(w, r)
			return
		}
		sessions.ServeHTTP(w, r)
	})
}
