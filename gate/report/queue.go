package report

import (
	"sync"

	"github.com/ostiary/ostiary/app/calls"
)

// numbered is a record and its number: one more than that of the record that came before it.
type numbered struct {
	calls.Record
	number int64
}

// queue holds records in the order they came, within bounds.
type queue struct {
	mostRecords, mostBytes int

	mu      sync.Mutex
	items   []numbered // from head on
	head    int
	next    int64 // number of the next record
	bytes   int   // of items and of what is taken
	taken   int   // records under way, which count for the bounds
	dropped int64 // for want of room, and not told the issuer yet
	lost    int64 // ever
	closed  bool
}

// sizeOf estimates what a record takes, in memory as on disk.
func sizeOf(r *calls.Record) int {
	size := 512 + len(r.Tool) + len(r.User) + len(r.Client)
	for _, list := range [...][]string{r.Scopes, r.Missing} {
		for _, s := range list {
			size += 16 + len(s)
		}
	}
	for name, value := range r.Arguments {
		size += 64 + len(name) + len(value)
	}
	return size
}

// push adds a record and returns how many wait now. Where there is no room the oldest give way.
func (q *queue) push(r calls.Record) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		q.lost++
		return 0
	}
	q.items = append(q.items, numbered{r, q.next})
	q.next++
	q.bytes += sizeOf(&r)
	for q.length() > 0 && (q.length()+q.taken > q.mostRecords || q.bytes > q.mostBytes) {
		r := q.shift()
		q.bytes -= sizeOf(&r.Record)
		q.dropped++
		q.lost++
	}
	return q.length()
}

func (q *queue) length() int { return len(q.items) - q.head }

// shift removes the oldest record.
func (q *queue) shift() numbered {
	r := q.items[q.head]
	q.items[q.head] = numbered{} // lets go of what it points to
	q.head++
	if q.head > 64 && q.head > len(q.items)/2 {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	return r
}

// take removes up to most of the oldest records and says how many were dropped that the issuer was not told of. The records
// count for the bounds until done or giveBack.
func (q *queue) take(most int) (list []numbered, dropped int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(list) < most && q.length() > 0 {
		list = append(list, q.shift())
	}
	q.taken = len(list)
	return list, q.dropped
}

// done forgets the records that are taken: they are kept, or never will be. told is what the issuer now knows was dropped.
func (q *queue) done(list []numbered, told int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range list {
		q.bytes -= sizeOf(&list[i].Record)
	}
	q.taken = 0
	q.dropped -= told
}

// giveBack puts the last records that were taken back in front.
func (q *queue) giveBack(list []numbered) {
	q.mu.Lock()
	defer q.mu.Unlock()
	rest := q.items[q.head:]
	q.items, q.head = append(append(make([]numbered, 0, len(list)+len(rest)), list...), rest...), 0
	q.taken -= len(list)
}

// since returns copies of the records from a number on, the oldest first.
func (q *queue) since(number int64) []numbered {
	q.mu.Lock()
	defer q.mu.Unlock()
	from := len(q.items)
	for from > q.head && q.items[from-1].number >= number {
		from--
	}
	return append([]numbered(nil), q.items[from:]...)
}

// state is what a queue holds.
type state struct {
	waiting int   // those under way included
	first   int64 // number of the first that is not under way
	next    int64
	dropped int64
	lost    int64
}

func (q *queue) state() state {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := state{waiting: q.length() + q.taken, first: q.next, next: q.next, dropped: q.dropped, lost: q.lost}
	if q.length() > 0 {
		s.first = q.items[q.head].number
	}
	return s
}

// lose counts records that will never be kept.
func (q *queue) lose(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lost += int64(n)
}

// close refuses what comes from now on.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}
