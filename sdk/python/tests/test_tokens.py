"""Which tokens are good, and how the issuer is asked."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from ostiary import KeysUnavailable, NotReady, Ostiary, Stopped, TokenError
from ostiary import _keys as keys_module

from .conftest import Guards, eventually
from .issuer import Issuer, SigningKey, es256

pytestmark = pytest.mark.anyio


def rs256(kid: str, bits: int = 2048) -> SigningKey:
    return SigningKey(kid, "RS256", rsa.generate_private_key(65537, bits))


def eddsa(kid: str) -> SigningKey:
    return SigningKey(kid, "EdDSA", ed25519.Ed25519PrivateKey.generate())


@pytest.mark.parametrize("make", [es256, rs256, eddsa])
async def test_each_algorithm_of_the_issuer_is_accepted(
    guards: Guards, issuer: Issuer, make: Callable[[str], SigningKey]
) -> None:
    issuer.keys = [make("k")]
    guard = guards()
    assert await guard.wait_ready(10)
    grant = (await guard.verify(issuer.token(scope="a b", host="claude-code"))).grant
    assert (grant.user, grant.organization, grant.client, grant.host) == ("usr_1", "org_1", "cli_1", "claude-code")
    assert (grant.grant_id, grant.scopes, grant.token_id) == ("grt_1", ("a", "b"), "jti_1")
    assert grant.expires_at > time.time()


def replaced(token: str, **header: Any) -> str:
    """Return token with another header, its signature untouched."""
    first, rest = token.split(".", 1)
    members = json.loads(base64.urlsafe_b64decode(first + "=="))
    members = {k: v for k, v in {**members, **header}.items() if v is not None}
    return base64.urlsafe_b64encode(json.dumps(members).encode()).rstrip(b"=").decode() + "." + rest


BAD: dict[str, Callable[[Issuer], str]] = {
    "another issuer": lambda i: i.token(iss=i.url + "/"),
    "another audience": lambda i: i.token(aud="https://mcp.other.example/mcp"),
    "an alias as audience": lambda i: i.token(aud="http://127.0.0.1/mcp"),
    "no audience": lambda i: i.token(aud=None),
    "an audience that only begins alike": lambda i: i.token(aud="https://mcp.acme.example/mcp/x"),
    "expired": lambda i: i.token(exp=int(i.now()) - 31),
    "no expiry": lambda i: i.token(exp=None),
    "an expiry that is no number": lambda i: i.token(exp="9999999999"),
    "an endless expiry": lambda i: i.token(exp=1e30),
    "from the future": lambda i: i.token(iat=int(i.now()) + 40),
    "not yet": lambda i: i.token(nbf=int(i.now()) + 40),
    "no issue time": lambda i: i.token(iat=None),
    "no subject": lambda i: i.token(sub=None),
    "a subject that breaks headers": lambda i: i.token(sub="usr_1\r\nX: y"),
    "a subject that is no string": lambda i: i.token(sub=["usr_1"]),
    "no client": lambda i: i.token(client_id=""),
    "an ID token": lambda i: i.token(typ="JWT"),
    "a policy": lambda i: i.signed_policy(),
    "a feed": lambda i: i.signed_feed(),
    "another key": lambda i: i.token(key=es256("other")),
    "another key of the same name": lambda i: i.token(key=es256("k1")),
    "no kid": lambda i: replaced(i.token(), kid=None),
    "no type": lambda i: replaced(i.token(), typ=None),
    "a type of no kind": lambda i: replaced(i.token(), typ=7),
    "alg none": lambda i: replaced(i.token(), alg="none").rsplit(".", 1)[0] + ".",
    "another algorithm": lambda i: replaced(i.token(), alg="RS256"),
    "an unknown extension": lambda i: i.keys[0].sign({"sub": "x"}, "at+jwt", crit=["x"], x=1),
    "a changed payload": lambda i: i.token()[:60] + ("A" if i.token()[60] != "A" else "B") + i.token()[61:],
    "junk in the signature": lambda i: i.token() + "!",
    "padding": lambda i: i.token() + "=",
    "a second signature": lambda i: i.token() + ".x",
    "too long": lambda i: i.token(x="y" * 20_000),
    "nothing": lambda i: "..",
    "repeated claims": lambda i: doubled(i),
}


def doubled(issuer: Issuer) -> str:
    """Return a well-signed token whose claims say two things."""
    claims = jwt.decode(issuer.token(), options={"verify_signature": False})
    raw = json.dumps(claims)[:-1] + ',"sub":"usr_root"}'
    headers = {"kid": issuer.keys[0].kid, "typ": "at+jwt"}
    return jwt.api_jws.encode(raw.encode(), issuer.keys[0].private, "ES256", headers)


@pytest.mark.parametrize("name", BAD)
async def test_bad_tokens_are_refused(guard: Ostiary, issuer: Issuer, name: str) -> None:
    good = issuer.token()
    await guard.verify(good)
    with pytest.raises(TokenError):
        await guard.verify(BAD[name](issuer))
    await guard.verify(good)


async def test_a_public_key_is_no_secret(guard: Ostiary, issuer: Issuer) -> None:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.hmac import HMAC
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    signed = replaced(issuer.token(), alg="HS256").rsplit(".", 1)[0]
    public = issuer.keys[0].private.public_key()
    for form in (Encoding.PEM, Encoding.DER):
        mac = HMAC(public.public_bytes(form, PublicFormat.SubjectPublicKeyInfo), SHA256())
        mac.update(signed.encode())
        forged = signed + "." + base64.urlsafe_b64encode(mac.finalize()).rstrip(b"=").decode()
        with pytest.raises(TokenError):
            await guard.verify(forged)


async def test_clocks_may_differ_a_little(guard: Ostiary, issuer: Issuer) -> None:
    await guard.verify(issuer.token(exp=int(issuer.now()) - 20))
    await guard.verify(issuer.token(iat=int(issuer.now()) + 20))


async def test_small_and_foreign_keys_are_not_used(issuer: Issuer) -> None:
    small, p384 = rs256("small", 1024), SigningKey("p384", "ES384", ec.generate_private_key(ec.SECP384R1()))
    good = es256("good")
    listed = [
        small.jwk(),
        {**good.jwk(), "kid": "p384", "crv": "P-384"},
        {**good.jwk(), "kid": "enc", "use": "enc"},
        {**good.jwk(), "kid": "alg", "alg": "RS256"},
        {**good.jwk(), "kid": ""},
        {**good.jwk(), "kid": "private", "d": "AAAA"},
        {"kty": "oct", "kid": "oct", "k": "AAAA"},
        {"kty": "EC", "crv": "P-256", "kid": "broken", "x": "!", "y": "!"},
        "nonsense",
        good.jwk(),
        {**es256("good").jwk()},
    ]
    found = keys_module.parse_keys(json.dumps({"keys": listed}).encode())
    assert list(found) == ["good"]
    assert found["good"].public.public_numbers() == good.private.public_key().public_numbers()  # type: ignore[union-attr]
    assert p384.alg == "ES384"
    for raw in (b"{}", b"[]", b'{"keys":[]}', b'{"keys":{}}'):
        with pytest.raises(ValueError, match="no usable key"):
            keys_module.parse_keys(raw)


async def test_a_new_key_is_fetched_once_however_many_ask(
    guard: Ostiary, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys_module, "RETRY_AFTER", 0.0)
    issuer.keys = [*issuer.keys, es256("k2")]
    token, before = issuer.token(key=issuer.keys[1]), issuer.count("/jwks")
    monkeypatch.setattr(keys_module, "RETRY_AFTER", 60.0)
    barrier, failed = threading.Barrier(20), []

    def ask() -> None:
        barrier.wait()
        try:
            guard._verifier.verify_blocking(token, guard.view.document.resource.identifier)
        except Exception as e:
            failed.append(e)

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert issuer.count("/jwks") == before + 1


async def test_strangers_take_no_threads_of_the_app(
    guard: Ostiary, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered, refused = threading.Event(), []
    monkeypatch.setattr(guard._keys, "load", lambda: answered.wait(10))
    monkeypatch.setattr(keys_module, "RETRY_AFTER", 0.0)

    async def ask(token: str) -> None:
        try:
            await guard.verify(token)
        except TokenError as e:
            refused.append(e)

    async with anyio.create_task_group() as group:
        for i in range(100):
            group.start_soon(ask, issuer.token(key=SigningKey(f"made-up-{i}", "ES256", issuer.keys[0].private)))
        for _ in range(10):  # all of them wait
            await anyio.lowlevel.checkpoint()
        assert anyio.to_thread.current_default_thread_limiter().borrowed_tokens == 0
        answered.set()
    assert len(refused) == 100


async def test_made_up_kids_do_not_reach_the_issuer(guard: Ostiary, issuer: Issuer) -> None:
    with pytest.raises(TokenError):
        await guard.verify(issuer.token(key=es256("first")))
    before = issuer.count("/jwks")
    for i in range(50):
        with pytest.raises(TokenError):
            await guard.verify(issuer.token(key=es256(f"made-up-{i}")))
    assert issuer.count("/jwks") == before


async def test_a_withdrawn_key_ends_what_it_signed(guards: Guards, issuer: Issuer) -> None:
    offset = 0.0
    guard = guards(now=lambda: time.time() + offset)
    assert await guard.wait_ready(10)
    token = issuer.token(lifetime=7200)
    before = (await guard.verify(token)).key
    issuer.keys = [es256("k1")]  # of the same name
    offset = 301
    eventually(lambda: guard._keys.held("k1") is not before)  # renewed in the background
    with pytest.raises(TokenError):
        await guard.verify(token)


async def test_an_outage_is_not_the_tokens_fault(
    guards: Guards, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = guards()
    assert await guard.wait_ready(10)
    monkeypatch.setattr(keys_module, "RETRY_AFTER", 0.0)
    issuer.answers["/jwks"] = (503, {}, b"")
    with pytest.raises(KeysUnavailable):
        await guard.verify(issuer.token(key=es256("k2")))
    await guard.verify(issuer.token())


ELSEWHERE = "https://evil.example/jwks"


@pytest.mark.parametrize(
    "answer",
    [
        (302, {"location": "/jwks2"}, b""),
        (500, {}, b""),
        (200, {}, b"not json"),
        (200, {}, b'{"issuer":"https://evil.example","jwks_uri":"/jwks"}'),
        (200, {}, b"x" * (300 << 10)),
        (200, {"content-encoding": "gzip"}, b"\x1f\x8b"),
    ],
)
async def test_nothing_is_believed_that_the_issuer_did_not_say(
    guards: Guards, issuer: Issuer, answer: tuple[int, dict[str, str], bytes]
) -> None:
    issuer.answers["/.well-known/oauth-authorization-server"] = answer
    guard = guards()
    assert not await guard.wait_ready(0.5)
    with pytest.raises(NotReady):
        await guard.verify(issuer.token())
    assert issuer.count("/jwks") == 0


async def test_a_clients_own_wish_to_follow_redirects_is_not_granted(guards: Guards, issuer: Issuer) -> None:
    keys = json.dumps({"keys": [k.jwk() for k in issuer.keys]}).encode()
    issuer.answers["/elsewhere"] = (200, {}, keys)
    issuer.answers["/jwks"] = (307, {"location": "/elsewhere"}, b"")
    with httpx.Client(follow_redirects=True) as http:
        guard = guards(http_client=http)
        assert not await guard.wait_ready(0.5)
        assert issuer.count("/elsewhere") == 0


async def test_keys_elsewhere_need_https(guards: Guards, issuer: Issuer) -> None:
    for uri, usable in (("ftp://x/jwks", False), ("/jwks", False), ("", False), (ELSEWHERE, True)):
        document = json.dumps({"issuer": issuer.url, "jwks_uri": uri}).encode()
        issuer.answers["/.well-known/oauth-authorization-server"] = (200, {}, document)
        keys = guards()._keys
        if usable:
            assert keys._jwks_uri() == uri
        else:
            with pytest.raises(Exception, match="jwks_uri"):
                keys._jwks_uri()


async def test_what_a_token_rests_on_is_asked_too(guard: Ostiary, issuer: Issuer) -> None:
    token = issuer.token()
    assert (await guard.grant_of(token)).user == "usr_1"
    issuer.tell(stops=[{"kind": "user", "value": "usr_1"}])
    eventually(lambda: bool(guard.feed.stops))
    with pytest.raises(Stopped):
        await guard.grant_of(token)
    issuer.tell(stops=[], ended={"clients": ["cli_1"]})
    eventually(lambda: bool(guard.feed.clients))
    with pytest.raises(TokenError, match="revoked"):
        await guard.grant_of(token)


@pytest.mark.parametrize(
    "settings",
    [
        {"issuer": ""},
        {"issuer": "ftp://x"},
        {"issuer": "https://x/"},
        {"issuer": "https://x?y"},
        {"issuer": "https://u@x"},
        {"resource_id": ""},
        {"skew": 121},
        {"skew": -1},
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"issuer|resource|skew"):
        Ostiary(**{"issuer": "https://x", "resource_id": "res_1", **settings})
