package oauth

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ostiary/ostiary/app/policy"
)

// document is a ready answer: built once per snapshot, with its entity tag, its gzip form and its header, so that answering
// copies nothing and allocates next to nothing.
type document struct {
	etag      string
	plain     []headerField // of the answer with body
	packed    []headerField // of the answer with gzipped
	unchanged []headerField // of 304
	body      []byte
	gzipped   []byte // nil where it would not be shorter
}

// headerField is one field of a header, in canonical spelling. All answers share its value and none changes it.
type headerField struct {
	name  string
	value []string
}

func field(name, value string) headerField { return headerField{name, []string{value}} }

// described is what a document's header says beside its length.
type described struct{ contentType, cacheControl, etag string }

// newDocument makes a document; its entity tag follows from the body unless d names one.
func newDocument(d described, body []byte) document {
	if d.etag == "" {
		d.etag = entityTag(body)
	}
	doc := document{etag: d.etag, body: body, gzipped: gzipped(body)}
	doc.unchanged = []headerField{
		{"Access-Control-Allow-Origin", anyOrigin}, {"Access-Control-Expose-Headers", exposedHeaders},
		field("Cache-Control", d.cacheControl), field("Etag", d.etag), field("Vary", "Accept-Encoding"),
		// Data, not a page: nothing in it may run or be framed.
		field("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"), field("X-Content-Type-Options", "nosniff"),
	}
	doc.plain = append(slices.Clip(doc.unchanged),
		field("Content-Type", d.contentType), field("Content-Length", strconv.Itoa(len(doc.body))))
	doc.packed = append(slices.Clip(doc.unchanged), field("Content-Type", d.contentType),
		field("Content-Encoding", "gzip"), field("Content-Length", strconv.Itoa(len(doc.gzipped))))
	return doc
}

func entityTag(content []byte) string {
	sum := sha256.Sum256(content)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
}

// gzipped returns body packed, nil where that gains nothing.
func gzipped(body []byte) []byte {
	var buf bytes.Buffer
	w, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err == nil {
		_, err = w.Write(body)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil || buf.Len() >= len(body) {
		return nil
	}
	return buf.Bytes()
}

// write answers a GET or HEAD with the document, or 304 when the client has it (RFC 9110 §13.1.2).
func (d *document) write(w http.ResponseWriter, r *http.Request) {
	header, status, body := d.plain, http.StatusOK, d.body
	switch {
	case strings.Contains(r.Header.Get("If-None-Match"), d.etag):
		header, status, body = d.unchanged, http.StatusNotModified, nil
	case d.gzipped != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip"):
		header, body = d.packed, d.gzipped
	}
	h := w.Header()
	for _, f := range header {
		h[f.name] = f.value
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the reader went away: nothing to tell
	}
}

const (
	jsonType = "application/json"
	jwtType  = "application/jwt"

	metadataCache = "public, max-age=300"
	policyCache   = "private, no-cache" // revalidated each time: an admin's change must arrive

	// policyLifetime bounds how long a gate may go on with a policy nobody confirmed.
	policyLifetime = 24 * time.Hour
)

func (i *Issuer) buildDocuments() error {
	metadata, err := json.Marshal(i.describe())
	if err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	public := described{contentType: jsonType, cacheControl: metadataCache}
	i.metadata = newDocument(public, metadata)
	i.jwks = newDocument(public, i.Keys.JWKS())
	for _, r := range i.Resources {
		doc, err := i.signPolicy(r)
		if err != nil {
			return err
		}
		i.policies[r.ID()] = &doc
	}
	return nil
}

// signPolicy signs one resource's policy. The entity tag names the hour as well as the content, so that a gate which only
// revalidates still gets a fresh signature long before the old one expires.
func (i *Issuer) signPolicy(r *Resource) (document, error) {
	payload, err := json.Marshal(policy.Bundle{
		Issuer: i.URL, Subject: r.ID(), IssuedAt: i.loadedAt.Unix(), ExpiresAt: i.loadedAt.Add(policyLifetime).Unix(),
		Policy: r.Document,
	})
	if err != nil {
		return document{}, fmt.Errorf("policy of %s: %w", r.ID(), err)
	}
	token, err := i.Keys.Sign(typePolicy, payload)
	if err != nil {
		return document{}, fmt.Errorf("policy of %s: %w", r.ID(), err)
	}
	content, err := json.Marshal(r.Document)
	if err != nil {
		return document{}, fmt.Errorf("policy of %s: %w", r.ID(), err)
	}
	etag := entityTag(fmt.Appendf(content, "|%s|%d", i.Keys.ActiveID(), i.loadedAt.Unix()/3600))
	return newDocument(described{contentType: jwtType, cacheControl: policyCache, etag: etag}, []byte(token)), nil
}
