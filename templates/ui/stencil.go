package ui

import (
	"context"
	"io"
	"strings"
	"sync/atomic"

	"github.com/a-h/templ"
)

// gap stands where a stencil's id goes. No page prints this character: wherever somebody else's words bring it along, they get
// an id in its place and nothing more.
const gap = "\x00"

// Stencil is a component that is drawn once and printed ever after, with gaps for the id it has on a page. It is for what does
// not change as long as its owner lives, such as the words of one published revision, or of the program. It is safe for
// concurrent use.
type Stencil struct {
	draw  func(id string) templ.Component
	parts atomic.Pointer[[]string]
}

// NewStencil returns a stencil of what draw returns. It is drawn when it is first printed.
func NewStencil(draw func(id string) templ.Component) *Stencil { return &Stencil{draw: draw} }

// At returns the component with this id.
func (s *Stencil) At(id string) templ.Component {
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		parts, err := s.drawn()
		if err != nil {
			return err
		}
		id := templ.EscapeString(id)
		if err := write(w, parts[0]); err != nil {
			return err
		}
		for _, part := range parts[1:] {
			if err := write(w, id, part); err != nil {
				return err
			}
		}
		return nil
	})
}

var allAssets = NewStencil(func(string) templ.Component { return assets() })

// Assets prints the stylesheet, the script and the icon every page loads.
func Assets() templ.Component { return allAssets.At("") }

func (s *Stencil) drawn() ([]string, error) {
	if parts := s.parts.Load(); parts != nil {
		return *parts, nil
	}
	var html strings.Builder
	// Not under the context of who happens to come first: what is kept must not depend on them.
	if err := s.draw(gap).Render(context.Background(), &html); err != nil {
		return nil, err
	}
	parts := strings.Split(html.String(), gap)
	s.parts.Store(&parts)
	return parts, nil
}
