"""A user in a browser without script: signs in, ticks permissions, allows, and is led back with a code."""

import base64
import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlsplit

import httpx

REDIRECT = "http://127.0.0.1/callback"  # nothing listens there: the code is read from the address


class Form(HTMLParser):
    """The first form of a page that has a field of this name, as it would be sent untouched."""

    def __init__(self, page: httpx.Response, field: str) -> None:
        super().__init__()
        self._page, self._field = page, field
        self._open: tuple[str, list[tuple[str, str]], set[str]] | None = None
        self.action = ""
        self.values: list[tuple[str, str]] = []
        self.feed(page.text)
        if not self.action:
            raise AssertionError(f"{page.status_code}: no form with {field!r} at {page.url.path}:\n{page.text}")

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attributes}
        if tag == "form":
            self._open = (str(self._page.url.join(has.get("action", ""))), [], set())
        elif self._open and tag in ("input", "button") and "name" in has:
            _, values, fields = self._open
            fields.add(has["name"])
            if has.get("type") not in ("checkbox", "submit") and tag == "input":
                values.append((has["name"], has.get("value", "")))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form" and self._open:
            action, values, fields = self._open
            if self._field in fields and not self.action:
                self.action, self.values = action, values
            self._open = None

    def send(self, browser: httpx.Client, **fill: str | Iterable[str]) -> httpx.Response:
        fields: dict[str, str | list[str]] = {name: value for name, value in self.values if name not in fill}
        fields |= {name: value if isinstance(value, str) else list(value) for name, value in fill.items()}
        return browser.post(self.action, data=fields, headers={"Sec-Fetch-Site": "same-origin"})


@dataclass(frozen=True)
class Connection:
    """What a host has after a user has allowed something."""

    token: str
    _refresh_token: str
    _client_id: str
    _revocation_endpoint: str

    def revoke(self) -> None:
        """Disconnects, as a host does when its user signs out of it (RFC 7009)."""
        form = {"token": self._refresh_token, "client_id": self._client_id}
        httpx.post(self._revocation_endpoint, data=form, timeout=60).raise_for_status()


def connect(issuer: str, resource: str, email: str, password: str, scopes: Iterable[str]) -> Connection:
    """Connects to resource with exactly these scopes, by the whole flow a host goes through."""
    wanted = list(scopes)
    with httpx.Client(timeout=60, follow_redirects=False) as browser:
        at = urlsplit(issuer)
        metadata = browser.get(
            f"{at.scheme}://{at.netloc}/.well-known/oauth-authorization-server{at.path}"
        ).raise_for_status().json()  # fmt: skip
        registration = {"client_name": "Examples", "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none",
                        "application_type": "native"}  # fmt: skip
        client = browser.post(metadata["registration_endpoint"], json=registration).raise_for_status().json()
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        page = browser.get(
            metadata["authorization_endpoint"],
            params={
                "response_type": "code", "client_id": client["client_id"], "redirect_uri": REDIRECT,
                "code_challenge": challenge, "code_challenge_method": "S256", "state": "here", "resource": resource,
                "scope": " ".join(wanted),
            },
        )  # fmt: skip
        page = Form(_follow(browser, page), "password").send(browser, email=email, password=password)
        page = Form(_follow(browser, page), "decision").send(browser, scope=wanted, decision="approve")
        back = parse_qs(urlsplit(_follow(browser, page).headers["location"]).query)
        assert back["iss"] == [issuer], back
        token = browser.post(
            metadata["token_endpoint"],
            data={
                "grant_type": "authorization_code", "code": back["code"][0], "redirect_uri": REDIRECT,
                "client_id": client["client_id"], "code_verifier": verifier, "resource": resource,
            },
        ).raise_for_status().json()  # fmt: skip
    assert sorted(token["scope"].split()) == sorted(wanted), token["scope"]
    return Connection(
        token["access_token"], token["refresh_token"], client["client_id"], metadata["revocation_endpoint"]
    )


def _follow(browser: httpx.Client, page: httpx.Response) -> httpx.Response:
    """Follows redirects until one leads to the client."""
    while page.is_redirect and not page.headers["location"].startswith(REDIRECT):
        page = browser.get(page.url.join(page.headers["location"]))
    return page
