"""Runs a FastMCP server under uvicorn and prints one JSON line when it answers."""

import argparse
import contextlib
import json
import socket

import uvicorn
from fastmcp import FastMCP


def serve(mcp: FastMCP) -> None:
    """Serves on loopback until Ctrl-C."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=9000, help="0 picks a free one")
    port = parser.parse_args().port
    config = uvicorn.Config(mcp.http_app(), "127.0.0.1", port, lifespan="on", log_level="warning")
    with contextlib.suppress(KeyboardInterrupt):
        _Server(config).run()


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            port = self.servers[0].sockets[0].getsockname()[1]
            print(json.dumps({"url": f"http://127.0.0.1:{port}/mcp"}), flush=True)
