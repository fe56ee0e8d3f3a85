// Package layout owns the shells pages are put into: Dashboard for members, Issuer for the pages users meet, Bare for the
// dashboard's sign-in and for errors before it.
//
// A shell prints the document, its head and its landmarks; it never decides who may see what. It loads one stylesheet and
// one script of ours, plus the tenant's brand stylesheet on issuer pages, and nothing from any other host.
package layout
