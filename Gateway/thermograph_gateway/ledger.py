"""What the gateway remembers itself: who may look, who looked, what was read, answered, corrected, exported.

Beside a receive folder that is `gateway.sqlite`, beside the far side's PostgreSQL the schema `gateway` in it; the tables are
the same and so are the statements. Captures stay where they are: the tables `capture` and `refused` are a cache of them and can
be made again. In PostgreSQL, where contents are sealed, the cache holds no record and notes are sealed too.
"""

from __future__ import annotations

import base64
import os
import sqlite3
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from .database import APPEND_ONLY, APPEND_ONLY_2, CARRY_2, STEP_2, TIME_TEXT, Database
from .errors import GatewayError, StoreConflict, StoreUnavailable
from .sealing import NotAuthentic

VERSION = 2
_APPLICATION = 0x54474759

_SCHEMA = """
CREATE TABLE capture (
  capture_id TEXT PRIMARY KEY, number INTEGER NOT NULL UNIQUE, site TEXT NOT NULL, device TEXT NOT NULL,
  session_id TEXT NOT NULL, recorded_ref TEXT NOT NULL, patient_ref TEXT NOT NULL, withdrawn INTEGER NOT NULL DEFAULT 0,
  view TEXT NOT NULL, utc_nanoseconds INTEGER NOT NULL, synchronised INTEGER NOT NULL, outcome TEXT NOT NULL,
  failed_gates TEXT NOT NULL, received_at TEXT NOT NULL, record BLOB NOT NULL, fault TEXT NOT NULL DEFAULT '');
CREATE INDEX capture_time ON capture (utc_nanoseconds DESC);
CREATE INDEX capture_patient ON capture (site, patient_ref, utc_nanoseconds);
CREATE INDEX capture_session ON capture (session_id);
CREATE TABLE refused (number INTEGER PRIMARY KEY, capture_id TEXT NOT NULL, reason TEXT NOT NULL);
CREATE TABLE "user" (
  name TEXT PRIMARY KEY, role TEXT NOT NULL CHECK (role IN ('reader', 'administrator')), password TEXT NOT NULL,
  enabled INTEGER NOT NULL DEFAULT 1, created_at TEXT NOT NULL);
CREATE TABLE login (
  token_sha256 TEXT PRIMARY KEY, "user" TEXT NOT NULL REFERENCES "user" (name), csrf TEXT NOT NULL,
  started REAL NOT NULL, seen REAL NOT NULL);
CREATE TABLE failure (subject TEXT NOT NULL, at REAL NOT NULL);
CREATE INDEX failure_subject ON failure (subject, at);
CREATE TABLE audit (
  id INTEGER PRIMARY KEY, at TEXT NOT NULL, "user" TEXT NOT NULL, action TEXT NOT NULL, site TEXT NOT NULL,
  patient_ref TEXT NOT NULL, capture_id TEXT NOT NULL, detail TEXT NOT NULL);
CREATE TABLE reading (
  id INTEGER PRIMARY KEY, capture_id TEXT NOT NULL, reader TEXT NOT NULL, at TEXT NOT NULL,
  usable TEXT NOT NULL CHECK (usable IN ('yes', 'limited', 'no')),
  side TEXT NOT NULL CHECK (side IN ('none', 'left', 'right', 'both')),
  place TEXT NOT NULL CHECK (place IN ('none', 'upper-outer', 'upper-inner', 'lower-outer', 'lower-inner', 'centre', 'armpit')),
  confidence INTEGER NOT NULL CHECK (confidence BETWEEN 1 AND 5),
  follow_up TEXT NOT NULL CHECK (follow_up IN ('yes', 'no', 'undecided')), note TEXT NOT NULL,
  UNIQUE (capture_id, reader));
CREATE TABLE answer (
  id TEXT PRIMARY KEY, capture_id TEXT NOT NULL, reviewer TEXT NOT NULL, at TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('answered', 'repeat-requested')), note TEXT NOT NULL, place TEXT NOT NULL);
CREATE INDEX answer_capture ON answer (capture_id);
CREATE TABLE correction (
  id INTEGER PRIMARY KEY, at TEXT NOT NULL, actor TEXT NOT NULL, origin TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL CHECK (kind IN ('reassign', 'merge', 'withdraw', 'revert')), site TEXT NOT NULL,
  subject TEXT NOT NULL, target TEXT NOT NULL, reason TEXT NOT NULL CHECK (length(reason) > 0));
CREATE TABLE exported (
  destination TEXT NOT NULL, identifier TEXT NOT NULL, kind TEXT NOT NULL, capture_id TEXT NOT NULL,
  patient_ref TEXT NOT NULL, generation INTEGER NOT NULL, class_uid TEXT NOT NULL,
  sha256 TEXT NOT NULL, state TEXT NOT NULL, at TEXT NOT NULL,
  PRIMARY KEY (destination, identifier));
CREATE INDEX exported_capture ON exported (destination, capture_id);
CREATE TABLE notification (
  id INTEGER PRIMARY KEY, channel TEXT NOT NULL, body TEXT NOT NULL, made REAL NOT NULL, due REAL NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0, state TEXT NOT NULL CHECK (state IN ('waiting', 'sent', 'given-up')),
  problem TEXT NOT NULL DEFAULT '');
CREATE TABLE noticed (subject TEXT PRIMARY KEY);
"""

