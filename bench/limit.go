package main

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/ostiary/ostiary/app/secret"
)

// limit is an authorization server that does nothing it can do without: what the operations cost at least. It parses forms, seals
// codes, signs one ES256 token and answers JSON, on net/http as it comes. Who signed in and what they allowed travels sealed until the
// code is redeemed. Then one statement reads what is remembered, or writes what must be (the session, the decision and what was
// shown, both in the audit log), and writes the grant. It is no example of how to do it.
type limit struct {
	tenant    tenantIDs
	pool      *pgxpool.Pool
	key       *ecdsa.PrivateKey
	header    string // of its tokens, encoded
	seal      cipher.AEAD
	passwords *secret.Passwords
	documents map[string][]byte
}

func newLimit(pool *pgxpool.Pool, t tenantIDs, documents map[string][]byte) (*limit, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("limit: %w", err)
	}
	block, err := aes.NewCipher(secret.Bytes(secret.KeySize))
	if err != nil {
		return nil, fmt.Errorf("limit: %w", err)
	}
	seal, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("limit: %w", err)
	}
	header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","kid":"` + secret.NewID("key") + `","typ":"at+jwt"}`))
	return &limit{tenant: t, pool: pool, key: key, header: header, seal: seal, passwords: cheapPasswords(), documents: documents}, nil
}

func (l *limit) handler() http.Handler {
	mux := http.NewServeMux()
	for path, handle := range map[string]func(http.ResponseWriter, *http.Request) error{
		"GET /authorize": l.authorize, "POST /token": l.token, "POST /register": l.register, "POST /introspect": l.introspect,
		"POST /interaction/login": l.login, "GET /interaction": l.consentPage, "POST /interaction/consent": l.consent,
	} {
		method, path, _ := strings.Cut(path, " ")
		mux.HandleFunc(method+" "+l.tenant.BasePath+path, func(w http.ResponseWriter, r *http.Request) {
			if err := handle(w, r); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
		})
	}
	for path, body := range l.documents {
		length := strconv.Itoa(len(body))
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", jsonType)
			w.Header().Set("Content-Length", length)
			_, _ = w.Write(body) // the driver would notice
		})
	}
	return mux
}

// limitRequest is an authorization request on its way through the pages, and the code that ends it.
type limitRequest struct {
	GrantID     string `json:"g"`
	UserID      string `json:"u"`
	Session     string `json:"k"` // the session cookie's value
	Fresh       bool   `json:"f"` // signed in and decided just now, which is not written yet
	ClientID    string `json:"c"`
	RedirectURI string `json:"r"`
	State       string `json:"s"`
	Challenge   string `json:"cc"`
	Scope       string `json:"sc"`
	ExpiresAt   int64  `json:"x"`
}

func (l *limit) sealed(r limitRequest) (string, error) {
	plain, err := json.Marshal(r)
	if err != nil {
		return "", err
	}
	nonce := secret.Bytes(l.seal.NonceSize())
	return base64.RawURLEncoding.EncodeToString(l.seal.Seal(nonce, nonce, plain, nil)), nil
}

func (l *limit) open(text string) (limitRequest, error) {
	var r limitRequest
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(raw) < l.seal.NonceSize() {
		return r, errors.New("not sealed here")
	}
	plain, err := l.seal.Open(nil, raw[:l.seal.NonceSize()], raw[l.seal.NonceSize():], nil)
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(plain, &r)
}

func (l *limit) authorize(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	in := limitRequest{
		ClientID: q.Get("client_id"), RedirectURI: q.Get("redirect_uri"), State: q.Get("state"), Challenge: q.Get("code_challenge"),
		Scope: q.Get("scope"), ExpiresAt: now().Unix() + 60,
	}
	session, err := r.Cookie("ostiary_session")
	if err != nil {
		http.SetCookie(w, &http.Cookie{Name: "ostiary_browser", Value: secret.NewToken(), Path: l.tenant.BasePath})
		return l.page(w, in)
	}
	in.Session = session.Value // whose it is, and what they allowed, is looked up when the code is redeemed
	return l.issue(w, in)
}

