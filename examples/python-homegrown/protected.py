"""Acme Data over MCP."""

import os

from ostiary import OstiaryMiddleware, current_grant

from acme import auth, command
from acme.server import Server


async def granted(database: auth.Database, _: auth.Headers) -> auth.Caller:
    return await auth.external(database, current_grant().organization, current_grant().user)


server = Server(os.environ["ACME_DATABASE_URL"], granted)
app = OstiaryMiddleware(server, issuer=os.environ["OSTIARY_ISSUER"], resource_id=os.environ["OSTIARY_RESOURCE"])

if __name__ == "__main__":
    command.serve(app)
