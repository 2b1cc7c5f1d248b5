"""Receive folders for tests, grown from captures of the simulated device in `fixtures/received`."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import sqlite3
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

FIXTURE = Path(__file__).parent / "fixtures" / "received"
DAY = 86_400_000_000_000
START = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z

_INDEX = """
CREATE TABLE capture (site TEXT NOT NULL, device TEXT NOT NULL, outbox_id TEXT NOT NULL, sequence INTEGER NOT NULL,
  capture_id TEXT NOT NULL UNIQUE, folder TEXT NOT NULL, received_at TEXT NOT NULL, record TEXT NOT NULL,
  PRIMARY KEY (site, device, outbox_id, sequence));
CREATE TABLE image (capture_id TEXT NOT NULL REFERENCES capture (capture_id), name TEXT NOT NULL, bytes INTEGER NOT NULL,
  sha256 TEXT NOT NULL, PRIMARY KEY (capture_id, name));
PRAGMA application_id = 1413956440;
PRAGMA user_version = 1;
"""


def identifier(*parts: object) -> str:
    """The same words give the same identifier, of the form of a random one."""
    digest = hashlib.sha256("|".join(map(str, parts)).encode()).digest()[:16]
    return str(uuid.UUID(bytes=digest, version=4))


def fixture_captures() -> list[tuple[dict[str, Any], dict[str, bytes]]]:
    """Record and images of each capture of the fixture, in the order of their numbers."""
    found = []
    for path in FIXTURE.glob("*/*/*/record.json"):
        images = {image.name: image.read_bytes() for image in path.parent.glob("*.png")}
        found.append((json.loads(path.read_text()), images))
    return sorted(found, key=lambda item: int(item[0]["sequence"]))


@dataclass
class Folder:
    """A receive folder under construction."""

    path: Path
    sequence: int = 0
    waiting: list[tuple[str, int, bytes]] = field(default_factory=list)
    bases: list[tuple[dict[str, Any], dict[str, bytes]]] = field(default_factory=fixture_captures)

    def __post_init__(self) -> None:
        self.path.mkdir(parents=True)
        with sqlite3.connect(self.path / "captures.sqlite") as connection:
            connection.executescript(_INDEX)
        connection.close()

    def record(self, patient: str, session: int, view: str = "frontal", **changes: Any) -> dict[str, Any]:
        """A record like the fixture's, of another patient and day."""
        base, _ = next(item for item in self.bases if item[0]["view"] == "frontal")
        record = copy.deepcopy(base)
        self.sequence += 1
        nanoseconds = START + session * DAY + self.sequence * 1_000_000
        record.update(
            capture_id=identifier("capture", patient, session, view, self.sequence),
            session_id=identifier("session", patient, session),
            sequence=self.sequence,
            patient_ref=patient,
            view=view,
            consent=["capture", "upload", "research"],
        )
        record["captured_at"].update(utc_nanoseconds=nanoseconds, synchronised=True)
        record["gates"] = [gate for gate in record["gates"] if gate["code"] not in ("settling", "clock-unsynchronised")]
        record.update(changes)
        return record

    def add(self, record: dict[str, Any], images: dict[str, bytes] | None = None, raw: bytes | None = None) -> str:
        """Writes a capture as the receiver would; `raw` takes the place of the record's bytes."""
        own = dict(self.bases[0][1] if images is None else images)
        for image in record["images"]:
            if isinstance(image, dict) and image.get("name") in own:
                data = own[image["name"]]
                image.update(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        data = raw if raw is not None else json.dumps(record, sort_keys=True).encode()
        capture_id = str(record["capture_id"])
        folder = self.path / "clinic-a" / "unit-1" / capture_id
        folder.mkdir(parents=True)
        (folder / "record.json").write_bytes(data)
        for name, content in own.items():
            (folder / name).write_bytes(content)
        entry = {"capture_id": capture_id, "name": "record.json", "sha256": hashlib.sha256(data).hexdigest()}
        (folder / "receipt.json").write_text(
            json.dumps({"schema": "thermograph.receipt.v1", "receiver": "r", "entries": [entry]})
        )
        self.waiting.append((capture_id, self.sequence, data))
        return capture_id

    def flush(self) -> None:
        """Enters in the index what was added."""
        self.index(self.waiting)
        self.waiting.clear()

    def index(self, rows: Iterable[tuple[str, int, bytes]]) -> None:
        connection = sqlite3.connect(self.path / "captures.sqlite")
        with connection:
            for capture_id, sequence, data in rows:
                connection.execute(
                    "INSERT INTO capture VALUES ('clinic-a', 'unit-1', 'o', ?, ?, ?, '2026-01-02T00:00:00.000Z', ?)",
                    (sequence, capture_id, f"clinic-a/unit-1/{capture_id}", data.decode("utf-8", "replace")),
                )
        connection.close()

    def event(self, name: str, content: dict[str, Any], kind: str = "event") -> None:
        folder = self.path / "clinic-a" / "unit-1" / "messages"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{kind}-{name}.json").write_text(json.dumps(content))


def master_png(celsius: float = 33.0, rows: int = 24, columns: int = 32) -> bytes:
    """An even master with a step of 1 degC between its halves: right half warmer."""
    samples = np.full((rows, columns), round((celsius + 273.15) * 100), dtype=np.uint16)
    samples[:, columns // 2 :] += 100
    stream = io.BytesIO()
    Pillow.fromarray(samples).save(stream, format="PNG")
    return stream.getvalue()
