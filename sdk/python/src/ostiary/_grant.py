"""Who calls, as the access token says."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Grant:
    """The identity and permissions behind one request."""

    user: str
    organization: str | None  # None when the user acts for none
    client: str
    host: str | None  # the product behind the client, where it could be checked
    grant_id: str | None
    scopes: tuple[str, ...]  # of the token, as granted
    token_id: str
    expires_at: float  # seconds since the epoch


current: ContextVar[Grant | None] = ContextVar("ostiary_grant", default=None)


def current_grant() -> Grant:
    """Return whose request is being handled. It is there below the middleware and nowhere else.

    Raises LookupError outside a protected request, so that a handler which forgets the middleware fails instead of
    serving everybody.
    """
    grant = current.get()
    if grant is None:
        raise LookupError("there is no protected request: is OstiaryMiddleware around this app?")
    return grant
