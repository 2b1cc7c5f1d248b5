"""Parts of a model's file for devices that want them over the line, and what becomes of an update (Docs/updates-of-models.md).

A device names the parts that it wants on up/reply, sixteen at a time. What it then gets is a hint: it believes only the hash
that the vendor signed.
"""

from __future__ import annotations

import hashlib
import re
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from .database import Database
from .errors import GatewayError, RecordRefused
from .files import read_bounded
from .record import parse_json
from .sealing import NotAuthentic
from .send import Sent
from .source import MESSAGE_BYTES_MAXIMUM

UPDATE_SCHEMA = "thermograph.update.v1"
PART_BYTES = 65_536
UNIT_BYTES_MAXIMUM = 64 << 20
# A device asks again after half an hour.
PART_SECONDS = 1800
WANTED_MAXIMUM = 16
_RANGES = re.compile(r"[1-9][0-9]{0,4}(-[1-9][0-9]{0,4})?(,[1-9][0-9]{0,4}(-[1-9][0-9]{0,4})?)*")
_MODEL = re.compile(r"[a-z0-9-]{1,36}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
# In the order in which a device comes to them.
STATES = ("received", "waiting", "trial", "active", "confirmed")
ENDS = ("refused", "rolled-back", "superseded")


def numbers(text: str, parts: int) -> list[int]:
    """`1-3,7` as numbers. Raises GatewayError beyond sixteen, or beyond the file."""
    if len(text) > 400 or not _RANGES.fullmatch(text):
        raise GatewayError(f"parts '{text[:80]}'; expected e.g. 1-12,16")
    found: set[int] = set()
    for word in text.split(","):
        first, _, last = word.partition("-")
        begin, end = int(first), int(last or first)
        if end < begin or end > parts or end - begin >= WANTED_MAXIMUM:
            raise GatewayError(f"parts '{text[:80]}' of {parts}; expected at most {WANTED_MAXIMUM} of them")
        found.update(range(begin, end + 1))
    if len(found) > WANTED_MAXIMUM:
        raise GatewayError(f"parts '{text[:80]}'; expected at most {WANTED_MAXIMUM} at a time")
    return sorted(found)


def unit(folder: Path, model: str, version: int) -> tuple[str, bytes]:
    """SHA-256 and bytes of a unit in a folder that Scripts/repository published. Raises GatewayError."""
    if not _MODEL.fullmatch(model):
        raise GatewayError("a device wants a model of an impossible name")
    place = folder / "targets" / "models" / model
    names = sorted(path.name for path in place.glob(f"*.{version}.tar")) if place.is_dir() else []
    for name in names:
        digest = name.split(".")[0]
        content = read_bounded(place / name, UNIT_BYTES_MAXIMUM)
        if _DIGEST.fullmatch(digest) and hashlib.sha256(content).hexdigest() == digest:
            return digest, content
    raise GatewayError(f"{folder}: no whole file of {model} {version}; publish it there with Scripts/repository")


@dataclass
class Supply:
    """Answers what devices want from one folder; each message once."""

    database: Database
    folder: Path
    sites: tuple[str, ...] = ()
    _answered: set[tuple[str, str, str]] = field(default_factory=set)

    def look(self, now: datetime, tell: Callable[[str], None]) -> int:
        """One look at what is wanted; how many parts were given to the worker."""
        given = 0
        for row in self.database.execute(
            "SELECT site, device, identity, key_id, sealed FROM public.message WHERE kind = 'reply'"
            " AND received_at > now() - interval '30 minutes' ORDER BY received_at"
        ):
            place = (str(row["site"]), str(row["device"]), str(row["identity"]))
            if place in self._answered or (self.sites and place[0] not in self.sites):
                continue
            self._answered.add(place)
            content = opened(self.database, row)
            if content is None or content.get("schema") != UPDATE_SCHEMA or "wants" not in content:
                continue
            try:
                given += self._give(place[0], place[1], content, now, tell)
            except GatewayError as error:
                tell(f"{place[0]}/{place[1]}: {error}")
        return given

    def _give(self, site: str, device: str, content: dict[str, Any], now: datetime, tell: Callable[[str], None]) -> int:
        model, version, count = content.get("model"), content.get("version"), content.get("parts")
        if not isinstance(model, str) or type(version) is not int or type(count) is not int:
            raise GatewayError("wants parts and does not say of what")
        digest, data = unit(self.folder, model, version)
        parts = -(-len(data) // PART_BYTES)
        if count != parts:
            raise GatewayError(f"wants {model} {version} in {count} parts; the file here has {parts}: another one is signed")
        wanted = numbers(str(content["wants"]), parts)
        for number in wanted:
            self.database.execute(
                "INSERT INTO public.downlink (id, site, device, topic, envelope, not_after) VALUES (?, ?, ?, ?, ?, ?)",
                (
                    f"part-{uuid.uuid4()}", site, device, f"model/{digest}/{number}-of-{parts}",
                    data[(number - 1) * PART_BYTES : number * PART_BYTES], now + timedelta(seconds=PART_SECONDS),
                ),
            )  # fmt: skip
        tell(f"{site}/{device}: {model} {version}, parts {content['wants']} of {parts}")
        return len(wanted)


def serve(
    supply: Supply, seconds: float | None, tell: Callable[[str], None], sleep: Callable[[float], None] = time.sleep
) -> int:
    """Answers until the time is over, or until it is interrupted. How many parts were given."""
    began = time.monotonic()
    given = 0
    while True:
        given += supply.look(datetime.now(UTC), tell)
        if seconds is not None and time.monotonic() - began >= seconds:
            return given
        sleep(2.0)


def followed(
    database: Database,
    waiting: Sequence[Sent],
    until: str,
    seconds: float,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, dict[str, Any]]:
    """What became of the updates that these commands ordered: `done` once a device has come to the state, `failed` with its own
    word when it refused it or took it back. What has not come so far is not in it."""
    began = time.monotonic()
    seen: set[tuple[str, str, str]] = set()
    ended: dict[str, dict[str, Any]] = {}
    while True:
        for sent in waiting:
            if sent.id in ended:
                continue
            for row in database.execute(
                "SELECT site, device, identity, key_id, sealed FROM public.message WHERE site = ? AND device = ?"
                " AND kind = 'reply' AND received_at > now() - interval '31 days' ORDER BY received_at",
                (sent.site, sent.device),
            ):
                place = (sent.id, str(row["device"]), str(row["identity"]))
                if place in seen:
                    continue
                seen.add(place)
                outcome = _outcome(opened(database, row), sent.id, until)
                if outcome is not None:
                    ended[sent.id] = outcome
                    break
        if len(ended) == len(waiting) or time.monotonic() - began >= seconds:
            return ended
        sleep(1.0)


def _outcome(content: dict[str, Any] | None, command: str, until: str) -> dict[str, Any] | None:
    if content is None:
        return None
    state = content.get("state")
    if content.get("id") == command:
        # The command's own reply: nothing more comes of one that was not done.
        return None if state in ("done", "busy") else content
    if content.get("schema") != UPDATE_SCHEMA or content.get("command") != command:
        return None
    if state in ENDS:
        return content
    if state in STATES and STATES.index(state) >= STATES.index(until):
        return {**content, "state": "done", "came_to": state}
    return None


def opened(database: Database, row: Any) -> dict[str, Any] | None:
    """What a device said on up/reply; None for what cannot be read."""
    key = database.keys.key(row["site"], row["key_id"])
    associated = f"thermograph|{row['site']}|{row['device']}|reply|{row['identity']}"
    try:
        return parse_json(key.open(bytes(row["sealed"]), associated), MESSAGE_BYTES_MAXIMUM)
    except (NotAuthentic, RecordRefused):
        return None