Values = Sequence[Any] | Mapping[str, Any]


class Row(Protocol):
    """A row: values by position and by name."""

    def __getitem__(self, key: Any, /) -> Any: ...

    def __iter__(self) -> Iterator[Any]: ...


class Cursor(Protocol):
    """What a statement returned."""

    @property
    def rowcount(self) -> int: ...

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """Runs statements of both kinds of database: values are bound as `?` or `:name`, a statement alone is a transaction."""

    def execute(self, statement: str, values: Values = ..., /) -> Cursor: ...

    def executemany(self, statement: str, values: Sequence[Sequence[Any]], /) -> None: ...


class Ledger(ABC):
    """The gateway's memory. Safe to use from several threads."""

    # Whether records lie in the cache; where they do not, the source is asked for them again.
    keeps_records: bool

    @property
    @abstractmethod
    def connection(self) -> Connection:
        """This thread's connection, in autocommit: a statement alone is a transaction."""

    @abstractmethod
    def transaction(self) -> AbstractContextManager[Connection]:
        """All or nothing, on the disk when it ends; one at a time. Transactions do not nest."""

    @abstractmethod
    def now_text(self) -> str:
        """The time of the one clock by which this far side says when it had, listed and answered a capture."""

    @abstractmethod
    def conceal(self, site: str, place: str, text: str) -> str:
        """A note as it is stored. `place` tells it from all others."""

    @abstractmethod
    def reveal(self, site: str, place: str, stored: str) -> str:
        """The note again."""

    def audit(
        self, user: str, action: str, site: str = "", patient_ref: str = "", capture_id: str = "", detail: str = ""
    ) -> None:
        """One row: who did or looked at what."""
        self.connection.execute(
            'INSERT INTO audit (at, "user", action, site, patient_ref, capture_id, detail) VALUES (?, ?, ?, ?, ?, ?, ?)',
            (now_text(), user, action, site, patient_ref, capture_id, detail),
        )


def now_text() -> str:
    """UTC to the millisecond, RFC 3339."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _SQLite:
    """A connection of SQLite that tells faults as the other one does."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, statement: str, values: Values = (), /) -> sqlite3.Cursor:
        try:
            return self._connection.execute(statement, values)
        except sqlite3.IntegrityError as error:
            raise StoreConflict(f"gateway.sqlite: {error}") from error
        except sqlite3.Error as error:
            raise StoreUnavailable(f"gateway.sqlite: {error}") from error

    def executemany(self, statement: str, values: Sequence[Sequence[Any]], /) -> None:
        try:
            self._connection.executemany(statement, values)
        except sqlite3.Error as error:
            raise StoreUnavailable(f"gateway.sqlite: {error}") from error


