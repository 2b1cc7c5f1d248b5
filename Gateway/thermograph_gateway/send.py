"""Commands and configurations: signed here, published by the worker, answered through the outbox (Docs/remote.md)."""

from __future__ import annotations

import base64
import json
import re
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from .database import Database
from .errors import GatewayError, RecordRefused
from .files import read_bounded
from .record import parse_json
from .sealing import NotAuthentic
from .source import MESSAGE_BYTES_MAXIMUM
from .statement import COMMAND_TYPE, CONFIGURATION_TYPE, ResultKey

# What devices do (Sources/Core/Remote/CommandAction.swift); a test holds the list.
COMMANDS = (
    "status", "doctor", "resend", "hold-images", "log-level", "capture-request", "identify", "restart", "update-install",
    "update-rollback", "sentinel-release", "patient-restore",
)  # fmt: skip
HOURS_MAXIMUM = 7 * 24
CONFIGURATION_HOURS_MAXIMUM = 30 * 24
CONFIRM_MINUTES = range(2, 61)
VERSION_MAXIMUM = 2**53 - 1
# Replies that another one follows.
INTERIM = ("busy", "trying")
_IDENTIFIER = re.compile(r"[a-z0-9-]{1,36}")
_NUMBERS = ("seconds", "minutes", "version")
_LISTS = ("parts", "capture_ids")
# A file's bytes: a piece of `thermograph patient export --pieces`.
_FILES = ("transfer",)
_FILE_BYTES_MAXIMUM = 8700
_NONE: dict[str, Any] = {"state": "busy"}


@dataclass(frozen=True)
class Sent:
    """A command or a configuration on its way."""

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
        elif name in _FILES:
            found[name] = base64.b64encode(_content(value)).decode()
        else:
            found[name] = value.split(",") if name in _LISTS else value
    return found


def _content(path: str) -> bytes:
    try:
        content = read_bounded(Path(path), _FILE_BYTES_MAXIMUM)
    except OSError as error:
        raise GatewayError(f"{path}: cannot be read: {error}") from error
    if not content:
        raise GatewayError(f"{path}: is empty; expected a piece of `thermograph patient export --pieces`")
    return content


def send(
    database: Database, key: ResultKey, site: str, device: str, name: str, given: dict[str, Any], hours: int, now: datetime
) -> Sent:
    """Signs a command and gives it to the worker. Raises GatewayError."""
    check_place(site, device, hours, HOURS_MAXIMUM)
    challenge = _challenge(_birth(database, site, device))
    command_id = str(uuid.uuid4())
    expires = now + timedelta(hours=hours)
    statement: dict[str, Any] = {
        "schema": "thermograph.command.v1", "id": command_id, "site": site, "device": device,
        "issued": _text(now), "expires": _text(expires), "name": name, "arguments": given,
    }  # fmt: skip
    if challenge is not None:
        statement["for_boot"] = challenge
    envelope = key.envelope(json.dumps(statement, separators=(",", ":")).encode(), COMMAND_TYPE)
    give(database, Sent(command_id, site, device, challenge is not None), "command", envelope, expires)
    return Sent(command_id, site, device, challenge is not None)


@dataclass(frozen=True)
class Configuration:
    """What a device is to be set to, before it is signed."""

    toml: str
    # None: one above the highest that the device is known to have taken or to be offered.
    version: int | None = None
    confirm_minutes: int = 10
    hours: int = 72

    def envelope(
        self, key: ResultKey, site: str, device: str, now: datetime, version: int, challenge: str | None = None
    ) -> tuple[str, bytes, datetime]:
        """Id, envelope and end. Raises GatewayError."""
        check_place(site, device, self.hours, CONFIGURATION_HOURS_MAXIMUM)
        if self.confirm_minutes not in CONFIRM_MINUTES:
            raise GatewayError(f"--confirm-minutes {self.confirm_minutes}; expected 2 to 60")
        if not 1 <= version <= VERSION_MAXIMUM:
            raise GatewayError(f"version {version}; expected 1 to {VERSION_MAXIMUM}")
        expires = now + timedelta(hours=self.hours)
        statement: dict[str, Any] = {
            "schema": "thermograph.configuration.v1", "id": str(uuid.uuid4()), "site": site, "device": device,
            "version": version, "issued": _text(now), "expires": _text(expires),
            "confirm_minutes": self.confirm_minutes, "toml": self.toml,
        }  # fmt: skip
        if challenge is not None:
            statement["for_boot"] = challenge
        payload = json.dumps(statement, separators=(",", ":"), ensure_ascii=False).encode()
        return statement["id"], key.envelope(payload, CONFIGURATION_TYPE), expires


