package report

import (
	"context"
	"time"

	"github.com/ostiary/ostiary/app/calls"
)

// waitedFor is how long to pause at most while somebody waits for the records to be taken.
const waitedFor = time.Second

// sending is the state of the goroutine that sends.
type sending struct {
	*Reporter
	under    *delivery    // being sent, or to be sent again
	answers  chan outcome // of the one being sent
	busy     bool
	retry    <-chan time.Time
	failures int
	most     int // records of the next batch
	waiting  []waiter
}

// run sends until the reporter is closed. Only it touches spool and sender.
func (r *Reporter) run() {
	defer close(r.done)
	life, end := context.WithCancel(context.Background())
	s := &sending{Reporter: r, answers: make(chan outcome, 1), most: calls.MaxBatch}
	tick := time.NewTicker(r.o.Every)
	defer tick.Stop()
	for closed := false; !closed; {
		due := true
		select {
		case <-tick.C:
		case <-r.kick:
		case <-s.retry:
			s.retry = nil
		case w := <-r.waiters:
			s.waiting, s.retry = append(s.waiting, w), nil // somebody waits: try at once
		case o := <-s.answers:
			s.busy = false
			s.settle(o)
			due = s.queue.state().waiting >= eager || len(s.waiting) > 0
		case <-r.closing:
			closed, due = true, false
		}
		s.save()
		s.tellWaiters()
		if due && !s.busy && s.retry == nil {
			s.send(life)
		}
	}
	end()
	if s.busy {
		<-s.answers // it ends with life
	}
	s.leave()
}

// save brings what was recorded since to the disk.
func (s *sending) save() {
	if s.spool == nil {
		return
	}
	var err error
	if s.spool.file == nil || s.spool.isFull() {
		err = s.rewriteSpool()
	} else {
		err = s.spool.save(s.held(s.spool.written))
	}
	if err == nil {
		err = s.spool.settle(s.settled(), s.queue.state().dropped)
	}
	if err != nil {
		s.spool.closeFile()
		s.say("calls cannot be spooled; they are held in memory", err)
	}
}

// settled is the number before which records need not be sent any more.
func (s *sending) settled() int64 {
	if s.under != nil && len(s.under.records) > 0 {
		return s.under.records[0].number
	}
	return s.queue.state().first
}

// held returns what is held from a number on, the batch under way included: it may have been taken before it was saved.
func (s *sending) held(from int64) []numbered {
	var list []numbered
	if s.under != nil {
		for _, r := range s.under.records {
			if r.number >= from {
				list = append(list, r)
			}
		}
	}
	return append(list, s.queue.since(from)...)
}

// rewriteSpool writes what is held.
func (s *sending) rewriteSpool() error {
	return s.spool.rewrite(s.held(0), s.settled(), s.queue.state().dropped)
}

// send starts to send what waits. What failed before is sent again as it was.
func (s *sending) send(ctx context.Context) {
	if s.under == nil && !s.load() {
		return
	}
	s.busy = true
	body, sender := s.under.body, s.sender
	go func() { s.answers <- sender.post(ctx, body) }()
}

// load makes the next delivery, if there is anything to say.
func (s *sending) load() bool {
	records, dropped := s.queue.take(s.most)
	if len(records) == 0 && dropped == 0 {
		return false
	}
	body, n, err := encode(records, dropped)
	if err != nil { // only values of ours get here
		s.queue.done(records, 0)
		s.queue.lose(len(records))
		s.say("calls could not be written down", err)
		return false
	}
	if n < len(records) {
		s.queue.giveBack(records[n:])
	}
	s.under = &delivery{records: records[:n], dropped: dropped, body: body}
	return true
}

// settle does what an answer asks for.
func (s *sending) settle(o outcome) {
	d := s.under
	switch {
	case o.err == nil:
		s.queue.done(d.records, d.dropped)
		s.under, s.failures, s.most = nil, 0, calls.MaxBatch
		if len(o.receipt.Refused) > 0 {
			s.queue.lose(len(o.receipt.Refused))
			s.o.Logger.WarnContext(context.Background(), "the issuer does not keep some calls", "calls", len(o.receipt.Refused),
				"field", o.receipt.Refused[0].Field, "problem", o.receipt.Refused[0].Problem)
		}
		return
	case o.tooMuch && len(d.records) > 1:
		s.queue.giveBack(d.records)
		s.under, s.most = nil, max(len(d.records)/2, 1)
		return
	case o.tooMuch:
		s.queue.done(d.records, 0)
		s.queue.lose(len(d.records))
		s.under = nil
		s.say("the issuer takes a call in no form", o.err)
		return
	case o.refused:
		if c, err := s.sender.read(); err == nil {
			s.sender.credential = c
		}
		s.say("the issuer refuses the credential of this MCP server; its calls wait", o.err)
	default:
		s.say("calls cannot be reported; they wait", o.err)
	}
	s.failures++
	wait := max(o.retryAfter, pause(s.o.Backoff, s.failures))
	if len(s.waiting) > 0 {
		wait = min(wait, waitedFor)
	}
	s.retry = time.After(wait)
}

// tellWaiters lets go of those whose records are settled, and of those who left.
func (s *sending) tellWaiters() {
	settled, left := s.settled(), s.waiting[:0]
	told := s.under == nil && s.queue.state().dropped == 0
	for _, w := range s.waiting {
		if told && settled >= w.before {
			close(w.done)
			continue
		}
		if w.gone() {
			continue
		}
		left = append(left, w)
	}
	s.waiting = left
}

// leave puts away what could not be sent.
func (s *sending) leave() {
	if s.under != nil {
		s.queue.giveBack(s.under.records)
		s.under = nil
	}
	if s.spool != nil && s.queue.state().gaps {
		s.spool.closeFile() // it is written anew: what was dropped from the middle must not come back
	}
	s.save()
	left := s.queue.state().waiting
	if s.spool == nil {
		s.queue.lose(left)
	} else {
		s.spool.close()
	}
	if left > 0 {
		s.o.Logger.WarnContext(context.Background(), "calls were not reported before the end", "calls", left, "spooled", s.spool != nil)
	}
}

// say logs a trouble, and again only after a while.
func (s *sending) say(trouble string, err error) {
	now := s.o.Now()
	if last, ok := s.said[trouble]; ok && now.Sub(last) < quietFor && now.After(last) {
		return
	}
	s.said[trouble] = now
	s.o.Logger.ErrorContext(context.Background(), "calls are not reported", "trouble", trouble, "error", err,
		"waiting", s.queue.state().waiting)
}