def _bind(connection: _SQLite, tables: Sequence[str]) -> None:
    for table in tables:
        for verb in ("UPDATE", "DELETE"):
            connection.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table}"
                f" BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )


class FileLedger(Ledger):
    """`gateway.sqlite` in a folder of mode 0700; one connection a thread."""

    keeps_records = True

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise GatewayError(f"{folder} cannot be made: {error.strerror or error}") from error
        if folder.stat().st_mode & 0o077:
            raise GatewayError(f"{folder} is open to others (it holds logins and readings): chmod 700 {folder}")
        self.path = folder / "gateway.sqlite"
        self._local = threading.local()
        if not self.path.exists():
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        with self.transaction() as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            application = connection.execute("PRAGMA application_id").fetchone()[0]
            if version == 0 and application == 0:
                self._make(connection)
                version, application = 1, _APPLICATION
            if application == _APPLICATION and version == 1:
                self._step(connection)
                version = 2
            if application != _APPLICATION or version != VERSION:
                raise GatewayError(f"{self.path}: version {version}; this gateway has version {VERSION}")

    @staticmethod
    def _make(connection: _SQLite) -> None:
        for statement in _SCHEMA.split(";\n"):
            if statement.strip():
                connection.execute(statement)
        _bind(connection, APPEND_ONLY)
        connection.execute(f"PRAGMA application_id = {_APPLICATION}")

    @staticmethod
    def _step(connection: _SQLite) -> None:
        """From the first version to the second."""
        for statement in STEP_2.strip().split(";\n"):
            connection.execute(statement.rstrip(";"))
        _bind(connection, APPEND_ONLY_2)
        for statement in CARRY_2.strip().split(";\n"):
            connection.execute(statement.rstrip(";"), (now_text(),))
        connection.execute("PRAGMA user_version = 2")

    @property
    def connection(self) -> _SQLite:
        found: _SQLite | None = getattr(self._local, "connection", None)
        if found is None:
            connection = sqlite3.connect(self.path, timeout=10, isolation_level=None)
            connection.row_factory = sqlite3.Row
            found = _SQLite(connection)
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
                found.execute(f"PRAGMA {pragma}")
            self._local.connection = found
        return found

    @contextmanager
    def transaction(self) -> Iterator[_SQLite]:
        """All or nothing, on the disk when it ends."""
        connection = self.connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def now_text(self) -> str:
        """This machine's, on which the receiver that fills the folder runs too."""
        return now_text()

    def conceal(self, site: str, place: str, text: str) -> str:
        """As it is: the folder beside which this file lies is not sealed either."""
        return text

    def reveal(self, site: str, place: str, stored: str) -> str:
        return stored


class DatabaseLedger(Ledger):
    """The schema `gateway` of the far side's PostgreSQL."""

    keeps_records = False

    def __init__(self, database: Database) -> None:
        database.check()
        self._database = database

    @property
    def connection(self) -> Database:
        return self._database

    @contextmanager
    def transaction(self) -> Iterator[Database]:
        """All or nothing, on the disk when it ends; one gateway at a time."""
        with self._database.transaction():
            yield self._database

    def now_text(self) -> str:
        """The database's, by which the worker says when it had a capture: this machine's may differ."""
        return str(self._database.execute(f"SELECT {TIME_TEXT}").fetchone()[0])  # type: ignore[index]

    def conceal(self, site: str, place: str, text: str) -> str:
        """Sealed under the site's newest key; nothing stays nothing."""
        if not text:
            return ""
        key = self._database.keys.current(site)
        return f"{key.id}:{base64.b64encode(key.seal(text.encode(), f'thermograph gateway|{site}|{place}')).decode()}"

    def reveal(self, site: str, place: str, stored: str) -> str:
        if not stored:
            return ""
        key_id, _, sealed = stored.partition(":")
        try:
            key = self._database.keys.key(site, int(key_id))
            return key.open(base64.b64decode(sealed, validate=True), f"thermograph gateway|{site}|{place}").decode()
        except (NotAuthentic, ValueError):
            return "[this note does not open: it was changed in the database]"
