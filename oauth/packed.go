package oauth

import (
	"encoding/binary"
	"errors"
	"time"
)

// packed writes values one after another, or reads them back in the same order: what is sealed lists its fields once, for both.
// The bytes are only ever read after a seal was opened, so they are ours; they are read as if they were not.
type packed struct {
	bytes   []byte // written
	rest    string // to be read
	reading bool
	bad     bool // what was read is not what was written
}

// packedForm is the first byte. Another order or meaning of fields is another form.
const packedForm = 1

var errPacked = errors.New("packed value is malformed")

// pack returns the bytes of what fields lists.
func pack(size int, fields func(*packed)) []byte {
	p := packed{bytes: append(make([]byte, 0, size), packedForm)}
	fields(&p)
	return p.bytes
}

// unpack fills in what fields lists. Errors: errPacked.
func unpack(raw []byte, fields func(*packed)) error {
	if len(raw) == 0 || raw[0] != packedForm {
		return errPacked
	}
	p := packed{rest: string(raw[1:]), reading: true}
	fields(&p)
	if p.bad || p.rest != "" {
		return errPacked
	}
	return nil
}

func (p *packed) size(n int) int {
	if !p.reading {
		p.bytes = binary.AppendUvarint(p.bytes, uint64(n)) //nolint:gosec // lengths are not negative
		return n
	}
	value, shift := uint64(0), 0
	for at := 0; at < len(p.rest) && at < binary.MaxVarintLen32; at++ {
		value |= uint64(p.rest[at]&0x7f) << shift
		if p.rest[at] < 0x80 {
			p.rest = p.rest[at+1:]
			return int(value) //nolint:gosec // five times seven bits
		}
		shift += 7
	}
	p.bad, p.rest = true, ""
	return 0
}

func (p *packed) text(s *string) {
	if !p.reading {
		p.size(len(*s))
		p.bytes = append(p.bytes, *s...)
		return
	}
	n := p.size(0)
	if n > len(p.rest) {
		p.bad, p.rest = true, ""
		return
	}
	*s, p.rest = p.rest[:n], p.rest[n:]
}

func (p *packed) blob(b *[]byte) {
	s := string(*b)
	if p.text(&s); p.reading && s != "" {
		*b = []byte(s)
	}
}

func (p *packed) list(l *[]string) {
	n := p.size(len(*l))
	if p.reading {
		if n > len(p.rest) { // each takes a byte at least
			p.bad, p.rest = true, ""
			return
		}
		if n == 0 {
			return
		}
		*l = make([]string, n)
	}
	for at := range *l {
		p.text(&(*l)[at])
	}
}

func (p *packed) number(n *int64) {
	if !p.reading {
		p.bytes = binary.BigEndian.AppendUint64(p.bytes, uint64(*n)) //nolint:gosec // there and back
		return
	}
	if len(p.rest) < 8 {
		p.bad, p.rest = true, ""
		return
	}
	value := uint64(0)
	for at := range 8 {
		value = value<<8 | uint64(p.rest[at])
	}
	*n, p.rest = int64(value), p.rest[8:] //nolint:gosec // there and back
}

func (p *packed) count(n *int) {
	wide := int64(*n)
	p.number(&wide)
	*n = int(wide)
}

func (p *packed) flag(b *bool) {
	n := 0
	if *b {
		n = 1
	}
	*b = p.size(n) == 1
}

// moment keeps microseconds, as the database does, in UTC.
func (p *packed) moment(t *time.Time) {
	n := int64(0)
	if !t.IsZero() {
		n = t.UnixMicro()
	}
	if p.number(&n); p.reading && n != 0 {
		*t = time.UnixMicro(n).UTC()
	}
}
