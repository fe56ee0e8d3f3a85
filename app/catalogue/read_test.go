package catalogue_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ostiary/ostiary/app/catalogue"
)

// hostile answers the handshake like an MCP server and tools/list as told.
func hostile(t *testing.T, list http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		var m struct {
			ID     json.RawMessage `json:"id"`
			Method string          `json:"method"`
		}
		_ = json.Unmarshal(body, &m) // a DELETE has no body
		w.Header().Set("Content-Type", "application/json")
		switch m.Method {
		case "initialize":
			fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},`+
				`"serverInfo":{"name":"hostile","version":"1"}}}`, m.ID)
		case "tools/list":
			w.Header().Set("X-Rpc-Id", string(m.ID))
			list(w, r)
		case "server/discover":
			fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"no such method"}}`, m.ID)
		default:
			w.WriteHeader(http.StatusAccepted)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func page(w http.ResponseWriter, tools, next string) {
	fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"tools":[%s],"nextCursor":%q}}`, w.Header().Get("X-Rpc-Id"), tools, next)
}

func TestRead_SendsTheHeaderAndReadsEveryPage(t *testing.T) {
	t.Parallel()
	n := 0
	url := hostile(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Api-Key") != "secret" {
			t.Error("the header did not travel")
		}
		n++
		next := "more"
		if n == 3 {
			next = ""
		}
		page(w, fmt.Sprintf(`{"name":"t%d","inputSchema":{"type":"object"}}`, n), next)
	})
	tools, err := catalogue.Read(t.Context(), catalogue.Source{URL: url, Header: http.Header{"x-api-key": {"secret"}}})
	if err != nil || len(tools) != 3 {
		t.Fatalf("%+v, %v", tools, err)
	}
}

func TestRead_GivesUpOnHostileServers(t *testing.T) {
	t.Parallel()
	stranger := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("a redirect was followed, header and all")
	}))
	t.Cleanup(stranger.Close)
	n := 0
	for name, list := range map[string]http.HandlerFunc{
		"more than 2000 tools": func(w http.ResponseWriter, _ *http.Request) {
			var b strings.Builder
			for range 100 {
				n++
				fmt.Fprintf(&b, `,{"name":"t%d","inputSchema":{}}`, n)
			}
			page(w, b.String()[1:], "on and on")
		},
		"has no end": func(w http.ResponseWriter, _ *http.Request) { page(w, "", "on and on") },
		"more than 16777216 bytes": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":`+w.Header().Get("X-Rpc-Id")+`,"result":{"tools":[{"name":"`)
			for range 40 {
				_, _ = io.WriteString(w, strings.Repeat("a", 1<<20))
			}
		},
		"list tools": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, stranger.URL, http.StatusTemporaryRedirect)
		},
		"there twice": func(w http.ResponseWriter, _ *http.Request) {
			page(w, `{"name":"a","inputSchema":{}},{"name":"a","inputSchema":{}}`, "")
		},
	} {
		_, err := catalogue.Read(t.Context(), catalogue.Source{URL: hostile(t, list), Header: http.Header{"Authorization": {"Bearer x"}}})
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
