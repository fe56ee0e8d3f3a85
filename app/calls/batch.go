package calls

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Errors of Decode: nothing of the body is kept.
var (
	ErrMalformed = errors.New("the body is not a batch of calls")
	ErrTooMany   = fmt.Errorf("a batch holds %d calls at most", MaxBatch)
)

// Decode reads the body of a report. A record that cannot be kept is named and left out; the others of its batch stay, since
// who calls a tool chooses part of its record and must not be able to take the records of others away with it.
// Errors: ErrMalformed, ErrTooMany.
func Decode(raw []byte, b Bounds) (Batch, []Refusal, error) {
	var body struct {
		Calls   []json.RawMessage `json:"calls"`
		Dropped int64             `json:"dropped"`
	}
	if err := json.Unmarshal(raw, &body); err != nil || body.Calls == nil || body.Dropped < 0 {
		return Batch{}, nil, ErrMalformed
	}
	if len(body.Calls) > MaxBatch {
		return Batch{}, nil, ErrTooMany
	}
	batch := Batch{Calls: make([]Record, 0, len(body.Calls)), Dropped: body.Dropped}
	var refused []Refusal
	for i, rawCall := range body.Calls {
		var r Record
		if field, problem := decodeRecord(rawCall, &r, b); problem != "" {
			refused = append(refused, Refusal{Index: i, Field: field, Problem: problem})
			continue
		}
		batch.Calls = append(batch.Calls, r)
	}
	return batch, refused, nil
}

func decodeRecord(raw []byte, r *Record, b Bounds) (field, problem string) {
	if err := json.Unmarshal(raw, r); err != nil {
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return wrong.Field, "has the wrong type"
		}
		return "", "cannot be read" // a time, say; the cause could quote it
	}
	if field, problem := r.problem(b); problem != "" {
		return field, problem
	}
	if problem := r.checkArguments(); problem != "" {
		return "arguments", problem
	}
	return "", ""
}
