package clients

import (
	"strings"
	"sync"
	"time"

	"golang.org/x/net/publicsuffix"
)

// Anybody can name a URL and make us fetch it. The budget keeps us from being the tool of somebody who wants another's host to be
// busy: so many documents we have not seen before, per domain and minute.
const (
	hostBudget      = 30
	knownHostBudget = 600 // hosts with a document per connection, such as ChatGPT; they can take it, from each environment
	budgetWindow    = time.Minute
	maxBudgets      = 4096
)

// BusyError says that a document is not fetched now because too many are. Nothing is wrong with it or its host.
type BusyError struct {
	After time.Duration // when it is worth another try
}

// Error says so.
func (*BusyError) Error() string { return "too many new metadata documents" }

type budget struct {
	now func() time.Time
	mu  sync.Mutex
	of  *recently[string, spending]
}

type spending struct {
	since time.Time
	count int
}

func newBudget(now func() time.Time) *budget {
	return &budget{now: now, of: newRecently[string, spending](maxBudgets)}
}

// take counts one more new document against what may be fetched of key in a window. What is refused is not counted.
// Errors: *BusyError.
func (b *budget) take(key string, limit int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	spent, ok := b.of.get(key)
	if !ok || now.Sub(spent.since) >= budgetWindow {
		spent = spending{since: now}
	}
	if spent.count >= limit {
		return &BusyError{After: budgetWindow - now.Sub(spent.since)}
	}
	spent.count++
	b.of.put(key, spent)
	return nil
}

// registrable returns the domain that somebody registered to have host below it (the public suffix and one label more), so that
// made-up names below one domain are one. What has none, such as localhost, stands for itself.
func registrable(host string) string {
	host = strings.ToLower(host)
	if domain, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil {
		return domain
	}
	return host
}
