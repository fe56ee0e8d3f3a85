package storybook

import (
	"slices"

	"github.com/a-h/templ"
)

// Stories returns every story, in the order of the index.
func Stories() []Story {
	return slices.Concat(componentStories(), loginStories(), consentStories(), issuerErrorStories(),
		memberStories(), serversStories(), serverStories(), wordingStories(), activityStories(), stopStories(), callStories())
}

func page(slug, group, name string, c templ.Component) Story {
	return Story{Slug: slug, Group: group, Name: name, Component: c}
}

func part(slug, name string, c templ.Component) Story {
	return Story{Slug: slug, Group: "Components", Name: name, Component: c, Fragment: true}
}

// Words nobody can break, for the narrow states.
const (
	longWord = "Donaudampfschifffahrtsgesellschaftskapitänswitwenrentenauszahlungsstelle"
	longHost = "a-very-long-host-name-that-somebody-really-registered.department.customers.example-platform.example"
	longName = "Northwind Logistics and Warehousing International Holding (Europe) GmbH & Co. KG, Niederlassung Nord"
	arabic   = "شركة البيانات المتقدمة للخدمات اللوجستية"
)
