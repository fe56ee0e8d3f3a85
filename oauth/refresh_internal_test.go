package oauth

import (
	"testing"
	"time"

	"github.com/ostiary/ostiary/app/scope"
)

func TestJudgeRefresh_ToleratesBurstsAndCatchesThieves(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	past, future := ago(time.Second), now.Add(time.Hour)
	const grace = 120 * time.Second
	alive := func(s refreshState) refreshState {
		s.EndsAt, s.IdleEndsAt = future, &future
		return s
	}
	for name, tt := range map[string]struct {
		state     refreshState
		presented int
		want      refreshVerdict
	}{
		"the newest":                    {alive(refreshState{Generation: 3}), 3, refreshRotate},
		"never issued":                  {alive(refreshState{Generation: 3}), 4, refreshDead},
		"generation zero":               {alive(refreshState{}), 0, refreshDead},
		"revoked":                       {alive(refreshState{Generation: 3, RevokedAt: &past}), 3, refreshDead},
		"absolute end":                  {refreshState{Generation: 3, EndsAt: past, IdleEndsAt: &future}, 3, refreshDead},
		"idle end":                      {refreshState{Generation: 3, EndsAt: future, IdleEndsAt: &past}, 3, refreshDead},
		"at its absolute end":           {refreshState{Generation: 3, EndsAt: now, IdleEndsAt: &future}, 3, refreshDead},
		"at its idle end":               {refreshState{Generation: 3, EndsAt: future, IdleEndsAt: &now}, 3, refreshDead},
		"predecessor after 76 s":        {alive(refreshState{Generation: 2, RotatedAt: []time.Time{ago(76 * time.Second)}}), 1, refreshRepeat},
		"two back inside the grace":     {alive(refreshState{Generation: 3, RotatedAt: []time.Time{ago(10 * time.Second), ago(90 * time.Second)}}), 1, refreshRepeat},
		"two back outside the grace":    {alive(refreshState{Generation: 3, RotatedAt: []time.Time{ago(10 * time.Second), ago(121 * time.Second)}}), 1, refreshReplayed},
		"answer lost, retried at 7m45s": {alive(refreshState{Generation: 2, RotatedAt: []time.Time{ago(465 * time.Second)}}), 1, refreshRecover},
		"recovery already counted":      {alive(refreshState{Generation: 2, RotatedAt: []time.Time{ago(465 * time.Second)}, Recovered: true, Recoveries: 1}), 1, refreshRepeat},
		"recovered in every generation": {alive(refreshState{Generation: 5, RotatedAt: []time.Time{ago(time.Hour)}, Recoveries: 3}), 4, refreshReplayed},
		"older than what is kept":       {alive(refreshState{Generation: 90, RotatedAt: []time.Time{ago(time.Second)}}), 1, refreshReplayed},
		"a burst past its bound":        {alive(refreshState{Generation: 2, RotatedAt: []time.Time{ago(time.Second)}, Graced: maxGraced}), 1, refreshBusy},
		"a burst just inside its bound": {alive(refreshState{Generation: 2, RotatedAt: []time.Time{ago(time.Second)}, Graced: maxGraced - 1}), 1, refreshRepeat},
	} {
		if got := judgeRefresh(tt.state, tt.presented, grace, now); got != tt.want {
			t.Errorf("%s: verdict %d, want %d", name, got, tt.want)
		}
	}
}

func testIssuer(environment string, key byte) *Issuer {
	return &Issuer{Scope: scope.Scope{TenantID: "ten_X", EnvironmentID: environment}, refreshKey: []byte{key}}
}

func TestRefreshToken_IsBoundToItsEnvironment(t *testing.T) {
	t.Parallel()
	mine, neighbour, otherKey := testIssuer("env_A", 1), testIssuer("env_B", 1), testIssuer("env_A", 2)
	token := mine.refreshToken("grt_ABC", 7)
	if id, generation, ok := mine.parseRefreshToken(token); !ok || id != "grt_ABC" || generation != 7 {
		t.Fatalf("parsed %q %d %v", id, generation, ok)
	}
	for name, i := range map[string]*Issuer{"another environment": neighbour, "another key": otherKey} {
		if _, _, ok := i.parseRefreshToken(token); ok {
			t.Errorf("%s accepts the token", name)
		}
	}
	if mine.refreshToken("grt_ABC", 8) == token || mine.refreshToken("grt_ABD", 7) == token {
		t.Error("two generations or grants share a token")
	}
}

func FuzzParseRefreshToken(f *testing.F) {
	i := testIssuer("env_A", 1)
	good := i.refreshToken("grt_ABC", 7)
	f.Add(good)
	f.Add("ort_")
	f.Add("ort_AAAA")
	f.Add(good + "A")
	f.Fuzz(func(t *testing.T, token string) {
		id, generation, ok := i.parseRefreshToken(token)
		if ok && i.refreshToken(id, generation) != token {
			t.Fatalf("%q is a second spelling of a token", token)
		}
	})
}
