"""What is recorded of a request, once it is known how it was answered."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from typing import Any

from ._calls import Call
from ._grant import Grant
from ._guard import Decided, Verdict
from ._inspect import COMPLETE, Body
from ._json import text_of
from ._policy import PROMPT, TOOL

REQUEST = "request"  # the kind of a record about a request that names no target
MAX_NAME = 1024
_ORDERED = "234567ABCDEFGHIJKLMNOPQRSTUVWXYZ"  # the alphabet of ids in the order in which bytes sort
MAX_ARGUMENTS = 4 << 10  # bytes, all arguments of one call together


def calls_of(
    verdict: Verdict, body: Body | None, grant: Grant, method: str, at: float, status: int, latency: float
) -> Iterator[Call]:
    """Yield a record for each decided call of a request; one for a request that was refused as a whole."""
    common: dict[str, Any] = {
        "at": at,
        "grant": grant,
        "revision": verdict.view.document.revision,
        "sequence": verdict.sequence,
        "silence": verdict.silence,
        "status": status,
        "latency": latency,
    }
    if verdict.refused is not None:
        for kind, name in _targets(body, method):
            refusal: dict[str, Any] = {"allowed": False, "shadowed": False, "reason": verdict.refused, "missing": ()}
            yield Call(id=_new_id(at), kind=kind, tool=name[:MAX_NAME], arguments={}, **refusal, **common)
        return
    for call in verdict.calls:
        if body is None or (body.messages[call.message].method == COMPLETE and call.decision.allowed):
            continue  # one per keystroke
        yield Call(
            id=_new_id(at),
            kind=call.kind,
            tool=call.name[:MAX_NAME],
            allowed=not call.denied,
            shadowed=not call.denied and not call.decision.allowed,
            reason=call.decision.reason,
            missing=call.decision.missing,
            arguments=_audited(verdict, call, body.messages[call.message].arguments),
            risk=verdict.view.policy.risk(call.kind, call.name),
            **common,
        )


def _targets(body: Body | None, method: str) -> list[tuple[str, str]]:
    """Name what a refused request was about: its targets, else the method of its first message, else that of HTTP."""
    if body is None:
        return [(REQUEST, method)]
    targets = [target for message in body.messages for target in message.targets]
    return targets or [(REQUEST, body.messages[0].method or method)]


def _audited(verdict: Verdict, call: Decided, arguments: dict[str, Any]) -> dict[str, str]:
    """Copy the arguments that the policy lists, as far as there is room for them, and no others."""
    document = verdict.view.document
    tools = {TOOL: document.tools, PROMPT: document.prompts}.get(call.kind, {})
    tool = tools.get(call.name)
    kept: dict[str, str] = {}
    room = MAX_ARGUMENTS
    for name in tool.audited if tool is not None else ():
        if name in arguments:
            value = text_of(arguments[name])
            size = len(name.encode()) + len(value)
            if size <= room:
                kept[name], room = value, room - size
    return kept


def _new_id(at: float) -> str:
    """Return the milliseconds of a moment and 17 random characters: neighbours in time are neighbours in an index."""
    ms = int(at * 1000)
    when = "".join(_ORDERED[ms >> shift & 31] for shift in range(40, -1, -5))
    return "call_" + when + base64.b32encode(os.urandom(11))[:17].decode()
