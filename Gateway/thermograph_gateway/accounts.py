"""Who may look: names, roles, passwords by scrypt, logins, and a lock after many wrong passwords."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from .errors import GatewayError, StoreConflict
from .ledger import Ledger, Row, now_text

ROLES = ("reader", "administrator")
PASSWORD_CHARACTERS = range(12, 257)
IDLE_SECONDS = 30 * 60
LOGIN_SECONDS = 12 * 3600
FAILURES_MAXIMUM = 10
FAILURE_SECONDS = 15 * 60
ADDRESS_FAILURES_MAXIMUM = 100
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")
# About 60 ms and 32 MB on a small server (RFC 7914).
_N, _R, _P = 1 << 15, 8, 1


@dataclass(frozen=True)
class Login:
    """Somebody who is in."""

    user: str
    role: str
    csrf: str


def hash_password(password: str, salt: bytes | None = None) -> str:
    """`scrypt$n$r$p$salt$hash`, the last two in base64."""
    salt = secrets.token_bytes(16) if salt is None else salt
    key = hashlib.scrypt(password.encode(), salt=salt, n=_N, r=_R, p=_P, maxmem=64 << 20, dklen=32)
    return f"scrypt${_N}${_R}${_P}${base64.b64encode(salt).decode()}${base64.b64encode(key).decode()}"


_NOBODY = hash_password("nobody has this password", b"0123456789abcdef")


def _matches(password: str, stored: str) -> bool:
    salt = base64.b64decode(stored.split("$")[4])
    return hmac.compare_digest(hash_password(password, salt), stored)


class Accounts:
    """Users and logins in the ledger. `clock` gives seconds since 1970."""

    def __init__(self, ledger: Ledger, clock: Callable[[], float]) -> None:
        self._ledger = ledger
        self._clock = clock

    def add(self, name: str, role: str, password: str) -> None:
        """A new user. Raises GatewayError."""
        if not _NAME.fullmatch(name):
            raise GatewayError(f"user name '{name[:40]}'; expected 1 to 32 of a-z, 0-9, '.', '_' and '-'")
        if role not in ROLES:
            raise GatewayError(f"role '{role[:32]}'; expected one of {', '.join(ROLES)}")
        self._check_password(password)
        try:
            self._ledger.connection.execute(
                'INSERT INTO "user" (name, role, password, created_at) VALUES (?, ?, ?, ?)',
                (name, role, hash_password(password), now_text()),
            )
        except StoreConflict as error:
            raise GatewayError(f"user {name} exists already") from error

    @staticmethod
    def _check_password(password: str) -> None:
        if len(password) not in PASSWORD_CHARACTERS:
            raise GatewayError(f"a password has {PASSWORD_CHARACTERS.start} to {PASSWORD_CHARACTERS.stop - 1} characters")

    def set_password(self, name: str, password: str) -> None:
        """Another password; the user's logins end."""
        self._check_password(password)
        with self._ledger.transaction() as connection:
            changed = connection.execute(
                'UPDATE "user" SET password = ? WHERE name = ?', (hash_password(password), name)
            ).rowcount
            if changed == 0:
                raise GatewayError(f"there is no user {name[:40]}")
            connection.execute('DELETE FROM login WHERE "user" = ?', (name,))

    def set_enabled(self, name: str, enabled: bool) -> None:
        """Lets a user in or keeps them out; their logins end."""
        with self._ledger.transaction() as connection:
            if connection.execute('UPDATE "user" SET enabled = ? WHERE name = ?', (int(enabled), name)).rowcount == 0:
                raise GatewayError(f"there is no user {name[:40]}")
            connection.execute('DELETE FROM login WHERE "user" = ?', (name,))

    def users(self) -> list[Row]:
        return self._ledger.connection.execute('SELECT name, role, enabled, created_at FROM "user" ORDER BY name').fetchall()

    def locked_seconds(self, name: str, address: str) -> int:
        """For how long no password is tried for this name or from this address; 0 when one may be."""
        since = self._clock() - FAILURE_SECONDS
        for subject, most in ((f"user {name}", FAILURES_MAXIMUM), (f"address {address}", ADDRESS_FAILURES_MAXIMUM)):
            rows = self._ledger.connection.execute(
                "SELECT at FROM failure WHERE subject = ? AND at > ? ORDER BY at DESC LIMIT ?", (subject, since, most)
            ).fetchall()
            if len(rows) >= most:
                return max(1, int(rows[-1]["at"] + FAILURE_SECONDS - self._clock()))
        return 0

    def log_in(self, name: str, password: str, address: str) -> str | None:
        """The token of a new login; None when name or password are wrong, or the lock holds."""
        if self.locked_seconds(name, address) > 0 or len(password) >= PASSWORD_CHARACTERS.stop:
            return None
        row = self._ledger.connection.execute('SELECT password FROM "user" WHERE name = ? AND enabled = 1', (name,)).fetchone()
        # An unknown name takes as long as a known one.
        matches = _matches(password, row["password"] if row else _NOBODY)
        now = self._clock()
        with self._ledger.transaction() as connection:
            connection.execute("DELETE FROM failure WHERE at <= ?", (now - FAILURE_SECONDS,))
            connection.execute("DELETE FROM login WHERE started <= ? OR seen <= ?", (now - LOGIN_SECONDS, now - IDLE_SECONDS))
            if row is None or not matches:
                connection.executemany(
                    "INSERT INTO failure VALUES (?, ?)", [(f"user {name[:64]}", now), (f"address {address}", now)]
                )
                return None
            connection.execute("DELETE FROM failure WHERE subject = ?", (f"user {name}",))
            token = secrets.token_urlsafe(32)
            connection.execute(
                "INSERT INTO login VALUES (?, ?, ?, ?, ?)", (_digest(token), name, secrets.token_urlsafe(32), now, now)
            )
        return token

    def login(self, token: str) -> Login | None:
        """Who a token stands for; None when it has ended."""
        now = self._clock()
        row = self._ledger.connection.execute(
            'SELECT l."user", l.csrf, l.seen, u.role FROM login l JOIN "user" u ON u.name = l."user"'
            " WHERE l.token_sha256 = ? AND l.started > ? AND l.seen > ? AND u.enabled = 1",
            (_digest(token), now - LOGIN_SECONDS, now - IDLE_SECONDS),
        ).fetchone()
        if row is None:
            return None
        if now - row["seen"] > 60:  # a write a minute is enough to know that somebody is there
            self._ledger.connection.execute("UPDATE login SET seen = ? WHERE token_sha256 = ?", (now, _digest(token)))
        return Login(row["user"], row["role"], row["csrf"])

    def log_out(self, token: str) -> None:
        self._ledger.connection.execute("DELETE FROM login WHERE token_sha256 = ?", (_digest(token),))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