func (l *limit) issue(w http.ResponseWriter, in limitRequest) error {
	in.GrantID = secret.NewOrderedID("grt", now())
	code, err := l.sealed(in)
	if err != nil {
		return err
	}
	w.Header().Set("Location", in.RedirectURI+"?code="+code+"&state="+in.State+"&iss="+l.tenant.Issuer)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// filler makes the limit's pages about as long as real ones.
var filler = bytes.Repeat([]byte("<p>What an app wants, in words.</p>\n"), 200)

func (l *limit) page(w http.ResponseWriter, in limitRequest) error {
	interaction, err := l.sealed(in)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	page := append([]byte(`<form method="post"><input type="hidden" name="interaction" value="`+interaction+`">`), filler...)
	_, err = w.Write(page) //nolint:gosec // base64url of a sealed value
	return err
}

func (l *limit) login(w http.ResponseWriter, r *http.Request) error {
	in, err := l.form(r)
	if err != nil {
		return err
	}
	userID, hash, err := l.selectUser(r.Context(), r.PostForm.Get("email"))
	if err != nil {
		return err
	}
	matches, err := l.passwords.Verify(r.Context(), r.PostForm.Get("password"), hash)
	if err != nil || !matches {
		return errors.New("refused")
	}
	in.UserID, in.Session, in.Fresh = userID, secret.NewToken(), true
	interaction, err := l.sealed(in)
	if err != nil {
		return err
	}
	http.SetCookie(w, &http.Cookie{Name: "ostiary_session", Value: in.Session, Path: l.tenant.BasePath})
	w.Header().Set("Location", l.tenant.BasePath+"/interaction?i="+interaction)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

func (l *limit) consentPage(w http.ResponseWriter, r *http.Request) error {
	in, err := l.open(r.URL.Query().Get("i"))
	if err != nil {
		return err
	}
	return l.page(w, in)
}

func (l *limit) consent(w http.ResponseWriter, r *http.Request) error {
	in, err := l.form(r)
	if err != nil {
		return err
	}
	in.Scope = strings.Join(r.PostForm["scope"], " ")
	return l.issue(w, in)
}

func (l *limit) form(r *http.Request) (limitRequest, error) {
	if err := r.ParseForm(); err != nil {
		return limitRequest{}, err
	}
	return l.open(r.PostForm.Get("interaction"))
}

func (l *limit) token(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	switch r.PostForm.Get("grant_type") {
	case "refresh_token":
		return l.refresh(w, r)
	case "client_credentials":
		return l.machine(w, r)
	}
	in, err := l.open(r.PostForm.Get("code"))
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
	if base64.RawURLEncoding.EncodeToString(sum[:]) != in.Challenge || now().Unix() > in.ExpiresAt {
		return errors.New("refused")
	}
	if in.Fresh {
		err = l.insertAll(r.Context(), in)
	} else {
		in.UserID, err = l.insertGrant(r.Context(), in)
	}
	if err != nil {
		return err
	}
	return l.answer(w, in.GrantID, 1, in)
}

func (l *limit) refresh(w http.ResponseWriter, r *http.Request) error {
	grantID, text, _ := strings.Cut(r.PostForm.Get("refresh_token"), ".")
	generation, err := strconv.Atoi(text)
	if err != nil {
		return err
	}
	in := limitRequest{GrantID: grantID, ClientID: r.PostForm.Get("client_id")}
	if in.UserID, in.Scope, err = l.rotateGrant(r.Context(), grantID, generation); err != nil {
		return err
	}
	return l.answer(w, grantID, generation+1, in)
}

func (l *limit) machine(w http.ResponseWriter, r *http.Request) error {
	if !secret.Equal(secret.Hash(r.PostForm.Get("client_secret")), secret.Hash(machine.Secret)) {
		return errors.New("refused")
	}
	return l.answer(w, "", 0, limitRequest{UserID: machine.ID, ClientID: machine.ID, Scope: scopeWanted})
}

// introspect verifies the token's signature and reads the row that says whether it is revoked.
func (l *limit) introspect(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	claims, err := l.verify(r.PostForm.Get("token"))
	if err != nil {
		return err
	}
	if claims.Scope, err = l.selectGrant(r.Context(), claims.GrantID); err != nil {
		return err
	}
	return writeAnswer(w, http.StatusOK, struct {
		Active bool `json:"active"`
		limitClaims
	}{true, claims})
}

func (l *limit) register(w http.ResponseWriter, r *http.Request) error {
	var metadata struct {
		ClientName   string   `json:"client_name"`
		RedirectURIs []string `json:"redirect_uris"`
	}
	if err := json.NewDecoder(r.Body).Decode(&metadata); err != nil {
		return err
	}
	id := secret.NewID("cli")
	if err := l.insertClient(r.Context(), id, metadata.ClientName, metadata.RedirectURIs); err != nil {
		return err
	}
	return writeAnswer(w, http.StatusCreated, struct {
		ClientID     string   `json:"client_id"`
		ClientName   string   `json:"client_name"`
		RedirectURIs []string `json:"redirect_uris"`
	}{id, metadata.ClientName, metadata.RedirectURIs})
}

func (l *limit) answer(w http.ResponseWriter, grantID string, generation int, in limitRequest) error {
	token, err := l.sign(in, now())
	if err != nil {
		return err
	}
	refresh := ""
	if generation > 0 {
		refresh = grantID + "." + strconv.Itoa(generation)
	}
	return writeAnswer(w, http.StatusOK, struct {
		AccessToken  string `json:"access_token"`
		TokenType    string `json:"token_type"`
		ExpiresIn    int    `json:"expires_in"`
		Scope        string `json:"scope"`
		RefreshToken string `json:"refresh_token,omitempty"`
	}{token, "Bearer", 3600, in.Scope, refresh})
}

// limitClaims are those of RFC 9068 that the product's tokens have too.
type limitClaims struct {
	Issuer    string `json:"iss"`
	Subject   string `json:"sub"`
	Audience  string `json:"aud"`
	ExpiresAt int64  `json:"exp"`
	IssuedAt  int64  `json:"iat"`
	ID        string `json:"jti"`
	ClientID  string `json:"client_id"`
	Scope     string `json:"scope"`
	GrantID   string `json:"grant_id"`
}

// sign makes an access token as the product's is (RFC 9068), with the standard library's ES256.
func (l *limit) sign(in limitRequest, at time.Time) (string, error) {
	payload, err := json.Marshal(limitClaims{
		Issuer: l.tenant.Issuer, Subject: in.UserID, Audience: identifier, ExpiresAt: at.Unix() + 3600, IssuedAt: at.Unix(),
		ID: secret.NewID("tok"), ClientID: in.ClientID, Scope: in.Scope, GrantID: in.GrantID,
	})
	if err != nil {
		return "", err
	}
	input := append([]byte(l.header), '.')
	input = base64.RawURLEncoding.AppendEncode(input, payload)
	digest := sha256.Sum256(input)
	x, y, err := ecdsa.Sign(rand.Reader, l.key, digest[:])
	if err != nil {
		return "", err
	}
	signature := make([]byte, 64)
	x.FillBytes(signature[:32])
	y.FillBytes(signature[32:])
	return string(base64.RawURLEncoding.AppendEncode(append(input, '.'), signature)), nil
}

func (l *limit) verify(token string) (limitClaims, error) {
	var claims limitClaims
	dot := strings.LastIndexByte(token, '.')
	if dot < 0 {
		return claims, errors.New("no token")
	}
	signature, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
	if err != nil || len(signature) != 64 {
		return claims, errors.New("no signature")
	}
	digest := sha256.Sum256([]byte(token[:dot]))
	x, y := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	if !ecdsa.Verify(&l.key.PublicKey, digest[:], x, y) {
		return claims, errors.New("refused")
	}
	_, payload, _ := strings.Cut(token[:dot], ".")
	raw, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return claims, err
	}
	return claims, json.Unmarshal(raw, &claims)
}

func writeAnswer(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", jsonType)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, err = w.Write(body)
	return err
}
