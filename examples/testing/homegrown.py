"""Runs one of the homegrown example's entries on a Postgres of its own, for tests in other languages.

Prints a line of JSON when it answers: its URL and the API keys of the organizations. Ends with Ctrl-C, and everything
with it.
"""

import argparse
import contextlib
import json
import secrets
import signal

from testing import acme as homegrown
from testing.postgres import Cluster


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entry", default="main.py")
    parser.add_argument("--port", default="0")
    parser.add_argument("--link", action="append", default=[], metavar="ORGANIZATION=EXTERNAL_ID")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does, with the database
    cluster = Cluster()
    try:
        run(cluster, options)
    finally:
        cluster.stop()


def run(cluster: Cluster, options: argparse.Namespace) -> None:
    def create(template: str = "template1") -> str:
        name = f"test_{secrets.token_hex(6)}"
        with cluster.admin() as admin:
            admin.execute(f"create database {name} template {template}".encode())
        return name

    seeded = homegrown.make(cluster, create)
    seeded.link(dict(link.split("=", 1) for link in options.link))
    program = homegrown.start(seeded, "--port", options.port, entry=options.entry)
    try:
        print(json.dumps({"url": program.url, "keys": seeded.keys}), flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                signal.pause()
    finally:
        program.stop()


if __name__ == "__main__":
    main()
