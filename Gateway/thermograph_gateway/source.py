"""Where captures come from: one interface, and the folder that `thermograph receive` fills.

The far side's PostgreSQL is the other implementation (`database_source`).
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import sqlite3
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Protocol

from .errors import GatewayError, ImageRefused, RecordRefused
from .files import read_bounded, write_durably
from .images import IMAGE_BYTES_MAXIMUM
from .record import RECORD_BYTES_MAXIMUM, Image, Record, parse_json
from .statement import ResultKey

_APPLICATION = 0x54474358
_PLACE = re.compile(r"[a-z0-9-]{1,36}")
_IDENTIFIER = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MESSAGE = re.compile(r"(alert|event|reply)-[A-Za-z0-9._-]{1,100}\.json")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CODE = re.compile(r"[a-z-]{1,64}")
_HEADS = "audit-heads.json"
_HEADS_BYTES_MAXIMUM = 4 << 20
MESSAGE_BYTES_MAXIMUM = 64 * 1024
# Devices of whose audit logs a page tells.
DEVICES_MAXIMUM = 10_000
# So many messages are kept in memory, so that a look for new ones does not read all again.
MESSAGES_KEPT_MAXIMUM = 20_000


class Place(NamedTuple):
    """Where a capture lies in a store: under the names of its topic."""

    site: str
    device: str
    capture_id: str


@dataclass(frozen=True)
class StoredCapture:
    """A complete capture as the store has it: the record unread, so that a hostile one can be refused with a reason."""

    number: int
    capture_id: str
    received_at: str
    record: bytes
    # Only of stores that keep names beside the record.
    place: Place | None = None
    # Why the store itself cannot give the record.
    refusal: str = ""
    # Why the record is not what was confirmed; None when `record_fault` is to be asked.
    fault: str | None = None


@dataclass(frozen=True)
class DeviceMessage:
    """An alert, event or reply of a device. `name` tells it from all others of the device."""

    site: str
    device: str
    name: str
    kind: str
    content: dict[str, object]
    # By the receiver's clock; only of those that `fresh` gives.
    received_at: str = ""

    @property
    def key(self) -> str:
        """Among all devices."""
        return f"{self.site}/{self.device}/{self.name}"


class Witnessed(NamedTuple):
    """Where a device's audit log stood by its records, and which alarms receivers raised of it."""

    site: str
    device: str
    outbox_id: str
    size: int
    # In hexadecimal digits; empty when only an alarm is known.
    head: str
    seen_at: str
    alarms: tuple[str, ...]


class CaptureSource(Protocol):
    """A store of complete captures. Implementations are safe to call from several threads."""

    def captures_after(self, number: int, limit: int) -> list[StoredCapture]:
        """Complete captures numbered above `number`, in ascending order, at most `limit`."""

    def image(self, record: Record, image: Image) -> bytes:
        """The image's bytes when they are those that the record names. Raises ImageRefused."""

    def record_fault(self, record: Record) -> str | None:
        """Why the record is not what the receiver confirmed; None when it is."""

    def records(self, places: Sequence[Place]) -> dict[Place, bytes | RecordRefused]:
        """Records again, for a ledger that keeps none; what is not there any more is left out."""

    def alerts(self) -> Iterator[DeviceMessage]:
        """What devices raised; of the content at least `code` and `severity`. Damaged ones are left out."""

    def events(self, schemas: Sequence[str]) -> Iterator[DeviceMessage]:
        """What devices told under one of these schemas. Damaged ones are left out."""

    def fresh(self, schemas: Sequence[str], limit: int, is_taken: Callable[[str], bool]) -> list[DeviceMessage]:
        """Replies, and events under one of these schemas, that nobody has taken yet: not `is_taken` by their key, or not in
        the table `taken` where that lies in the same database. At most `limit`; what cannot be read has no content."""

    def witnessed(self) -> list[Witnessed]:
        """The newest head of each device's log, and of logs with alarms."""

    def anchors(self, site: str, device: str, outbox_id: str) -> list[tuple[int, str, str]]:
        """Every head that is known of a log: its size, the digest, and where it was seen."""

    @property
    def answer_fault(self) -> str | None:
        """Why no answer can be laid ready here; None when one can."""

    def put_answer(self, site: str, device: str, answer_id: str, content: bytes) -> str:
        """Lays an answer ready for its way to the device, durably; says where."""

    def take_back(self, site: str, device: str, answer_id: str) -> None:
        """An answer that no device has taken yet shall not go out any more. It is kept."""

    def ways(self, answer_ids: Sequence[str]) -> dict[str, str]:
        """How far answers without a reply have come, in words."""


