// Package attempts owns how often somebody may try to sign in: so many attempts per window for one e-mail address from one
// network address (tight), for one network address (medium) and for one e-mail address from everywhere (loose, so that a
// stranger cannot lock a person out for long).
//
// Counting comes before checking a password and is conditional: of a hundred parallel attempts only as many as the limit
// pass. An attempt that one limit refuses counts for none, a successful sign-in gives its own attempts back.
// Counter keeps counts in Postgres, per tenant; Memory keeps them in the process, for sign-ins whose tenant is unknown.
package attempts
