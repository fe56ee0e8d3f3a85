"""Passes the app's answer on: headers made uncacheable, lists filtered, streams ended when they must."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ._answers import GUARD, Answer, rpc_error
from ._inspect import UPSTREAM_FAILED
from ._lists import MAX_LIST, EventFilter, ListFilter, Unfilterable, filtered
from ._request import Event, Send

# Replaced by our own, or of no use once a list was filtered.
_GUARDED = frozenset(
    {
        b"access-control-allow-origin",
        b"access-control-expose-headers",
        b"access-control-allow-credentials",
        b"cache-control",
        b"vary",
    }
)
_STREAM_HEADERS = [
    *(h for h in GUARD if h[0] != b"cache-control"),
    (b"cache-control", b"no-store, no-transform"),
    (b"x-accel-buffering", b"no"),
]


class Closed(OSError):
    """The answer is complete; the app has no more to say (ASGI: a send after the end may raise OSError)."""


async def send_answer(send: Send, answer: Answer, head: bool = False) -> None:
    """Send a whole answer."""
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    await send({"type": "http.response.body", "body": b"" if head else answer.body, "more_body": False})


class Response:
    """The send that the app gets."""

    __slots__ = (
        "_events",
        "_held",
        "_id",
        "_log",
        "_post",
        "_rule",
        "_send",
        "_size",
        "_started",
        "_stream",
        "_whole",
        "done",
        "status",
    )

    def __init__(
        self,
        send: Send,
        rule: ListFilter | None,
        post: bool,
        id: str | None,
        started: Callable[[int, list[tuple[bytes, bytes]]], None],
        log: logging.Logger,
    ) -> None:
        self._send, self._rule, self._post, self._id, self._started, self._log = send, rule, post, id, started, log
        self._events: EventFilter | None = None
        self._held: Event | None = None  # the start of a JSON answer that is collected for the filter
        self._whole: list[bytes] = []
        self._size = 0
        self._stream = False
        self.status = 0  # of the answer, once it has begun
        self.done = False

    async def __call__(self, event: Event) -> None:
        """Take one ASGI event of the app."""
        if self.done:
            raise Closed
        kind = event["type"]
        if kind == "http.response.start":
            await self._start(event)
        elif kind == "http.response.body":
            await self._body(event)
        elif self._rule is None:
            await self._send(event)

    async def _start(self, event: Event) -> None:
        headers, stream = [], False
        encoded = False
        for name, value in event.get("headers", ()):
            name = name.lower()
            if name in _GUARDED:
                continue
            if name == b"content-type":
                stream = value.partition(b";")[0].strip().lower() == b"text/event-stream"
            elif name == b"content-encoding":
                encoded = value.lower() not in (b"", b"identity")
            elif name == b"x-accel-buffering":
                continue
            headers.append((name, value))
        self.status = event["status"]
        self._started(self.status, headers)
        self._stream = stream
        headers += _STREAM_HEADERS if stream else GUARD
        start: Event = {**event, "headers": headers}
        if self._rule is not None and 200 <= self.status < 300 and (stream or self._post):
            start["headers"] = [h for h in headers if h[0] not in (b"content-length", b"etag")]
            if encoded:
                self._held = start
                await self._withhold("it is compressed though nobody asked for it")
                return
            if not stream:
                self._held = start
                return
            self._events = EventFilter(self._rule)
        await self._send(start)

    async def _body(self, event: Event) -> None:
        chunk, more = event.get("body", b""), event.get("more_body", False)
        if self._held is not None and self._rule is not None:
            await self._collect(self._held, self._rule, chunk, more)
            return
        if self._events is not None:
            try:
                chunk = self._events.feed(chunk)
                if not more:
                    chunk += self._events.end()
            except Unfilterable as e:
                await self._withhold(str(e))
                raise Closed from None
            if more and not chunk:
                return
        self.done = not more
        await self._send({"type": "http.response.body", "body": chunk, "more_body": more})

    async def _collect(self, start: Event, rule: ListFilter, chunk: bytes, more: bool) -> None:
        self._whole.append(chunk)
        self._size += len(chunk)
        if self._size > MAX_LIST:
            await self._withhold("it is too large")
            raise Closed
        if more:
            return
        raw = b"".join(self._whole)
        try:
            body = filtered(raw, rule) if raw.strip() else raw
        except Unfilterable as e:
            await self._withhold(str(e))
            return
        self.done = True
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def _withhold(self, why: str) -> None:
        """Rather no list than one nobody could check."""
        self._log.error("a list could not be filtered and was withheld: %s", why)
        answer = rpc_error(502, self._id, UPSTREAM_FAILED, "The MCP server's list could not be read")
        await self.replace(answer)

    @property
    def begun(self) -> bool:
        """Report whether anything was sent to the client."""
        return self.status != 0 and self._held is None

    async def replace(self, answer: Answer) -> None:
        """Send answer in place of the app's. When that has begun, end a stream, and break anything else off."""
        if self.done:
            return
        if self.begun:
            self.done = True
            if self._stream:
                await self._send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        self.done, self._held, self.status = True, None, answer.status
        self._whole.clear()
        await send_answer(self._send, answer)
