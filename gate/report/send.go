package report

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/ostiary/ostiary/app/calls"
	"github.com/ostiary/ostiary/app/secret"
)

// delivery is a batch under way. Its body stays the same however often it is sent.
type delivery struct {
	records []numbered
	dropped int64 // told in it
	body    []byte
}

// outcome is what became of a delivery.
type outcome struct {
	receipt    calls.Receipt
	tooMuch    bool // the issuer cannot take this body, smaller ones perhaps
	refused    bool // the credential is not good
	err        error
	retryAfter time.Duration
}

// sender posts deliveries, one at a time.
type sender struct {
	client     *http.Client
	url        string
	read       func() (Credential, error)
	credential Credential
}

func newSender(o Options, c Credential) sender {
	return sender{client: o.HTTPClient, url: o.Issuer + "/resources/" + o.ResourceID + "/calls", read: o.Credential, credential: c}
}

const (
	maxAnswer     = 256 << 10
	maxRetryAfter = time.Minute
	bodyRoom      = calls.MaxBatchBytes - 1<<10 // what is around the records
)

// encode writes the body of a batch and returns how many of the records it holds.
func encode(records []numbered, dropped int64) (body []byte, n int, err error) {
	body = append(body, `{"calls":[`...)
	for i := range records {
		one, err := json.Marshal(&records[i].Record)
		if err != nil {
			return nil, 0, fmt.Errorf("encode: %w", err)
		}
		if n > 0 && len(body)+len(one) > bodyRoom {
			break
		}
		if n > 0 {
			body = append(body, ',')
		}
		body, n = append(body, one...), n+1
	}
	body = append(body, ']')
	if dropped > 0 {
		body = fmt.Appendf(body, `,"dropped":%d`, dropped)
	}
	return append(body, '}'), n, nil
}

// post sends a body once.
func (s *sender) post(ctx context.Context, body []byte) outcome {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return outcome{err: errors.New("the issuer URL is malformed")}
	}
	r.SetBasicAuth(s.credential.ID, s.credential.Secret)
	r.Header.Set("Content-Type", "application/json")
	answer, err := s.client.Do(r)
	if err != nil {
		return outcome{err: err}
	}
	defer func() { _ = answer.Body.Close() }() // what matters of it was read
	raw, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return outcome{err: err}
	}
	return outcomeOf(answer, raw)
}

func outcomeOf(answer *http.Response, raw []byte) outcome {
	var o outcome
	switch answer.StatusCode {
	case http.StatusOK:
		if err := json.Unmarshal(raw, &o.receipt); err != nil {
			o.err = errors.New("the answer is no receipt")
		}
		return o
	case http.StatusUnauthorized:
		o.refused = true
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
		var problem struct {
			Code string `json:"error"`
		}
		// Only the issuer's own word: a proxy in between may say the same of anything.
		o.tooMuch = json.Unmarshal(raw, &problem) == nil && problem.Code == "invalid_request"
	}
	if seconds, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil && seconds > 0 {
		o.retryAfter = min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	o.err = fmt.Errorf("the issuer answers %d", answer.StatusCode)
	return o
}

// pause is how long to wait after so many failures in a row: many gates that lost one issuer must not come back at once.
func pause(base time.Duration, failures int) time.Duration {
	wait := base
	for range failures - 1 {
		if wait *= 2; wait >= maxBackoff {
			wait = maxBackoff
			break
		}
	}
	chance := float64(binary.BigEndian.Uint16(secret.Bytes(2))) / math.MaxUint16
	return wait/2 + time.Duration(float64(wait/2)*chance)
}
