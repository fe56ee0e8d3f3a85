"""The record of one decided call."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone

from ._grant import Grant


@dataclass(frozen=True)
class Call:
    """One call that was decided, with everything the decision was made from."""

    id: str
    at: float  # seconds since the epoch
    kind: str  # tool, prompt, content, or request for one that names none of them
    tool: str
    grant: Grant
    allowed: bool
    shadowed: bool  # denied by the policy, let through in shadow mode
    reason: str
    missing: tuple[str, ...]
    revision: int
    sequence: int
    silence: float
    status: int  # HTTP status of the answer; 0 when there was none
    latency: float  # seconds
    arguments: dict[str, str]  # JSON texts of those arguments that the policy lists as audited
    risk: int = 0  # 0 reads, 1 writes, 2 destroys; the issuer is not told, it knows the policy

    def json(self) -> str:
        """Return the record as the issuer takes it."""
        grant = self.grant
        record = {
            "id": self.id,
            "at": datetime.fromtimestamp(self.at, timezone.utc).isoformat(timespec="microseconds"),
            "kind": self.kind,
            "tool": self.tool,
            "user": grant.user,
            "org": grant.organization,
            "client": grant.client,
            "host": grant.host,
            "grant": grant.grant_id,
            "proof": "token",
            "scopes": grant.scopes,
            "allowed": self.allowed,
            "shadowed": self.shadowed or None,
            "reason": self.reason,
            "missing": self.missing or None,
            "revision": self.revision,
            "seq": self.sequence,
            "silence": int(max(self.silence, 0)),
            "status": self.status,
            "latency_us": int(self.latency * 1e6),
        }
        text = json.dumps({name: value for name, value in record.items() if value is not None}, separators=(",", ":"))
        if not self.arguments:
            return text
        arguments = ",".join(f"{json.dumps(name)}:{value}" for name, value in self.arguments.items())
        return f'{text[:-1]},"arguments":{{{arguments}}}}}'
