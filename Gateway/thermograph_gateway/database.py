"""The far side's PostgreSQL: connections, what goes wrong in words, and the gateway's own schema in it.

The worker owns the tables of `public` (Sources/Adapters/CaptureDatabase/Migrations.swift); the gateway reads them, and adds
rows to `downlink`. What it remembers itself is in the schema `gateway`, under a role that may do nothing else.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from .errors import GatewayError, StoreConflict, StoreUnavailable
from .sealing import MasterKeys, SiteKeys

# The steps of the worker's schema that this gateway reads; a test holds them against the worker's own list.
WORKER_STEPS = (
    (1, "captures"), (2, "messages and devices"), (3, "downlink"), (4, "views that stay"), (5, "metadata and parts"),
    (6, "audit heads"),
)  # fmt: skip
OWN_VERSION = 2
SCHEMA = "gateway"
STATEMENT_MILLISECONDS = 12_000
# A dead server is noticed by what these say: libpq's own values notice nothing within 45 s.
_DEFAULTS: Mapping[str, str] = {
    "connect_timeout": "3", "tcp_user_timeout": "5000", "keepalives_idle": "3", "keepalives_interval": "1",
    "keepalives_count": "3", "target_session_attrs": "read-write", "application_name": "thermograph-gateway",
}  # fmt: skip
# Held by whoever changes the gateway's schema or its tables: the word `gatewayr` in ASCII.
LOCK = 0x6761_7465_7761_7972

_OWN_TABLES = """
CREATE TABLE capture (
  capture_id text PRIMARY KEY, number bigint GENERATED ALWAYS AS IDENTITY UNIQUE, site text NOT NULL, device text NOT NULL,
  session_id text NOT NULL, recorded_ref text NOT NULL, patient_ref text NOT NULL, withdrawn bigint NOT NULL DEFAULT 0,
  view text NOT NULL, utc_nanoseconds bigint NOT NULL, synchronised bigint NOT NULL, outcome text NOT NULL,
  failed_gates text NOT NULL, received_at text NOT NULL, fault text NOT NULL DEFAULT '');
CREATE INDEX capture_time ON capture (utc_nanoseconds DESC);
CREATE INDEX capture_patient ON capture (site, patient_ref, utc_nanoseconds);
CREATE INDEX capture_session ON capture (session_id);
CREATE TABLE refused (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, source_key text NOT NULL UNIQUE, capture_id text NOT NULL,
  reason text NOT NULL);
CREATE TABLE "user" (
  name text PRIMARY KEY, role text NOT NULL CHECK (role IN ('reader', 'administrator')), password text NOT NULL,
  enabled bigint NOT NULL DEFAULT 1, created_at text NOT NULL);
CREATE TABLE login (
  token_sha256 text PRIMARY KEY, "user" text NOT NULL REFERENCES "user" (name), csrf text NOT NULL,
  started double precision NOT NULL, seen double precision NOT NULL);
CREATE TABLE failure (subject text NOT NULL, at double precision NOT NULL);
CREATE INDEX failure_subject ON failure (subject, at);
CREATE TABLE audit (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at text NOT NULL, "user" text NOT NULL, action text NOT NULL,
  site text NOT NULL, patient_ref text NOT NULL, capture_id text NOT NULL, detail text NOT NULL);
CREATE TABLE reading (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, capture_id text NOT NULL, reader text NOT NULL, at text NOT NULL,
  usable text NOT NULL CHECK (usable IN ('yes', 'limited', 'no')),
  side text NOT NULL CHECK (side IN ('none', 'left', 'right', 'both')),
  place text NOT NULL CHECK (place IN ('none', 'upper-outer', 'upper-inner', 'lower-outer', 'lower-inner', 'centre', 'armpit')),
  confidence bigint NOT NULL CHECK (confidence BETWEEN 1 AND 5),
  follow_up text NOT NULL CHECK (follow_up IN ('yes', 'no', 'undecided')), note text NOT NULL,
  UNIQUE (capture_id, reader));
CREATE TABLE answer (
  id text PRIMARY KEY, capture_id text NOT NULL, reviewer text NOT NULL, at text NOT NULL,
  state text NOT NULL CHECK (state IN ('answered', 'repeat-requested')), note text NOT NULL, place text NOT NULL);
