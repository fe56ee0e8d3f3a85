package ui

import "github.com/a-h/templ"

// Current marks where the reader is.
func Current(is bool, as string) templ.Attributes {
	if !is {
		return nil
	}
	return templ.Attributes{"aria-current": as}
}

// attrs are the attributes an input and a text area share; empty ones are left out.
func (f Field) attrs() templ.OrderedAttributes {
	out := templ.OrderedAttributes{{Key: "id", Value: f.id()}, {Key: "name", Value: f.Name}}
	add := func(key, value string) {
		if value != "" {
			out = append(out, templ.KeyValue[string, any]{Key: key, Value: value})
		}
	}
	add("autocomplete", f.Autocomplete)
	add("inputmode", f.InputMode)
	add("placeholder", f.Placeholder)
	add("aria-describedby", f.describedBy())
	if f.Error != "" {
		add("aria-invalid", "true")
	}
	if f.Off {
		add("autocapitalize", "none")
		add("spellcheck", "false")
	}
	if f.Required {
		out = append(out, templ.KeyValue[string, any]{Key: "required", Value: true})
	}
	if f.Autofocus {
		// Not the autofocus attribute: on a phone it would open the keyboard over the page. app.js decides.
		out = append(out, templ.KeyValue[string, any]{Key: "data-autofocus", Value: true})
	}
	return out
}
