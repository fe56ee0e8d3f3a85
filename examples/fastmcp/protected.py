"""Acme Data on FastMCP, protected tool by tool."""

import os

from fastmcp.server.dependencies import get_access_token
from ostiary.fastmcp import OstiaryProvider

from acme import build
from serve import serve


def who() -> str:
    """The user in the token. claims has the organization (org_id), the client and the grant as well."""
    token = get_access_token()
    return str(token.claims["sub"]) if token else "unknown"


auth = OstiaryProvider(issuer=os.environ["OSTIARY_ISSUER"], resource_id=os.environ["OSTIARY_RESOURCE"])
mcp = build(who, auth=auth)

if __name__ == "__main__":
    serve(mcp)
