package keys

import (
	"slices"
	"testing"
	"time"
)

const (
	day    = 24 * time.Hour
	keyOld = "key_old"
	keyNew = "key_new"
)

func TestPlan_PublishesWaitsSignsAndRetires(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	at := func(ago time.Duration) *time.Time {
		v := now.Add(-ago)
		return &v
	}
	policy := Policy{Alg: ES256, RotateEvery: 90 * day}
	active := func(since time.Duration) Info {
		return Info{ID: keyOld, Alg: ES256, State: StateActive, CreatedAt: *at(since + day), ActivatedAt: at(since)}
	}
	published := func(since time.Duration, alg Alg) Info {
		return Info{ID: keyNew, Alg: alg, State: StatePublished, CreatedAt: *at(since)}
	}
	retiring := func(until time.Duration) Info {
		end := now.Add(until)
		return Info{ID: "key_older", Alg: ES256, State: StateRetiring, ActivatedAt: at(200 * day), RetireAt: &end}
	}
	for name, c := range map[string]struct {
		keys   []Info
		policy Policy
		want   []string
	}{
		"no key yet":                        {nil, policy, []string{"→active"}},
		"fresh":                             {[]Info{active(time.Hour)}, policy, nil},
		"just before its successor is due":  {[]Info{active(89*day - time.Second)}, policy, nil},
		"its successor is due":              {[]Info{active(89 * day)}, policy, []string{"→published"}},
		"nobody rotated for a year":         {[]Info{active(365 * day)}, policy, []string{"→published"}},
		"the successor is not known yet":    {[]Info{active(90 * day), published(day-time.Second, ES256)}, policy, nil},
		"the successor takes over":          {[]Info{active(90 * day), published(day, ES256)}, policy, []string{"key_old→retiring", "key_new→active"}},
		"another algorithm is wanted":       {[]Info{active(time.Hour)}, Policy{EdDSA, 90 * day}, []string{"→published"}},
		"it takes over like any other":      {[]Info{active(time.Hour), published(day, EdDSA)}, Policy{EdDSA, 90 * day}, []string{"key_old→retiring", "key_new→active"}},
		"the wish was taken back":           {[]Info{active(time.Hour), published(time.Hour, EdDSA)}, policy, []string{"key_new→retired"}},
		"the wish changed":                  {[]Info{active(time.Hour), published(time.Hour, RS256)}, Policy{EdDSA, 90 * day}, []string{"key_new→retired", "→published"}},
		"a retiring key whose tokens live":  {[]Info{retiring(time.Second), active(day)}, policy, nil},
		"a retiring key whose tokens ended": {[]Info{retiring(0), active(day)}, policy, []string{"key_older→retired"}},
		"no active key, but a published":    {[]Info{published(time.Hour, ES256)}, policy, []string{"key_new→active"}},
	} {
		var got []string
		for _, change := range plan(c.keys, c.policy, now) {
			got = append(got, change.ID+"→"+string(change.To))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// However long nobody looked and whatever is chosen meanwhile: after each step one key signs, it was published for a day
// unless it was the first, and no key leaves before the last of its tokens has expired.
func TestPlan_NoTokenIsEverUnverifiable(t *testing.T) {
	t.Parallel()
	algs := []Alg{ES256, RS256, EdDSA}
	for seed := range 200 {
		random := uint64(seed)*2654435761 + 1 //nolint:gosec // a small generator of our own, repeatable by its seed
		next := func(n int) int {
			random = random*6364136223846793005 + 1442695040888963407
			return int(random>>33) % n
		}
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		p := Policy{Alg: ES256, RotateEvery: 90 * day}
		var all []Info
		lastSigned := map[string]time.Time{}
		for step := range 120 {
			if next(15) == 0 {
				p.Alg = algs[next(3)]
			}
			all = apply(t, all, plan(all, p, now), now, step)
			signing := 0
			for _, k := range all {
				if k.State == StateActive {
					signing++
					if k.CreatedAt.Add(PublishLead).After(now) && len(all) > 1 && k.ID != all[0].ID {
						t.Fatalf("seed %d: %s signs %v after it was published", seed, k.ID, now.Sub(k.CreatedAt))
					}
				}
				signed, did := lastSigned[k.ID]
				if did && k.State == StateRetired && signed.Add(LongestToken).After(now) {
					t.Fatalf("seed %d: %s left %v after its last token", seed, k.ID, now.Sub(signed))
				}
			}
			if signing != 1 {
				t.Fatalf("seed %d, step %d: %d keys sign: %+v", seed, step, signing, all)
			}
			// It signs until the next step.
			now = now.Add(time.Duration(next(72*60)+1) * time.Minute / 10)
			if next(10) == 0 {
				now = now.Add(time.Duration(next(200)) * day)
			}
			for _, k := range all {
				if k.State == StateActive {
					lastSigned[k.ID] = now
				}
			}
		}
	}
}

func apply(t *testing.T, all []Info, changes []change, now time.Time, step int) []Info {
	t.Helper()
	for _, c := range changes {
		if c.ID == "" {
			k := Info{ID: string(c.Alg) + now.Format(time.RFC3339), Alg: c.Alg, State: c.To, CreatedAt: now}
			if c.To == StateActive {
				k.ActivatedAt = &now
			}
			all = append(all, k)
			continue
		}
		i := slices.IndexFunc(all, func(k Info) bool { return k.ID == c.ID })
		if i < 0 || all[i].State != c.From {
			t.Fatalf("step %d: %+v of %+v", step, c, all)
		}
		all[i].State = c.To
		if c.RetireAt != nil {
			all[i].RetireAt = c.RetireAt
		}
		if c.To == StateActive {
			all[i].ActivatedAt = &now
		}
	}
	return all
}
