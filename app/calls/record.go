package calls

import (
	"encoding/json"
	"time"

	"github.com/ostiary/ostiary/app/policy"
)

// Record is one call that was decided. It holds everything the decision was made from, so that it can be made again from the
// policy revision it names.
type Record struct {
	ID           string            `json:"id"` // call_ + 26, chosen by the reporter: reported twice it is one call
	At           time.Time         `json:"at"` // by the reporter's clock
	Kind         policy.TargetKind `json:"kind"`
	Tool         string            `json:"tool"` // name of the tool or prompt, URI of the content, method of a request
	User         string            `json:"user"`
	Organization string            `json:"org,omitempty"`
	Client       string            `json:"client"`
	Host         string            `json:"host,omitempty"`
	Grant        string            `json:"grant,omitempty"`
	Proof        Proof             `json:"proof"`
	Scopes       []string          `json:"scopes"` // of the token
	Allowed      bool              `json:"allowed"`
	Shadowed     bool              `json:"shadowed,omitempty"` // denied by policy, let through in shadow mode
	Reason       policy.Reason     `json:"reason"`
	Missing      []string          `json:"missing,omitempty"`
	Revision     int               `json:"revision"` // policy revision in force
	Sequence     int64             `json:"seq"`      // feed in force
	Silence      int               `json:"silence"`  // seconds since the issuer was last heard
	Status       int               `json:"status"`   // HTTP status of the answer; 0 when there was none
	LatencyUS    int64             `json:"latency_us"`
	// Arguments are those of the call that the policy lists as audited, and no others.
	Arguments map[string]json.RawMessage `json:"arguments,omitempty"`
	// Risk of what was called, as far as the reporter knows: what it keeps when it has no room for everything. It is not reported.
	Risk policy.Risk `json:"-"`
}

// KindRequest is the kind of a record about a request that names no target, e.g. an initialize that was refused because the
// grant was revoked.
const KindRequest policy.TargetKind = "request"

// Proof says what a caller was known by.
type Proof string

const (
	ProofToken  Proof = "token"
	ProofLegacy Proof = "legacy" // a header or key from before OAuth, in migration mode
)

// Batch is the body of a report.
type Batch struct {
	Calls []Record `json:"calls"`
	// Dropped is how many records the reporter lost since its last report, because it could not deliver them in time.
	Dropped int64 `json:"dropped,omitempty"`
}

// Receipt answers a report: how many of its calls are kept now, those known before included, and which are not.
type Receipt struct {
	Accepted int       `json:"accepted"`
	Refused  []Refusal `json:"refused,omitempty"` // will never be kept as they are: sending them again is no use
}

// Refusal says which record of a batch is not kept, and why.
type Refusal struct {
	Index   int    `json:"index"`
	Field   string `json:"field,omitempty"`
	Problem string `json:"problem"`
}

// Limits of a report.
const (
	MaxBatch         = 500
	MaxBatchBytes    = 2 << 20
	MaxArgumentBytes = 4 << 10 // all arguments of one call together
)
