"""`ostiary gate` in front of a running program."""

import json
import os
import signal
import subprocess
import tempfile
import threading
from pathlib import Path

from testing.ostiary import Ostiary


class Gate:
    """A running gate. It says on standard error, as a line of JSON, where it listens."""

    def __init__(self, ostiary: Ostiary, server: str, upstream: str, *options: str) -> None:
        self._log = Path(tempfile.mkstemp(prefix="gate-", dir=ostiary.directory)[1]).open("w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            [ostiary.binary, "gate", "--issuer", ostiary.issuer, "--server", ostiary.resources[server],
             "--upstream", upstream, "--listen", "127.0.0.1:0", *options],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True, env=os.environ,
        )  # fmt: skip
        ready: list[str] = []
        said = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(ready, said), daemon=True)
        self._reader.start()
        if not said.wait(60) or not ready:
            self.stop()
            raise RuntimeError(f"the gate did not get ready:\n{self.log()}")
        self.origin = f"http://{ready[0]}"

    def _read(self, ready: list[str], said: threading.Event) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._log.write(line)
            self._log.flush()
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if entry.get("msg") == "gate is ready":
                ready.append(entry["listen"])
                said.set()
        said.set()

    def log(self) -> str:
        return Path(self._log.name).read_text()

    def stop(self) -> int:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            code = self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._reader.join(5)
        self._log.close()
        return code
