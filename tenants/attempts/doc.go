// Package attempts owns how often somebody may try to sign in: so many attempts per window for one e-mail address from one
// network address (tight), for one network address (medium) and for one e-mail address from everywhere (loose, so that a
// stranger cannot lock a person out for long).
//
// Counting comes before checking a password and is conditional: of a hundred parallel attempts only as many as the limit
// pass. An attempt that one limit refuses counts for none, a successful sign-in gives its own attempts back.
// Counter keeps counts in Postgres, per tenant; Memory keeps them in the process, for sign-ins whose tenant is unknown.
//
// Guard stands before a Counter, so that the many who mistype nothing write nothing: while all limits of an attempt are far
// from reached, only its failure is counted, afterwards; what is under way on this node counts meanwhile. From a quarter of a
// limit on it counts first, as ever. So no stream of attempts passes a limit by more than a quarter for each node, and that
// much only in the moment it takes to check a password, once a window.
package attempts
