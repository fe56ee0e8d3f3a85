package secret

import "bytes"

// KeyID names the key-encryption key that seals now, as envelopes name it: KeyIDLen bytes at KeyIDOffset.
func (r *Keyring) KeyID() []byte { return bytes.Clone(r.keys[0].id) }

// Where an envelope names its key-encryption key, for queries that look for what an older one wraps.
const (
	KeyIDOffset = 1
	KeyIDLen    = kekIDLen
)

// Rewrap returns the envelope with its data key wrapped under the first key-encryption key; the content and its data key
// stay. changed is false when that is so already. Errors: ErrSealed.
func (r *Keyring) Rewrap(envelope []byte, aad string) (rewrapped []byte, changed bool, err error) {
	dataKey, rest, wrapper, err := r.unwrap(envelope, aad)
	if err != nil {
		return nil, false, err
	}
	if bytes.Equal(wrapper, r.keys[0].id) {
		return envelope, false, nil
	}
	out := append([]byte{envelopeVersion}, r.keys[0].id...)
	out = append(out, r.keys[0].sealer.Seal(dataKey, []byte(aad))...)
	return append(out, rest...), true, nil
}
