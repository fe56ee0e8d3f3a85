"""A real Ostiary with a tenant for the examples: organizations with a user each, an MCP server for each example."""

import json
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from testing.browser import Connection, connect
from testing.process import EXAMPLES, Program

PASSWORD = "correct horse battery staple"
NORTHWIND, NEIGHBOUR = "user@northwind.example", "user@larchfield.example"
UNKNOWN = "user@driftwood.example"  # of an organization that no example has data of
ORGANIZATIONS = {
    "northwind": "Northwind Logistics",
    "larchfield": "Larchfield Foods",
    "driftwood": "Driftwood Retail",
}


def build(binary: Path, package: str) -> Path:
    """Builds a command of this repository."""
    subprocess.run(["go", "build", "-o", binary, package], cwd=EXAMPLES.parent, check=True)
    return binary


@dataclass
class Ostiary:
    """A running `ostiary dev` and the tokens its users have got so far."""

    binary: Path
    directory: Path
    database_url: str
    servers: list[str]
    issuer: str = ""
    resources: dict[str, str] = field(default_factory=dict)  # id by example
    organizations: dict[str, str] = field(default_factory=dict)  # id by slug
    _tokens: dict[Any, str] = field(default_factory=dict)

    def start(self) -> Program:
        tenant = self.directory / "tenant.yaml"
        tenant.write_text(json.dumps(self._tenant()))  # JSON is YAML without aliases
        program = Program(
            [self.binary, "dev", "--json", "--port", "0", "--mcp-port", "0", "--data-dir", self.directory / "data",
             "--apply", tenant],
            env={"OSTIARY_DATABASE_URL": self.database_url}, timeout=120,
        )  # fmt: skip
        self.issuer = program.ready["issuer"].replace("acme-dev", "examples")
        ids = dict(re.findall(r"^Id of (.+) in examples: (\S+)$", program.log(), re.MULTILINE))
        self.resources = {server: ids[f"MCP server {identifier(server)}"] for server in self.servers}
        self.organizations = {slug: ids[f"organization {slug}"] for slug in ORGANIZATIONS}
        return program

    def token(self, server: str, *scopes: str, user: str = NORTHWIND) -> str:
        """A token a user has allowed, got once."""
        key = (server, scopes, user)
        if key not in self._tokens:
            self._tokens[key] = self.connect(server, *scopes, user=user).token
        return self._tokens[key]

    def connect(self, server: str, *scopes: str, user: str = NORTHWIND) -> Connection:
        """A connection of its own."""
        return connect(self.issuer, identifier(server), user, PASSWORD, scopes)

    def _tenant(self) -> Any:
        """The demo tenant's file, which fits every example, with a second organization."""
        source = subprocess.run([self.binary, "apply", "--example"], check=True, capture_output=True).stdout
        file = yaml.safe_load(source)
        file["tenant"] = {"slug": "examples", "name": "Examples"}
        del file["members"]
        environment = file["environments"][0]
        environment |= {
            "slug": "examples",
            "organizations": [{"slug": slug, "name": name} for slug, name in ORGANIZATIONS.items()],
            "users": [
                {"email": f"user@{slug}.example", "email_verified": True, "name": f"User of {name}",
                 "organization": slug, "password": PASSWORD}
                for slug, name in ORGANIZATIONS.items()
            ],
        }  # fmt: skip
        server = environment["resources"][0]
        environment["resources"] = [server | {"identifier": identifier(s), "name": s} for s in self.servers]
        return file


def identifier(server: str) -> str:
    """The registered address of an example. Tokens are bound to it wherever the example listens in a test."""
    return f"https://{server}.acme.example/mcp"
