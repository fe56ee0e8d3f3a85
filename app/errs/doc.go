// Package errs owns the one error type that services return.
//
// An Error has two faces. Kind, Code, Msg and Fields may be shown to the person at the screen; Err is the cause for the
// operator and is only ever logged. Whatever is not an *Error is Internal. Each outward surface (dashboard HTML, issuer
// HTML, OAuth, management API) has exactly one mapper from Kind to its own answer; none lives here.
package errs
