"""The resource side of Ostiary for Python: protects an MCP server, without secrets and without a hop per call."""

from ._calls import Call
from ._feed import Feed
from ._grant import Grant, current_grant
from ._keys import KeysUnavailable
from ._ostiary import NotReady, Ostiary, Stopped
from ._policy import Decision
from ._report import Credential
from ._tokens import TokenError
from .middleware import OstiaryMiddleware

__version__ = "0.1.0"

__all__ = [
    "Call",
    "Credential",
    "Decision",
    "Feed",
    "Grant",
    "KeysUnavailable",
    "NotReady",
    "Ostiary",
    "OstiaryMiddleware",
    "Stopped",
    "TokenError",
    "current_grant",
]
