"""The resource side of one MCP server: what is known of its issuer, and the decisions that follow from it."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import anyio
import httpx

from ._calls import Call
from ._document import Document
from ._feed import REVOKED, STOPPED, Feed
from ._fetch import Fetcher
from ._follow import Follower
from ._grant import Grant
from ._keys import IssuerKeys, KeysUnavailable
from ._listen import Timing
from ._policy import ALLOWED, INSUFFICIENT_SCOPE, TOOL, UNKNOWN_TOOL, UNMAPPED_TOOL, Decision
from ._report import Credential, Reporter
from ._site import View
from ._sources import Source
from ._streams import Streams
from ._tokens import ENDED, Entry, Recent, TokenError, Verifier
from ._watch import Watch

CHATGPT = "chatgpt"  # the host that reads permissions where no specification puts them: on tools, in results

MAX_SKEW = 120.0
FEED_LIFETIME = 120.0

# Denials that shadow mode lets through: those that are about the map from tools to permissions.
SHADOWABLE = frozenset({INSUFFICIENT_SCOPE, UNKNOWN_TOOL, UNMAPPED_TOOL})


class NotReady(Exception):
    """There are no keys or no policy yet, so nobody can tell what is allowed."""


class Stopped(Exception):
    """An administrator has stopped the server, or the host, user or organization of the token."""


class Ostiary:
    """Protects one MCP server. It holds no secret: everything it rests on is signed by the issuer.

    `identifier` is the URL clients reach the server by, when that is one of the resource's aliases. `skew` bounds the
    difference between our clock and the issuer's, in seconds. With `reporting`, calls are reported to the issuer behind
    the answers; `on_call` is told of each as well, and must be quick. Raises ValueError for settings that cannot work.
    """

    def __init__(
        self,
        *,
        issuer: str,
        resource_id: str,
        identifier: str | None = None,
        skew: float = 30.0,
        poll_every: float = 3.0,
        http_client: httpx.Client | None = None,
        now: Callable[[], float] = time.time,
        timing: Timing = Timing(),  # noqa: B008 - it is immutable
        reporting: Credential | None = None,
        on_call: Callable[[Call], None] | None = None,
    ) -> None:
        parts = urlsplit(issuer)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ValueError("the issuer is not an absolute http or https URL")
        if parts.username or "?" in issuer or "#" in issuer or issuer.endswith("/"):
            raise ValueError("the issuer has no user, query, fragment or trailing slash")
        if not resource_id:
            raise ValueError("the resource id is missing")
        if not 0 <= skew <= MAX_SKEW:
            raise ValueError(f"the clock skew is between 0 and {MAX_SKEW:.0f} seconds")
        self.issuer, self.resource_id, self.log = issuer, resource_id, logging.getLogger("ostiary")
        self._identifier, self._skew, self._poll_every = identifier, skew, poll_every
        self._http_client, self._clock, self._timing = http_client, now, timing
        self._reporting, self._on_call = reporting, on_call
        self._lock = threading.Lock()
        self._closed, self._users = False, 0
        self._build()

    def _build(self) -> None:
        fetcher = Fetcher(self._http_client)
        self.now = Watch(self._clock)
        self._keys = IssuerKeys(self.issuer, fetcher, self.now, self.log)
        self._verifier = Verifier(self._keys, self.issuer, self._skew, self.now)
        self._source = Source(self.issuer, self.resource_id, self._keys, fetcher, self._skew, self.now)
        self._view: View | None = None
        self._feed = Feed()
        self._heard = 0  # when the issuer signed the newest of what we hold
        self._flagged: Recent[tuple[str, str], bool] = Recent(1024)
        self.streams = Streams()
        self._reporter: Reporter | None = None
        self._follower: Follower | None = None
        self._pid = os.getpid()

    def start(self) -> None:
        """Begin to follow the issuer in the background. Each start needs its close; requests start by themselves."""
        self._begin(1)

    def _begin(self, users: int) -> None:
        with self._lock:
            self._users += users
            self._closed = False
            if self._pid != os.getpid():  # threads and connections stayed behind in the parent
                self._build()
            if self._follower is None:
                self._keys.open()
                if self._reporting is not None:
                    self._reporter = Reporter(
                        self.issuer, self.resource_id, self._reporting, self._source.fetcher.client, self.log
                    )
                self._follower = Follower(
                    self._source, self._accept_policy, self._accept_feed, self.log, self._poll_every, self._timing
                )

    def ensure_started(self) -> None:
        """Start unless that was done, in this process, or somebody closed it."""
        if (self._follower is None and not self._closed) or self._pid != os.getpid():
            self._begin(0)

    def close(self) -> None:
        """Stop following the issuer, with the last who started it. What is held stays in force until it is too old."""
        with self._lock:
            self._users = max(0, self._users - 1)
            if self._users:
                return
            follower, self._follower, self._closed = self._follower, None, True
            reporter, self._reporter = self._reporter, None
        if reporter is not None:
            reporter.close()
        if follower is not None:
            follower.stop()
        self._keys.close()
        self._source.fetcher.close()

    async def wait_ready(self, timeout: float) -> bool:
        """Start, and report whether decisions are possible within timeout seconds."""
        self.ensure_started()
        deadline = time.monotonic() + timeout
        while not self.ready:
            if time.monotonic() > deadline:
                return False
            await anyio.sleep(0.02)
        return True

    @property
    def ready(self) -> bool:
        """Report whether there are keys and a policy."""
        follower = self._follower
        return self._view is not None and (follower is None or follower.ready.is_set())

    @property
    def view(self) -> View:
        """Return what follows from the policy in force. Raises NotReady."""
        if self._view is None:
            raise NotReady("there is no policy yet")
        return self._view

    @property
    def feed(self) -> Feed:
        """Return what is revoked and stopped now."""
        return self._feed

    @property
    def silence(self) -> float:
        """Return how many seconds ago the issuer signed the newest document we hold."""
        return self.now() - self._heard

    async def verify(self, token: str) -> Entry:
        """Return whose token this is.

        Raises TokenError when the token is at fault, NotReady or KeysUnavailable when nobody can tell now.
        """
        return await self._verifier.verify(token, self.view.document.resource.identifier)

    async def grant_of(self, token: str) -> Grant:
        """Check what concerns a whole request: the token, and whether anything it rests on has ended or is stopped.

        Raises TokenError, Stopped, NotReady or KeysUnavailable.
        """
        grant = (await self.verify(token)).grant
        reason = self.refuses(grant)
        if reason == REVOKED:
            raise TokenError(ENDED)
        if reason == STOPPED:
            raise Stopped
        return grant

    @property
    def observed(self) -> bool:
        """Report whether anybody wants to know of calls."""
        return self._reporter is not None or self._on_call is not None

    def observe(self, call: Call) -> None:
        """Tell of a decided call whoever wants to know."""
        reporter = self._reporter
        if reporter is not None:
            reporter.add(call)
        if self._on_call is not None:
            self._on_call(call)

    def decide(self, grant: Grant, name: str, kind: str = "tool") -> Decision:
        """Decide about one call: a tool, a prompt, or a content by its URI. Raises NotReady.

        In shadow mode the decision is what the policy says; whether to act on it is `enforces`' to say.
        """
        policy = self.view.policy
        return policy.judge(kind, name, grant, policy.granted(grant.scopes), self._feed, self.silence)

    def enforces(self, decision: Decision) -> bool:
        """Report whether a denial is acted upon. In shadow mode those about permissions are only recorded."""
        return not decision.allowed and not (self.view.shadow and decision.reason in SHADOWABLE)

    def lists(self, grant: Grant, name: str, kind: str = "tool") -> bool:
        """Report whether a list may name something. Shadow mode leaves out only what is stopped. Raises NotReady."""
        return self.shows(grant, name, kind) is not None

    def shows(self, grant: Grant, name: str, kind: str) -> tuple[str, ...] | None:
        """Say how a list names something: not (None), as it is (no scopes), or with the scopes that it needs.

        The last is for a host that asks its user for more by what a tool says, of what could be asked for, too.
        """
        decision = self.decide(grant, name, kind)
        if decision.reason in (UNKNOWN_TOOL, UNMAPPED_TOOL):
            self._flag(kind, name, decision.reason)
        if kind == TOOL and grant.host == CHATGPT and decision.reason in (ALLOWED, INSUFFICIENT_SCOPE):
            return decision.required
        return () if decision.allowed or (self.view.shadow and decision.reason != STOPPED) else None

    def _flag(self, kind: str, name: str, reason: str) -> None:
        """Tell the operator, once per process, of what nobody can use because the policy does not map it."""
        if self._flagged.get((kind, name[:128])) is None:
            self._flagged.put((kind, name[:128]), True)
            self.log.warning("this server offers the %s %.128r, which the policy does not map (%s)", kind, name, reason)

    def _accept_policy(self, document: Document, issued: int) -> None:
        view = View(document, self.issuer, self._identifier)
        self.now.heard(issued)
        before, self._view = self._view, view
        if before is None:  # until there is a feed
            self._heard = max(self._heard, issued)
        elif before.document.revision != document.revision:
            self.log.info("policy revision %d in force, mode %s", document.revision, document.mode)

    def _accept_feed(self, feed: Feed, issued: int) -> None:
        # What has ended leaves the feed again once no token from before can be alive. After a gap longer than feeds
        # live, some may have gone unheard: what is open and rests on a token that has expired since ends, too.
        gap = self.silence > FEED_LIFETIME
        self.now.heard(issued)
        self._feed, self._heard = feed, max(self._heard, issued)
        expired = self.now() - self._skew if gap else 0
        self.streams.end(lambda grant: self.refuses(grant) or (REVOKED if grant.expires_at < expired else None))

    def refuses(self, grant: Grant) -> str | None:
        """Say why nothing may be done with a token of grant: "revoked", "stopped", or None when neither holds."""
        return self._feed.refuses(grant, self.resource_id)


__all__ = ["KeysUnavailable", "NotReady", "Ostiary", "Stopped", "TokenError"]
