package secret

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Passwords hashes and verifies human-chosen secrets with argon2id. It bounds how many run at once, since each takes
// memory: a burst of sign-ins queues instead of exhausting the process.
type Passwords struct {
	memoryKiB  uint32
	iterations uint32
	slots      chan struct{}
	decoy      string
}

const (
	argonLanes   = 1
	argonSaltLen = 16
	argonKeyLen  = 32
)

// NewPasswords returns a hasher with the given cost; at most parallel computations run at once.
// 19456 KiB and 2 iterations are OWASP's first recommendation for argon2id.
func NewPasswords(memoryKiB, iterations uint32, parallel int) *Passwords {
	p := &Passwords{memoryKiB: memoryKiB, iterations: iterations, slots: make(chan struct{}, max(parallel, 1))}
	p.decoy = p.encode(Bytes(argonSaltLen), Bytes(argonKeyLen))
	return p
}

// Hash returns the PHC string of password. It fails only when ctx ends while waiting for its turn.
func (p *Passwords) Hash(ctx context.Context, password string) (string, error) {
	if err := p.acquire(ctx); err != nil {
		return "", err
	}
	defer p.release()
	salt := Bytes(argonSaltLen)
	return p.encode(salt, argon2.IDKey([]byte(password), salt, p.iterations, p.memoryKiB, argonLanes, argonKeyLen)), nil
}

// Verify reports whether password matches the PHC string hash. An empty hash is compared with a decoy, so that an unknown
// account takes as long as a known one.
func (p *Passwords) Verify(ctx context.Context, password, hash string) (bool, error) {
	known := hash != ""
	if !known {
		hash = p.decoy
	}
	memory, iterations, salt, want, err := parsePHC(hash)
	if err != nil {
		return false, err
	}
	if err := p.acquire(ctx); err != nil {
		return false, err
	}
	defer p.release()
	got := argon2.IDKey([]byte(password), salt, iterations, memory, argonLanes, uint32(len(want)))
	return Equal(got, want) && known, nil
}

func (p *Passwords) acquire(ctx context.Context) error {
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *Passwords) release() { <-p.slots }

func (p *Passwords) encode(salt, key []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.memoryKiB, p.iterations, argonLanes,
		b64.EncodeToString(salt), b64.EncodeToString(key))
}

// parsePHC reads the string format of the password hashing competition, bounded so that a row cannot ask for gigabytes.
func parsePHC(s string) (memory, iterations uint32, salt, key []byte, err error) {
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return 0, 0, nil, nil, fmt.Errorf("password hash: not argon2id")
	}
	var lanes uint32
	if _, err = fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &iterations, &lanes); err != nil {
		return 0, 0, nil, nil, fmt.Errorf("password hash: parameters: %w", err)
	}
	if memory > 1<<20 || iterations == 0 || iterations > 16 || lanes != argonLanes {
		return 0, 0, nil, nil, fmt.Errorf("password hash: parameters out of bounds")
	}
	if salt, err = base64.RawStdEncoding.DecodeString(parts[4]); err != nil {
		return 0, 0, nil, nil, fmt.Errorf("password hash: salt: %w", err)
	}
	if key, err = base64.RawStdEncoding.DecodeString(parts[5]); err != nil || len(key) != argonKeyLen {
		return 0, 0, nil, nil, fmt.Errorf("password hash: key malformed")
	}
	return memory, iterations, salt, key, nil
}
