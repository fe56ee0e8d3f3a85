"""Sessions of the handshake era: an unguessable name that belongs to whoever opened it."""

import secrets
from collections import OrderedDict

from acme.auth import Caller


class Sessions:
    """The sessions of this process; the ones used least recently are forgotten first."""

    def __init__(self, limit: int = 10_000) -> None:
        self._limit = limit
        self._open: OrderedDict[str, Caller] = OrderedDict()

    def open(self, caller: Caller) -> str:
        session = secrets.token_urlsafe(24)
        self._open[session] = caller
        if len(self._open) > self._limit:
            self._open.popitem(last=False)
        return session

    def knows(self, session: str, caller: Caller) -> bool:
        """Whether this caller opened it. Somebody else's session is nobody's."""
        if self._open.get(session) != caller:
            return False
        self._open.move_to_end(session)
        return True

    def close(self, session: str, caller: Caller) -> bool:
        return self.knows(session, caller) and self._open.pop(session) is not None
