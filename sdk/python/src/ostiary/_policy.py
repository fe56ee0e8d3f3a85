"""The decision on one call: values in, values out, the same in every language (shared test vectors)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ._document import DESTRUCTIVE, MATCH_ANY, READ, WRITE, Document, Tool
from ._feed import STOPPED, Feed
from ._grant import Grant

ALLOWED = "allowed"
UNKNOWN_TOOL = "unknown_tool"
UNMAPPED_TOOL = "unmapped_tool"
INSUFFICIENT_SCOPE = "insufficient_scope"
OUT_OF_CONTACT = "out_of_contact"

TOOL, PROMPT, CONTENT = "tool", "prompt", "content"

MAX_SCOPES = 256  # of a document; scopes beyond it grant nothing

_RISKS = {READ: 0, WRITE: 1, DESTRUCTIVE: 2}
_WORST = 3


@dataclass(frozen=True)
class Decision:
    """The outcome of one call. `required` is what a challenge must name, `missing` the part the token lacks."""

    allowed: bool
    reason: str
    required: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


_UNKNOWN = Decision(False, UNKNOWN_TOOL)
_UNMAPPED = Decision(False, UNMAPPED_TOOL)
_STOPPED = Decision(False, STOPPED)
_OPEN = Decision(True, ALLOWED)


class _Entry:
    """A tool prepared for deciding; scopes are bits."""

    __slots__ = ("allowed", "any", "needed", "required", "risk", "scopes", "silent")

    def __init__(self, doc: Document, bits: Mapping[str, int], tool: Tool) -> None:
        names = sorted(set(tool.scopes))
        self.any = tool.match == MATCH_ANY
        self.scopes = tuple((name, bits.get(name, 0)) for name in names)
        self.needed = 0
        for _, bit in self.scopes:
            self.needed |= bit
        if self.any and len(names) > 1:
            names = [min(names, key=lambda name: _harm(doc, name))]
        self.required = tuple(names)
        self.risk = max((_rank(doc, name) for name in names), default=0)
        self.allowed = Decision(True, ALLOWED, self.required)
        self.silent = Decision(False, OUT_OF_CONTACT, self.required)

    def decide(self, granted: int) -> Decision:
        if not self.scopes:
            return _UNMAPPED
        if self.any:
            if granted & self.needed:
                return self.allowed
            return Decision(False, INSUFFICIENT_SCOPE, self.required, self.required)
        # A scope the document lacks has no bit, so it is always missing.
        missing = tuple(name for name, bit in self.scopes if not granted & bit)
        return Decision(False, INSUFFICIENT_SCOPE, self.required, missing) if missing else self.allowed


def _rank(doc: Document, name: str) -> int:
    scope = doc.scopes.get(name)
    return _WORST if scope is None else _RISKS.get(scope.risk, _WORST)


def _harm(doc: Document, name: str) -> tuple[int, int, str]:
    """Order scopes by what to ask for first: least risk, then the tenant's order, then the name."""
    scope = doc.scopes.get(name)
    return _rank(doc, name), 0 if scope is None else scope.position, name


class Policy:
    """A document prepared for deciding. It takes every document and fails closed."""

    def __init__(self, doc: Document) -> None:
        self.document = doc
        names = sorted(doc.scopes)[:MAX_SCOPES]
        bits = {name: 1 << i for i, name in enumerate(names)}
        self._closure = {name: _closure(doc, bits, name) for name in names}
        self._maps = {
            kind: {name: _Entry(doc, bits, tool) for name, tool in tools.items()}
            for kind, tools in ((TOOL, doc.tools), (PROMPT, doc.prompts), (CONTENT, doc.contents))
        }
        prefixes = [(uri[:-1], entry) for uri, entry in self._maps[CONTENT].items() if uri.endswith("*")]
        self._prefixes = sorted(prefixes, key=lambda p: (-len(p[0].encode()), p[0]))
        offline = doc.offline
        self._limits = (offline.read, offline.write, offline.destructive, offline.destructive)

    def granted(self, scopes: Iterable[str]) -> int:
        """Return the scopes of a token, with all they imply, as a set that only this policy understands."""
        mask = 0
        for name in scopes:
            mask |= self._closure.get(name, 0)
        return mask

    def judge(self, kind: str, name: str, grant: Grant, granted: int, feed: Feed, silence: float) -> Decision:
        """Decide about one call. silence is how long ago the issuer was last heard, in seconds.

        The order is fixed, since logs and SDKs compare reasons: what the token rests on, what is stopped, what the
        policy says, and last whether the issuer has been silent for too long.
        """
        reason = feed.refuses(grant, self.document.resource.id)
        if reason is not None:
            return Decision(False, reason)
        if kind == TOOL and (TOOL, name) in feed.stops:
            return _STOPPED
        entry, guarded = self._find(kind, name)
        if not guarded:
            return Decision(False, OUT_OF_CONTACT) if silence > self._limits[0] else _OPEN
        if entry is None:
            return _UNKNOWN
        decision = entry.decide(granted)
        if decision.allowed and silence > self._limits[entry.risk]:
            return entry.silent
        return decision

    def risk(self, kind: str, name: str) -> int:
        """Return the risk of the most dangerous scope a target needs; that of reading when nothing maps it."""
        entry, _ = self._find(kind, name)
        return 0 if entry is None else entry.risk

    def guards(self, kind: str) -> bool:
        """Report whether the document says anything about a kind. What it does not guard is open to every token."""
        return self._find(kind, "")[1]

    def _find(self, kind: str, name: str) -> tuple[_Entry | None, bool]:
        """Return the entry of a target, and whether one is needed: prompts and contents nobody maps are open."""
        entries = self._maps.get(kind)
        if entries is None:
            return None, True
        if kind == CONTENT:
            return self._content(name), bool(entries)
        return entries.get(name), kind == TOOL or bool(entries)

    def _content(self, uri: str) -> _Entry | None:
        """Find the entry of a URI: the URI itself, else the longest beginning of it that is mapped."""
        entry = self._maps[CONTENT].get(uri)
        if entry is not None and not uri.endswith("*"):
            return entry
        return next((entry for prefix, entry in self._prefixes if uri.startswith(prefix)), None)


def _closure(doc: Document, bits: Mapping[str, int], name: str) -> int:
    mask, queue = 0, [name]
    while queue:
        following = queue.pop()
        bit = bits.get(following, 0)
        if bit and not mask & bit:
            mask |= bit
            queue.extend(doc.scopes[following].implies)
    return mask