def configure(
    database: Database, key: ResultKey, site: str, device: str, given: Configuration, now: datetime, for_boot: bool = False
) -> Sent:
    """Signs a configuration and gives it to the worker. Raises GatewayError."""
    birth = _birth(database, site, device)
    challenge = _challenge(birth) if for_boot else None
    if for_boot and challenge is None:
        raise GatewayError(f"the newest birth of {site}/{device} names no start")
    version = _highest(database, birth, site, device) + 1 if given.version is None else given.version
    sent_id, envelope, expires = given.envelope(key, site, device, now, version, challenge)
    sent = Sent(sent_id, site, device, challenge is not None)
    give(database, sent, "config", envelope, expires)
    return sent


def check_place(site: str, device: str, hours: int, hours_maximum: int) -> None:
    """Raises GatewayError."""
    for level in (site, device):
        if not _IDENTIFIER.fullmatch(level):
            raise GatewayError(f"'{level[:64]}' cannot name a site or device; expected 1 to 36 of a-z, 0-9 and '-'")
    if not 1 <= hours <= hours_maximum:
        raise GatewayError(f"--hours {hours}; expected 1 to {hours_maximum}")


def _birth(database: Database, site: str, device: str) -> dict[str, Any]:
    """The device's newest status. Raises GatewayError when it was never heard of."""
    row = database.execute("SELECT status FROM public.device WHERE site = ? AND device = ?", (site, device)).fetchone()
    if row is None:
        raise GatewayError(f"device {device} of site {site} has never been heard of here; look at thermograph-receiver fleet")
    try:
        return {} if row[0] is None else parse_json(bytes(row[0]), MESSAGE_BYTES_MAXIMUM)
    except RecordRefused:
        return {}


def _highest(database: Database, birth: dict[str, Any], site: str, device: str) -> int:
    """The highest version that the device says it took, or that it is offered."""
    versions = [0]
    standing = birth.get("remote_configuration")
    if isinstance(standing, dict):
        versions.append(standing.get("highest", 0))
    for row in database.execute(
        "SELECT envelope FROM public.downlink WHERE site = ? AND device = ? AND topic = 'config'", (site, device)
    ):
        try:
            outer = parse_json(bytes(row[0]), MESSAGE_BYTES_MAXIMUM)
            inner = parse_json(base64.b64decode(str(outer.get("payload", "")), validate=True), MESSAGE_BYTES_MAXIMUM)
            versions.append(inner.get("version", 0))
        except (RecordRefused, ValueError):
            continue
    return max(value for value in versions if type(value) is int and 0 <= value < VERSION_MAXIMUM)


def give(database: Database, sent: Sent, topic: str, envelope: bytes, expires: datetime) -> None:
    """Lays a message ready for the worker."""
    database.execute(
        "INSERT INTO public.downlink (id, site, device, topic, envelope, not_after) VALUES (?, ?, ?, ?, ?, ?)",
        (sent.id, sent.site, sent.device, topic, envelope, expires),
    )


def reply(database: Database, sent: Sent, seconds: float, sleep: Callable[[float], None] = time.sleep) -> dict[str, Any] | None:
    """The device's reply, waited for; None when none has come. What another reply follows is waited beyond."""
    return replies(database, [sent], seconds, sleep).get(sent.id)