CREATE INDEX answer_capture ON answer (capture_id);
CREATE TABLE correction (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at text NOT NULL, actor text NOT NULL, origin text NOT NULL UNIQUE,
  kind text NOT NULL CHECK (kind IN ('reassign', 'merge', 'withdraw', 'revert')), site text NOT NULL,
  subject text NOT NULL, target text NOT NULL, reason text NOT NULL CHECK (length(reason) > 0));
CREATE TABLE exported (
  destination text NOT NULL, identifier text NOT NULL, kind text NOT NULL, capture_id text NOT NULL,
  patient_ref text NOT NULL, generation bigint NOT NULL, class_uid text NOT NULL,
  sha256 text NOT NULL, state text NOT NULL, at text NOT NULL,
  PRIMARY KEY (destination, identifier));
CREATE INDEX exported_capture ON exported (destination, capture_id);
CREATE TABLE notification (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, channel text NOT NULL, body text NOT NULL,
  made double precision NOT NULL, due double precision NOT NULL, attempts bigint NOT NULL DEFAULT 0,
  state text NOT NULL CHECK (state IN ('waiting', 'sent', 'given-up')), problem text NOT NULL DEFAULT '');
CREATE TABLE noticed (subject text PRIMARY KEY);
CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN RAISE EXCEPTION ''% is append-only'', TG_TABLE_NAME; END';
"""
# What the second version adds, in words that SQLite takes too: what devices reply to answers and what was taken back, who asks
# to be called, how long captures were on their way, and which messages were looked at.
STEP_2 = """
ALTER TABLE capture ADD COLUMN listed_at text NOT NULL DEFAULT '';
ALTER TABLE answer ADD COLUMN site text NOT NULL DEFAULT '';
ALTER TABLE answer ADD COLUMN device text NOT NULL DEFAULT '';
ALTER TABLE answer ADD COLUMN patient_ref text NOT NULL DEFAULT '';
ALTER TABLE answer ADD COLUMN reviewed_at text NOT NULL DEFAULT '';
ALTER TABLE answer ADD COLUMN supersedes text NOT NULL DEFAULT '';
ALTER TABLE answer ADD COLUMN why text NOT NULL DEFAULT '';
CREATE TABLE answer_reply (
  answer_id text PRIMARY KEY, state text NOT NULL, reason text NOT NULL, at text NOT NULL);
CREATE TABLE answer_end (
  answer_id text PRIMARY KEY, at text NOT NULL,
  why text NOT NULL CHECK (why IN ('superseded', 'withdrawn', 'moved', 'earlier-version')));
CREATE TABLE call (
  id text PRIMARY KEY, site text NOT NULL, device text NOT NULL, patient_ref text NOT NULL, session_id text NOT NULL,
  first_at text NOT NULL, last_at text NOT NULL, presses bigint NOT NULL, called_at text NOT NULL DEFAULT '',
  called_by text NOT NULL DEFAULT '');
CREATE UNIQUE INDEX call_open ON call (site, device, patient_ref) WHERE called_at = '';
CREATE TABLE times (
  site text NOT NULL, device text NOT NULL, capture_id text NOT NULL, received_at text NOT NULL, total_ms bigint,
  edge_ms bigint, queue_ms bigint, cloud_ms bigint, response_ms bigint, PRIMARY KEY (site, device, capture_id));
CREATE INDEX times_received ON times (received_at);
CREATE TABLE taken (source_key text PRIMARY KEY);
"""
APPEND_ONLY = ("audit", "reading", "answer", "correction")
# Of the second version.
APPEND_ONLY_2 = ("answer_reply", "answer_end")
# An answer of the first version has not the form that devices take; since when a capture stood in the list nobody noted, so
# that no earlier time than this one is said.
CARRY_2 = """
INSERT INTO answer_end (answer_id, at, why) SELECT id, ?, 'earlier-version' FROM answer;
UPDATE capture SET listed_at = ?;
"""
# What the gateway's role may do with its own tables; nobody may change what is append-only.
_RIGHTS = {
    "capture": "SELECT, INSERT, UPDATE, DELETE", "refused": "SELECT, INSERT, UPDATE, DELETE",
    '"user"': "SELECT, INSERT, UPDATE", "login": "SELECT, INSERT, UPDATE, DELETE", "failure": "SELECT, INSERT, DELETE",
    "exported": "SELECT, INSERT", "notification": "SELECT, INSERT, UPDATE", "noticed": "SELECT, INSERT",
    "audit": "SELECT, INSERT", "reading": "SELECT, INSERT", "answer": "SELECT, INSERT", "correction": "SELECT, INSERT",
    "version": "SELECT", "answer_reply": "SELECT, INSERT", "answer_end": "SELECT, INSERT",
    "call": "SELECT, INSERT, UPDATE", "times": "SELECT, INSERT, UPDATE, DELETE", "taken": "SELECT, INSERT",
}  # fmt: skip
_READ = ("schema_step", "site_key", "capture", "image", "message", "device", "audit_head", "audit_alarm")
# The worker looks for none of these; without them each look at what is new would read whole tables.
_INDEXES = (
    "CREATE INDEX IF NOT EXISTS gateway_capture_complete ON public.capture (complete_at) WHERE complete_at IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS gateway_message_kind ON public.message (kind, schema, received_at)",
)
_LOST = "database: the connection was lost within a transaction; look whether it was done, then do it again"
# The database's own time as the ledger writes times: UTC to the millisecond, RFC 3339.
TIME_TEXT = """to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""
_ROLE = re.compile(r"[a-z_][a-z0-9_]{0,62}")


