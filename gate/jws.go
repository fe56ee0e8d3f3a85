package gate

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// signed is the content of a verified compact JWS.
type signed struct {
	payload []byte
	key     verifyKey
}

var errMalformed = errors.New("not a signed token of the expected kind")

// verify checks a compact JWS: type, algorithm, key of the issuer, signature. typ is compared without "application/".
func (k *issuerKeys) verify(ctx context.Context, compact, typ string) (signed, error) {
	jws, err := jose.ParseSignedCompact(compact, signatureAlgorithms())
	if err != nil || len(jws.Signatures) != 1 {
		return signed{}, errMalformed
	}
	header := jws.Signatures[0].Protected
	if got, _ := header.ExtraHeaders[jose.HeaderType].(string); !sameType(got, typ) || header.KeyID == "" {
		return signed{}, errMalformed
	}
	key, err := k.find(ctx, header.KeyID)
	if err != nil {
		return signed{}, err
	}
	if header.Algorithm != string(key.alg) {
		return signed{}, errMalformed
	}
	payload, err := jws.Verify(key.key)
	if err != nil {
		return signed{}, fmt.Errorf("%w: the signature does not verify", errMalformed)
	}
	return signed{payload: payload, key: key}, nil
}

// sameType compares JWS types as RFC 7515 §4.1.9 has them: a media type whose "application/" may be left out.
func sameType(got, want string) bool {
	const prefix = "application/"
	if len(got) > len(prefix) && strings.EqualFold(got[:len(prefix)], prefix) {
		got = got[len(prefix):]
	}
	return strings.EqualFold(got, want)
}
