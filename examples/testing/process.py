"""Programs under test: started on a free port, stopped as Ctrl-C does."""

import json
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).resolve().parent.parent


class Program:
    """A running program that has printed its one line of JSON, ready."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        cwd: Path = EXAMPLES,
        env: Mapping[str, str] | None = None,
        timeout: float = 120,
    ) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the program
        self._process = subprocess.Popen(
            list(command), cwd=cwd, env=os.environ | (env or {}), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=self._log, start_new_session=True,
        )  # fmt: skip
        killer = threading.Timer(timeout, self._process.kill)
        killer.start()
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        killer.cancel()
        try:
            self.ready: dict[str, Any] = json.loads(line)
        except ValueError:
            self.stop()
            raise RuntimeError(f"{command} did not get ready, it printed {line!r} and:\n{self.log()}") from None

    @property
    def url(self) -> str:
        return str(self.ready["url"])

    def log(self) -> str:
        """What it has written to standard error."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace")

    def stop(self) -> int:
        """Ends it and returns its exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            return self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
        finally:
            assert self._process.stdout is not None
            self._process.stdout.close()
