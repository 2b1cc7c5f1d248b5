"""A PostgreSQL of the tests' own, and in it what the far side's worker would have stored.

The server runs as the system's user `postgres` when the tests run as root, because PostgreSQL refuses root; it ends with the
process that started it. The worker's tables are made by the worker's own script, read from its source.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

import psycopg

from thermograph_gateway.database import WORKER_STEPS, Database

PROGRAMS = Path("/usr/lib/postgresql/15/bin")
ROOT = Path(__file__).parents[2]
MIGRATIONS = ROOT / "Sources" / "Adapters" / "CaptureDatabase" / "Migrations.swift"
ROLE = "thermograph_gateway"
TEMPLATE = "made"


def worker_steps() -> list[tuple[int, str, str]]:
    """Number, name and script of each step, as the worker has them."""
    text = MIGRATIONS.read_text()
    steps = re.findall(r'Migration\(number: (\d+), name: "([^"]+)", script: (\w+)\)', text)
    found = []
    for number, name, variable in steps:
        script = re.search(rf'static let {variable} = """\n(.*?)"""', text, re.S)
        assert script, variable
        found.append((int(number), name, script.group(1)))
    return found


class Server:
    """One cluster on a unix socket, for the whole run."""

    def __init__(self) -> None:
        # In memory where there is such a place: a test's database is a copy of a few hundred files.
        place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else "/tmp"  # noqa: S108 - a folder of its own in it
        self.folder = Path(tempfile.mkdtemp(prefix="thermograph-gateway-postgres-", dir=place))
        self._owner: list[str] = []
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres")
            self.folder.chmod(0o755)
            self._owner = [
                "setpriv",
                "--reuid=postgres",
                "--regid=postgres",
                "--init-groups",
                "env",
                "HOME=/var/lib/postgresql",
            ]
        subprocess.run(
            [*self._owner, str(PROGRAMS / "initdb"), "-D", f"{self.folder}/data", "-U", "postgres", "-A", "trust", "--no-sync",
             "--no-locale", "-E", "UTF8"],
            check=True, capture_output=True, cwd="/tmp",  # noqa: S108 - a folder that everybody may enter
        )  # fmt: skip
        self._shell: subprocess.Popen[bytes] | None = None
        self.boot()

    def boot(self) -> None:
        """Starts it, also again after `stop`."""
        command = " ".join([*self._owner, str(PROGRAMS / "postgres")])
        # The shell ends the server when this process is gone, however it went.
        script = f"""
        cd {self.folder}; {command} -D {self.folder}/data -F -c listen_addresses= -c unix_socket_directories={self.folder} \
          -c shared_buffers=64MB -c max_connections=80 >>{self.folder}/log 2>&1 </dev/null &
        server=$!; while kill -0 $server && kill -0 {os.getpid()}; do sleep 0.2; done 2>/dev/null
        kill -INT $server 2>/dev/null; wait $server"""
        self._shell = subprocess.Popen(["/bin/sh", "-c", script], stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.conninfo("postgres", "postgres")).close()
                return
            except psycopg.OperationalError:
                assert self._shell.poll() is None, (self.folder / "log").read_text()
                assert time.monotonic() < deadline, (self.folder / "log").read_text()
                time.sleep(0.05)

    def stop(self) -> None:
        """Ends it at once; what was committed stays."""
        number = int((self.folder / "data" / "postmaster.pid").read_text().split("\n")[0])
        os.kill(number, signal.SIGINT)
        assert self._shell is not None
        self._shell.wait(30)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def conninfo(self, name: str, user: str = ROLE) -> str:
        return f"host={self.folder} user={user} dbname={name}"

    def run(self, name: str, statement: str) -> None:
        with psycopg.connect(self.conninfo(name, "postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())

    def make_template(self) -> None:
        """A database with the worker's schema and the gateway's, from which each test's is copied."""
        self.run("postgres", f"CREATE ROLE {ROLE} LOGIN")
        self.run("postgres", f"CREATE DATABASE {TEMPLATE}")
        with psycopg.connect(self.conninfo(TEMPLATE, "postgres"), autocommit=True) as connection:
            connection.execute(
                "CREATE TABLE schema_step (number bigint PRIMARY KEY, name text NOT NULL,"
                " applied_at timestamptz NOT NULL DEFAULT now())"
            )
            for number, name, script in worker_steps()[: len(WORKER_STEPS)]:
                connection.execute(script.encode())
                connection.execute("INSERT INTO schema_step (number, name) VALUES (%s, %s)", (number, name))
        owner = Database(self.conninfo(TEMPLATE, "postgres"))
        assert owner.migrate(ROLE)
        owner.close()

    def make_database(self) -> str:
        """A fresh database's name."""
        name = f"t{uuid.uuid4().hex}"
        self.run("postgres", f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        return name

    def drop(self, name: str) -> None:
        self.run("postgres", f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
