"""The official Python SDK: from 401 to a called tool, one refresh, then a step-up that the person denies or agrees to.

The second argument chooses the protocol (legacy for 2025, auto for 2026-07-28 where the server speaks it), the third is the segment
to delete. Everything that is not storage, a callback or opening a browser is the SDK's own.
"""

import asyncio
import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.auth import OAuthClientMetadata

SERVER, MODE, SEGMENT = sys.argv[1:4]


def say(step, **fields):
    print(json.dumps({"step": step, **fields}), flush=True)


class Memory:
    tokens = client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


class Denied(Exception):
    pass


class Callback:
    """The loopback callback of an application: a random port, as RFC 8252 §7.3 has it."""

    denied = False

    def __init__(self):
        self.loop, self.answers = asyncio.get_running_loop(), asyncio.Queue()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                url = urlsplit(self.path)
                self.send_response(200 if url.path == "/callback" else 404)
                self.end_headers()
                if url.path == "/callback":
                    outer.loop.call_soon_threadsafe(outer.answers.put_nowait, parse_qs(url.query))

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://localhost:{self.server.server_port}/callback"
        Thread(target=self.server.serve_forever, daemon=True).start()

    async def next(self):
        answer = {name: values[0] for name, values in (await self.answers.get()).items()}
        if "error" in answer:
            self.denied = True
            raise Denied(answer["error"])
        return AuthorizationCodeResult(code=answer["code"], state=answer.get("state"), iss=answer.get("iss"))


async def open_browser(url):
    process = await asyncio.create_subprocess_exec("xdg-open", url)
    await process.wait()


def text(result):
    if result.is_error:
        raise RuntimeError(f"the tool failed: {result.content}")
    return "\n".join(block.text for block in result.content if block.type == "text")


async def main():
    callback, memory = Callback(), Memory()
    metadata = OAuthClientMetadata(
        client_name="Ostiary e2e", redirect_uris=[callback.url], token_endpoint_auth_method="none",
        grant_types=["authorization_code", "refresh_token"],
    )  # fmt: skip
    provider = OAuthClientProvider(SERVER, metadata, memory, open_browser, callback.next)
    try:
        async with create_mcp_http_client(auth=provider) as web:
            async with Client(streamable_http_client(SERVER, http_client=web), mode=MODE) as client:
                await run(client, provider, memory)
    except BaseException as problem:  # the SDK wraps what a callback raises in groups of its own, and ends the connection
        if not callback.denied:
            raise
        say("denied", error=repr(problem))
    say("done")


async def run(client, provider, memory):
    call = {"dataset": "accounts"}
    say("called", text=text(await client.call_tool("run_query", call)))

    # The SDK refreshes by the clock only.
    before, provider.context.token_expiry_time = memory.tokens.refresh_token, 1.0
    text(await client.call_tool("run_query", call))
    if memory.tokens.refresh_token == before:
        raise RuntimeError("the refresh token was not rotated")
    say("refreshed")

    say("called", text=text(await client.call_tool("delete_segment", {"segment_id": SEGMENT})))


asyncio.run(main())
