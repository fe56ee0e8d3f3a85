"""A real Ostiary with a tenant for the examples: organizations with a user each, an MCP server for each example."""

import json
import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from testing.browser import Connection, connect
from testing.postgres import Cluster
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
    cluster: Cluster
    servers: list[str]
    issuer: str = ""
    resources: dict[str, str] = field(default_factory=dict)  # id by example
    organizations: dict[str, str] = field(default_factory=dict)  # id by slug
    credentials: dict[str, str] = field(default_factory=dict)  # to report calls with, by example
    _environment: dict[str, str] = field(default_factory=dict)
    _tokens: dict[Any, str] = field(default_factory=dict)

    def start(self) -> Program:
        tenant = self._write_tenant()
        program = Program(
            [self.binary, "dev", "--json", "--port", "0", "--mcp-port", "0", "--data-dir", self.directory / "data",
             "--apply", tenant],
            env={"OSTIARY_DATABASE_URL": self.cluster.url()}, timeout=240,
        )  # fmt: skip
        self.issuer = program.ready["issuer"].replace("acme-dev", "examples")
        ids = dict(re.findall(r"^Id of (.+) in examples: (\S+)$", program.log(), re.MULTILINE))
        self.resources = {server: ids[f"MCP server {identifier(server)}"] for server in self.servers}
        self.organizations = {slug: ids[f"organization {slug}"] for slug in ORGANIZATIONS}
        made = re.findall(
            r"^Credential of (.+) in examples: (\S+), secret shown this once: (\S+)$", program.log(), re.M
        )
        credentials = {address: f"{id}:{secret}" for address, id, secret in made}
        self.credentials = {server: credentials[identifier(server)] for server in self.servers}
        secrets = json.loads((self.directory / "data" / "dev.json").read_text())
        self._environment = {
            "OSTIARY_DATABASE_URL": self.cluster.url("ostiary", "ostiary_app", secrets["app_password"]),
            "OSTIARY_MASTER_KEY": secrets["master_key"],
            "OSTIARY_URL": program.ready["dashboard_url"],
        }
        return program

    def run(self, *arguments: str | Path) -> str:
        """What a command of the binary prints, run as the operator would."""
        done = subprocess.run(
            [self.binary, *arguments], env=os.environ | self._environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def set_mode(self, server: str, mode: str) -> None:
        """Publishes a policy that is enforced, or only watched (shadow)."""
        self.run("apply", "--yes", self._write_tenant({server: mode}))

    def token(self, server: str, *scopes: str, user: str = NORTHWIND) -> str:
        """A token a user has allowed, got once."""
        key = (server, scopes, user)
        if key not in self._tokens:
            self._tokens[key] = self.connect(server, *scopes, user=user).token
        return self._tokens[key]

    def connect(self, server: str, *scopes: str, user: str = NORTHWIND) -> Connection:
        """A connection of its own."""
        return connect(self.issuer, identifier(server), user, PASSWORD, scopes)

    def _write_tenant(self, modes: dict[str, str] | None = None) -> Path:
        file = self._tenant()
        for server, resource in zip(self.servers, file["environments"][0]["resources"], strict=True):
            resource["mode"] = (modes or {}).get(server, "enforce")
        path = self.directory / "tenant.yaml"
        path.write_text(json.dumps(file))  # JSON is YAML without aliases
        return path

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
        environment["resources"] = [
            server | {"identifier": identifier(s), "name": s, "credentials": [{"name": "gate"}]} for s in self.servers
        ]
        return file


def identifier(server: str) -> str:
    """The registered address of an example. Tokens are bound to it wherever the example listens in a test."""
    return f"https://{server}.acme.example/mcp"
