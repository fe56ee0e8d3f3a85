package clients

import (
	"context"
	"sync"
	"time"

	"github.com/ostiary/ostiary/app/scope"
)

// Fetches of this process that go on at once. Hosts that let us wait hold theirs for fetchTimeout, so neither strangers together nor
// one environment can take them all: what is left is for known hosts, and for everybody else's environments.
const (
	fetchesAtOnce     = 64
	strangersAtOnce   = 48 // of hosts we do not know, all environments together
	strangersOfOne    = 8  // of hosts we do not know, of one environment
	knownOfOne        = 32 // of known hosts, of one environment
	busyFor           = 5 * time.Second
	reasonTooManyOpen = "could not be asked: too much is being fetched"
)

// slots is who may fetch now. A queue for them counts into each fetch's time.
type slots struct {
	all, strangers chan struct{}

	mu sync.Mutex
	of map[share]*sharing
}

// share is one environment's part, of what one kind of host may have.
type share struct {
	environment string
	known       bool
}

type sharing struct {
	free  chan struct{}
	users int // who hold or wait; with the last one the part is forgotten
}

func newSlots() *slots {
	return &slots{
		all: make(chan struct{}, fetchesAtOnce), strangers: make(chan struct{}, strangersAtOnce), of: map[share]*sharing{},
	}
}

// take waits for a slot, which release gives back. Errors: that of ctx.
func (s *slots) take(ctx context.Context, known bool) (release func(), err error) {
	own := share{environmentOf(ctx), known}
	part := s.join(own)
	queues := []chan struct{}{part.free, s.all}
	if !known {
		queues = []chan struct{}{part.free, s.strangers, s.all}
	}
	held := 0
	release = func() {
		for _, queue := range queues[:held] {
			<-queue
		}
		s.leave(own)
	}
	for _, queue := range queues {
		select {
		case queue <- struct{}{}:
			held++
		case <-ctx.Done():
			release()
			return nil, ctx.Err()
		}
	}
	return release, nil
}

// environmentOf returns whose request it is; what no environment asks for is counted as one's, too.
func environmentOf(ctx context.Context) string {
	sc, err := scope.From(ctx)
	if err != nil {
		return ""
	}
	return sc.EnvironmentID
}

func (s *slots) join(own share) *sharing {
	s.mu.Lock()
	defer s.mu.Unlock()
	part, ok := s.of[own]
	if !ok {
		most := strangersOfOne
		if own.known {
			most = knownOfOne
		}
		part = &sharing{free: make(chan struct{}, most)}
		s.of[own] = part
	}
	part.users++
	return part
}

func (s *slots) leave(own share) {
	s.mu.Lock()
	defer s.mu.Unlock()
	part := s.of[own]
	if part.users--; part.users == 0 {
		delete(s.of, own)
	}
}
