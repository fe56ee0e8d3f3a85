"""What the issuer says is followed, and nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from ostiary import Ostiary
from ostiary._fetch import FetchError
from ostiary._listen import Timing, events
from ostiary._watch import Watch

from .conftest import Guards, eventually
from .issuer import RESOURCE, Issuer, es256, policy

REVOCATIONS = f"/resources/{RESOURCE}/revocations"
POLICY = f"/resources/{RESOURCE}/policy"
QUICK = Timing(first=0.3, idle=5, poll=2, between=0.02, least=0.02, most=0.1)


def started(guards: Guards, **settings: Any) -> Ostiary:
    guard = guards(**{"timing": QUICK, **settings})
    guard.start()
    eventually(lambda: guard.ready)
    return guard


def _heard(guard: Ostiary, user: str) -> bool:
    return user in guard.feed.users


def test_changes_arrive_by_the_stream_without_being_asked_for(guards: Guards, issuer: Issuer) -> None:
    guard = started(guards)
    eventually(lambda: len(issuer._changed) == 1)
    issuer.tell(ended={"users": ["usr_1"]})
    eventually(lambda: "usr_1" in guard.feed.users)
    asked = issuer.count("/revocations")
    issuer.tell(ended={"users": ["usr_2"]})
    eventually(lambda: "usr_2" in guard.feed.users)
    assert issuer.count("/revocations") == asked


def test_where_no_stream_comes_through_it_polls(guards: Guards, issuer: Issuer) -> None:
    issuer.streams = False
    guard = started(guards)
    eventually(lambda: issuer.count("?wait=2&after=1") > 0)
    issuer.tell(ended={"users": ["usr_1"]})
    eventually(lambda: "usr_1" in guard.feed.users)
    eventually(lambda: issuer.count("?wait=2&after=2") > 0)


def test_where_all_places_for_listeners_are_taken_it_asks_without_waiting(
    guards: Guards, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Issuer._answer_feed

    async def full(self: Issuer, headers: Any, query: Any, send: Any, changed: Any) -> None:
        if headers.get(b"accept") == b"text/event-stream" or "wait" in query:
            await send({"type": "http.response.start", "status": 503, "headers": []})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        await whole(self, headers, query, send, changed)

    monkeypatch.setattr(Issuer, "_answer_feed", full)
    guard = started(guards)
    for user in ("usr_1", "usr_2"):
        issuer.tell(ended={"users": [user]})
        eventually(partial(_heard, guard, user))


def test_a_stream_that_brings_nothing_is_given_up(
    guards: Guards, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:

    whole = Issuer._answer_feed

    async def buffering(self: Issuer, headers: Any, query: Any, send: Any, changed: Any) -> None:
        if headers.get(b"accept") == b"text/event-stream":
            kind = [(b"content-type", b"text/event-stream")]
            await send({"type": "http.response.start", "status": 200, "headers": kind})
            await send({"type": "http.response.body", "body": b": hello\n\n", "more_body": True})
            await asyncio.sleep(60)
        await whole(self, headers, query, send, changed)

    monkeypatch.setattr(Issuer, "_answer_feed", buffering)
    guard = started(guards)
    eventually(lambda: issuer.count("?wait=2&after=1") > 0)
    issuer.tell(ended={"users": ["usr_1"]})
    eventually(lambda: "usr_1" in guard.feed.users)


def test_it_comes_back_after_an_outage(guards: Guards, issuer: Issuer) -> None:
    guard = started(guards)
    for path in (REVOCATIONS, POLICY, "/jwks"):
        issuer.answers[path] = (503, {}, b"")
    issuer.tell()  # the stream that is open says so; then it ends
    issuer.answers.clear()
    issuer.publish(tools={})
    issuer.tell(ended={"grants": ["grt_1"]})
    eventually(lambda: "grt_1" in guard.feed.grants and guard.view.document.revision == 2)


BAD_FEEDS: dict[str, Callable[[Issuer], str]] = {
    "rolled back": lambda i: i.signed_feed(feed={"seq": 0, "revision": 1, "ended": {}}),
    "below zero": lambda i: i.signed_feed(feed={"seq": -1, "revision": 1, "ended": {}}),
    "another issuer": lambda i: i.signed_feed(iss="https://evil.example"),
    "another resource": lambda i: i.signed_feed(sub="res_other"),
    "expired": lambda i: i.signed_feed(iat=int(i.now()) - 300, exp=int(i.now()) - 100),
    "from the future": lambda i: i.signed_feed(iat=int(i.now()) + 100, exp=int(i.now()) + 300),
    "without time": lambda i: i.signed_feed(iat=0),
    "without expiry": lambda i: i.signed_feed(exp=None),
    "another type": lambda i: i.signed_feed(typ="ostiary-policy+jwt"),
    "another key": lambda i: es256("k1").sign({"iss": i.url, "sub": RESOURCE}, "ostiary-revocations+jwt"),
    "changed": lambda i: i.signed_feed()[:-6] + "AAAAAA",
    "odd shape": lambda i: i.signed_feed(feed={"seq": 9, "ended": {"users": "usr_1"}}),
    "odd stops": lambda i: i.signed_feed(feed={"seq": 9, "stops": {"kind": "tool"}}),
    "nothing": lambda i: "",
    "large": lambda i: "x" * (9 << 20),
}


@pytest.mark.parametrize("name", BAD_FEEDS)
def test_a_bad_feed_leaves_the_last_good_one(guards: Guards, issuer: Issuer, name: str) -> None:
    issuer.streams = False
    issuer.feed = {"seq": 5, "revision": 1, "ended": {"users": ["usr_1"]}}
    guard = started(guards)
    assert "usr_1" in guard.feed.users
    issuer.answers[REVOCATIONS] = (200, {}, BAD_FEEDS[name](issuer).encode())
    asked = issuer.count("/revocations")
    issuer.tell()  # whoever waits asks again
    eventually(lambda: issuer.count("/revocations") > asked + 3)
    assert "usr_1" in guard.feed.users
    assert guard.feed.sequence in (5, 6)
    issuer.answers.clear()
    issuer.tell(ended={})
    eventually(lambda: not guard.feed.users)


BAD_POLICIES: dict[str, Callable[[Issuer], str]] = {
    "rolled back": lambda i: i.signed_policy(policy=policy(revision=1)),
    "another issuer": lambda i: i.signed_policy(iss="https://evil.example"),
    "another resource": lambda i: i.signed_policy(sub="res_other"),
    "another resource inside": lambda i: i.signed_policy(
        policy=policy(revision=3, resource={**policy()["resource"], "id": "res_other"})
    ),
    "expired": lambda i: i.signed_policy(iat=int(i.now()) - 300, exp=int(i.now()) - 100),
    "from the future": lambda i: i.signed_policy(iat=int(i.now()) + 100),
    "a feed": lambda i: i.signed_feed(),
    "odd shape": lambda i: i.signed_policy(policy=policy(revision=3, tools={"query": {"scopes": "data:read"}})),
    "odd number": lambda i: i.signed_policy(policy=policy(revision=3.5)),
    "odd identifier": lambda i: i.signed_policy(
        policy=policy(revision=3, resource={"id": RESOURCE, "identifier": "x"})
    ),
    "nothing": lambda i: "",
}


@pytest.mark.parametrize("name", BAD_POLICIES)
def test_a_bad_policy_leaves_the_last_good_one(guards: Guards, issuer: Issuer, name: str) -> None:
    issuer.policy = policy(revision=2)
    issuer.answers[REVOCATIONS] = (404, {}, b"")  # so that the policy is asked for often
    guard = started(guards)
    issuer.answers[POLICY] = (200, {}, BAD_POLICIES[name](issuer).encode())
    asked = issuer.count("/policy")
    eventually(lambda: issuer.count("/policy") > asked + 3)
    assert guard.view.document.revision == 2
    assert "query" in guard.view.document.tools
    del issuer.answers[POLICY]
    issuer.policy = policy(revision=3)
    eventually(lambda: guard.view.document.revision == 3)


def test_the_policy_is_not_sent_again_while_it_is_the_same(guards: Guards, issuer: Issuer) -> None:
    issuer.answers[REVOCATIONS] = (404, {}, b"")
    guard = started(guards)
    signed: list[str] = []
    issuer.signed_policy = lambda **changes: signed.append("") or ""  # type: ignore[method-assign, func-returns-value]
    asked = issuer.count("/policy")
    eventually(lambda: issuer.count("/policy") > asked + 3)
    assert signed == []
    assert guard.view.document.revision == 1


def test_a_feed_that_never_comes_counts_as_silence(guards: Guards, issuer: Issuer) -> None:
    issuer.answers[REVOCATIONS] = (404, {}, b"")
    offset = 0.0
    guard = started(guards, now=lambda: time.time() + offset)
    assert 0 <= guard.silence < 5
    offset = 500
    assert guard.silence > 490


def test_time_never_runs_back() -> None:
    now, steady = 1000.0, 50.0
    watch = Watch(lambda: now, lambda: steady)
    assert watch() == 1000
    watch.heard(1010)
    assert watch() == 1010
    now, steady = 0, 60
    assert watch() == 1020
    watch.heard(500)
    assert watch() == 1020
    now = 3000
    assert watch() == 3000


def test_a_clock_that_is_set_back_ends_no_silence(guards: Guards, issuer: Issuer) -> None:
    offset = 0.0
    guard = started(guards, now=lambda: time.time() + offset)
    guard.close()
    offset = -7200
    assert guard.silence >= 0


def test_closing_does_not_wait_for_the_issuer(guards: Guards, issuer: Issuer) -> None:
    guard = started(guards, timing=Timing())
    eventually(lambda: len(issuer._changed) == 1)
    follower = guard._follower
    assert follower is not None
    guard.close()
    assert not any(thread.is_alive() for thread in follower._threads)


def test_each_start_needs_its_close(guards: Guards, issuer: Issuer) -> None:
    guard = started(guards)
    guard.start()
    guard.close()
    issuer.tell(ended={"users": ["usr_1"]})
    eventually(lambda: "usr_1" in guard.feed.users)
    guard.close()
    issuer.tell(ended={})
    guard.ensure_started()  # somebody closed it
    assert guard._follower is None


def test_events_are_read_however_they_arrive() -> None:
    stream = b": hi\n\nid: 1\nevent: feed\ndata: a.b.c\n\nretry: 1000\r\ndata:x\r\ndata: y\r\n\r\ndata: cut"
    for size in (1, 2, 3, 7, 100):
        chunks = [stream[i : i + size] for i in range(0, len(stream), size)]
        assert list(events(iter(chunks), 100)) == [b"a.b.c", b"xy"]
    with pytest.raises(FetchError, match="more than 10 bytes"):
        list(events(iter([b"data: " + b"x" * 20]), 10))
