// Package audit owns audit_events: who changed what, recorded in the transaction of the change, so that neither exists
// without the other.
//
// It refuses to rewrite or delete (the database role may not either) and refuses details that look like secrets. Events
// are data for the tenant; logs are for the operator.
package audit
