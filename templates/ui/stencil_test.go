package ui_test

import (
	"context"
	"strings"
	"testing"

	"github.com/a-h/templ"

	"github.com/ostiary/ostiary/templates/htmltest"
	"github.com/ostiary/ostiary/templates/ui"
)

func TestStencil_DrawsOnceAndPutsEachIDInPlace(t *testing.T) {
	t.Parallel()
	drawn := 0
	s := ui.NewStencil(func(id string) templ.Component {
		drawn++
		return ui.Choose(id, "lasts", []ui.Option{{Value: id + "-a", Label: "A & B"}})
	})
	ended, end := context.WithCancel(t.Context())
	end()
	if err := s.At("first").Render(ended, &strings.Builder{}); err != nil {
		t.Errorf("what is kept depends on who came first: %v", err)
	}
	for _, id := range []string{"first", "second", `"><script>`} {
		want := htmltest.Render(t, ui.Choose(id, "lasts", []ui.Option{{Value: id + "-a", Label: "A & B"}}))
		if got := htmltest.Render(t, s.At(id)); got != want {
			t.Errorf("at %q:\n%s\nwant\n%s", id, got, want)
		}
	}
	if drawn != 1 {
		t.Errorf("drawn %d times", drawn)
	}
}

// Words that hold the character of the gaps get an escaped id there, never markup.
func TestStencil_WordsWithAGapStayWords(t *testing.T) {
	t.Parallel()
	s := ui.NewStencil(func(string) templ.Component { return ui.Badge{Text: "a\x00b"} })
	if got := htmltest.Render(t, s.At("<i>")); strings.Contains(got, "<i>") || !strings.Contains(got, "a&lt;i&gt;b") {
		t.Errorf("printed %s", got)
	}
}