class Row:
    """A row: values by position and by name."""

    __slots__ = ("_names", "_values")

    def __init__(self, names: Mapping[str, int], values: Sequence[Any]) -> None:
        self._names = names
        self._values = values

    def __getitem__(self, key: int | str) -> Any:
        return self._values[self._names[key] if isinstance(key, str) else key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)


def _rows(cursor: psycopg.Cursor[Any]) -> Any:
    names = {column.name: index for index, column in enumerate(cursor.description or ())}
    return lambda values: Row(names, values)


class Database:
    """Connections, one a thread, that are made anew after the server went away."""

    def __init__(self, target: str, masters: MasterKeys | None = None, allow_plaintext: bool = False) -> None:
        try:
            options = conninfo_to_dict(target)
        except psycopg.Error:
            # The library's own words would repeat the text, and with it a password.
            raise GatewayError(
                "--database cannot be read; expected e.g. postgresql://thermograph_gateway@db.example/thermograph"
            ) from None
        if options.get("password") or options.get("sslpassword"):
            raise GatewayError(
                "--database holds a password, which every user of this machine can see; put it into a file of mode 0600 and "
                "name that with passfile=PATH, or use a service file (service=NAME)"
            )
        self._conninfo = make_conninfo("", **{**_DEFAULTS, **options})
        self._allow_plaintext = allow_plaintext
        self._local = threading.local()
        self.keys = SiteKeys(masters or MasterKeys(()), self._site_keys)

    # Connections

    def _connection(self) -> psycopg.Connection[Row]:
        connection: psycopg.Connection[Row] | None = getattr(self._local, "connection", None)
        if connection is not None and not connection.closed:
            return connection
        if getattr(self._local, "depth", 0) > 0:
            # What is left of a transaction must not be done without what came before it.
            raise StoreUnavailable(_LOST)
        try:
            connection = psycopg.connect(self._conninfo, autocommit=True, row_factory=_rows)
        except psycopg.Error as error:
            words = str(error).strip().splitlines()
            raise StoreUnavailable(f"database: no connection: {words[0][:200] if words else type(error).__name__}") from None
        connection.add_notice_handler(self._hear)
        host = connection.info.host
        is_local = (
            host.startswith(("/", "@")) or connection.info.hostaddr.startswith("127.") or connection.info.hostaddr == "::1"
        )
        if not (is_local or self._allow_plaintext or connection.pgconn.ssl_in_use):
            connection.close()
            raise GatewayError(
                f"database: the connection to {host} is not encrypted; add sslmode=verify-full to --database, or "
                "--allow-plaintext"
            )
        connection.execute(f"SET search_path = {SCHEMA}")
        connection.execute(f"SET statement_timeout = {STATEMENT_MILLISECONDS}")
        connection.execute(f"SET lock_timeout = {STATEMENT_MILLISECONDS}")
        self._local.connection = connection
        self._local.depth = 0
        return connection

    def _hear(self, notice: psycopg.errors.Diagnostic) -> None:
        if notice.severity_nonlocalized == "WARNING":
            self._local.warning = notice.message_primary

    def close(self) -> None:
        """Ends this thread's connection."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()

    # Statements

    def execute(self, statement: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> psycopg.Cursor[Row]:
        """One statement, with `?` or `:name` for values. Raises StoreConflict, StoreUnavailable, GatewayError."""
        text = _translated(statement)
        values = _storable(values)
        is_alone = getattr(self._local, "depth", 0) == 0
        try:
            return self._connection().execute(text.encode(), values or None)
        except psycopg.Error as error:
            # A server that was started anew is found out by the first question; to ask again changes nothing.
            if is_alone and isinstance(error, psycopg.OperationalError) and text.startswith("SELECT") and self._is_lost():
                try:
                    return self._connection().execute(text.encode(), values or None)
                except psycopg.Error as again:
                    raise _in_words(again) from None
            raise _in_words(error) from None

    def executemany(self, statement: str, values: Sequence[Sequence[Any]]) -> None:
        """The same statement for each of `values`."""
        try:
            self._connection().cursor().executemany(_translated(statement).encode(), [_storable(v) for v in values])
        except psycopg.Error as error:
            raise _in_words(error) from None

    def _is_lost(self) -> bool:
        connection = getattr(self._local, "connection", None)
        return connection is None or bool(connection.closed)

    @contextmanager
    def transaction(self, lock: bool = True) -> Iterator[None]:
        """All or nothing, on the disk when it ends; with `lock` one at a time over all gateways. Nothing nests."""
        connection = self._connection()
        self._local.warning = None
        self._local.depth = 1
        try:
            with connection.transaction():
                if lock:
                    connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
                yield
        except psycopg.Error as error:
            raise _in_words(error) from None
        finally:
            self._local.depth = 0
        if connection.closed:
            # The library ends the transaction of a lost connection without a word.
            raise StoreUnavailable(_LOST)
        warning = self._local.warning
        if warning:
            # The server could not wait for its standby: after a failover the rows may be gone.
            raise StoreUnavailable(
                f"database: not confirmed by a standby: {warning}; look whether it is there, then do it again"
            )

    # Keys

    def _site_keys(self, site: str) -> list[tuple[int, int, bytes]]:
        rows = self.execute(
            "SELECT key_id, master_id, wrapped FROM public.site_key WHERE site = ? ORDER BY made_at, key_id", (site,)
        )
        return [(row[0], row[1], bytes(row[2])) for row in rows]

    # Schemas

    def check(self) -> None:
        """Raises GatewayError that says what differs of the worker's or the gateway's schema, and what to do."""
        if self.execute("SELECT to_regclass('public.schema_step') IS NULL").fetchone()[0]:  # type: ignore[index]
            raise GatewayError("database: it has no schema yet; run thermograph-receiver --migrate")
        fault = worker_fault(
            [(int(row[0]), str(row[1])) for row in self.execute("SELECT number, name FROM public.schema_step ORDER BY number")]
        )
        if fault is not None:
            raise GatewayError(fault)
        if self.execute(f"SELECT to_regclass('{SCHEMA}.version') IS NULL").fetchone()[0]:  # type: ignore[index]
            raise GatewayError("database: the gateway has no schema there yet; run thermograph-gateway migrate")
        version = self.execute("SELECT max(number) FROM version").fetchone()[0]  # type: ignore[index]
        if version != OWN_VERSION:
            raise GatewayError(
                f"database: the gateway's schema has version {version}, this gateway has {OWN_VERSION}; "
                + (
                    "install the newer gateway"
                    if version is not None and version > OWN_VERSION
                    else "run thermograph-gateway migrate"
                )
            )

    def migrate(self, role: str) -> bool:
        """Makes the gateway's schema and gives `role` its rights; whether something was made. As the database's owner."""
        if not _ROLE.fullmatch(role):
            raise GatewayError(f"role '{role[:64]}'; expected a plain name of PostgreSQL, e.g. thermograph_gateway")
        connection = self._connection()
        try:
            if connection.execute("SELECT to_regclass('public.schema_step') IS NULL").fetchone()[0]:  # type: ignore[index]
                raise GatewayError("database: it has no schema yet; run thermograph-receiver --migrate")
            if connection.execute("SELECT count(*) FROM pg_roles WHERE rolname = %s", (role,)).fetchone()[0] == 0:  # type: ignore[index]
                raise GatewayError(f"database: there is no role {role}; make it first: CREATE ROLE {role} LOGIN")
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
                connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(SCHEMA)))
                is_new = connection.execute(f"SELECT to_regclass('{SCHEMA}.version') IS NULL".encode()).fetchone()[0]  # type: ignore[index]
                if is_new:
                    self._make(connection)
                is_changed = self._step(connection)
                self._grant(connection, role)
        except psycopg.Error as error:
            raise _in_words(error) from None
        return bool(is_new) or is_changed

    @staticmethod
    def _make(connection: psycopg.Connection[Row]) -> None:
        connection.execute("CREATE TABLE version (number bigint PRIMARY KEY, made_at timestamptz NOT NULL DEFAULT now())")
        connection.execute("INSERT INTO version (number) VALUES (1)")
        connection.execute(_OWN_TABLES.encode())
        _bind(connection, APPEND_ONLY)

    @staticmethod
    def _step(connection: psycopg.Connection[Row]) -> bool:
        """From the first version to the second; whether there was something to do."""
        if connection.execute("SELECT max(number) FROM version").fetchone()[0] != 1:  # type: ignore[index]
            return False
        connection.execute(STEP_2.encode())
        _bind(connection, APPEND_ONLY_2)
        at = connection.execute(f"SELECT {TIME_TEXT}".encode()).fetchone()[0]  # type: ignore[index]
        for statement in CARRY_2.strip().split(";\n"):
            connection.execute(statement.rstrip(";").replace("?", "%s").encode(), (at,))
        connection.execute(
            "UPDATE public.downlink SET not_after = now() WHERE topic = 'result' AND id IN (SELECT id FROM answer)"
        )
        connection.execute("INSERT INTO version (number) VALUES (2)")
        return True

    @staticmethod
    def _grant(connection: psycopg.Connection[Row], role: str) -> None:
        for statement in _INDEXES:
            connection.execute(statement.encode())
        connection.execute(f"GRANT USAGE ON SCHEMA {SCHEMA} TO {role}".encode())
        connection.execute(f"GRANT USAGE ON SCHEMA public TO {role}".encode())
        for table, rights in _RIGHTS.items():
            connection.execute(f"GRANT {rights} ON {SCHEMA}.{table} TO {role}".encode())
        for table in _READ:
            connection.execute(f"GRANT SELECT ON public.{table} TO {role}".encode())
        # What is taken back before a device has it ends at once; a state is the worker's to say.
        connection.execute(f"GRANT SELECT, INSERT, UPDATE (not_after) ON public.downlink TO {role}".encode())


def _bind(connection: psycopg.Connection[Row], tables: Sequence[str]) -> None:
    for table in tables:
        connection.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} EXECUTE FUNCTION append_only()".encode()
        )


def worker_fault(present: Sequence[tuple[int, str]]) -> str | None:
    """Why these steps are not the worker's schema that this gateway reads; None when they are."""
    known = len(WORKER_STEPS)
    if list(present[:known]) != list(WORKER_STEPS[: len(present)]):
        return "database: its schema has other steps than this gateway knows; is it the database of another program?"
    if len(present) > known:
        return f"database: the worker's schema is at step {len(present)}, this gateway knows {known}; install the newer gateway"
    if len(present) < known:
        return f"database: the worker's schema is at step {len(present)} of {known}; run thermograph-receiver --migrate"
    return None


