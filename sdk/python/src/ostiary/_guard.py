"""The decision on one whole request. Any denied call denies all of it: a batch is one HTTP request with one status."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from . import _answers as answers
from ._answers import Answer, Challenge
from ._feed import REVOKED, STOPPED
from ._grant import Grant
from ._inspect import Body, Refusal
from ._ostiary import CHATGPT, SHADOWABLE, Ostiary
from ._policy import INSUFFICIENT_SCOPE, OUT_OF_CONTACT, TOOL, Decision
from ._site import View
from ._tokens import ENDED, Entry


@dataclass(frozen=True)
class Decided:
    """One decided call: which message of the body, about what, and whether the denial is acted upon."""

    message: int
    kind: str
    name: str
    decision: Decision
    denied: bool


@dataclass
class Verdict:
    """What was decided about a request. answer is None when it may go on."""

    view: View
    refused: str | None = None  # why whoever asks may do nothing at all
    calls: list[Decided] = field(default_factory=list)
    answer: Answer | None = None
    silence: float = 0
    sequence: int = 0


def judge(guard: Ostiary, entry: Entry, body: Body | None, problem: Refusal | None, metadata_url: str) -> Verdict:
    """Decide about a request of a token. problem is what is wrong with its body, None when nothing is."""
    view, feed = guard.view, guard.feed
    verdict = Verdict(view, guard.refuses(entry.grant), silence=guard.silence, sequence=feed.sequence)
    if verdict.refused == REVOKED:  # before anything about the body: the client needs a new token anyway
        challenge = Challenge(metadata_url, view.baseline, "invalid_token", ENDED)
        verdict.answer = answers.challenged(challenge)
    elif problem is not None:
        verdict.answer = answers.refused(problem)
    elif verdict.refused == STOPPED:
        verdict.answer = answers.access_stopped(body)
    elif body is not None:
        verdict.calls = _decided(guard, entry, body, verdict)
        verdict.answer = _denial(verdict, body, entry.grant, metadata_url)
    return verdict


def _decided(guard: Ostiary, entry: Entry, body: Body, verdict: Verdict) -> list[Decided]:
    calls: list[Decided] = []
    view, feed, policy = verdict.view, guard.feed, verdict.view.policy
    for i, message in enumerate(body.messages):
        for kind, name in message.targets:
            if entry.granted_for is not policy:
                entry.granted, entry.granted_for = policy.granted(entry.grant.scopes), policy
            d = policy.judge(kind, name, entry.grant, entry.granted, feed, verdict.silence)
            calls.append(Decided(i, kind, name, d, not d.allowed and not (view.shadow and d.reason in SHADOWABLE)))
    return calls


def _denial(verdict: Verdict, body: Body, grant: Grant, metadata_url: str) -> Answer | None:
    """Answer a denied body. What no permission and no patience helps comes first, then patience, then permission."""
    denied = [c for c in verdict.calls if c.denied]
    if not denied:
        return None
    problems = {
        c.message: answers.STOPPED_TARGET if c.decision.reason == STOPPED else answers.unknown(c.kind, c.name)
        for c in reversed(denied)
        if c.decision.reason not in (INSUFFICIENT_SCOPE, OUT_OF_CONTACT)
    }
    if problems:
        return answers.hopeless(body, dict(sorted(problems.items())))
    if any(c.decision.reason == OUT_OF_CONTACT for c in denied):
        return answers.out_of_contact(body)
    return _ask_for_more(body, denied, grant, metadata_url)


def _ask_for_more(body: Body, denied: Sequence[Decided], grant: Grant, metadata_url: str) -> Answer:
    required = tuple(dict.fromkeys(scope for c in denied for scope in c.decision.required))
    challenge = Challenge(metadata_url, required, INSUFFICIENT_SCOPE, answers.asking_for(required))
    if grant.host == CHATGPT and body.id is not None and denied[0].kind == TOOL:
        return answers.insufficient_in_result(body.id, challenge)
    return answers.insufficient(body, challenge)
