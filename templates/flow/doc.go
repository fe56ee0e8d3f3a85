// Package flow owns the pages users meet on the way to a grant: sign-in, consent, errors, signed out; and the tenant's
// brand stylesheet (BrandCSS).
//
// The forms are a contract that scripts and screen readers rely on (see Form names in views.go). They are plain HTML and
// work without script. Cancel stands first in the markup, so that a stray Enter cancels. No permission that destroys is
// ever ticked by this package, whatever the view says.
//
// Wording rules: people read "permission", "tool", "MCP server"; never "scope", "resource" or "authorize".
package flow