def _storable(values: Sequence[Any] | Mapping[str, Any]) -> Any:
    """PostgreSQL's texts hold no zero character; such a text is nobody's name, and is shown as one that is damaged."""
    if isinstance(values, Mapping):
        return {name: _text(value) for name, value in values.items()}
    return tuple(_text(value) for value in values)


def _text(value: Any) -> Any:
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


@lru_cache(maxsize=512)
def _translated(statement: str) -> str:
    """`?` and `:name` as psycopg writes them."""
    return re.sub(r"(?<![:\w]):([a-z_]+)", r"%(\1)s", statement.strip()).replace("?", "%s")


def _in_words(error: psycopg.Error) -> Exception:
    """An error of the library without any value of a row: those stand in its details, and at times in its message."""
    state = error.sqlstate or ""
    if isinstance(error, psycopg.errors.UniqueViolation):
        return StoreConflict("database: it is there already")
    if isinstance(error, psycopg.errors.RaiseException):  # a trigger of the gateway's own schema
        return GatewayError(f"database: {error.diag.message_primary or 'refused'}")
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return GatewayError(
            f"database: {error.diag.message_primary or 'a right is missing'}; the gateway's role gets its rights from "
            "thermograph-gateway migrate"
        )
    what = f"SQLSTATE {state}" if state else type(error).__name__
    if isinstance(error, psycopg.OperationalError) or state[:2] in ("08", "25", "53", "55", "57", "58", "XX"):
        return StoreUnavailable(f"database: it does not answer ({what}); try again")
    return GatewayError(f"database: it refuses a statement of the gateway ({what})")
