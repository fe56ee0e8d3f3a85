"""Acme Data over MCP."""

import os

from acme import auth, command
from acme.server import Server

app = Server(os.environ["ACME_DATABASE_URL"], auth.chosen(os.environ))

if __name__ == "__main__":
    command.serve(app)
