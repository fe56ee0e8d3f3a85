package ui

import (
	"context"
	"io"
)

// Icon draws an icon, by its name, beside words that say the same.
type Icon string

// Render prints the icon.
func (i Icon) Render(_ context.Context, w io.Writer) error {
	return write(w, `<svg class="i" viewBox="0 0 16 16" aria-hidden="true">`, shape(string(i)), `</svg>`)
}

// Mark draws the shape of a risk. The word stands beside it.
type Mark Risk

// Render prints the mark.
func (m Mark) Render(ctx context.Context, w io.Writer) error {
	return tile(ctx, w, Risk(m).class(), Risk(m).icon())
}

// SmallMark is Mark in a line of text.
type SmallMark Risk

// Render prints the mark.
func (m SmallMark) Render(ctx context.Context, w io.Writer) error {
	return tile(ctx, w, Risk(m).class()+" mark--sm", Risk(m).icon())
}

// PlainMark draws an icon, by its name, on a neutral tile. It never says anything about risk.
type PlainMark string

// Render prints the mark.
func (m PlainMark) Render(ctx context.Context, w io.Writer) error {
	return tile(ctx, w, "mark mark--plain", string(m))
}

// tile prints an icon in a box. The class is one of ours.
func tile(ctx context.Context, w io.Writer, class, icon string) error {
	if err := write(w, `<span class="`, class, `">`); err != nil {
		return err
	}
	if err := Icon(icon).Render(ctx, w); err != nil {
		return err
	}
	return write(w, `</span>`)
}

func write(w io.Writer, parts ...string) error {
	for _, part := range parts {
		if _, err := io.WriteString(w, part); err != nil {
			return err
		}
	}
	return nil
}
