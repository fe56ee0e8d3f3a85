"""A Postgres server of the tests' own, from the programs found on this machine."""

import glob
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

_PLACES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/libexec/postgresql*",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)


class Cluster:
    """A running server, reachable through a Unix socket only, and gone with stop."""

    def __init__(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="ostiary-examples-"))
        self._home.chmod(0o711)  # the server's user walks through
        data = self._home / "data"
        data.mkdir(mode=0o700)
        self._password = secrets.token_urlsafe(16)
        password_file = self._home / "password"
        password_file.write_text(self._password)
        self._user = _unprivileged_user()
        if self._user is not None:
            for path in (self._home, data, password_file):
                os.chown(path, self._user, -1)
        programs = _find_programs()
        self._run(
            programs / "initdb", f"--pgdata={data}", "--username=postgres", f"--pwfile={password_file}",
            "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions",
        )  # fmt: skip
        self._log = (self._home / "log").open("wb")
        self._server = self._start(
            programs / "postgres", "-D", str(data), "-c", "listen_addresses=",
            "-c", f"unix_socket_directories={self._home}", "-c", "max_connections=200",
            "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off",
        )  # fmt: skip
        self._await()

    def url(self, database: str = "postgres", user: str = "postgres", password: str | None = None) -> str:
        """How to connect, as a URL that every driver reads."""
        return f"postgresql://{user}:{password or self._password}@/{database}?host={self._home}"

    def admin(self, database: str = "postgres") -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(self.url(database), autocommit=True)

    def stop(self) -> None:
        self._server.send_signal(signal.SIGINT)
        try:
            self._server.wait(60)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        self._log.close()
        shutil.rmtree(self._home, ignore_errors=True)

    def _await(self) -> None:
        deadline = time.monotonic() + 120
        while True:
            try:
                psycopg.connect(make_conninfo(self.url(), connect_timeout="2")).close()
            except psycopg.OperationalError:
                if self._server.poll() is not None or time.monotonic() > deadline:
                    log = (self._home / "log").read_text(errors="replace")
                    raise RuntimeError(f"Postgres does not start:\n{log}") from None
                time.sleep(0.05)  # until the socket is there; nothing else says so
            else:
                return

    def _run(self, program: Path, *arguments: str) -> None:
        done = subprocess.run(
            [program, *arguments], user=self._user, env=_plain_environment(), cwd=self._home, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"{program.name}: {done.stdout}{done.stderr}")

    def _start(self, program: Path, *arguments: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [program, *arguments], user=self._user, env=_plain_environment(), cwd=self._home, stdout=self._log,
            stderr=self._log, start_new_session=True,
        )  # fmt: skip


def _plain_environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "LC_ALL": "C"}


def _unprivileged_user() -> int | None:
    """Whom to run the server as: Postgres refuses root. None means ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "_postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:
            continue
    raise RuntimeError("Postgres refuses to run as root, and there is no user to run it as")


def _find_programs() -> Path:
    """The directory of initdb and postgres: on the PATH (links followed), else the newest version installed."""
    for name in ("postgres", "initdb"):
        if found := shutil.which(name):
            directory = Path(found).resolve().parent
            if (directory / "initdb").exists() and (directory / "postgres").exists():
                return directory
    installed = [Path(p) for place in _PLACES for p in glob.glob(place) if Path(p, "initdb").exists()]
    if not installed:
        raise RuntimeError(
            "there is no Postgres on this machine: install it, on Debian with apt-get install postgresql"
        )
    return max(installed, key=lambda path: [int(n) for n in re.findall(r"\d+", str(path))])
