package pages

import (
	"github.com/a-h/templ"

	"github.com/ostiary/ostiary/templates/ui"
)

func (v MemberSignInView) documentTitle() string {
	if v.Error != nil || v.EmailError != "" || v.PasswordError != "" {
		return "Error: Sign in"
	}
	return "Sign in"
}

func (v MemberSignInView) emailField() ui.Field {
	return ui.Field{
		Name: "email", Label: "E-mail", Type: "email", Value: v.Email, Error: v.EmailError,
		Autocomplete: "username", InputMode: "email", Off: true, Required: true, Autofocus: v.Email == "",
	}
}

func (v MemberSignInView) passwordField() ui.Field {
	return ui.Field{
		Name: "password", Label: "Password", Type: "password", Error: v.PasswordError,
		Autocomplete: "current-password", Required: true, Autofocus: v.Email != "",
	}
}

func (v ServersView) hasHealth() bool {
	return v.any(func(r ServerRow) bool { return r.Health.Text != "" || len(r.Badges) > 0 })
}

func (v ServersView) hasTools() bool { return v.any(func(r ServerRow) bool { return r.Tools != "" }) }

func (v ServersView) hasPermissions() bool {
	return v.any(func(r ServerRow) bool { return r.Permissions != "" })
}

func (v ServersView) hasUsers() bool { return v.any(func(r ServerRow) bool { return r.Users != "" }) }

func (v ServersView) hasLastUse() bool {
	return v.any(func(r ServerRow) bool { return r.LastUse != "" })
}

func (v ServersView) any(has func(ServerRow) bool) bool {
	for _, r := range v.Rows {
		if has(r) {
			return true
		}
	}
	return false
}

func (s ServersStart) urlField() ui.Field {
	f := ui.Field{
		Name: "url", Type: "url", Value: s.Value, Error: s.Error, Hint: s.AddHint, Mono: true, Required: true,
		Off: true, Placeholder: "https://mcp.example.com/mcp", Autocomplete: "off",
	}
	return f
}

func (v OverviewView) connectTitle() string {
	if v.ConnectTitle != "" {
		return v.ConnectTitle
	}
	return "Connect a host"
}

// liveAttrs make htmx post the form to the preview endpoint while somebody types, and put the answer into the preview. A
// newer keystroke replaces a request that is still under way. Saving stays an ordinary form post.
func (v WordingView) liveAttrs() templ.OrderedAttributes {
	if ui.AssetURL(v.PreviewURL) == "" {
		return nil
	}
	return templ.OrderedAttributes{
		{Key: "hx-post", Value: v.PreviewURL},
		{Key: "hx-trigger", Value: "input delay:120ms"},
		{Key: "hx-target", Value: "#preview"},
		{Key: "hx-swap", Value: "innerHTML"},
		{Key: "hx-sync", Value: "this:replace"},
	}
}

// heading is the title as it was last saved; the field may say something else by now.
func (v WordingView) heading() string {
	for _, p := range v.Permissions {
		if p.Current {
			return p.Title
		}
	}
	return v.Title.Value
}
