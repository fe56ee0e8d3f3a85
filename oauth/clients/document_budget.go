package clients

import (
	"errors"
	"strings"
	"sync"
	"time"
)

// Anybody can name a URL and make us fetch it. The budget keeps us from being the tool of somebody who wants another's host to be
// busy: so many documents we have not seen before, per host and minute.
const (
	hostBudget      = 30
	knownHostBudget = 600 // hosts with a document per connection, such as ChatGPT; they can take it
	budgetWindow    = time.Minute
	maxBudgets      = 4096
)

var errBudget = errors.New("too many new documents of one host")

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

// take reports whether one more new document of a host may be fetched now.
func (b *budget) take(host string, known bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	host = strings.ToLower(host)
	now, limit := b.now(), hostBudget
	if known {
		limit = knownHostBudget
	}
	spent, ok := b.of.get(host)
	if !ok || now.Sub(spent.since) >= budgetWindow {
		spent = spending{since: now}
	}
	spent.count++
	b.of.put(host, spent)
	return spent.count <= limit
}
