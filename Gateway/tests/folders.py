"""What tests put captures into: a receive folder, or the far side's database. Grown from captures of the simulated device."""

from __future__ import annotations

import base64
import copy
import hashlib
import io
import json
import secrets
import shutil
import sqlite3
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from PIL import Image as Pillow

from tests.postgres import Server
from thermograph_gateway.catalogue import Catalogue
from thermograph_gateway.database import Database
from thermograph_gateway.database_source import DatabaseSource
from thermograph_gateway.ledger import DatabaseLedger, FileLedger
from thermograph_gateway.sealing import Key, MasterKeys, id_text
from thermograph_gateway.source import CaptureSource, ReceiveFolder
from thermograph_gateway.statement import ResultKey

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


class Store(ABC):
    """Somewhere captures lie, under construction. `add` writes as a receiver would; `flush` lets the gateway find it."""

    # What the store says of an image that is not there, and the page when the whole store is gone.
    missing_words: str
    gone_words: str
    gone_status: int

    def __init__(self) -> None:
        self.sequence = 0
        self.waiting: list[tuple[str, int, bytes]] = []
        # Everything that was ever added.
        self.added: list[tuple[str, int, bytes]] = []
        self.bases = fixture_captures()

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
        """`raw` takes the place of the record's bytes."""
        own = dict(self.bases[0][1] if images is None else images)
        for image in record["images"]:
            if isinstance(image, dict) and image.get("name") in own:
                data = own[image["name"]]
                image.update(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        data = raw if raw is not None else json.dumps(record, sort_keys=True).encode()
        capture_id = str(record["capture_id"])
        self.put(capture_id, data, own)
        self.waiting.append((capture_id, self.sequence, data))
        self.added.append((capture_id, self.sequence, data))
        return capture_id

    def flush(self) -> None:
        """Enters in the index what was added."""
        self.index(self.waiting)
        self.waiting.clear()

    @abstractmethod
    def put(self, capture_id: str, record: bytes, images: dict[str, bytes]) -> None:
        """A capture's contents, not in the index yet."""

    @abstractmethod
    def index(self, rows: Iterable[tuple[str, int, bytes]]) -> None:
        """Captures by id, number and record, whatever bytes that has."""

    @abstractmethod
    def event(self, name: str, content: dict[str, Any], kind: str = "event", device: str = "unit-1") -> None:
        """A message of the device."""

    @abstractmethod
    def forget_event(self, name: str) -> None:
        """As if it had never come."""

    @abstractmethod
    def source(self) -> CaptureSource:
        """A new reader of it."""

    @abstractmethod
    def open(self, state: Path) -> Catalogue:
        """A gateway over it; another `state` is another gateway, which knows nothing of the first."""

    @abstractmethod
    def arguments(self, state: Path) -> list[str]:
        """The same for the command line."""

    @abstractmethod
    def replace_image(self, capture_id: str, name: str, data: bytes) -> None:
        """Another picture in the place of one, by somebody who can write there and changes nothing else."""

    @abstractmethod
    def remove_image(self, capture_id: str, name: str) -> None: ...

    @abstractmethod
    def contradict(self, capture_id: str) -> None:
        """What was confirmed of the record is other bytes than the record's."""

    @abstractmethod
    def answers(self) -> list[bytes]:
        """The answers that lie ready for devices, without what carries them."""

    @abstractmethod
    def open_answers(self) -> list[str]:
        """The ids of those that still go out."""

    @abstractmethod
    def take_away(self) -> None:
        """It cannot be reached, until `bring_back`."""

    @abstractmethod
    def bring_back(self) -> None: ...


class Folder(Store):
    """The folder of `thermograph receive`."""

    missing_words = gone_words = "missing in the folder"
    gone_status = 200

    def __init__(self, path: Path, is_made: bool = False) -> None:
        super().__init__()
        self.path = path
        if not is_made:
            self.path.mkdir(parents=True)
            with sqlite3.connect(self.path / "captures.sqlite") as connection:
                connection.executescript(_INDEX)
            connection.close()

    def _capture(self, capture_id: str) -> Path:
        return next(path for path in self.path.glob(f"*/*/{capture_id}"))

    def put(self, capture_id: str, record: bytes, images: dict[str, bytes]) -> None:
        folder = self.path / "clinic-a" / "unit-1" / capture_id
        folder.mkdir(parents=True)
        (folder / "record.json").write_bytes(record)
        for name, content in images.items():
            (folder / name).write_bytes(content)
        entry = {"capture_id": capture_id, "name": "record.json", "sha256": hashlib.sha256(record).hexdigest()}
        (folder / "receipt.json").write_text(
            json.dumps({"schema": "thermograph.receipt.v1", "receiver": "r", "entries": [entry]})
        )

    def index(self, rows: Iterable[tuple[str, int, bytes]]) -> None:
        connection = sqlite3.connect(self.path / "captures.sqlite")
        with connection:
            for capture_id, sequence, data in rows:
                connection.execute(
                    "INSERT INTO capture VALUES ('clinic-a', 'unit-1', 'o', ?, ?, ?, '2026-01-02T00:00:00.000Z', ?)",
                    (sequence, capture_id, f"clinic-a/unit-1/{capture_id}", data.decode("utf-8", "replace")),
                )
        connection.close()

    def event(self, name: str, content: dict[str, Any], kind: str = "event", device: str = "unit-1") -> None:
        folder = self.path / "clinic-a" / device / "messages"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{kind}-{name}.json").write_text(json.dumps(content))

    def forget_event(self, name: str) -> None:
        (self.path / "clinic-a" / "unit-1" / "messages" / f"event-{name}.json").unlink()

    def source(self) -> CaptureSource:
        return ReceiveFolder(self.path)

    def open(self, state: Path) -> Catalogue:
        catalogue = Catalogue(self.source(), FileLedger(state))
        catalogue.refresh()
        return catalogue

    def arguments(self, state: Path) -> list[str]:
        return ["--folder", str(self.path), "--state", str(state)]

    def replace_image(self, capture_id: str, name: str, data: bytes) -> None:
        (self._capture(capture_id) / name).write_bytes(data)

    def remove_image(self, capture_id: str, name: str) -> None:
        (self._capture(capture_id) / name).unlink()

    def contradict(self, capture_id: str) -> None:
        receipt = self._capture(capture_id) / "receipt.json"
        receipt.write_text(receipt.read_text().replace("a", "b"))

    def answers(self) -> list[bytes]:
        return [path.read_bytes() for path in sorted(self.path.glob("*/*/results/*.json"), key=lambda p: p.stat().st_mtime_ns)]

    def open_answers(self) -> list[str]:
        return [path.stem for path in self.path.glob("*/*/results/*.json")]

    def take_away(self) -> None:
        self.path.rename(self.path.with_name("unplugged"))

    def bring_back(self) -> None:
        self.path.with_name("unplugged").rename(self.path)


class FarSide(Store):
    """The worker's database. Sealed here by the form that the worker's sources have, with keys made for the test."""

    missing_words = "missing in the database"
    gone_words = "The database does not answer; try again."
    gone_status = 503

    def __init__(self, server: Server, folder: Path, result_key: bytes) -> None:
        super().__init__()
        folder.mkdir(parents=True, exist_ok=True)
        self.server = server
        self._folder = folder
        self.master_file = folder / "master.key"
        self.result_file = folder / "result.pem"
        secret = secrets.token_bytes(32)
        for path, content in ((self.master_file, secret), (self.result_file, result_key)):
            path.touch(mode=0o600)
            path.write_bytes(content)
        self.master = Key(secret)
        self._log: list[tuple[str, tuple[Any, ...]]] = []
        self._opened: list[Database] = []
        self._owners: dict[str, psycopg.Connection[tuple[Any, ...]]] = {}
        self._states: dict[Path, str] = {}
        self.name = server.make_database()
        self._names = [self.name]
        self.key = self.new_key("clinic-a")

    def disconnect(self) -> None:
        for database in self._opened:
            database.close()
        for owner in self._owners.values():
            owner.close()

    def close(self) -> None:
        self.disconnect()
        for name in self._names:
            self.server.drop(name)

    def run(self, statement: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """As the database's owner."""
        if self.name not in self._owners or self._owners[self.name].closed:
            self._owners[self.name] = psycopg.connect(self.server.conninfo(self.name, "postgres"), autocommit=True)
        cursor = self._owners[self.name].execute(statement.encode(), values or None)
        return cursor.fetchall() if cursor.description else []

    def _insert(self, statement: str, values: tuple[Any, ...]) -> None:
        self._log.append((statement, values))
        self.run(statement, values)

    def new_key(self, site: str, master: Key | None = None) -> Key:
        """A data key of `site`, wrapped as the worker wraps one."""
        secret = secrets.token_bytes(32)
        key, master = Key(secret), master or self.master
        self._insert(
            "INSERT INTO site_key (site, key_id, master_id, wrapped) VALUES (%s, %s, %s, %s)",
            (site, key.id, master.id, master.seal(secret, f"thermograph site key|{site}|{id_text(key.id)}")),
        )
        return key

    def seal(self, capture_id: str, name: str, content: bytes, device: str = "unit-1") -> bytes:
        return self.key.seal(content, f"thermograph|clinic-a|{device}|{capture_id}|{name}")

    def put(self, capture_id: str, record: bytes, images: dict[str, bytes]) -> None:
        for name, content in images.items():
            self._insert(
                "INSERT INTO image (site, device, capture_id, name, sha256, bytes, key_id, sealed)"
                " VALUES ('clinic-a', 'unit-1', %s, %s, %s, %s, %s, %s)",
                (capture_id, name, hashlib.sha256(content).digest(), len(content), self.key.id,
                 self.seal(capture_id, name, content)),
            )  # fmt: skip

    def index(self, rows: Iterable[tuple[str, int, bytes]], device: str = "unit-1") -> None:
        for capture_id, sequence, data in rows:
            self._insert(
                "INSERT INTO capture (site, device, outbox_id, sequence, capture_id, schema, images, sha256, key_id, sealed,"
                " complete_at) VALUES ('clinic-a', %s, %s, %s, %s, 'thermograph.capture.v1', '', %s, %s, %s, now())",
                (device, identifier("outbox"), sequence, capture_id, hashlib.sha256(data).digest(), self.key.id,
                 self.seal(capture_id, "record.json", data, device)),
            )  # fmt: skip

    def event(self, name: str, content: dict[str, Any], kind: str = "event", device: str = "unit-1") -> None:
        raw = json.dumps(content).encode()
        words = tuple(content.get(name) for name in ("schema", "code", "severity"))
        self._insert(
            "INSERT INTO message (site, device, kind, identity, sha256, schema, code, severity, key_id, sealed)"
            " VALUES ('clinic-a', %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (device, kind, name, hashlib.sha256(raw).digest(), *words, self.key.id,
             self.key.seal(raw, f"thermograph|clinic-a|{device}|{kind}|{name}")),
        )  # fmt: skip

    def forget_event(self, name: str) -> None:
        self.run("DELETE FROM message WHERE identity = %s", (name,))

    def database(self, name: str = "", masters: MasterKeys | None = None) -> Database:
        """As the gateway's role."""
        made = Database(self.server.conninfo(name or self.name), masters or MasterKeys.from_files([self.master_file]))
        self._opened.append(made)
        return made

    def source(self) -> CaptureSource:
        return DatabaseSource(self.database(), ResultKey.from_file(self.result_file))

    def _name_for(self, state: Path) -> str:
        if state not in self._states:
            if self._states:
                # Another gateway's memory is another database, with the same captures in it.
                first, self.name = self.name, self.server.make_database()
                self._names.append(self.name)
                for statement, values in self._log:
                    self.run(statement, values)
                self._states[state], self.name = self.name, first
            else:
                self._states[state] = self.name
        return self._states[state]

    def open(self, state: Path) -> Catalogue:
        database = self.database(self._name_for(state))
        catalogue = Catalogue(DatabaseSource(database, ResultKey.from_file(self.result_file)), DatabaseLedger(database))
        catalogue.refresh()
        return catalogue

    def arguments(self, state: Path) -> list[str]:
        conninfo = self.server.conninfo(self._name_for(state))
        return ["--database", conninfo, "--master-key-file", str(self.master_file), "--result-key", str(self.result_file)]

    def replace_image(self, capture_id: str, name: str, data: bytes) -> None:
        self.run(
            "UPDATE image SET sealed = %s WHERE capture_id = %s AND name = %s",
            (self.seal(capture_id, name, data), capture_id, name),
        )

    def remove_image(self, capture_id: str, name: str) -> None:
        self.run("DELETE FROM image WHERE capture_id = %s AND name = %s", (capture_id, name))

    def contradict(self, capture_id: str) -> None:
        self.run("UPDATE capture SET sha256 = %s WHERE capture_id = %s", (bytes(32), capture_id))

    def answers(self) -> list[bytes]:
        rows = self.run("SELECT envelope FROM downlink WHERE topic = 'result' ORDER BY made_at, id")
        return [base64.b64decode(json.loads(bytes(row[0]))["payload"]) for row in rows]

    def open_answers(self) -> list[str]:
        rows = self.run("SELECT id FROM downlink WHERE topic = 'result' AND not_after > now() ORDER BY made_at")
        return [row[0] for row in rows]

    def take_away(self) -> None:
        self.server.stop()

    def bring_back(self) -> None:
        self.server.boot()


def put_fixture(store: FarSide) -> None:
    """What the simulated device really sent, byte for byte, as the worker would have stored it."""
    for path in sorted(FIXTURE.glob("*/*/*/record.json"), key=lambda path: int(json.loads(path.read_text())["sequence"])):
        record = path.read_bytes()
        capture_id = path.parent.name
        store.put(capture_id, record, {image.name: image.read_bytes() for image in path.parent.glob("*.png")})
        store.index([(capture_id, int(json.loads(record)["sequence"]), record)])
    for path in FIXTURE.glob("*/*/messages/*.json"):
        kind, name = path.stem.split("-", 1)
        store.event(name, json.loads(path.read_text()), kind)


def copied_fixture(path: Path) -> Folder:
    """The same as a receive folder."""
    return Folder(Path(shutil.copytree(FIXTURE, path)), is_made=True)


def change_png(text: bytes = b"") -> bytes:
    """A difference picture as a device might draw one: colours, larger than the master."""
    colours = np.zeros((240, 320, 3), dtype=np.uint8)
    colours[:, :160, 2], colours[:, 160:, 0] = 200, 200
    stream = io.BytesIO()
    Pillow.fromarray(colours, "RGB").save(stream, format="PNG")
    return stream.getvalue() + text


def with_change(store: Store, record: dict[str, Any]) -> dict[str, bytes]:
    """Gives a record of version 2 a difference picture; its images."""
    record["schema"] = "thermograph.capture.v2"
    record["change"] = {"state": "beyond-variation", "sessions": 4, "minimum_detectable_celsius": 0.8, "places": []}
    label = "change against earlier sessions, not disease"
    record["images"] = [*record["images"], {"name": "change.png", "kind": "change", "media_type": "image/png", "label": label}]
    return {**store.bases[0][1], "change.png": change_png()}


def master_png(celsius: float = 33.0, rows: int = 24, columns: int = 32) -> bytes:
    """An even master with a step of 1 degC between its halves: right half warmer."""
    samples = np.full((rows, columns), round((celsius + 273.15) * 100), dtype=np.uint16)
    samples[:, columns // 2 :] += 100
    stream = io.BytesIO()
    Pillow.fromarray(samples).save(stream, format="PNG")
    return stream.getvalue()