class ReceiveFolder:
    """The folder of `thermograph receive` and its `captures.sqlite`. Only `results/` is ever written."""

    def __init__(self, folder: Path, result_key: ResultKey | None = None) -> None:
        self._folder = folder.resolve()
        self._result_key = result_key
        self._index = self._folder / "captures.sqlite"
        self._local = threading.local()
        self._read: dict[Path, DeviceMessage | None] = {}
        if not self._index.is_file():
            raise GatewayError(
                f"{self._index} is missing: expected the folder that `thermograph receive --output` fills; "
                "start the receiver on it once, it makes the index anew"
            )
        if self._connection().execute("PRAGMA application_id").fetchone()[0] != _APPLICATION:
            raise GatewayError(f"{self._index} is no index of a Thermograph receiver")

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            try:
                path = urllib.parse.quote(str(self._index))
                connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
                connection.execute("SELECT 1 FROM capture LIMIT 1")
            except sqlite3.Error as error:
                raise GatewayError(f"{self._index} cannot be read: {error}") from error
            self._local.connection = connection
        return connection

    def captures_after(self, number: int, limit: int) -> list[StoredCapture]:
        # A record too long to be one is not loaded; its beginning is enough to refuse it.
        rows = self._connection().execute(
            "SELECT rowid, capture_id, received_at, CAST(substr(CAST(record AS BLOB), 1, ?) AS BLOB) FROM capture"
            " WHERE rowid > ? ORDER BY rowid LIMIT ?",
            (RECORD_BYTES_MAXIMUM + 1, number, limit),
        )
        return [StoredCapture(int(n), str(c)[:64], str(at)[:64], bytes(record or b"")) for n, c, at, record in rows]

    def _capture_folder(self, record: Record) -> Path:
        # From the record's checked identifiers, never from a path that a database holds.
        return self._folder / record.site / record.device / record.capture_id

    def image(self, record: Record, image: Image) -> bytes:
        if image.bytes > IMAGE_BYTES_MAXIMUM:
            raise ImageRefused(f"{image.name}: {image.bytes} bytes; expected at most {IMAGE_BYTES_MAXIMUM}")
        path = self._capture_folder(record) / image.name
        try:
            data = read_bounded(path, IMAGE_BYTES_MAXIMUM)
        except FileNotFoundError as error:
            raise ImageRefused(f"{image.name}: missing in the folder") from error
        except OSError as error:
            raise ImageRefused(f"{image.name}: cannot be read ({error.strerror or error})") from error
        if len(data) != image.bytes or hashlib.sha256(data).hexdigest() != image.sha256:
            raise ImageRefused(f"{image.name}: is not the image that the record names (SHA-256 differs)")
        return data

    def record_fault(self, record: Record) -> str | None:
        path = self._capture_folder(record) / "receipt.json"
        try:
            receipt = parse_json(read_bounded(path, MESSAGE_BYTES_MAXIMUM))
        except FileNotFoundError:
            return "receipt.json is missing"
        except (OSError, RecordRefused) as error:
            return f"receipt.json cannot be read ({error})"
        entries = receipt.get("entries")
        for entry in entries if isinstance(entries, list) else []:
            if isinstance(entry, dict) and entry.get("name") == "record.json":
                same = entry.get("sha256") == record.sha256 and entry.get("capture_id") == record.capture_id
                return None if same else "the record is not the one that the receiver confirmed (SHA-256 differs)"
        return "receipt.json names no record"

    def records(self, places: Sequence[Place]) -> dict[Place, bytes | RecordRefused]:
        found: dict[Place, bytes | RecordRefused] = {}
        for place in places:
            with contextlib.suppress(OSError):
                found[place] = read_bounded(
                    self._folder / place.site / place.device / place.capture_id / "record.json", RECORD_BYTES_MAXIMUM
                )
        return found

    def alerts(self) -> Iterator[DeviceMessage]:
        return self._messages("alert")

    def events(self, schemas: Sequence[str]) -> Iterator[DeviceMessage]:
        return (message for message in self._messages("event") if message.content.get("schema") in schemas)

    def _message(self, path: Path, kind: str) -> DeviceMessage | None:
        """What lies in a file; read once, because a receiver never writes one anew."""
        if path in self._read:
            return self._read[path]
        site, device = path.parts[-4], path.parts[-3]
        found = None
        if _MESSAGE.fullmatch(path.name) and _PLACE.fullmatch(site) and _PLACE.fullmatch(device):
            with contextlib.suppress(OSError, RecordRefused):
                content = parse_json(read_bounded(path, MESSAGE_BYTES_MAXIMUM))
                found = DeviceMessage(site, device, path.stem, kind, content)
        if len(self._read) >= MESSAGES_KEPT_MAXIMUM:
            self._read.clear()
        self._read[path] = found
        return found

    def _messages(self, kind: str) -> Iterator[DeviceMessage]:
        for path in sorted(self._folder.glob(f"*/*/messages/{kind}-*.json")):
            message = self._message(path, kind)
            if message is not None:
                yield message

    def fresh(self, schemas: Sequence[str], limit: int, is_taken: Callable[[str], bool]) -> list[DeviceMessage]:
        found: list[DeviceMessage] = []
        for kind in ("event", "reply"):
            for path in sorted(self._folder.glob(f"*/*/messages/{kind}-*.json")):
                if len(found) >= limit:
                    return found
                if is_taken(f"{path.parts[-4]}/{path.parts[-3]}/{path.stem}"):
                    continue
                message = self._message(path, kind)
                if message is not None and (kind == "reply" or message.content.get("schema") in schemas):
                    with contextlib.suppress(OSError):
                        at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
                        text = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
                        found.append(replace(message, received_at=text))
        return found

    def witnessed(self) -> list[Witnessed]:
        found: list[Witnessed] = []
        for path in sorted(self._folder.glob(f"*/*/{_HEADS}"))[:DEVICES_MAXIMUM]:
            site, device = path.parts[-3], path.parts[-2]
            if not (_PLACE.fullmatch(site) and _PLACE.fullmatch(device)):
                continue
            at = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            for place, log in enumerate(logs := _heads(path)):
                is_newest = place == len(logs) - 1
                if is_newest or log.alarms:
                    size, head, _ = log.heads[-1] if log.heads else (0, "", "")
                    found.append(Witnessed(site, device, log.outbox_id, size, head, at if is_newest else "", log.alarms))
        return found

    def anchors(self, site: str, device: str, outbox_id: str) -> list[tuple[int, str, str]]:
        if not (_PLACE.fullmatch(site) and _PLACE.fullmatch(device)):
            raise GatewayError("a device is named by its site and its name")
        logs = _heads(self._folder / site / device / _HEADS)
        return [head for log in logs if log.outbox_id == outbox_id for head in log.heads]

    @property
    def answer_fault(self) -> str | None:
        return None

    def put_answer(self, site: str, device: str, answer_id: str, content: bytes) -> str:
        """Signed where there is a key for it; nobody but a person publishes it from here."""
        check_answer(site, device, answer_id)
        folder = self._folder / site / device / "results"
        folder.mkdir(exist_ok=True)
        path = folder / f"{answer_id}.json"
        write_durably(path, content if self._result_key is None else self._result_key.envelope(content))
        return str(path.relative_to(self._folder))

    def take_back(self, site: str, device: str, answer_id: str) -> None:
        check_answer(site, device, answer_id)
        folder = self._folder / site / device / "results"
        kept = folder / "taken-back"
        try:
            kept.mkdir(exist_ok=True)
            (folder / f"{answer_id}.json").rename(kept / f"{answer_id}.json")
        except FileNotFoundError:
            return
        except OSError as error:
            raise GatewayError(f"{folder / answer_id}.json cannot be taken back: {error.strerror or error}") from error

    def ways(self, answer_ids: Sequence[str]) -> dict[str, str]:
        unsigned = "" if self._result_key else "; unsigned, no device takes it"
        return dict.fromkeys(answer_ids, f"lies in results/ for somebody who publishes it{unsigned}")


