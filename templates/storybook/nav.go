package storybook

import (
	"strings"

	"github.com/ostiary/ostiary/templates/layout"
	"github.com/ostiary/ostiary/templates/ui"
)

// groups returns the groups in the order their first story stands in.
func groups(stories []Story) []string {
	var out []string
	seen := make(map[string]bool)
	for _, s := range stories {
		if !seen[s.Group] {
			seen[s.Group] = true
			out = append(out, s.Group)
		}
	}
	return out
}

func groupNav(stories []Story) []layout.NavItem {
	var out []layout.NavItem
	for _, g := range groups(stories) {
		out = append(out, layout.NavItem{Label: g, URL: Prefix + "#" + slugOf(g), Icon: ui.IconRight})
	}
	return out
}

func crumbs(s Story) []ui.Link {
	return []ui.Link{{Label: "Storybook", URL: Prefix}, {Label: s.Name}}
}

func slugOf(group string) string { return strings.ReplaceAll(strings.ToLower(group), " ", "-") }
