package acmedata

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// row is one record; the columns are those of its dataset.
type row map[string]any

// dataset is a table that can be queried.
type dataset struct {
	name        string
	description string
	columns     []string
	rows        func(*store) []row
}

func datasets() []dataset {
	return []dataset{
		{"accounts", "Every customer account",
			[]string{"account_id", "name", "industry", "country", "plan", "seats", "arr_eur", "health"}, accountRows},
		{"usage", "Queries per account and month, the last six months",
			[]string{"account_id", "month", "queries"}, usageRows},
		{"invoices", "One invoice per account and quarter",
			[]string{"invoice_id", "account_id", "quarter", "amount_eur", "paid"}, invoiceRows},
		{"segments", "Named sets of accounts, as they are now",
			[]string{"segment_id", "name", "description", "accounts"}, segmentRows},
		{"signals", "Signals that were routed since the server started",
			[]string{"signal_id", "account_id", "kind", "channel", "requested_by"}, signalRows},
	}
}

func accountRows(s *store) []row {
	rows := make([]row, 0, len(s.accounts))
	for _, a := range s.accounts {
		rows = append(rows, row{"account_id": a.ID, "name": a.Name, "industry": a.Industry, "country": a.Country,
			"plan": a.Plan, "seats": a.Seats, "arr_eur": a.ARR, "health": a.Health})
	}
	return rows
}

func usageRows(s *store) []row {
	var rows []row
	for _, a := range s.accounts {
		for m := range 6 {
			rows = append(rows, row{"account_id": a.ID, "month": fmt.Sprintf("2026-%02d", m+5), "queries": usage(a, m)})
		}
	}
	return rows
}

func invoiceRows(s *store) []row {
	var rows []row
	for i, a := range s.accounts {
		for q := range 4 {
			rows = append(rows, row{"invoice_id": fmt.Sprintf("inv_%03d_%d", i+1, q+1), "account_id": a.ID,
				"quarter": fmt.Sprintf("2026-Q%d", q+1), "amount_eur": a.ARR / 4, "paid": q < 3 || mix(i, 17)%4 > 0})
		}
	}
	return rows
}

func segmentRows(s *store) []row {
	s.mu.RLock()
	defer s.mu.RUnlock()
	rows := make([]row, 0, len(s.segments))
	for _, seg := range s.segments {
		rows = append(rows, row{"segment_id": seg.ID, "name": seg.Name, "description": seg.Description,
			"accounts": len(seg.Accounts)})
	}
	return rows
}

func signalRows(s *store) []row {
	s.mu.RLock()
	defer s.mu.RUnlock()
	rows := make([]row, 0, len(s.signals))
	for _, sig := range s.signals {
		rows = append(rows, row{"signal_id": sig.ID, "account_id": sig.AccountID, "kind": sig.Kind, "channel": sig.Channel,
			"requested_by": sig.RequestedBy})
	}
	return rows
}

// Condition keeps the rows whose column compares with the value.
type Condition struct {
	Column   string `json:"column"`
	Operator string `json:"operator" jsonschema:"one of = != < <= > >= contains"`
	Value    any    `json:"value" jsonschema:"a text, a number or true/false"`
}

func (c Condition) holds(r row) (bool, error) {
	have, ok := r[c.Column]
	if !ok {
		return false, fmt.Errorf("there is no column %q", c.Column)
	}
	if c.Operator == "contains" {
		return strings.Contains(strings.ToLower(fmt.Sprint(have)), strings.ToLower(fmt.Sprint(c.Value))), nil
	}
	order := compare(have, c.Value)
	switch c.Operator {
	case "=":
		return order == 0, nil
	case "!=":
		return order != 0, nil
	case "<":
		return order < 0, nil
	case "<=":
		return order <= 0, nil
	case ">":
		return order > 0, nil
	case ">=":
		return order >= 0, nil
	default:
		return false, fmt.Errorf("there is no operator %q; use = != < <= > >= contains", c.Operator)
	}
}

// compare orders numbers as numbers and everything else as text.
func compare(a, b any) int {
	x, xok := number(a)
	y, yok := number(b)
	if xok && yok {
		return cmp.Compare(x, y)
	}
	return strings.Compare(fmt.Sprint(a), fmt.Sprint(b))
}

func number(v any) (float64, bool) {
	switch n := v.(type) {
	case int:
		return float64(n), true
	case float64:
		return n, true
	default:
		return 0, false
	}
}

const (
	defaultRows = 20
	maxRows     = 200
)

// query runs one query and returns the chosen rows and how many there were before the limit.
func (s *store) query(q QueryInput) ([]row, int, error) {
	i := slices.IndexFunc(datasets(), func(d dataset) bool { return d.name == q.Dataset })
	if i < 0 {
		return nil, 0, fmt.Errorf("there is no dataset %q; list_datasets names them", q.Dataset)
	}
	d := datasets()[i]
	rows := []row{}
	for _, r := range d.rows(s) {
		keep := true
		for _, c := range q.Where {
			ok, err := c.holds(r)
			if err != nil {
				return nil, 0, err
			}
			keep = keep && ok
		}
		if keep {
			rows = append(rows, r)
		}
	}
	if q.OrderBy != "" {
		column, descending := strings.CutPrefix(q.OrderBy, "-")
		if !slices.Contains(d.columns, column) {
			return nil, 0, fmt.Errorf("there is no column %q to order by", column)
		}
		slices.SortStableFunc(rows, func(a, b row) int {
			if descending {
				a, b = b, a
			}
			return compare(a[column], b[column])
		})
	}
	total := len(rows)
	return rows[:min(total, limitOf(q.Limit))], total, nil
}

func limitOf(limit int) int {
	if limit <= 0 {
		return defaultRows
	}
	return min(limit, maxRows)
}
