package gate

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/ostiary/ostiary/app/policy"
)

// maxOpen bounds the requests under way. Beyond it new ones are turned away, before memory is what runs out.
const maxOpen = 1 << 16

// streams are the requests under way, so that those of whoever is refused meanwhile can be ended.
type streams struct {
	mu   sync.Mutex
	open map[*stream]struct{}
	most int
}

// stream is one request under way.
type stream struct {
	identity *Identity
	cancel   context.CancelCauseFunc
	control  *http.ResponseController

	mu    sync.Mutex
	end   policy.Reason // why it was ended; "" while it may go on
	begun bool          // the answer has begun: all that can be done is to break it off
	over  bool          // the answer is complete: its connection belongs to the next one
}

// endedError is why a request under way was ended.
type endedError policy.Reason

func (e endedError) Error() string { return "the request was ended: " + string(e) }

func newStreams() *streams { return &streams{open: map[*stream]struct{}{}, most: maxOpen} }

// add notes a request. It reports false when there are too many.
func (s *streams) add(st *stream) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.open) >= s.most {
		return false
	}
	s.open[st] = struct{}{}
	return true
}

func (s *streams) remove(st *stream) {
	st.mu.Lock()
	st.over = true
	st.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, st)
}

func (s *streams) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// endRefused ends the requests of everyone refuses has a reason for, and says how many.
func (s *streams) endRefused(refuses func(*Identity) policy.Reason) int {
	s.mu.Lock()
	var ended []*stream
	var reasons []policy.Reason
	for st := range s.open {
		if reason := refuses(st.identity); reason != "" {
			ended, reasons = append(ended, st), append(reasons, reason)
		}
	}
	s.mu.Unlock()
	for i, st := range ended {
		st.stop(reasons[i])
	}
	return len(ended)
}

// stop ends a request: its context, and a write that waits for a client who does not read. Where no answer has begun,
// there is still one to give.
func (st *stream) stop(reason policy.Reason) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.over || st.end != "" {
		return
	}
	st.end = reason
	st.cancel(endedError(reason))
	if st.begun {
		_ = st.control.SetWriteDeadline(time.Unix(1, 0))
	}
}

// begin notes that the answer begins.
func (st *stream) begin() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.begun = true
}

// ended says why the request was ended, "" while it may go on.
func (st *stream) ended() policy.Reason {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.end
}
