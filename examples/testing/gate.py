"""`ostiary gate` in front of a running program."""

import json
import os
import signal
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any

from testing.ostiary import Ostiary


class Gate:
    """A running gate. It says on standard error, as a line of JSON, where it listens."""

    def __init__(
        self, ostiary: Ostiary, server: str, upstream: str, *options: str, config: dict[str, Any] | None = None
    ) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="gate-", dir=ostiary.directory))
        self._about = {"issuer": ostiary.issuer, "server": ostiary.resources[server], "listen": "127.0.0.1:0"}
        self._upstream = upstream
        self._configure(config or {})
        self._log: list[str] = []
        self._news = threading.Condition()
        self._process = subprocess.Popen(
            [ostiary.binary, "gate", "--config", self._directory / "gate.yaml", *options],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True, env=os.environ,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self.url = f"http://{self.await_log('gate is ready')['listen']}/mcp"
        except RuntimeError:
            self.stop()
            raise

    def reconfigure(self, config: dict[str, Any]) -> None:
        """Tells it to read another configuration, and waits until it has."""
        self._configure(config)
        said = len(self._log)
        self._process.send_signal(signal.SIGHUP)
        self.await_log("configuration changed", said)

    def _configure(self, config: dict[str, Any]) -> None:
        upstream = {"url": self._upstream} | config.get("upstream", {})
        # JSON is YAML.
        (self._directory / "gate.yaml").write_text(json.dumps(self._about | config | {"upstream": upstream}))

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            with self._news:
                self._log.append(line)
                self._news.notify_all()

    def await_log(self, text: str, since: int = 0) -> dict[str, Any]:
        """Waits for a record with this text among the lines after the first so many."""

        def found() -> dict[str, Any] | None:
            records = (json.loads(line) for line in self._log[since:] if line.startswith("{"))
            return next((record for record in records if text in record["msg"]), None)

        with self._news:
            self._news.wait_for(lambda: found() or self._process.poll() is not None, 60)
            record = found()
            if record is None:
                raise RuntimeError(f"the gate did not say {text!r}:\n" + "".join(self._log))
            return record

    def stop(self) -> int:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            code = self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._reader.join(5)
        return code