class _Log(NamedTuple):
    outbox_id: str
    heads: tuple[tuple[int, str, str], ...]
    alarms: tuple[str, ...]


def _heads(path: Path) -> list[_Log]:
    """`audit-heads.json` of a receiver, the log that was seen last at the end. Raises GatewayError."""
    try:
        value = parse_json(read_bounded(path, _HEADS_BYTES_MAXIMUM), _HEADS_BYTES_MAXIMUM)
        if value.get("schema") != "thermograph.audit-heads.v1":
            raise ValueError
        logs = [
            _Log(
                _matching(log["outbox_id"], _IDENTIFIER),
                tuple(
                    (_count(h["size"]), _matching(h["head"], _SHA256), f"capture {_count(h['sequence'])}") for h in log["heads"]
                ),
                tuple(sorted(_matching(code, _CODE) for code in log["alarms"])),
            )
            for log in value["logs"]
        ]
    except FileNotFoundError:
        return []
    except (OSError, RecordRefused, ValueError, KeyError, TypeError) as error:
        raise GatewayError(f"{path} is not readable; keep it, it says what logs were seen ({error})") from error
    return logs


def _matching(value: object, form: re.Pattern[str]) -> str:
    if not isinstance(value, str) or not form.fullmatch(value):
        raise ValueError(f"no {form.pattern}")
    return value


def _count(value: object) -> int:
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise ValueError("no count")
    return value


def check_answer(site: str, device: str, answer_id: str) -> None:
    """Raises GatewayError when these name no place for an answer."""
    if not (_PLACE.fullmatch(site) and _PLACE.fullmatch(device) and _IDENTIFIER.fullmatch(answer_id)):
        raise GatewayError("an answer needs a site, a device and an identifier")
