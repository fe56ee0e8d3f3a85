package gate

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// answers of the gate itself depend on the token and are never to be kept by anyone in between.
func guardHeaders(h http.Header) {
	allowOrigins(h)
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Authorization")
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	raw, err := json.Marshal(v)
	if err != nil { // only values of this package get here
		status, raw = http.StatusInternalServerError, []byte(`{}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(raw)))
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(raw) // the client is gone
}

// oauthError is the body of an answer about the token.
type oauthError struct {
	Code        string `json:"error"`
	Description string `json:"error_description"`
}

type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Data    any    `json:"data,omitempty"`
}

type rpcAnswer struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Error   rpcError        `json:"error"`
}

func rpcAnswerTo(id []byte, e rpcError) rpcAnswer {
	if id == nil {
		id = []byte("null")
	}
	return rpcAnswer{Version: "2.0", ID: id, Error: e}
}

// writeRPCError answers with a JSON-RPC error. It is one even under a 4xx status: SDKs that find it fail the one call, those
// that do not give up the connection.
func writeRPCError(w http.ResponseWriter, status int, id []byte, e rpcError) {
	writeJSON(w, status, rpcAnswerTo(id, e))
}

func methodNotAllowed(w http.ResponseWriter, allow string) {
	w.Header().Set("Allow", allow)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusMethodNotAllowed)
}
