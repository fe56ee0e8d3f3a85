"""A real Ostiary, and every example protected by it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from testing import acme as homegrown
from testing.acme import Seeded
from testing.gate import Gate
from testing.ostiary import NORTHWIND, Ostiary, build
from testing.postgres import Cluster
from testing.process import EXAMPLES, Program
from testing.rpc import HANDSHAKE, STATELESS, Client

NODE = EXAMPLES / "typescript" / "node_modules" / "node" / "bin" / "node"


@dataclass(frozen=True)
class Protected:
    """A running example, and the name its MCP server is registered under."""

    name: str
    url: str
    ostiary: Ostiary

    def token(self, *scopes: str, user: str = NORTHWIND) -> str:
        return self.ostiary.token(self.name, *scopes, user=user)

    def client(self, *scopes: str, era: str = STATELESS, user: str = NORTHWIND) -> Client:
        """A client whose user has allowed these scopes."""
        client = Client(self.url, {"Authorization": f"Bearer {self.token(*scopes, user=user)}"}, era)
        if era == HANDSHAKE:
            client.open()
        return client


@dataclass
class World:
    """What starts the examples."""

    ostiary: Ostiary
    create_homegrown: Callable[[], Seeded]
    running: ExitStack

    def program(self, program: Program) -> str:
        self.running.callback(program.stop)
        return program.url

    def gate(self, name: str, upstream: str) -> str:
        gate = Gate(self.ostiary, name, upstream)
        self.running.callback(gate.stop)
        return gate.url

    def behind(self, name: str) -> dict[str, str]:
        """What the SDKs need to know."""
        return {"OSTIARY_ISSUER": self.ostiary.issuer, "OSTIARY_RESOURCE": self.ostiary.resources[name]}

    def homegrown(self) -> Seeded:
        seeded = self.create_homegrown()
        seeded.link({name: self.ostiary.organizations[name] for name in seeded.keys})
        return seeded


def homegrown_gate(world: World, name: str) -> str:
    server = homegrown.start(world.homegrown(), ACME_FRONT_HEADERS="Ostiary-Organization, Ostiary-User")
    return world.gate(name, world.program(server))


def homegrown_unmodified(world: World, name: str) -> str:
    """The server asks for its API key as ever; the gate sends each organization's."""
    seeded = world.homegrown()
    gate = Gate(world.ostiary, name, world.program(homegrown.start(seeded)), config=unmodified(world.ostiary, seeded))
    world.running.callback(gate.stop)
    return gate.url


def unmodified(ostiary: Ostiary, seeded: Seeded) -> dict[str, Any]:
    """A gate's configuration that sends the API key of the organization in the token."""
    keys = ostiary.directory / "keys"
    keys.mkdir(exist_ok=True)
    organizations = {}
    for organization, key in seeded.keys.items():
        (keys / organization).write_text(key)
        organizations[ostiary.organizations[organization]] = {"X-Api-Key": str(keys / organization)}
    return {"upstream": {"organizations": organizations}}


def homegrown_middleware(world: World, name: str) -> str:
    return world.program(homegrown.start(world.homegrown(), entry="protected.py", **world.behind(name)))


def fastmcp_gate(world: World, name: str) -> str:
    server = Program([sys.executable, "main.py", "--port", "0"], cwd=EXAMPLES / "fastmcp")
    return world.gate(name, world.program(server))


def fastmcp_provider(world: World, name: str) -> str:
    command = [sys.executable, "protected.py", "--port", "0"]
    return world.program(Program(command, cwd=EXAMPLES / "fastmcp", env=world.behind(name)))


def typescript_gate(world: World, name: str) -> str:
    server = Program([NODE, "main.ts", "--port", "0"], cwd=EXAMPLES / "typescript")
    return world.gate(name, world.program(server))


def typescript_express(world: World, name: str) -> str:
    command = [str(NODE), "protected.ts", "--port", "0"]
    return world.program(Program(command, cwd=EXAMPLES / "typescript", env=world.behind(name)))


def go(world: World, name: str) -> str:
    binary = world.ostiary.directory / "go-example"
    build(binary, "./examples/go")
    return world.program(Program([binary, "--port", "0"], env=world.behind(name)))


EXAMPLES_BY_NAME: dict[str, Callable[[World, str], str]] = {
    "homegrown-unmodified": homegrown_unmodified,
    "homegrown-gate": homegrown_gate,
    "homegrown-middleware": homegrown_middleware,
    "fastmcp-gate": fastmcp_gate,
    "fastmcp-provider": fastmcp_provider,
    "typescript-gate": typescript_gate,
    "typescript-express": typescript_express,
    "go": go,
}
MIGRATING = "migrating"  # its test starts it
HOMEGROWN = [name for name in EXAMPLES_BY_NAME if name.startswith("homegrown")]


@pytest.fixture(scope="session")
def ostiary(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ostiary]:
    directory = tmp_path_factory.mktemp("ostiary")
    ostiary = Ostiary(build(directory / "ostiary", "./cmd/ostiary"), directory, cluster, [*EXAMPLES_BY_NAME, MIGRATING])
    program = ostiary.start()
    yield ostiary
    assert program.stop() == 0, program.log()


@pytest.fixture(scope="session")
def running(
    ostiary: Ostiary, cluster: Cluster, create_database: Callable[..., str], original: Seeded
) -> Iterator[Callable[[str], Protected]]:
    """Starts an example at its first use."""
    started: dict[str, Protected] = {}
    with ExitStack() as stack:
        world = World(ostiary, lambda: homegrown.copy(cluster, create_database, original), stack)

        def start(name: str) -> Protected:
            if name not in started:
                url = EXAMPLES_BY_NAME[name](world, name)
                # In process the policy may come after the server answers. Until then everything is 503.
                while httpx.get(url, timeout=60).status_code == 503:
                    pass
                started[name] = Protected(name, url, ostiary)
            return started[name]

        yield start


@pytest.fixture(params=EXAMPLES_BY_NAME)
def protected(request: pytest.FixtureRequest, running: Callable[[str], Protected]) -> Protected:
    return running(request.param)


@pytest.fixture(params=HOMEGROWN)
def protected_homegrown(request: pytest.FixtureRequest, running: Callable[[str], Protected]) -> Protected:
    return running(request.param)
