package errs

import (
	"errors"
	"fmt"
)

// Kind classifies an error by who can act on it. The zero value is Internal, so an error nobody classified never leaks.
type Kind uint8

const (
	// Internal is our own failure; nothing about it is shown.
	Internal Kind = iota
	// Invalid means the input cannot be accepted as it is; Fields says where.
	Invalid
	// NotFound means absent, or not the caller's: the two look the same to strangers.
	NotFound
	// Conflict means the state changed under the caller or the name is taken.
	Conflict
	// Unauthenticated means the caller has not proved who they are.
	Unauthenticated
	// Forbidden means the caller is known and may not do this.
	Forbidden
	// RateLimited means try again later.
	RateLimited
	// Unavailable means something we depend on (usually Postgres) does not answer.
	Unavailable
)

var kindNames = [...]string{"internal", "invalid", "not_found", "conflict", "unauthenticated", "forbidden", "rate_limited", "unavailable"}

// String returns the kind's stable lower-case name, as used in logs.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "internal"
}

// Error is the error services return.
type Error struct {
	Kind   Kind
	Code   string            // stable machine word, e.g. "wording_title_too_long"; may be empty
	Msg    string            // one plain sentence for the person at the screen
	Fields map[string]string // form field name -> message, for Invalid
	Err    error             // cause, for the operator only
}

// Error returns the operator's view: kind, message and cause.
func (e *Error) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("%s: %s", e.Kind, e.Msg)
	}
	return fmt.Sprintf("%s: %s: %v", e.Kind, e.Msg, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// New returns an error of kind k with a message that may be shown.
func New(k Kind, msg string) *Error { return &Error{Kind: k, Msg: msg} }

// Wrap returns an error of kind k with a message that may be shown and a cause that may not.
func Wrap(k Kind, msg string, cause error) *Error { return &Error{Kind: k, Msg: msg, Err: cause} }

// InvalidFields returns an Invalid error that carries one message per form field.
func InvalidFields(fields map[string]string) *Error {
	return &Error{Kind: Invalid, Msg: "Some fields need attention.", Fields: fields}
}

// KindOf returns the kind of the outermost *Error in err's chain, Internal when there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// Is reports whether err's kind is k. A nil error has no kind.
func Is(err error, k Kind) bool { return err != nil && KindOf(err) == k }
