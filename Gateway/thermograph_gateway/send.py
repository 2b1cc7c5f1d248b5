"""Commands to devices: signed here, published by the worker, answered through the device's outbox (Docs/remote.md)."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from .database import Database
from .errors import GatewayError, RecordRefused
from .record import parse_json
from .sealing import NotAuthentic
from .source import MESSAGE_BYTES_MAXIMUM
from .statement import COMMAND_TYPE, ResultKey

# What devices do (Sources/Core/Remote/CommandAction.swift); a test holds the list.
COMMANDS = (
    "status", "doctor", "resend", "hold-images", "log-level", "restart", "update-install", "update-rollback",
)  # fmt: skip
HOURS_MAXIMUM = 7 * 24
_IDENTIFIER = re.compile(r"[a-z0-9-]{1,36}")
_NUMBERS = ("seconds", "minutes", "version")
_LISTS = ("parts", "capture_ids")


@dataclass(frozen=True)
class Sent:
    """A command on its way."""

    id: str
    site: str
    device: str
    # Whether it names the device's newest start; without that a device with an unproven clock refuses what has an effect.
    names_start: bool


def arguments(words: Sequence[str]) -> dict[str, Any]:
    """`seconds=60`, `parts=camera,frame` as the command's arguments. Raises GatewayError."""
    found: dict[str, Any] = {}
    for word in words:
        name, separator, value = word.partition("=")
        if not separator or not name or name in found:
            raise GatewayError(f"argument '{word[:80]}'; expected NAME=VALUE, each name once, e.g. seconds=60")
        if name in _NUMBERS:
            if not re.fullmatch(r"[0-9]{1,9}", value):
                raise GatewayError(f"argument '{word[:80]}'; expected a whole number")
            found[name] = int(value)
        else:
            found[name] = value.split(",") if name in _LISTS else value
    return found


def send(
    database: Database, key: ResultKey, site: str, device: str, name: str, given: dict[str, Any], hours: int, now: datetime
) -> Sent:
    """Signs a command and gives it to the worker. Raises GatewayError."""
    for level in (site, device):
        if not _IDENTIFIER.fullmatch(level):
            raise GatewayError(f"'{level[:64]}' cannot name a site or device; expected 1 to 36 of a-z, 0-9 and '-'")
    if not 1 <= hours <= HOURS_MAXIMUM:
        raise GatewayError(f"--hours {hours}; expected 1 to {HOURS_MAXIMUM}")
    row = database.execute("SELECT status FROM public.device WHERE site = ? AND device = ?", (site, device)).fetchone()
    if row is None:
        raise GatewayError(f"device {device} of site {site} has never been heard of here; look at thermograph-receiver fleet")
    challenge = _challenge(bytes(row[0])) if row[0] is not None else None
    command_id = str(uuid.uuid4())
    expires = now + timedelta(hours=hours)
    statement: dict[str, Any] = {
        "schema": "thermograph.command.v1", "id": command_id, "site": site, "device": device,
        "issued": _text(now), "expires": _text(expires), "name": name, "arguments": given,
    }  # fmt: skip
    if challenge is not None:
        statement["for_boot"] = challenge
    envelope = key.envelope(json.dumps(statement, separators=(",", ":")).encode(), COMMAND_TYPE)
    database.execute(
        "INSERT INTO public.downlink (id, site, device, topic, envelope, not_after) VALUES (?, ?, ?, 'command', ?, ?)",
        (command_id, site, device, envelope, expires),
    )
    return Sent(command_id, site, device, challenge is not None)


def reply(database: Database, sent: Sent, seconds: float, sleep: Callable[[float], None] = time.sleep) -> dict[str, Any] | None:
    """The device's reply, waited for; None when none has come. A device that was busy is waited for again."""
    began = time.monotonic()
    seen: set[str] = set()
    busy: dict[str, Any] | None = None
    while True:
        for row in database.execute(
            "SELECT identity, key_id, sealed FROM public.message WHERE site = ? AND device = ? AND kind = 'reply'"
            " AND received_at > now() - interval '8 days' ORDER BY received_at",
            (sent.site, sent.device),
        ):
            if row["identity"] in seen:
                continue
            seen.add(row["identity"])
            content = _opened(database, sent, row)
            if content is not None and content.get("id") == sent.id:
                if content.get("state") != "busy":
                    return content
                busy = content
        if time.monotonic() - began >= seconds:
            return busy
        sleep(1.0)


def _opened(database: Database, sent: Sent, row: Any) -> dict[str, Any] | None:
    key = database.keys.key(sent.site, row["key_id"])
    associated = f"thermograph|{sent.site}|{sent.device}|reply|{row['identity']}"
    try:
        return parse_json(key.open(bytes(row["sealed"]), associated), MESSAGE_BYTES_MAXIMUM)
    except (NotAuthentic, RecordRefused):
        return None


def _challenge(status: bytes) -> str | None:
    try:
        value = parse_json(status, MESSAGE_BYTES_MAXIMUM).get("challenge")
    except RecordRefused:
        return None
    return value if isinstance(value, str) and re.fullmatch(r"[0-9a-f]{32}", value) else None


def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
