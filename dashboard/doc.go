// Package dashboard owns the screens members of a tenant use: sign-in, the list of MCP servers, one server with its tools
// and permissions, the wording of a permission beside a live preview of the consent page, and the log of connection attempts.
//
// One file per screen action; echo ends in those files. Handlers parse a request into values, call a service of tenants and
// fill one view struct of templates/pages. They hold no rule of their own: who may do what is the services' first line.
// What is not there and what is somebody else's look the same. After a successful post comes a 303; invalid input gets the
// same page with 422, its values kept and the message by the field. Cross-origin posts are refused before they arrive here
// (app/routes.go).
package dashboard
