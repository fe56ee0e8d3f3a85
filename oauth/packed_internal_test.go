package oauth

import (
	"reflect"
	"testing"
	"time"

	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/tenants/directory"
)

// fill gives every exported field of a struct a value of its own. The others are worked out of these, and not sealed.
func fill(t *testing.T, v reflect.Value, n *int) {
	t.Helper()
	for at := range v.NumField() {
		if !v.Type().Field(at).IsExported() {
			continue
		}
		f := v.Field(at)
		*n++
		switch f.Interface().(type) {
		case string:
			f.SetString(secret.NewID("x"))
		case []string:
			f.Set(reflect.ValueOf([]string{"first", "", secret.NewID("s")}))
		case []byte:
			f.SetBytes(secret.Bytes(1 + *n%40))
		case int:
			f.SetInt(int64(*n) * -7_000_000_000)
		case bool:
			f.SetBool(true)
		case time.Time:
			f.Set(reflect.ValueOf(time.UnixMicro(1_795_000_000_123_456 + int64(*n)).UTC()))
		default:
			if f.Kind() != reflect.Struct {
				t.Fatalf("%s: no value for %s", v.Type().Field(at).Name, f.Type())
			}
			fill(t, f, n)
		}
	}
}

// What is sealed comes back whole: a field that is added to a struct and not to its list is found here.
func TestPacked_KeepsEveryField(t *testing.T) {
	t.Parallel()
	n := 0
	var in, gotIn Interaction
	var code, gotCode authorizationCode
	fill(t, reflect.ValueOf(&in).Elem(), &n)
	fill(t, reflect.ValueOf(&code).Elem(), &n)
	for range 2 { // full, then empty
		if err := unpack(pack(0, in.fields), gotIn.fields); err != nil || !reflect.DeepEqual(in, gotIn) {
			t.Errorf("%v\n%+v\nwant\n%+v", err, gotIn, in)
		}
		if err := unpack(pack(0, code.fields), gotCode.fields); err != nil || !reflect.DeepEqual(code, gotCode) {
			t.Errorf("%v\n%+v\nwant\n%+v", err, gotCode, code)
		}
		in, code, gotIn, gotCode = Interaction{MaxAge: -1}, authorizationCode{}, Interaction{}, authorizationCode{}
	}
}

// FuzzUnpack reads whatever bytes: no crash, nothing larger than what came, and what is read is written the same again.
func FuzzUnpack(f *testing.F) {
	in := Interaction{ClientID: "c", Scopes: []string{"a", "b"}, MaxAge: -1, Browser: []byte{1}, CreatedAt: time.UnixMicro(1)}
	whole := pack(0, in.fields)
	f.Add(whole)
	f.Add(append(whole, 0))
	f.Add(whole[:len(whole)-1])
	f.Add([]byte{packedForm, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Add([]byte(`{"c":"json"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var got, again Interaction
		if unpack(raw, got.fields) != nil {
			return
		}
		if err := unpack(pack(0, got.fields), again.fields); err != nil || !reflect.DeepEqual(got, again) {
			t.Errorf("%v\n%+v\nthen\n%+v", err, got, again)
		}
	})
}

func TestProof_CountsForItsCookieAndAMoment(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	p := proofOf("cookie", directory.User{ID: "usr_1", Email: "a@b", Name: "A", OrganizationID: "org_1", OrganizationName: "O"}, now)
	for name, tt := range map[string]struct {
		proof proof
		token string
		at    time.Time
		want  bool
	}{
		"at once":                  {p, "cookie", now, true},
		"within its time":          {p, "cookie", now.Add(proofLasts), true},
		"too late":                 {p, "cookie", now.Add(proofLasts + time.Microsecond), false},
		"from a clock that is off": {p, "cookie", now.Add(-time.Microsecond), false},
		"another session's cookie": {p, "another", now, false},
		"signed out":               {p, "", now, false},
		"none":                     {proof{}, "cookie", now, false},
		"none, nobody":             {proof{}, "", time.Time{}, false},
	} {
		session := tt.proof.session(tt.token, tt.at)
		if (session != nil) != tt.want {
			t.Errorf("%s: %v", name, session)
		}
		if session != nil && (session.User.OrganizationName != "O" || !session.AuthTime.Equal(now)) {
			t.Errorf("%s: %+v", name, session)
		}
	}
}