def replies(
    database: Database, waiting: Sequence[Sent], seconds: float, sleep: Callable[[float], None] = time.sleep
) -> dict[str, dict[str, Any]]:
    """The devices' replies by id, until each has its last or the time is over."""
    began = time.monotonic()
    seen: set[tuple[str, str]] = set()
    last: dict[str, dict[str, Any]] = {}
    while True:
        for sent in waiting:
            if last.get(sent.id, _NONE)["state"] not in INTERIM:
                continue
            for row in database.execute(
                "SELECT identity, key_id, sealed FROM public.message WHERE site = ? AND device = ? AND kind = 'reply'"
                " AND received_at > now() - interval '31 days' ORDER BY received_at",
                (sent.site, sent.device),
            ):
                if (sent.id, row["identity"]) in seen:
                    continue
                seen.add((sent.id, row["identity"]))
                content = _opened(database, sent, row)
                # An interim reply that comes late, by another way, follows nothing.
                if content is None or content.get("id") != sent.id or last.get(sent.id, _NONE)["state"] not in INTERIM:
                    continue
                last[sent.id] = {"state": "unknown", **content}
        open_ones = [sent for sent in waiting if last.get(sent.id, _NONE)["state"] in INTERIM]
        if not open_ones or time.monotonic() - began >= seconds:
            return last
        sleep(1.0)


@dataclass(frozen=True)
class Wave:
    """What became of one part of a roll-out."""

    done: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]
    silent: tuple[str, ...]


def waves(devices: Sequence[tuple[str, str]], percent: int) -> list[list[tuple[str, str]]]:
    """The devices in parts of so many per cent, each at least one. Raises GatewayError."""
    if not 1 <= percent <= 100:
        raise GatewayError(f"--wave {percent}; expected 1 to 100 per cent")
    size = max(1, len(devices) * percent // 100)
    return [list(devices[start : start + size]) for start in range(0, len(devices), size)]


def listed(lines: Sequence[str]) -> list[tuple[str, str]]:
    """`site/device` a line; empty lines and what begins with '#' are passed over. Raises GatewayError."""
    found: list[tuple[str, str]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        site, separator, device = line.strip().partition("/")
        if not separator or not _IDENTIFIER.fullmatch(site) or not _IDENTIFIER.fullmatch(device):
            raise GatewayError(f"line {number}: '{line.strip()[:80]}'; expected site/device")
        if (site, device) in found:
            raise GatewayError(f"line {number}: {site}/{device} is there twice")
        found.append((site, device))
    if not found:
        raise GatewayError("no device is listed; expected site/device, a line each")
    return found


def roll_out(
    parts: Sequence[Sequence[tuple[str, str]]],
    send_one: Callable[[str, str], Sent],
    wait: Callable[[Sequence[Sent]], dict[str, dict[str, Any]]],
    stop_at: int,
    tell: Callable[[int, Wave], None],
) -> bool:
    """Sends wave after wave, each when the one before has answered. Stops, and sends no more, at `stop_at` devices that did
    not take it in all, and after a wave in which nobody took it. Whether every wave was sent and nothing failed."""
    failures = 0
    for number, part in enumerate(parts, 1):
        sent: list[Sent] = []
        failed: list[tuple[str, str]] = []
        for site, device in part:
            try:
                sent.append(send_one(site, device))
            except GatewayError as error:
                failed.append((f"{site}/{device}", str(error)))
        answers = wait(sent)
        done: list[str] = []
        silent: list[str] = []
        for one in sent:
            answer = answers.get(one.id)
            if answer is None or answer.get("state") in INTERIM:
                silent.append(f"{one.site}/{one.device}")
            elif answer.get("state") == "done":
                done.append(f"{one.site}/{one.device}")
            else:
                failed.append((f"{one.site}/{one.device}", f"{answer.get('state')}: {answer.get('reason', '')}"))
        failures += len(failed)
        tell(number, Wave(tuple(done), tuple(failed), tuple(silent)))
        if failures >= stop_at or not done:
            return False
    return failures == 0


def _opened(database: Database, sent: Sent, row: Any) -> dict[str, Any] | None:
    key = database.keys.key(sent.site, row["key_id"])
    associated = f"thermograph|{sent.site}|{sent.device}|reply|{row['identity']}"
    try:
        return parse_json(key.open(bytes(row["sealed"]), associated), MESSAGE_BYTES_MAXIMUM)
    except (NotAuthentic, RecordRefused):
        return None


def _challenge(birth: dict[str, Any]) -> str | None:
    value = birth.get("challenge")
    return value if isinstance(value, str) and re.fullmatch(r"[0-9a-f]{32}", value) else None


def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
