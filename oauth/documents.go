package oauth

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/ostiary/ostiary/app/policy"
)

// document is a ready answer: built once per snapshot, with its entity tag and its gzip form.
type document struct {
	contentType  string
	cacheControl string
	etag         string
	body         []byte
	gzipped      []byte
}

func newDocument(contentType, cacheControl string, body []byte) document {
	sum := sha256.Sum256(body)
	var buf bytes.Buffer
	w, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err == nil {
		_, err = w.Write(body)
	}
	if err == nil {
		err = w.Close()
	}
	d := document{
		contentType: contentType, cacheControl: cacheControl, body: body,
		etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`,
	}
	if err == nil && buf.Len() < len(body) {
		d.gzipped = buf.Bytes()
	}
	return d
}

// write answers a GET or HEAD with the document, or 304 when the client has it (RFC 9110 §13.1.2).
func (d document) write(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", d.cacheControl)
	h.Set("ETag", d.etag)
	h.Set("Vary", "Accept-Encoding")
	if strings.Contains(r.Header.Get("If-None-Match"), d.etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", d.contentType)
	body := d.body
	if d.gzipped != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = d.gzipped
	}
	h.Set("Content-Length", fmt.Sprint(len(body)))
	w.WriteHeader(http.StatusOK)
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
	i.metadata = newDocument(jsonType, metadataCache, metadata)
	i.jwks = newDocument(jsonType, metadataCache, i.Keys.JWKS())
	for _, r := range i.Resources {
		doc, err := i.signPolicy(r)
		if err != nil {
			return err
		}
		i.policies[r.ID()] = doc
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
	doc := newDocument(jwtType, policyCache, []byte(token))
	sum := sha256.Sum256(fmt.Appendf(content, "|%s|%d", i.Keys.ActiveID(), i.loadedAt.Unix()/3600))
	doc.etag = `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	return doc, nil
}
