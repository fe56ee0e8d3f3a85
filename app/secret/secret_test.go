package secret_test

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/ostiary/app/secret"
)

func TestSealer_OpensItsOwnOnly(t *testing.T) {
	t.Parallel()
	root, other := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	s := secret.NewSealer(root, "code")
	sealed := s.SealText([]byte("hello"), []byte("env_A"))
	if got, err := s.OpenText(sealed, []byte("env_A")); err != nil || string(got) != "hello" {
		t.Fatalf("%q, %v", got, err)
	}
	flipped := []byte(sealed)
	flipped[10] ^= 1
	for name, open := range map[string]func() error{
		"another purpose": func() error {
			_, err := secret.NewSealer(root, "interaction").OpenText(sealed, []byte("env_A"))
			return err
		},
		"another root":        func() error { _, err := secret.NewSealer(other, "code").OpenText(sealed, []byte("env_A")); return err },
		"another environment": func() error { _, err := s.OpenText(sealed, []byte("env_B")); return err },
		"altered":             func() error { _, err := s.OpenText(string(flipped), []byte("env_A")); return err },
		"cut short":           func() error { _, err := s.OpenText(sealed[:8], []byte("env_A")); return err },
		"padded":              func() error { _, err := s.OpenText(sealed+"=", []byte("env_A")); return err },
		"empty":               func() error { _, err := s.OpenText("", []byte("env_A")); return err },
	} {
		if err := open(); !errors.Is(err, secret.ErrSealed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s.SealText([]byte("hello"), []byte("env_A")) == sealed {
		t.Error("two seals of one value are equal")
	}
	if !bytes.Equal(s.SealSame([]byte("a"), []byte("b")), s.SealSame([]byte("a"), []byte("b"))) {
		t.Error("SealSame gives two values")
	}
	if bytes.Equal(s.SealSame([]byte("a"), []byte("bc")), s.SealSame([]byte("ca"), []byte("b"))) {
		t.Error("SealSame mixes up value and context")
	}
}

func TestKeyring_RotatesItsKeys(t *testing.T) {
	t.Parallel()
	first, second := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	old, err := secret.NewKeyring(first)
	if err != nil {
		t.Fatal(err)
	}
	sealed := old.Seal([]byte("private key"), "key_1")
	rotated, err := secret.NewKeyring(second, first)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := rotated.Open(sealed, "key_1"); err != nil || string(got) != "private key" {
		t.Errorf("after rotation: %q, %v", got, err)
	}
	if _, err := rotated.Open(sealed, "key_2"); !errors.Is(err, secret.ErrSealed) {
		t.Errorf("moved to another row: %v", err)
	}
	if _, err := old.Open(rotated.Seal([]byte("x"), "key_1"), "key_1"); !errors.Is(err, secret.ErrSealed) {
		t.Errorf("the old key opens what the new one sealed: %v", err)
	}
	if bytes.Contains(sealed, []byte("private key")) {
		t.Error("the envelope shows its content")
	}
	for _, keys := range [][][]byte{{}, {[]byte("short")}} {
		if _, err := secret.NewKeyring(keys...); err == nil {
			t.Errorf("accepted %d keys of the wrong kind", len(keys))
		}
	}
}

func TestPasswords_VerifyAndDecoy(t *testing.T) {
	t.Parallel()
	p := secret.NewPasswords(64, 1, 2)
	hash, err := p.Hash(t.Context(), "correct horse")
	if err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=64,t=1,p=1$") {
		t.Fatalf("%q, %v", hash, err)
	}
	for password, want := range map[string]bool{"correct horse": true, "wrong": false, "": false} {
		if got, err := p.Verify(t.Context(), password, hash); err != nil || got != want {
			t.Errorf("%q: %v, %v", password, got, err)
		}
	}
	if got, err := p.Verify(t.Context(), "anything", ""); err != nil || got {
		t.Errorf("an account without a password: %v, %v", got, err)
	}
	for _, bad := range []string{"plain", "$argon2id$v=19$m=4294967295,t=1,p=1$AAAA$AAAA", "$2a$10$abc", "$argon2id$v=19$m=64,t=0,p=1$AAAA$AAAA"} {
		if got, err := p.Verify(t.Context(), "x", bad); err == nil || got {
			t.Errorf("hash %q: %v, %v", bad, got, err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	full := secret.NewPasswords(64, 1, 1)
	if _, err := full.Verify(ended, "x", hash); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("waiting for a turn: %v", err)
	}
}

func TestNewID_HasItsForm(t *testing.T) {
	t.Parallel()
	id := secret.NewID("grt")
	if len(id) != 30 || !strings.HasPrefix(id, "grt_") || id == secret.NewID("grt") {
		t.Errorf("id %q", id)
	}
}

func TestNewOrderedID_SortsByTheMillisecond(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	form := regexp.MustCompile(`^grt_[A-Z2-7]{26}$`)
	last := ""
	for _, step := range []time.Duration{
		0, time.Millisecond, 31 * time.Millisecond, 32 * time.Millisecond, time.Second, time.Hour, 40000 * time.Hour, 400000 * time.Hour,
	} {
		id := secret.NewOrderedID("grt", at.Add(step))
		if !form.MatchString(id) || id <= last {
			t.Errorf("%v later the id is %q, after %q", step, id, last)
		}
		last = id
	}
	if a, b := secret.NewOrderedID("grt", at), secret.NewOrderedID("grt", at); a == b || a[:13] != b[:13] {
		t.Errorf("of one moment: %q and %q", a, b)
	}
}

func TestKeyring_Rewrap(t *testing.T) {
	t.Parallel()
	first, second := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	ring := func(keys ...[]byte) *secret.Keyring {
		r, err := secret.NewKeyring(keys...)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	sealed := ring(first).Seal([]byte("private key"), "key_1")
	rewrapped, changed, err := ring(second, first).Rewrap(sealed, "key_1")
	if err != nil || !changed {
		t.Fatalf("changed %v, %v", changed, err)
	}
	if got, err := ring(second).Open(rewrapped, "key_1"); err != nil || string(got) != "private key" {
		t.Errorf("under the new key alone: %q, %v", got, err)
	}
	if _, err := ring(first).Open(rewrapped, "key_1"); !errors.Is(err, secret.ErrSealed) {
		t.Errorf("the old key still opens it: %v", err)
	}
	at := rewrapped[secret.KeyIDOffset : secret.KeyIDOffset+secret.KeyIDLen]
	if !bytes.Equal(at, ring(second, first).KeyID()) {
		t.Error("the envelope does not name its key where queries look")
	}
	if again, changed, err := ring(second, first).Rewrap(rewrapped, "key_1"); err != nil || changed || !bytes.Equal(again, rewrapped) {
		t.Errorf("rewrapping twice changes it: %v, %v", changed, err)
	}
	if _, _, err := ring(second, first).Rewrap(sealed, "key_2"); !errors.Is(err, secret.ErrSealed) {
		t.Errorf("moved to another row: %v", err)
	}
	if _, _, err := ring(second).Rewrap(sealed, "key_1"); !errors.Is(err, secret.ErrSealed) {
		t.Errorf("without the key that wraps it: %v", err)
	}
}
