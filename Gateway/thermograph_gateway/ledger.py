"""The gateway's own database (`gateway.sqlite`): who may look, who looked, what was read, answered, corrected, exported.

Captures stay where they are; the tables `capture` and `refused` are a cache of them and can be made again.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from .errors import GatewayError

VERSION = 1
_APPLICATION = 0x54474759
_APPEND_ONLY = ("audit", "reading", "answer", "correction")

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
CREATE TABLE user (
  name TEXT PRIMARY KEY, role TEXT NOT NULL CHECK (role IN ('reader', 'administrator')), password TEXT NOT NULL,
  enabled INTEGER NOT NULL DEFAULT 1, created_at TEXT NOT NULL);
CREATE TABLE login (
  token_sha256 TEXT PRIMARY KEY, user TEXT NOT NULL REFERENCES user (name), csrf TEXT NOT NULL,
  started REAL NOT NULL, seen REAL NOT NULL);
CREATE TABLE failure (subject TEXT NOT NULL, at REAL NOT NULL);
CREATE INDEX failure_subject ON failure (subject, at);
CREATE TABLE audit (
  id INTEGER PRIMARY KEY, at TEXT NOT NULL, user TEXT NOT NULL, action TEXT NOT NULL, site TEXT NOT NULL,
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


def now_text() -> str:
    """UTC to the millisecond, RFC 3339."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Ledger:
    """`gateway.sqlite` in a folder of mode 0700; one connection a thread."""

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
            elif application != _APPLICATION or version != VERSION:
                raise GatewayError(f"{self.path}: version {version}; this gateway has version {VERSION}")

    def _make(self, connection: sqlite3.Connection) -> None:
        for statement in _SCHEMA.split(";\n"):
            if statement.strip():
                connection.execute(statement)
        for table in _APPEND_ONLY:
            for verb in ("UPDATE", "DELETE"):
                connection.execute(
                    f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table}"
                    f" BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
                )
        connection.execute(f"PRAGMA application_id = {_APPLICATION}")
        connection.execute(f"PRAGMA user_version = {VERSION}")

    @property
    def connection(self) -> sqlite3.Connection:
        """This thread's connection, in autocommit: a statement alone is a transaction."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self.path, timeout=10, isolation_level=None)
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            self._local.connection = connection
        return connection

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, on the disk when it ends."""
        connection = self.connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def audit(
        self, user: str, action: str, site: str = "", patient_ref: str = "", capture_id: str = "", detail: str = ""
    ) -> None:
        """One row: who did or looked at what."""
        self.connection.execute(
            "INSERT INTO audit (at, user, action, site, patient_ref, capture_id, detail) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (now_text(), user, action, site, patient_ref, capture_id, detail),
        )
