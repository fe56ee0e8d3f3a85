"""The decision vectors that all languages share."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ostiary._document import Document
from ostiary._feed import Feed
from ostiary._grant import Grant
from ostiary._policy import MAX_SCOPES, Policy

VECTORS = Path(os.environ.get("OSTIARY_VECTORS") or Path(__file__).parents[3] / "app/policy/testdata")


def grant_of(subject: dict[str, Any], granted: list[str]) -> Grant:
    return Grant(
        user=subject.get("user", ""),
        organization=subject.get("org") or None,
        client=subject.get("client", ""),
        host=subject.get("host") or None,
        grant_id=subject.get("grant") or None,
        scopes=tuple(granted),
        token_id="",
        expires_at=0,
    )


@pytest.mark.parametrize(("name", "least"), [("vectors.json", 80), ("fuzzed.json", 1000)])
def test_decisions_are_those_of_every_language(name: str, least: int) -> None:
    shared = json.loads((VECTORS / name).read_bytes())
    assert len(shared["vectors"]) >= least
    policies = {key: Policy(Document.from_json(doc)) for key, doc in shared["documents"].items()}
    wrong = []
    for v in shared["vectors"]:
        policy, granted = policies[v["document"]], v.get("granted") or []
        got = policy.judge(
            v.get("kind") or "tool",
            v["tool"],
            grant_of(v.get("subject") or {}, granted),
            policy.granted(granted),
            Feed.from_json(v.get("feed")),
            v.get("silence") or 0,
        )
        want = v["want"]
        expected = (
            want["allowed"],
            want["reason"],
            tuple(want.get("required") or ()),
            tuple(want.get("missing") or ()),
        )
        if (got.allowed, got.reason, got.required, got.missing) != expected:
            wrong.append((v["name"], got, expected))
    assert not wrong, wrong[:3]


def test_scopes_beyond_the_limit_grant_nothing() -> None:
    names = [f"s{i:04d}" for i in range(MAX_SCOPES + 10)]
    document = {
        "scopes": {name: {"risk": "read"} for name in names},
        "tools": {name: {"scopes": [name], "match": "all"} for name in names},
    }
    policy = Policy(Document.from_json(document))
    for i, name in enumerate(names):
        decision = policy.judge("tool", name, grant_of({}, [name]), policy.granted([name]), Feed(), 0)
        assert decision.allowed == (i < MAX_SCOPES)
