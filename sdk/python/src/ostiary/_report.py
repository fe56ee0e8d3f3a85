"""Reports calls to the issuer behind the answers. No call ever waits for it, so records can be lost, and it says so."""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import quote

import httpx

from ._calls import Call

MAX_RECORDS = 10_000
MAX_BYTES = 32 << 20
BATCH = 200
BATCH_BYTES = 1 << 20
EVERY = 1.0
RETRY_MOST = 30.0
CLOSING = 3.0  # for what is left when it is closed


@dataclass(frozen=True)
class Credential:
    """The resource's own credential (`rcr_…`), for reports alone: tokens are checked without one."""

    id: str
    secret: str = field(repr=False)


class _Held(NamedTuple):
    """A record that waits, in the order of its number."""

    number: int
    worth: int
    text: str


class _Waiting:
    """Records in the order they came, in lanes by what they are worth.

    What was denied did nothing, and anybody can be denied as often as he likes. So it gives way first, then what was
    read, then what was changed: nobody can push the record of what he did out with calls that cost him nothing.
    """

    def __init__(self) -> None:
        self._lanes: tuple[deque[_Held], ...] = tuple(deque() for _ in range(5))
        self._next = 0
        self.bytes = 0

    def __len__(self) -> int:
        return sum(map(len, self._lanes))

    def add(self, worth: int, text: str) -> None:
        held = _Held(self._next, worth, text)
        self._next += 1
        self._lanes[held.worth].append(held)
        self.bytes += len(held.text)

    def drop(self) -> None:
        """Remove the oldest of what is worth least."""
        self._remove(next(lane for lane in self._lanes if lane))

    def take(self) -> _Held:
        """Remove the oldest."""
        return self._remove(min((lane for lane in self._lanes if lane), key=lambda lane: lane[0].number))

    def give_back(self, held: list[_Held]) -> None:
        """Put records that were taken back in front."""
        for record in reversed(held):
            self._lanes[record.worth].appendleft(record)
            self.bytes += len(record.text)

    def _remove(self, lane: deque[_Held]) -> _Held:
        held = lane.popleft()
        self.bytes -= len(held.text)
        return held


class Reporter:
    """Sends batches of records from a thread. What is held is bounded; what is worth least goes first."""

    def __init__(
        self, issuer: str, resource_id: str, credential: Credential, client: httpx.Client, log: logging.Logger
    ) -> None:
        self._url = f"{issuer}/resources/{quote(resource_id, safe='')}/calls"
        self._auth = (credential.id, credential.secret)
        self._client, self._log = client, log
        self._records = _Waiting()
        self._dropped = 0
        self._batch: tuple[list[_Held], int] = ([], 0)  # under way: sent again exactly as it was
        self._size = BATCH
        self._lock = threading.Lock()
        self._wake, self._closing = threading.Event(), threading.Event()
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="ostiary-calls", daemon=True)
        self._thread.start()

    def add(self, call: Call) -> None:
        """Take a record; it is sent later."""
        worth, text = 1 + call.risk if call.allowed else 0, call.json()
        with self._lock:
            self._records.add(worth, text)
            while len(self._records) > MAX_RECORDS or self._records.bytes > MAX_BYTES:
                self._records.drop()
                self._dropped += 1
            full = len(self._records) >= BATCH
        if full:
            self._wake.set()

    def close(self) -> None:
        """Send what is left, as far as that goes within a few seconds."""
        self._closing.set()
        self._wake.set()
        self._thread.join(timeout=CLOSING + 1)

    def _run(self) -> None:
        failures = 0
        while not self._closing.is_set():
            self._wake.wait(EVERY)
            self._wake.clear()
            while self._take():
                pause = self._send()
                if pause is None:
                    failures = 0
                    continue
                failures += 1
                wait = max(pause, min(2.0**failures, RETRY_MOST) * random.uniform(0.5, 1.0))  # noqa: S311
                if self._closing.wait(wait):
                    break
        deadline = time.monotonic() + CLOSING
        while time.monotonic() < deadline and self._take():
            if self._send() is not None:
                time.sleep(0.1)
        if not self._batch[0] and self._dropped:  # no call will come any more to say it with
            with self._lock:
                self._batch, self._dropped = ([], self._dropped), 0
            self._send()

    def _take(self) -> bool:
        """Make the next batch, unless one is under way. False when there is nothing to send.

        Losses are said with the next records: said alone and refused, they would come again without end.
        """
        records, _ = self._batch
        if records:
            return True
        with self._lock:
            size = 0
            while self._records and len(records) < self._size and size < BATCH_BYTES:
                record = self._records.take()
                size += len(record.text)
                records.append(record)
            if records:
                self._batch, self._dropped = (records, self._dropped), 0
        return bool(records)

    def _send(self) -> float | None:
        """Send the batch under way. None when that is done with, else how long to wait at least before the next try."""
        records, dropped = self._batch
        content = f'{{"calls":[{",".join(record.text for record in records)}],"dropped":{dropped}}}'
        try:
            answer = self._client.post(
                self._url,
                content=content.encode(),
                headers={"Content-Type": "application/json"},
                auth=self._auth,
                timeout=10.0,
                follow_redirects=False,
            )
        except httpx.HTTPError as e:
            return self._failed(f"the issuer cannot be reached: {type(e).__name__}", 0)
        status = answer.status_code
        if status == 413 and len(records) > 1:
            self._split()
            return 0
        if status != 200 and status not in (400, 413):
            after = answer.headers.get("retry-after", "")
            return self._failed(f"the issuer answered {status}", float(after) if after.isdigit() else 0)
        if status != 200:
            self._log.error("%d calls cannot be kept by the issuer (%d)", len(records), status)
            with self._lock:
                self._dropped += len(records) + dropped
        elif refused := _refused(answer):
            self._log.error("%d calls were refused by the issuer", refused)
        if self._failing:
            self._failing = False
            self._log.info("calls can be reported again")
        self._batch = ([], 0)
        return None

    def _split(self) -> None:
        """Send less at once: give the second half back."""
        records, dropped = self._batch
        self._size = max(1, len(records) // 2)
        with self._lock:
            self._records.give_back(records[self._size :])
        self._batch = (records[: self._size], dropped)

    def _failed(self, why: str, after: float) -> float:
        if not self._failing:
            self._failing = True
            self._log.warning("calls cannot be reported, they are kept for later: %s", why)
        return min(after, 2 * RETRY_MOST)


def _refused(answer: httpx.Response) -> int:
    try:
        refused = json.loads(answer.content[: 1 << 20]).get("refused")
    except (ValueError, AttributeError):
        return 0
    return len(refused) if isinstance(refused, list) else 0
