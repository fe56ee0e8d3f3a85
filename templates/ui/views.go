package ui

// Risk says how much a permission can do. It picks the mark: circle and eye, square and pencil, octagon and bin.
type Risk string

// The risks a permission can have. Anything else is drawn with a plain mark.
const (
	RiskRead        Risk = "read"
	RiskWrite       Risk = "write"
	RiskDestructive Risk = "destructive"
)

// Tone colours a badge, a callout or a flash message. Every tone comes with a shape or a word as well.
type Tone string

// The tones. The zero value is neutral.
const (
	ToneNeutral Tone = ""
	ToneSuccess Tone = "success"
	ToneWarn    Tone = "warn"
	ToneDanger  Tone = "danger"
	ToneAccent  Tone = "accent"
)

// Link is a label and where it leads. A link without a URL, or with one Href refuses, is printed as plain words.
type Link struct {
	Label string
	URL   string
}

// Action is a button. With Post it is a form of its own that posts to URL; without, it is a link.
// URL must be a path on this host when Post is set.
type Action struct {
	Label  string
	URL    string
	Post   bool
	Hidden []Hidden // sent along when Post is set, such as the interaction
	Danger bool
	Icon   string // an icon name, see icons.go; "" for none
}

// Hidden is one hidden form field.
type Hidden struct {
	Name  string
	Value string
}

// Notice is a callout: one bold sentence (What), one plain one that says who can fix it or what happens (Then), and at
// most one button.
type Notice struct {
	Tone   Tone
	What   string
	Then   string
	Action Action // left out when its Label is empty
}

// Badge is one or two words in a box.
type Badge struct {
	Tone Tone
	Text string
}

// Health is the state of something that answers or does not. Tone picks the shape: success a dot, warn a triangle, danger
// a square, neutral a ring.
type Health struct {
	Tone Tone
	Text string
}

// Fact is one row of a description list.
type Fact struct {
	Label string
	Value string
	Mono  bool // for what a machine reads
	Copy  bool // adds a copy button; implies Mono
	URL   string
}

// Fix is one thing somebody can do about an error: Title says who, Text says how.
type Fix struct {
	Icon  string // an icon name; "" draws the retry arrow
	Title string
	Text  string
}

// Field is a text input or, with Rows above one, a text area.
type Field struct {
	Name         string
	ID           string // defaults to Name
	Label        string
	Value        string
	Type         string // defaults to text; the value of a password field is never printed
	Hint         string
	Error        string
	Autocomplete string
	InputMode    string
	Placeholder  string
	Rows         int
	Max          int // characters; prints a counter when above zero
	Mono         bool
	Required     bool
	Autofocus    bool
	Off          bool // switches spelling help and capitals off, for e-mail addresses and ids
}

// Choice is one box, radio button or switch with its words.
type Choice struct {
	Kind    ChoiceKind
	Name    string
	Value   string
	Label   string
	Checked bool
}

// ChoiceKind says how a choice looks and what it excludes.
type ChoiceKind string

// The kinds of choice. The zero value is a box.
const (
	ChoiceBox    ChoiceKind = ""
	ChoiceRadio  ChoiceKind = "radio"
	ChoiceSwitch ChoiceKind = "switch" // acts as soon as it is saved: something is on or off
)

// Option is one choice of a select.
type Option struct {
	Value    string
	Label    string
	Selected bool
}

// Snippet is something to paste: a command or a few lines of configuration.
type Snippet struct {
	Title string
	Hint  string
	Code  string
}

// Empty is what a list says when it has nothing to show: what this is, and what to do next.
type Empty struct {
	Icon    string
	Title   string
	Text    string
	Command string // printed with a copy button
	Action  Action
}

// Search is the search box above a list. It is a GET form, so that the result has a stable URL.
type Search struct {
	URL         string
	Value       string
	Label       string // for screen readers, such as "Find a tool"
	Placeholder string
}

// Pager links to the neighbour pages of a list. An empty URL is a disabled button.
type Pager struct {
	Summary string // "5 servers", "21 to 40 of 133 tools"
	Prev    string
	Next    string
}

// Tab is one tab of a page. Tabs are links, each with its own URL.
type Tab struct {
	Label   string
	URL     string
	Count   string
	Current bool
}

// Matrix is the table of tools and the permissions each of them needs.
type Matrix struct {
	Columns  []MatrixColumn
	Rows     []MatrixRow
	ReadOnly bool // prints marks in place of boxes
}

// MatrixColumn is one permission. URL, when set, leads to its wording.
type MatrixColumn struct {
	Title string
	Scope string
	Risk  Risk
	URL   string
}

// MatrixRow is one tool. Cells stand in the order of the columns.
type MatrixRow struct {
	Tool     string
	Text     string
	Badges   []Badge
	Cells    []MatrixCell
	Unmapped bool // no permission: every call is refused
	Changed  bool // differs from what is published
}

// MatrixCell says whether the tool needs the permission, and whether it did in the published revision (Was is only printed
// where the two differ).
type MatrixCell struct {
	On  bool
	Was bool
}
