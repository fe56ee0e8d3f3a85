package ui

import (
	"context"
	"io"
	"strconv"
	"unicode/utf8"
)

// Views are components: a template prints one with @view. The zero value of Action, Badge, Health and Link prints nothing.

// Render prints the link, or plain words when it may not lead where it points.
func (l Link) Render(ctx context.Context, w io.Writer) error { return link(l).Render(ctx, w) }

// Render prints the badge.
func (b Badge) Render(ctx context.Context, w io.Writer) error { return badge(b).Render(ctx, w) }

// Render prints the mark and the words.
func (h Health) Render(ctx context.Context, w io.Writer) error { return health(h).Render(ctx, w) }

// Render prints the callout.
func (n Notice) Render(ctx context.Context, w io.Writer) error { return notice(n).Render(ctx, w) }

// Render prints label, input, hint, counter and message.
func (f Field) Render(ctx context.Context, w io.Writer) error { return field(f).Render(ctx, w) }

// Render prints the box and its words as one target.
func (c Choice) Render(ctx context.Context, w io.Writer) error { return choice(c).Render(ctx, w) }

// Render prints the snippet with a copy button.
func (s Snippet) Render(ctx context.Context, w io.Writer) error { return snippet(s).Render(ctx, w) }

// Render prints the empty state.
func (e Empty) Render(ctx context.Context, w io.Writer) error { return empty(e).Render(ctx, w) }

// Render prints the search form.
func (s Search) Render(ctx context.Context, w io.Writer) error { return search(s).Render(ctx, w) }

// Render prints the foot of a list: its summary, and the neighbour pages when there are any.
func (p Pager) Render(ctx context.Context, w io.Writer) error { return pager(p).Render(ctx, w) }

// Render prints the table.
func (m Matrix) Render(ctx context.Context, w io.Writer) error { return matrix(m).Render(ctx, w) }

// Classes of a button, for Button.
const (
	Plain        = "btn"
	Primary      = "btn btn--primary"
	Small        = "btn btn--sm"
	Large        = "btn btn--lg"
	LargePrimary = "btn btn--lg btn--primary"
)

func (a Action) class(class string) string {
	if a.Danger {
		return class + " btn--danger"
	}
	return class
}

func (t Tone) icon() string {
	switch t {
	case ToneSuccess:
		return IconCheck
	case ToneWarn, ToneDanger:
		return IconWarn
	default:
		return IconInfo
	}
}

func (t Tone) suffix(base string) string {
	switch t {
	case ToneSuccess, ToneWarn, ToneDanger, ToneAccent:
		return base + " " + base + "--" + string(t)
	default:
		return base
	}
}

func (h Health) class() string {
	switch h.Tone {
	case ToneSuccess:
		return "health"
	case ToneWarn:
		return "health health--warn"
	case ToneDanger:
		return "health health--down"
	default:
		return "health health--idle"
	}
}

func (r Risk) icon() string {
	switch r {
	case RiskRead:
		return IconEye
	case RiskWrite:
		return IconPen
	case RiskDestructive:
		return IconBin
	default:
		return IconInfo
	}
}

func (r Risk) class() string {
	switch r {
	case RiskRead, RiskWrite, RiskDestructive:
		return "mark mark--" + string(r)
	default:
		return "mark mark--plain"
	}
}

// Word returns what people read for the risk, for screen readers beside a mark without words.
func (r Risk) Word() string {
	switch r {
	case RiskRead:
		return "See"
	case RiskWrite:
		return "Change"
	case RiskDestructive:
		return "Delete"
	default:
		return ""
	}
}

func (f Field) id() string {
	if f.ID != "" {
		return f.ID
	}
	return f.Name
}

func (f Field) inputType() string {
	switch f.Type {
	case "email", "password", "url", "search", "number", "tel":
		return f.Type
	default:
		return "text"
	}
}

// value never prints a password back.
func (f Field) value() string {
	if f.inputType() == "password" {
		return ""
	}
	return f.Value
}

func (f Field) describedBy() string {
	out := ""
	if f.Error != "" {
		out = f.id() + "-error"
	}
	if f.Hint != "" {
		if out != "" {
			out += " "
		}
		out += f.id() + "-hint"
	}
	return out
}

func (f Field) count() string {
	return strconv.Itoa(utf8.RuneCountInString(f.Value)) + " of " + strconv.Itoa(f.Max)
}

func (f Field) over() bool { return utf8.RuneCountInString(f.Value) > f.Max }

func (f Field) class(base string) string {
	if f.Mono {
		return base + " mono"
	}
	return base
}

// wide tells whether the matrix has more permissions than fit beside the tools; it then scrolls inside its own box.
func (m Matrix) wide() bool { return len(m.Columns) > 5 }

func (m Matrix) class() string {
	out := "table matrix"
	if m.ReadOnly {
		out += " matrix--fixed"
	}
	if m.wide() {
		out += " matrix--wide"
	}
	return out
}

func (r MatrixRow) class() string {
	switch {
	case r.Unmapped:
		return "unmapped"
	case r.Changed:
		return "changed"
	default:
		return ""
	}
}

// cell returns the cell under column i; a row that is short has empty cells.
func (r MatrixRow) cell(i int) MatrixCell {
	if i < len(r.Cells) {
		return r.Cells[i]
	}
	return MatrixCell{}
}

func (c MatrixCell) class() string {
	if c.On {
		return "on"
	}
	return ""
}
