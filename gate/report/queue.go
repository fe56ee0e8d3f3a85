package report

import (
	"cmp"
	"slices"
	"sync"

	"github.com/ostiary/ostiary/app/calls"
)

// numbered is a record and its number: one more than that of the record that came before it.
type numbered struct {
	calls.Record
	number int64
}

// queue holds records in the order they came, within bounds. They wait in lanes by what they are worth, so that nobody can push
// the record of what he did out with calls that cost him nothing.
type queue struct {
	mostRecords, mostBytes int

	mu      sync.Mutex
	lanes   [lanes]lane
	next    int64 // number of the next record
	bytes   int   // of what waits and of what is taken
	taken   int   // records under way, which count for the bounds
	dropped int64 // for want of room, and not told the issuer yet
	lost    int64 // ever
	gaps    bool  // some were dropped that others had come before
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

// push adds a record and returns how many wait now. Where there is no room, what is worth least gives way, of that the oldest.
func (q *queue) push(r calls.Record) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		q.lost++
		return 0
	}
	q.lanes[worth(&r)].push(numbered{r, q.next})
	q.next++
	q.bytes += sizeOf(&r)
	for q.length() > 0 && (q.length()+q.taken > q.mostRecords || q.bytes > q.mostBytes) {
		q.drop()
	}
	return q.length()
}

// drop removes the oldest record of the lowest lane that holds any.
func (q *queue) drop() {
	for i := range q.lanes {
		if q.lanes[i].length() == 0 {
			continue
		}
		r := q.lanes[i].shift()
		q.bytes -= sizeOf(&r.Record)
		q.dropped++
		q.lost++
		if oldest := q.oldest(); oldest != nil && oldest.first().number < r.number {
			q.gaps = true
		}
		return
	}
}

func (q *queue) length() (n int) {
	for i := range q.lanes {
		n += q.lanes[i].length()
	}
	return n
}

// oldest is the lane of the record that came first; nil when none waits.
func (q *queue) oldest() (oldest *lane) {
	for i := range q.lanes {
		l := &q.lanes[i]
		if l.length() > 0 && (oldest == nil || l.first().number < oldest.first().number) {
			oldest = l
		}
	}
	return oldest
}

// take removes up to most of the oldest records, half of what there is room for at most, and says how many were dropped that the issuer
// was not told of. The records count for the bounds until done or giveBack: if they took all the room, whatever comes meanwhile would
// have to give way, whatever it is worth.
func (q *queue) take(most int) (list []numbered, dropped int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	most = min(most, max(q.mostRecords/2, 1))
	for len(list) < most && q.length() > 0 {
		list = append(list, q.oldest().shift())
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
	var back [lanes][]numbered
	for i := range list {
		at := worth(&list[i].Record)
		back[at] = append(back[at], list[i])
	}
	for i := range back {
		q.lanes[i].giveBack(back[i])
	}
	q.taken -= len(list)
}

// since returns copies of the records from a number on, the oldest first.
func (q *queue) since(number int64) (list []numbered) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.lanes {
		list = append(list, q.lanes[i].since(number)...)
	}
	slices.SortFunc(list, func(a, b numbered) int { return cmp.Compare(a.number, b.number) })
	return list
}

// state is what a queue holds.
type state struct {
	waiting int   // those under way included
	first   int64 // number of the first that is not under way
	next    int64
	dropped int64
	lost    int64
	gaps    bool
}

func (q *queue) state() state {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := state{waiting: q.length() + q.taken, first: q.next, next: q.next, dropped: q.dropped, lost: q.lost, gaps: q.gaps}
	if oldest := q.oldest(); oldest != nil {
		s.first = oldest.first().number
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
