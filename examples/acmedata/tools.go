package acmedata

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Scopes names the permission each tool is meant for. The server itself does not know them; whoever protects it does.
func Scopes() map[string]string {
	return map[string]string{
		"list_datasets": "data:read", "run_query": "data:read",
		"search_accounts": "profiles:read", "analyze_profile": "profiles:read",
		"route_signal": "signals:write", "update_segment": "signals:write",
		"delete_segment": "segments:delete",
	}
}

// addTools registers the seven tools.
func addTools(server *mcp.Server, s *store) {
	mcp.AddTool(server, reading("list_datasets", "List datasets",
		"Lists the datasets that run_query can read, with their columns."), handle(s.listDatasets))
	mcp.AddTool(server, reading("run_query", "Run a query",
		"Reads rows of one dataset, filtered, ordered and limited."), handle(s.runQuery))
	mcp.AddTool(server, reading("search_accounts", "Search accounts",
		"Finds customer accounts by name, industry, country or plan."), handle(s.searchAccounts))
	mcp.AddTool(server, reading("analyze_profile", "Analyze a profile",
		"Summarizes how one account is doing: health, growth, risk of leaving, what to do next."), handle(s.analyzeProfile))

	yes, no := true, false
	mcp.AddTool(server, &mcp.Tool{Name: "route_signal", Title: "Route a signal",
		Description: "Sends a signal about an account to a team outside the data platform.",
		Annotations: &mcp.ToolAnnotations{Title: "Route a signal", DestructiveHint: &no, OpenWorldHint: &yes},
	}, handleFor(s.routeSignal))
	mcp.AddTool(server, &mcp.Tool{Name: "update_segment", Title: "Update a segment",
		Description: "Renames a segment or changes which accounts are in it.",
		Annotations: &mcp.ToolAnnotations{Title: "Update a segment", DestructiveHint: &no, IdempotentHint: true,
			OpenWorldHint: &no},
	}, handle(s.updateSegment))
	mcp.AddTool(server, &mcp.Tool{Name: "delete_segment", Title: "Delete a segment",
		Description: "Deletes a segment for good. Its accounts stay.",
		Annotations: &mcp.ToolAnnotations{Title: "Delete a segment", DestructiveHint: &yes, IdempotentHint: true,
			OpenWorldHint: &no},
	}, handle(s.deleteSegment))
}

// reading describes a tool that changes nothing and talks to nobody else.
func reading(name, title, description string) *mcp.Tool {
	closed := false
	return &mcp.Tool{Name: name, Title: title, Description: description,
		Annotations: &mcp.ToolAnnotations{Title: title, ReadOnlyHint: true, IdempotentHint: true, OpenWorldHint: &closed}}
}

// handle adapts a function that needs only its input.
func handle[In, Out any](f func(In) (Out, error)) mcp.ToolHandlerFor[In, Out] {
	return func(_ context.Context, _ *mcp.CallToolRequest, in In) (*mcp.CallToolResult, Out, error) {
		out, err := f(in)
		return nil, out, err
	}
}

// handleFor adapts a function that also wants to know who asks.
func handleFor[In, Out any](f func(who string, in In) (Out, error)) mcp.ToolHandlerFor[In, Out] {
	return func(_ context.Context, r *mcp.CallToolRequest, in In) (*mcp.CallToolResult, Out, error) {
		who := ""
		if r.Extra != nil {
			who = r.Extra.Header.Get("Ostiary-User")
		}
		out, err := f(who, in)
		return nil, out, err
	}
}

// DatasetsOutput lists datasets.
type DatasetsOutput struct {
	Datasets []DatasetOutput `json:"datasets"`
}

// DatasetOutput describes one dataset.
type DatasetOutput struct {
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Columns     []string `json:"columns"`
	Rows        int      `json:"rows"`
}

func (s *store) listDatasets(struct{}) (DatasetsOutput, error) {
	var out DatasetsOutput
	for _, d := range datasets() {
		out.Datasets = append(out.Datasets, DatasetOutput{d.name, d.description, d.columns, len(d.rows(s))})
	}
	return out, nil
}

// QueryInput says what to read.
type QueryInput struct {
	Dataset string      `json:"dataset" jsonschema:"a name from list_datasets"`
	Where   []Condition `json:"where,omitempty" jsonschema:"all of them must hold"`
	OrderBy string      `json:"order_by,omitempty" jsonschema:"a column; with a leading minus, largest first"`
	Limit   int         `json:"limit,omitempty" jsonschema:"20 unless said, at most 200"`
}

// QueryOutput is what was read.
type QueryOutput struct {
	Rows  []row `json:"rows"`
	Total int   `json:"total" jsonschema:"rows that matched before the limit"`
}

func (s *store) runQuery(in QueryInput) (QueryOutput, error) {
	rows, total, err := s.query(in)
	return QueryOutput{Rows: rows, Total: total}, err
}

// SearchInput says which accounts to find; empty fields match all.
type SearchInput struct {
	Text    string `json:"text,omitempty" jsonschema:"part of the name or industry"`
	Country string `json:"country,omitempty" jsonschema:"ISO 3166 code"`
	Plan    string `json:"plan,omitempty" jsonschema:"starter, growth or enterprise"`
	Limit   int    `json:"limit,omitempty" jsonschema:"20 unless said, at most 200"`
}

