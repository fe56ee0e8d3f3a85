package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ostiary/ostiary/app/calls"
	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/app/secret"
)

// callsPerReport is what a gate sends at a time when there is much to send.
const callsPerReport = 200

// unlimited is for what has nothing to be compared with.
func (b *bench) unlimited() (product, limit string, err error) {
	return b.stand.server.product, "", nil
}

// beginCalls reports calls as a gate does, new ones each time.
func beginCalls(b *bench, _ *side, w *worker) (step, error) {
	body, ids, err := reportBody(b.stand.tenant)
	if err != nil {
		return nil, err
	}
	r := request{
		post: true, path: b.stand.tenant.BasePath + "/resources/" + b.stand.tenant.ResourceID + "/calls", host: b.stand.tenant.Host,
		contentType: jsonType, body: body,
		basic: base64.StdEncoding.EncodeToString([]byte(b.stand.resource.ID + ":" + b.stand.resource.Secret)),
	}
	return func() error {
		moment := now()
		for _, at := range ids {
			copy(body[at:], secret.NewOrderedID("call", moment))
		}
		if err := w.do(r); err != nil {
			return err
		}
		if err := w.expect(200); err != nil {
			return err
		}
		if string(between(w.body, `"accepted":`, "}")) != fmt.Sprint(callsPerReport) {
			return fmt.Errorf("not all calls were taken: %s", w.body)
		}
		return nil
	}, nil
}

// reportBody returns the body of a report, and where in it each id stands.
func reportBody(t tenantIDs) (body []byte, ids []int, err error) {
	batch := calls.Batch{}
	for i := range callsPerReport {
		batch.Calls = append(batch.Calls, calls.Record{
			ID: "call_ABCDEFGHIJKLMNOPQRSTUVWXYZ", At: now().UTC().Add(-time.Duration(i) * time.Millisecond), Kind: policy.TargetTool,
			Tool: fmt.Sprintf("tool_%d", i%20), User: fmt.Sprintf("usr_%026d", i%100), Organization: t.OrganizationID,
			Client: "https://claude.ai/oauth/client.json", Host: "claude", Grant: fmt.Sprintf("grt_%026d", i%100), Proof: calls.ProofToken,
			Scopes: []string{"data:read", "profiles:read"}, Allowed: true, Reason: policy.ReasonAllowed, Revision: 1, Sequence: 9, Silence: 7,
			Status: 200, LatencyUS: 18_400,
		})
	}
	if body, err = json.Marshal(batch); err != nil {
		return nil, nil, err
	}
	for i := 0; i+5 < len(body); i++ {
		if string(body[i:i+5]) == "call_" {
			ids = append(ids, i)
		}
	}
	return body, ids, nil
}
