package feed

import "sync"

// seats bounds how many streams and waiting requests a node holds: of everybody, of one issuer, of one address. Nobody can
// take the places of all others.
type seats struct {
	most int

	mu        sync.Mutex
	taken     int
	byIssuer  map[string]int
	byAddress map[string]int
}

// An issuer may fill half of a node, an address a tenth.
const (
	issuerShare  = 2
	addressShare = 10
)

func newSeats(most int) *seats {
	return &seats{most: most, byIssuer: map[string]int{}, byAddress: map[string]int{}}
}

// take returns what gives the seat back, and false when there is none.
func (s *seats) take(issuer, address string) (leave func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken >= s.most || s.byIssuer[issuer] >= max(1, s.most/issuerShare) || s.byAddress[address] >= max(1, s.most/addressShare) {
		return nil, false
	}
	s.taken++
	s.byIssuer[issuer]++
	s.byAddress[address]++
	return func() { s.leave(issuer, address) }, true
}

func (s *seats) leave(issuer, address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	for _, of := range [...]struct {
		counts map[string]int
		key    string
	}{{s.byIssuer, issuer}, {s.byAddress, address}} {
		if of.counts[of.key]--; of.counts[of.key] == 0 {
			delete(of.counts, of.key)
		}
	}
}
