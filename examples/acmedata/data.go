package acmedata

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
)

// Account is a customer of Acme.
type Account struct {
	ID       string  `json:"account_id" jsonschema:"for example acc_007"`
	Name     string  `json:"name"`
	Industry string  `json:"industry"`
	Country  string  `json:"country" jsonschema:"ISO 3166 code"`
	Plan     string  `json:"plan" jsonschema:"starter, growth or enterprise"`
	Seats    int     `json:"seats"`
	ARR      int     `json:"arr_eur" jsonschema:"annual recurring revenue in euros"`
	Health   float64 `json:"health" jsonschema:"0 to 1"`
}

// Segment is a named set of accounts.
type Segment struct {
	ID          string   `json:"segment_id"`
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Accounts    []string `json:"account_ids"`
}

// Signal is something worth acting on, sent to a team.
type Signal struct {
	ID          string `json:"signal_id"`
	AccountID   string `json:"account_id"`
	Kind        string `json:"kind"`
	Channel     string `json:"channel"`
	Note        string `json:"note"`
	RequestedBy string `json:"requested_by" jsonschema:"who asked, when a gate in front says so"`
}

// store holds everything; accounts never change.
type store struct {
	accounts []Account

	mu       sync.RWMutex
	segments []Segment
	signals  []Signal
}

func newStore() *store {
	s := &store{accounts: makeAccounts()}
	s.segments = []Segment{
		s.segment("seg_growth", "Growing fast", "Usage grew by more than 3.5 % in each of the last six months",
			func(a Account) bool { return trend(a) > 0.035 }),
		s.segment("seg_risk", "At risk", "Health below 0.45", func(a Account) bool { return a.Health < 0.45 }),
		s.segment("seg_enterprise", "Enterprise", "On the enterprise plan",
			func(a Account) bool { return a.Plan == "enterprise" }),
		s.segment("seg_dach", "DACH", "Germany, Austria, Switzerland",
			func(a Account) bool { return slices.Contains([]string{"DE", "AT", "CH"}, a.Country) }),
	}
	return s
}

func (s *store) segment(id, name, description string, in func(Account) bool) Segment {
	seg := Segment{ID: id, Name: name, Description: description, Accounts: []string{}}
	for _, a := range s.accounts {
		if in(a) {
			seg.Accounts = append(seg.Accounts, a.ID)
		}
	}
	return seg
}

const accountCount = 60

// makeAccounts combines words; the same number gives the same account on every start.
func makeAccounts() []Account {
	first := []string{"Northwind", "Blue Harbor", "Larch", "Copper", "Meridian", "Tidewater",
		"Juniper", "Redstone", "Solace", "Quarry"}
	second := []string{"Logistics", "Foods", "Health", "Energy", "Systems", "Textiles"}
	countries := []string{"DE", "FR", "AT", "NL", "SE", "CH", "ES", "PL"}
	plans := []string{"starter", "growth", "enterprise"}
	accounts := make([]Account, 0, accountCount)
	for i := range accountCount {
		plan := plans[mix(i, 3)%3]
		seats := 5 + mix(i, 5)%40
		if plan == "enterprise" {
			seats *= 12
		}
		accounts = append(accounts, Account{
			ID:       fmt.Sprintf("acc_%03d", i+1),
			Name:     first[i%len(first)] + " " + second[(i/len(first)+i)%len(second)],
			Industry: strings.ToLower(second[(i/len(first)+i)%len(second)]),
			Country:  countries[mix(i, 7)%len(countries)],
			Plan:     plan, Seats: seats, ARR: seats * (240 + 60*(mix(i, 11)%5)),
			Health: math.Round(float64(20+mix(i, 13)%80)) / 100,
		})
	}
	return accounts
}

// mix scatters small numbers without a random source.
func mix(i, salt int) int {
	x := uint32(i*7919+salt*104729) * 2654435761 //nolint:gosec // wrapping is the point
	return int(x >> 16 & 0x7fff)
}

// usage is how many queries an account ran in month m of the last six.
func usage(a Account, m int) int {
	return int(float64(a.Seats*40) * math.Pow(1+trend(a), float64(m)))
}

// trend is the account's growth per month.
func trend(a Account) float64 { return math.Round((a.Health-0.5)*100) / 1000 }

func (s *store) account(id string) (Account, error) {
	for _, a := range s.accounts {
		if a.ID == id {
			return a, nil
		}
	}
	return Account{}, fmt.Errorf("there is no account %q; search_accounts finds them", id)
}

func (s *store) segmentsOf(account string) []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	names := []string{}
	for _, seg := range s.segments {
		if slices.Contains(seg.Accounts, account) {
			names = append(names, seg.Name)
		}
	}
	return names
}

func (s *store) route(sig Signal) Signal {
	s.mu.Lock()
	defer s.mu.Unlock()
	sig.ID = fmt.Sprintf("sig_%04d", len(s.signals)+1)
	s.signals = append(s.signals, sig)
	return sig
}

// change edits a segment under the lock; on an error nothing has changed.
func (s *store) change(id string, edit func(*Segment) error) (Segment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.segments, func(seg Segment) bool { return seg.ID == id })
	if i < 0 {
		return Segment{}, fmt.Errorf("there is no segment %q; run_query on the dataset \"segments\" lists them", id)
	}
	next := s.segments[i]
	next.Accounts = slices.Clone(next.Accounts)
	if err := edit(&next); err != nil {
		return Segment{}, err
	}
	s.segments[i] = next
	return next, nil
}

func (s *store) drop(id string) (Segment, int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.segments, func(seg Segment) bool { return seg.ID == id })
	if i < 0 {
		return Segment{}, 0, fmt.Errorf("there is no segment %q; run_query on the dataset \"segments\" lists them", id)
	}
	gone := s.segments[i]
	s.segments = slices.Delete(s.segments, i, i+1)
	return gone, len(s.segments), nil
}
