"""Metadata of a repository on its way to a device: what `Scripts/repository publish` made, for `dn/trust` (Docs/keys.md).

Nobody signs the message itself, and nothing is believed because of it: the device verifies every file in it as if it came from
a stick. What is checked here is what a person would want to hear before it is sent.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from .database import Database
from .errors import GatewayError, RecordRefused
from .files import read_bounded
from .record import parse_json
from .send import Sent, check_place, give

SCHEMA = "thermograph.trust.v1"
NAME = "trust.json"
# What a device takes (Sources/Core/Trust/Metadata/MetadataBundle.swift).
MESSAGE_BYTES_MAXIMUM = 64 * 1024
FILES_MAXIMUM = 300
HOURS = 30 * 24
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_ROOT = re.compile(r"[1-9][0-9]{0,8}\.root\.json")


@dataclass(frozen=True)
class Metadata:
    """A set that can be sent."""

    members: dict[str, Any]
    expires: datetime

    def message(self, message_id: str) -> bytes:
        """With the id that the device's reply names. Raises GatewayError."""
        raw = json.dumps({**self.members, "id": message_id}, separators=(",", ":")).encode()
        if len(raw) > MESSAGE_BYTES_MAXIMUM:
            raise GatewayError(
                f"{len(raw)} bytes with its id; a device takes at most {MESSAGE_BYTES_MAXIMUM}: fewer targets, or by stick"
            )
        return raw


def read_metadata(folder: Path, now: datetime) -> Metadata:
    """`trust.json` of a published repository. Raises GatewayError that says what is wrong and what to do."""
    path = folder / NAME if folder.is_dir() else folder
    try:
        members = parse_json(read_bounded(path, MESSAGE_BYTES_MAXIMUM), MESSAGE_BYTES_MAXIMUM, MESSAGE_BYTES_MAXIMUM)
    except OSError as error:
        raise GatewayError(
            f"{path} cannot be read ({error.strerror or error}); expected what `Scripts/repository publish site OUT` made"
        ) from error
    except RecordRefused as refusal:
        raise GatewayError(f"{path}: {refusal}; expected what `Scripts/repository publish site OUT` made") from None
    if members.get("schema") != SCHEMA or members.get("root") not in ("site", "vendor"):
        raise GatewayError(f"{path}: expected schema {SCHEMA} and root site or vendor")
    if unknown := sorted(set(members) - {"schema", "root", "metadata", "targets"}):
        raise GatewayError(f"{path}: it holds '{unknown[0][:64]}', which no published set has")
    files = _files(members.get("metadata"), path, "metadata")
    _files(members.get("targets"), path, "targets")
    if "timestamp.json" not in files or not any(_ROOT.fullmatch(name) for name in files):
        raise GatewayError(f"{path}: its metadata has no timestamp.json, or no N.root.json: publish it again")
    expires = _expires(files["timestamp.json"], path)
    if expires <= now:
        raise GatewayError(f"{path}: its timestamp ended at {expires:%Y-%m-%d %H:%M} UTC: renew and publish, then send")
    return Metadata(members, expires)


def _files(holder: object, path: Path, name: str) -> dict[str, bytes]:
    if not isinstance(holder, dict) or len(holder) > FILES_MAXIMUM:
        raise GatewayError(f"{path}: '{name}' is no object of at most {FILES_MAXIMUM} files")
    found: dict[str, bytes] = {}
    for file, text in holder.items():
        parts = file.split("/")
        if len(file) > 300 or not all(_FILE.fullmatch(part) for part in parts):
            raise GatewayError(f"{path}: '{name}' holds a file whose name is none: '{file[:80]}'")
        try:
            found[file] = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError, TypeError):
            raise GatewayError(f"{path}: '{file[:80]}' of '{name}' is not base64") from None
    return found


def _expires(raw: bytes, path: Path) -> datetime:
    try:
        signed = parse_json(raw, MESSAGE_BYTES_MAXIMUM, MESSAGE_BYTES_MAXIMUM).get("signed")
        at = datetime.fromisoformat(str(signed["expires"]) if isinstance(signed, dict) else "")
        if at.tzinfo is None:
            raise ValueError
        return at.astimezone(UTC)
    except (RecordRefused, KeyError, ValueError):
        raise GatewayError(f"{path}: its timestamp.json says no end: publish it again") from None


def send_metadata(database: Database, site: str, device: str, given: Metadata, hours: int, now: datetime) -> Sent:
    """Gives it to the worker; it is published at once and at each birth until the device has verified it."""
    check_place(site, device, hours, HOURS)
    sent = Sent(str(uuid.uuid4()), site, device, False)
    give(database, sent, "trust", given.message(sent.id), min(now + timedelta(hours=hours), given.expires))
    return sent
