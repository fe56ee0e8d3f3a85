package ui

// Icon names. Icons are drawn on a 16 px grid with one stroke; they stand beside words, never in place of them, save in
// buttons that carry an aria-label.
const (
	IconArch    = "arch" // Ostiary itself
	IconArrow   = "arrow"
	IconBack    = "back"
	IconBin     = "bin"
	IconBrush   = "brush"
	IconCheck   = "check"
	IconClient  = "client"
	IconClock   = "clock"
	IconCopy    = "copy"
	IconDash    = "dash"
	IconDown    = "down"
	IconEye     = "eye"
	IconGear    = "gear"
	IconInfo    = "info"
	IconLaptop  = "laptop"
	IconLock    = "lock"
	IconMenu    = "menu"
	IconOut     = "out"
	IconPen     = "pen"
	IconPerson  = "person"
	IconPlug    = "plug"
	IconPlus    = "plus"
	IconPulse   = "pulse"
	IconRefresh = "refresh"
	IconRight   = "right"
	IconSeal    = "seal"
	IconSearch  = "search"
	IconServer  = "server"
	IconStop    = "stop"
	IconTool    = "tool"
	IconUnseal  = "unseal"
	IconUsers   = "users"
	IconWarn    = "warn"
	IconX       = "x"
)

// shape returns the inside of an icon's svg element. The strings are ours, so printing them raw is safe; an unknown name
// draws the info sign rather than nothing.
func shape(name string) string {
	switch name {
	case IconArch:
		return `<path d="M3 14V7.5a5 5 0 0 1 10 0V14M1.5 14h13M6 14V8.2a2 2 0 0 1 4 0V14"/>`
	case IconArrow:
		return `<path d="M2.5 8h11M9.5 4l4 4-4 4"/>`
	case IconBack:
		return `<path d="M13.5 8h-11M6.5 4l-4 4 4 4"/>`
	case IconBin:
		return `<path d="M2.5 4.2h11M6 4V2.5h4V4M4 4.2l.6 9.3h6.8l.6-9.3M6.7 7v4M9.3 7v4"/>`
	case IconBrush:
		return `<path d="M13.5 2.5 7.4 8.6M6.2 8.6a2.3 2.3 0 0 1 1.3 3.9c-1 1-3.2 1.2-5 1 .9-.8.7-1.8.9-2.9a2.3 2.3 0 0 1 2.8-2z"/>`
	case IconCheck:
		return `<path d="m3 8.5 3.3 3.3L13 4.8"/>`
	case IconClient:
		return `<rect x="2" y="3" width="12" height="10" rx="1.6"/><path d="M2 6h12M4.2 4.5h.01"/>`
	case IconClock:
		return `<circle cx="8" cy="8" r="6"/><path d="M8 4.8V8l2.2 1.6"/>`
	case IconCopy:
		return `<rect x="5.5" y="5.5" width="8" height="8" rx="1.5"/><path d="M10.5 5.5V4A1.5 1.5 0 0 0 9 2.5H4A1.5 1.5 0 0 0 2.5 4v5A1.5 1.5 0 0 0 4 10.5h1.5"/>`
	case IconDash:
		return `<path d="M4 8h8"/>`
	case IconDown:
		return `<path d="m4 6 4 4 4-4"/>`
	case IconEye:
		return `<path d="M1.5 8S3.8 3.8 8 3.8 14.5 8 14.5 8 12.2 12.2 8 12.2 1.5 8 1.5 8z"/><circle cx="8" cy="8" r="1.9"/>`
	case IconGear:
		return `<path d="M2 4.5h6M11.5 4.5H14M2 11.5h2.5M8 11.5h6"/><circle cx="9.75" cy="4.5" r="1.75"/><circle cx="6.25" cy="11.5" r="1.75"/>`
	}
	return moreShapes(name)
}

func moreShapes(name string) string {
	switch name {
	case IconLaptop:
		return `<rect x="3" y="3" width="10" height="7.5" rx="1.2"/><path d="M1.5 13h13"/>`
	case IconLock:
		return `<rect x="3" y="7" width="10" height="6.5" rx="1.4"/><path d="M5.2 7V5a2.8 2.8 0 0 1 5.6 0v2"/>`
	case IconMenu:
		return `<path d="M2.5 4.5h11M2.5 8h11M2.5 11.5h11"/>`
	case IconOut:
		return `<path d="M9.5 3V2.5h-7v11h7V13M6.5 8h7.5M11.5 5.5 14 8l-2.5 2.5"/>`
	case IconPen:
		return `<path d="m10.7 2.7 2.6 2.6-7.6 7.6-3.2.6.6-3.2z"/>`
	case IconPerson:
		return `<circle cx="8" cy="5.3" r="2.8"/><path d="M2.8 13.8a5.2 5.2 0 0 1 10.4 0"/>`
	case IconPlug:
		return `<path d="M5.5 1.8v3M10.5 1.8v3M3.5 4.8h9v2.4a4.5 4.5 0 0 1-9 0zM8 11.7v2.5"/>`
	case IconPlus:
		return `<path d="M8 3v10M3 8h10"/>`
	case IconPulse:
		return `<path d="M1.5 8h3l2-5 3 10 2-5h3"/>`
	}
	return otherShapes(name)
}

func otherShapes(name string) string {
	const shield = "M8 1.5 13.5 3.5v4c0 3.4-2.3 5.8-5.5 7-3.2-1.2-5.5-3.6-5.5-7v-4z"
	switch name {
	case IconRefresh:
		return `<path d="M13.5 8a5.5 5.5 0 1 1-1.7-4M12 1.8V4.2H9.6"/>`
	case IconRight:
		return `<path d="m6 4 4 4-4 4"/>`
	case IconSeal:
		return `<path d="` + shield + `"/><path d="m5.6 7.9 1.8 1.8 3.1-3.4"/>`
	case IconSearch:
		return `<circle cx="7" cy="7" r="4.5"/><path d="m10.4 10.4 3.4 3.4"/>`
	case IconServer:
		return `<rect x="2" y="2.5" width="12" height="4.5" rx="1.2"/><rect x="2" y="9" width="12" height="4.5" rx="1.2"/><path d="M4.8 4.75h.01M4.8 11.25h.01"/>`
	case IconStop:
		return `<circle cx="8" cy="8" r="6"/><path d="M5 8h6"/>`
	case IconTool:
		return `<path d="M9.8 6.2a3.2 3.2 0 0 1 4-4l-2 2 .6 1.4 1.4.6 2-2" transform="translate(-1.2 .6)"/><path d="m9 7.4-6 6"/>`
	case IconUnseal:
		return `<path d="` + shield + `" stroke-dasharray="2.4 2.4"/><path d="M8 5.2v3M8 10.3h.01"/>`
	case IconUsers:
		return `<circle cx="6" cy="5.5" r="2.5"/><path d="M1.8 13.2a4.2 4.2 0 0 1 8.4 0M10.6 3.3a2.5 2.5 0 0 1 0 4.4M12 9.6a4.2 4.2 0 0 1 2.2 3.6"/>`
	case IconWarn:
		return `<path d="M8 2.2 14.4 13.5H1.6zM8 6.5v3M8 11.5h.01"/>`
	case IconX:
		return `<path d="m4 4 8 8M12 4l-8 8"/>`
	default:
		return `<circle cx="8" cy="8" r="6"/><path d="M8 7.5v3.2M8 5.2h.01"/>` // IconInfo
	}
}