// AccountsOutput lists accounts.
type AccountsOutput struct {
	Accounts []Account `json:"accounts"`
	Total    int       `json:"total"`
}

func (s *store) searchAccounts(in SearchInput) (AccountsOutput, error) {
	found := []Account{}
	text := strings.ToLower(in.Text)
	for _, a := range s.accounts {
		if strings.Contains(strings.ToLower(a.Name+" "+a.Industry), text) &&
			(in.Country == "" || strings.EqualFold(a.Country, in.Country)) && (in.Plan == "" || a.Plan == in.Plan) {
			found = append(found, a)
		}
	}
	return AccountsOutput{Accounts: found[:min(len(found), limitOf(in.Limit))], Total: len(found)}, nil
}

// ProfileInput names an account.
type ProfileInput struct {
	AccountID string `json:"account_id" jsonschema:"from search_accounts, for example acc_007"`
}

// ProfileOutput is how an account is doing.
type ProfileOutput struct {
	Account    Account  `json:"account"`
	Growth     float64  `json:"growth_per_month"`
	Usage      []int    `json:"queries_per_month" jsonschema:"oldest first"`
	ChurnRisk  string   `json:"churn_risk" jsonschema:"low, medium or high"`
	Segments   []string `json:"segments"`
	Suggestion string   `json:"suggestion"`
}

func (s *store) analyzeProfile(in ProfileInput) (ProfileOutput, error) {
	a, err := s.account(in.AccountID)
	if err != nil {
		return ProfileOutput{}, err
	}
	out := ProfileOutput{Account: a, Growth: math.Round(trend(a)*1000) / 1000, Segments: s.segmentsOf(a.ID)}
	for m := range 6 {
		out.Usage = append(out.Usage, usage(a, m))
	}
	switch {
	case a.Health < 0.45:
		out.ChurnRisk, out.Suggestion = "high", "Route a churn_risk signal to customer success this week."
	case a.Health < 0.65:
		out.ChurnRisk, out.Suggestion = "medium", "Offer a review of how they use the product."
	default:
		out.ChurnRisk, out.Suggestion = "low", "Route an upsell signal to sales."
	}
	return out, nil
}

// SignalInput is a signal to send.
type SignalInput struct {
	AccountID string `json:"account_id"`
	Kind      string `json:"kind" jsonschema:"churn_risk, upsell or support"`
	Channel   string `json:"channel" jsonschema:"sales, success or support"`
	Note      string `json:"note,omitempty" jsonschema:"for the people who get it"`
}

func (s *store) routeSignal(who string, in SignalInput) (Signal, error) {
	if _, err := s.account(in.AccountID); err != nil {
		return Signal{}, err
	}
	if !slices.Contains([]string{"churn_risk", "upsell", "support"}, in.Kind) {
		return Signal{}, fmt.Errorf("there is no kind %q; use churn_risk, upsell or support", in.Kind)
	}
	if !slices.Contains([]string{"sales", "success", "support"}, in.Channel) {
		return Signal{}, fmt.Errorf("there is no channel %q; use sales, success or support", in.Channel)
	}
	signal := Signal{AccountID: in.AccountID, Kind: in.Kind, Channel: in.Channel, Note: in.Note, RequestedBy: who}
	return s.route(signal), nil
}

// SegmentInput says what to change about a segment; empty fields stay as they are.
type SegmentInput struct {
	SegmentID   string   `json:"segment_id" jsonschema:"for example seg_risk"`
	Name        string   `json:"name,omitempty"`
	Description string   `json:"description,omitempty"`
	Add         []string `json:"add_account_ids,omitempty"`
	Remove      []string `json:"remove_account_ids,omitempty"`
}

func (s *store) updateSegment(in SegmentInput) (Segment, error) {
	for _, id := range in.Add {
		if _, err := s.account(id); err != nil {
			return Segment{}, err
		}
	}
	return s.change(in.SegmentID, func(seg *Segment) error {
		if in.Name == "" && in.Description == "" && len(in.Add)+len(in.Remove) == 0 {
			return errors.New("nothing to change was given")
		}
		if in.Name != "" {
			seg.Name = in.Name
		}
		if in.Description != "" {
			seg.Description = in.Description
		}
		removed := func(id string) bool { return slices.Contains(in.Remove, id) }
		seg.Accounts = append(seg.Accounts, in.Add...)
		slices.Sort(seg.Accounts)
		seg.Accounts = slices.DeleteFunc(slices.Compact(seg.Accounts), removed)
		return nil
	})
}

// DeleteInput names a segment.
type DeleteInput struct {
	SegmentID string `json:"segment_id"`
}

// DeleteOutput says what is gone.
type DeleteOutput struct {
	Deleted  string `json:"deleted" jsonschema:"name of the segment that is gone"`
	Accounts int    `json:"accounts" jsonschema:"how many accounts were in it; they stay"`
	Left     int    `json:"segments_left"`
}

func (s *store) deleteSegment(in DeleteInput) (DeleteOutput, error) {
	gone, left, err := s.drop(in.SegmentID)
	return DeleteOutput{Deleted: gone.Name, Accounts: len(gone.Accounts), Left: left}, err
}
