package report

import (
	"github.com/ostiary/ostiary/app/calls"
	"github.com/ostiary/ostiary/app/policy"
)

// What a record is worth when there is no room for all. What was denied did nothing, and anybody can be denied as often as he
// likes; names that no policy maps can be made up. So neither outlives what somebody was allowed to change.
const (
	worthDenied = iota
	worthRead
	worthWrite
	worthDestructive
	lanes
)

func worth(r *calls.Record) int {
	switch {
	case !r.Allowed:
		return worthDenied
	case r.Risk == "" || r.Risk == policy.RiskRead:
		return worthRead
	case r.Risk == policy.RiskWrite:
		return worthWrite
	default:
		return worthDestructive
	}
}

// lane holds records of one worth in the order they came.
type lane struct {
	items []numbered // from head on
	head  int
}

func (l *lane) push(r numbered) { l.items = append(l.items, r) }

func (l *lane) length() int { return len(l.items) - l.head }

// first is the oldest record. There must be one.
func (l *lane) first() *numbered { return &l.items[l.head] }

// shift removes the oldest record.
func (l *lane) shift() numbered {
	r := l.items[l.head]
	l.items[l.head] = numbered{} // lets go of what it points to
	l.head++
	if l.head > 64 && l.head > len(l.items)/2 {
		n := copy(l.items, l.items[l.head:])
		clear(l.items[n:])
		l.items, l.head = l.items[:n], 0
	}
	return r
}

// giveBack puts records in front.
func (l *lane) giveBack(list []numbered) {
	if len(list) > 0 {
		l.items, l.head = append(list, l.items[l.head:]...), 0
	}
}

// since returns the records from a number on.
func (l *lane) since(number int64) []numbered {
	from := len(l.items)
	for from > l.head && l.items[from-1].number >= number {
		from--
	}
	return l.items[from:]
}
