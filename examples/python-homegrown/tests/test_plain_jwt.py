"""The issuer's keys without our SDK: what strangers make up must not become a flood on the issuer."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from plain_keys import FRESH_FOR, RETRY_AFTER, IssuerKeys
from testing.acme import Seeded, start
from testing.process import Program
from testing.rpc import Client

RESOURCE = "https://mcp.acme.example/mcp"


class Issuer:
    """Answers for its keys, and counts who asks."""

    def __init__(self) -> None:
        self.keys: dict[str, ec.EllipticCurvePrivateKey] = {}
        self.asked = 0
        self.body: bytes | None = None  # instead of the keys
        self.status = 200
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked += 1
                self.send_response(issuer.status)
                self.end_headers()
                self.wfile.write(issuer.body if issuer.body is not None else issuer.key_set())

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def rotate(self, kid: str) -> None:
        self.keys[kid] = ec.generate_private_key(ec.SECP256R1())

    def key_set(self) -> bytes:
        public = jwt.algorithms.ECAlgorithm.to_jwk
        own = [public(key.public_key(), as_dict=True) | {"kid": kid, "use": "sig"} for kid, key in self.keys.items()]
        return json.dumps({"keys": own}).encode()

    def token(self, kid: str | None, signed_by: str) -> str:
        now = int(time.time())
        claims = {"iss": self.url, "aud": RESOURCE, "iat": now, "exp": now + 600, "sub": "usr_ann", "client_id": "c",
                  "org_id": "org_N", "scope": "data:read"}  # fmt: skip
        headers = {"typ": "at+jwt"} | ({"kid": kid} if kid is not None else {})
        return jwt.encode(claims, self.keys[signed_by], algorithm="ES256", headers=headers)


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    it = Issuer()
    it.rotate("first")
    serving = threading.Thread(target=it.server.serve_forever)
    serving.start()
    yield it
    it.server.shutdown()
    serving.join()
    it.server.server_close()


class Clock:
    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(issuer: Issuer, clock: Clock) -> IssuerKeys:
    return IssuerKeys(issuer.url, clock)


def flood(keys: IssuerKeys, error: type[Exception]) -> None:
    """Two hundred made-up key ids from eight threads, all refused."""

    def junk(n: int) -> None:
        with pytest.raises(jwt.PyJWKClientError) as refused:
            keys.find(None if n == 0 else f"made-up-{n}")
        assert type(refused.value) is error

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(junk, range(200)))


def test_made_up_keys_are_no_flood_on_the_issuer(issuer: Issuer, keys: IssuerKeys, clock: Clock) -> None:
    flood(keys, jwt.PyJWKClientError)
    assert issuer.asked == 1
    for more in range(2, 5):
        clock.at += RETRY_AFTER
        flood(keys, jwt.PyJWKClientError)
        assert issuer.asked == more
    assert keys.find("first").key_id == "first"
    assert issuer.asked == 4


def test_nor_are_they_while_it_does_not_answer(issuer: Issuer, keys: IssuerKeys, clock: Clock) -> None:
    for asked, (status, body) in enumerate(((500, b""), (200, b"<html>"), (200, b"[]"), (200, b'{"keys":[]}')), 1):
        issuer.status, issuer.body = status, body
        flood(keys, jwt.PyJWKClientConnectionError)
        assert issuer.asked == asked
        clock.at += RETRY_AFTER
    issuer.status, issuer.body = 200, None
    assert keys.find("first").key_id == "first"


def test_a_rotated_key_is_found_at_once_and_after_a_flood_within_seconds(
    issuer: Issuer, keys: IssuerKeys, clock: Clock
) -> None:
    keys.find("first")
    clock.at += RETRY_AFTER
    issuer.rotate("second")
    assert keys.find("second").key_id == "second"
    clock.at += RETRY_AFTER
    flood(keys, jwt.PyJWKClientError)
    issuer.rotate("third")
    clock.at += RETRY_AFTER
    assert keys.find("third").key_id == "third"


def test_keys_are_renewed_and_outlive_an_outage(issuer: Issuer, keys: IssuerKeys, clock: Clock) -> None:
    keys.find("first")
    clock.at += FRESH_FOR
    issuer.status = 500
    assert keys.find("first").key_id == "first"
    issuer.status = 200
    issuer.rotate("second")
    del issuer.keys["first"]
    clock.at += RETRY_AFTER
    with pytest.raises(jwt.PyJWKClientError, match="no such key"):
        keys.find("first")
    assert issuer.asked == 3


@pytest.fixture
def server(issuer: Issuer, seeded: Seeded) -> Iterator[Program]:
    seeded.link({"northwind": "org_N"})
    program = start(seeded, entry="plain_jwt.py", OSTIARY_ISSUER=issuer.url, ACME_PUBLIC_URL=RESOURCE)
    yield program
    assert program.stop() == 0, program.log()


def status(server: Program, token: str) -> int:
    return Client(server.url, {"Authorization": f"Bearer {token}"}).send("server/discover").status_code


def test_the_server_lets_in_whoever_the_issuer_vouches_for(issuer: Issuer, server: Program) -> None:
    assert status(server, issuer.token("first", "first")) == 200
    assert status(server, issuer.token(None, "first")) == 401
    issuer.rotate("stolen")
    assert status(server, issuer.token("first", "stolen")) == 401


def test_the_server_asks_an_issuer_in_trouble_no_more_often_for_junk(issuer: Issuer, server: Program) -> None:
    issuer.status = 500
    began = time.monotonic()
    for n in range(30):
        assert status(server, issuer.token(f"made-up-{n}", "first")) == 503
    assert issuer.asked <= 1 + (time.monotonic() - began) / RETRY_AFTER
