package oauth

import "github.com/ostiary/ostiary/tenants"

var (
	errTarget      = badRequest(codeInvalidTarget, "The resource is not an MCP server of this issuer.")
	errOtherTarget = badRequest(codeInvalidTarget, "The resource differs from what was authorized.")
	errTwoTargets  = badRequest(codeInvalidTarget, "Ask for one resource at a time.")
	errNoTarget    = badRequest(codeInvalidTarget, "Name the MCP server in the resource parameter: this issuer has more than one.")
)

// target returns the id of the resource that the values of a resource parameter name (RFC 8707 §2), empty when there is no
// value. The same value twice counts once: some hosts send it so. Errors: invalid_target.
func (i *Issuer) target(values []string) (string, error) {
	id := ""
	for _, raw := range values {
		if raw == "" {
			continue
		}
		identifier, err := tenants.CanonicalIdentifier(raw)
		if err != nil {
			return "", errTarget
		}
		r, ok := i.resource(identifier)
		if !ok {
			return "", errTarget
		}
		if id != "" && id != r.ID() {
			return "", errTwoTargets
		}
		id = r.ID()
	}
	return id, nil
}

// authorizeTarget is target for an authorization request, where a missing value means the issuer's only MCP server.
func (i *Issuer) authorizeTarget(values []string) (*Resource, error) {
	id, err := i.target(values)
	if err != nil {
		return nil, err
	}
	if id == "" {
		switch len(i.Resources) {
		case 0:
			return nil, errTarget
		case 1:
			return i.Resources[0], nil
		}
		return nil, errNoTarget
	}
	r, _ := i.resourceByID(id)
	return r, nil
}
