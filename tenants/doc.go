// Package tenants owns the control plane: tenants, their environments and settings, members and roles, MCP servers
// (resources) with their scopes, tools and wording, and the published policy made of them.
//
// Every service method works on the tenant (and environment) of the context's scope and begins with its authorization:
// members by role, the operator's command line without limit. The few methods the issuer calls on its hot path (Resolve,
// Load, Published) say so; they read what is public or needed to serve, and nothing else.
//
// Edits change a draft. Publish turns the draft into an immutable policy revision. It refuses wording a reader cannot
// trust, scopes outside RFC 6749 §3.3, and identifiers that are not RFC 8707 §2 resource identifiers. Users and
// organizations live in tenants/directory, files that describe a tenant in tenants/apply.
package tenants
