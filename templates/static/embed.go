package static

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"sync"
)

//go:embed css/*.css js/*.js img/*.svg
var sources embed.FS

// Prefix is the path under which Handler expects to be mounted.
const Prefix = "/static/"

// asset is one file as it is served.
type asset struct {
	contentType string
	hash        string
	body        []byte
	gzipped     []byte
}

// recipe says what a served file is made of, in order.
type recipe struct {
	name        string
	contentType string
	parts       []string
}

func recipes() []recipe {
	const (
		css = "text/css; charset=utf-8"
		js  = "text/javascript; charset=utf-8"
		svg = "image/svg+xml"
	)
	return []recipe{
		{"app.css", css, []string{"css/tokens.css", "css/base.css", "css/consent.css", "css/dash.css"}},
		{"app.js", js, []string{"js/app.js"}},
		{"htmx.js", js, []string{"js/htmx.js"}},
		{"favicon.svg", svg, []string{"img/favicon.svg"}},
	}
}

// assets joins, hashes and compresses every file once per process.
var assets = sync.OnceValue(func() map[string]asset {
	out := make(map[string]asset)
	for _, r := range recipes() {
		out[r.name] = build(r)
	}
	return out
})

func build(r recipe) asset {
	var body bytes.Buffer
	for _, part := range r.parts {
		data, err := sources.ReadFile(part)
		if err != nil {
			panic(fmt.Sprintf("static: %v", err)) // broken wiring: the file is embedded by this package
		}
		body.Write(data)
		body.WriteByte('\n')
	}
	sum := sha256.Sum256(body.Bytes())
	var zipped bytes.Buffer
	// Writes to a bytes.Buffer cannot fail, and the level is a constant gzip knows.
	zw, _ := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	_, _ = zw.Write(body.Bytes())
	_ = zw.Close()
	return asset{r.contentType, hex.EncodeToString(sum[:8]), body.Bytes(), zipped.Bytes()}
}

// URL returns the address of a file, with the hash of its content in it. It panics on a name this package does not serve,
// which is a typing mistake in a template.
func URL(name string) string {
	a, ok := assets()[name]
	if !ok {
		panic("static: no file " + name)
	}
	return Prefix + a.hash + "/" + name
}

// Handler serves the files under Prefix, to be cached for ever: another content has another address. Anything else, a hash
// that is not the current one included, is 404 and not cached.
func Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		hash, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, Prefix), "/")
		a, ok := assets()[name]
		if !ok || a.hash != hash {
			w.Header().Set("Cache-Control", "no-store")
			http.Error(w, "not found", http.StatusNotFound)
			return
		}
		serve(w, r, a)
	})
}

func serve(w http.ResponseWriter, r *http.Request, a asset) {
	h := w.Header()
	h.Set("Content-Type", a.contentType)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Vary", "Accept-Encoding")
	h.Set("ETag", `"`+a.hash+`"`)
	if r.Header.Get("If-None-Match") == `"`+a.hash+`"` {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := a.body
	if acceptsGzip(r.Header.Get("Accept-Encoding")) {
		h.Set("Content-Encoding", "gzip")
		body = a.gzipped
	}
	h.Set("Content-Length", fmt.Sprint(len(body)))
	if r.Method == http.MethodHead {
		return
	}
	_, _ = w.Write(body) // the client went away; nobody is left to tell
}

// acceptsGzip tells whether gzip is named and not refused with q=0 (RFC 9110 §12.5.3).
func acceptsGzip(header string) bool {
	for item := range strings.SplitSeq(header, ",") {
		coding, params, _ := strings.Cut(strings.TrimSpace(item), ";")
		if !strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			continue
		}
		q := strings.ReplaceAll(strings.ToLower(params), " ", "")
		return q != "q=0" && q != "q=0.0" && q != "q=0.00" && q != "q=0.000"
	}
	return false
}
