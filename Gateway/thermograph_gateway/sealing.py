"""Opens what the far side's worker sealed: AES-256-GCM, a data key for each site, wrapped by a master key from a file.

The form is the worker's (Sources/Adapters/Storage/SealingKey.swift, PayloadCipher.swift, CaptureDatabase/SiteKeys.swift):
`nonce (12) | ciphertext | tag (16)`; a key's id is the first 8 bytes of HMAC-SHA-256(key, "thermograph sealing key id") as a
signed number. No error and no text form of anything here holds a key or a content.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import secrets
import stat
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .errors import GatewayError

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
OVERHEAD_BYTES = NONCE_BYTES + TAG_BYTES
_FILE_BYTES_MAXIMUM = 4096
_HEXADECIMAL = re.compile(rb"[0-9a-fA-F]{64}")


class NotAuthentic(Exception):
    """Sealed bytes that are not those that were sealed, or were sealed for another place."""


class Key:
    """One AES-256 key. It shows its id and nothing else."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) != KEY_BYTES:
            raise ValueError(f"a key has {KEY_BYTES} bytes")
        self.id = int.from_bytes(hmac.digest(secret, b"thermograph sealing key id", hashlib.sha256)[:8], "big", signed=True)
        self._cipher = AESGCM(secret)

    def __repr__(self) -> str:
        return f"Key(id {id_text(self.id)})"

    def open(self, sealed: bytes, associated: str) -> bytes:
        """The content. Raises NotAuthentic when a bit of it, of what it was sealed for or of the key differs."""
        if len(sealed) < OVERHEAD_BYTES:
            raise NotAuthentic
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], associated.encode())
        except InvalidTag:
            raise NotAuthentic from None

    def seal(self, plain: bytes, associated: str) -> bytes:
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, associated.encode())


def id_text(key_id: int) -> str:
    """A key's id as the worker prints it: 16 hexadecimal digits."""
    return f"{key_id & 0xFFFF_FFFF_FFFF_FFFF:016x}"


def read_key_file(path: Path) -> bytes:
    """32 bytes: raw, or in hexadecimal digits or base64 in one line. A private regular file. Raises GatewayError.

    systemd shows a credential to its service through an access list, which looks like a readable group.
    """
    credentials = os.environ.get("CREDENTIALS_DIRECTORY", "")
    closed_to = 0o037 if credentials and path.parent == Path(credentials) else 0o077
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise GatewayError(f"{path} is no file; expected a key of {KEY_BYTES} bytes")
            content = file.read(_FILE_BYTES_MAXIMUM + 1)
    except OSError as error:
        raise GatewayError(
            f"{path} cannot be read ({error.strerror or error}); expected the master key that the worker uses"
        ) from error
    if stat.S_IMODE(status.st_mode) & closed_to:
        raise GatewayError(f"{path} is open to others: chmod 600 {path}")
    if status.st_uid not in (os.geteuid(), 0):
        raise GatewayError(f"{path} belongs to user {status.st_uid}; expected this program's user or root")
    found = _key_in(content)
    if found is None:
        raise GatewayError(f"{path} holds no key; expected {KEY_BYTES} bytes, or them in hexadecimal digits or base64")
    return found


def _key_in(content: bytes) -> bytes | None:
    if len(content) == KEY_BYTES:
        return content
    text = content.rstrip(b"\r\n")
    if _HEXADECIMAL.fullmatch(text):
        return bytes.fromhex(text.decode())
    if len(text) == 44:
        try:
            found = base64.b64decode(text, validate=True)
        except binascii.Error:
            return None
        return found if len(found) == KEY_BYTES else None
    return None


class MasterKeys:
    """The keys that wrap data keys: the worker's present one, and older ones that still wrap some."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self._keys = {key.id: key for key in keys}

    @classmethod
    def from_files(cls, paths: Sequence[Path]) -> MasterKeys:
        """Raises GatewayError."""
        return cls(Key(read_key_file(path)) for path in paths)

    def unwrap(self, site: str, key_id: int, master_id: int, wrapped: bytes) -> Key:
        """A site's data key. Raises GatewayError that says which master key is missing."""
        master = self._keys.get(master_id)
        if master is None:
            given = ", ".join(id_text(known) for known in self._keys) or "none"
            raise GatewayError(
                f"the data key {id_text(key_id)} of site {site} is wrapped by master key {id_text(master_id)}, but given were: "
                f"{given}. Give that key's file with --master-key-file, or with --older-master-key-file after a change of keys"
            )
        try:
            key = Key(master.open(wrapped, f"thermograph site key|{site}|{id_text(key_id)}"))
        except (NotAuthentic, ValueError):
            raise GatewayError(
                f"the data key {id_text(key_id)} of site {site} does not open under its master key: it was changed there"
            ) from None
        if key.id != key_id:
            raise GatewayError(f"the data key {id_text(key_id)} of site {site} is another key: it was changed in the database")
        return key


# A site's rows of `site_key`, oldest first: key id, master's id, wrapped key.
ReadKeys = Callable[[str], list[tuple[int, int, bytes]]]


class SiteKeys:
    """Data keys by site and id, unwrapped when first needed. Safe to use from several threads."""

    _KEYS_MAXIMUM = 100_000

    def __init__(self, masters: MasterKeys, read: ReadKeys) -> None:
        self._masters = masters
        self._read = read
        self._lock = threading.Lock()
        self._keys: dict[tuple[str, int], Key] = {}

    def key(self, site: str, key_id: int) -> Key:
        """Raises GatewayError when the key is not there or cannot be unwrapped."""
        with self._lock:
            known = self._keys.get((site, key_id))
        if known is not None:
            return known
        for found, master_id, wrapped in self._read(site):
            if found == key_id:
                return self._keep(site, self._masters.unwrap(site, key_id, master_id, wrapped))
        raise GatewayError(
            f"the database has no data key {id_text(key_id)} of site {site}: what was sealed under it cannot be read"
        )

    def current(self, site: str) -> Key:
        """The site's newest key, for what is sealed here. Raises GatewayError."""
        rows = self._read(site)
        if not rows:
            raise GatewayError(f"the database has no data key of site {site}")
        key_id, master_id, wrapped = rows[-1]
        with self._lock:
            known = self._keys.get((site, key_id))
        return known or self._keep(site, self._masters.unwrap(site, key_id, master_id, wrapped))

    def _keep(self, site: str, key: Key) -> Key:
        with self._lock:
            if len(self._keys) >= self._KEYS_MAXIMUM:
                self._keys.clear()
            self._keys[(site, key.id)] = key
        return key
