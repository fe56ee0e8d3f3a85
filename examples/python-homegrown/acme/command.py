"""Runs an application of this folder under uvicorn."""

import argparse
import contextlib
import ipaddress
import json
import os
import socket
from typing import Any

import uvicorn


def serve(app: Any) -> None:
    """Serves until Ctrl-C. Prints one JSON line when it answers."""
    parser = argparse.ArgumentParser(description="Acme Data over MCP")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000, help="0 picks a free one")
    options = parser.parse_args()
    if os.environ.get("ACME_FRONT_HEADERS") and not ipaddress.ip_address(options.host).is_loopback:
        parser.error(
            "ACME_FRONT_HEADERS believes whoever connects: listen on loopback, behind the proxy that sets them"
        )
    with contextlib.suppress(KeyboardInterrupt):
        _Server(
            uvicorn.Config(
                app,
                options.host,
                options.port,
                lifespan="on",
                access_log=False,
                log_level="warning",
                server_header=False,
            )
        ).run()


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            print(json.dumps({"url": f"http://{host}:{port}/mcp"}), flush=True)
