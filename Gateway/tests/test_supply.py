"""Parts for devices that want them, and what becomes of an update."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.folders import FarSide
from tests.postgres import ROLE, Server
from thermograph_gateway.database import Database
from thermograph_gateway.errors import GatewayError
from thermograph_gateway.sealing import MasterKeys
from thermograph_gateway.send import Sent
from thermograph_gateway.supply import PART_BYTES, Supply, followed, numbers, unit

COMMAND = "8f14e45f-ceea-467f-9575-1a2b3c4d5e6f"
DATA = bytes(range(256)) * 600
SENT = Sent(COMMAND, "clinic-a", "unit-1", True)


@pytest.fixture
def database(far_side: FarSide, postgres: Server) -> Iterator[Database]:
    owner = Database(postgres.conninfo(far_side.name, "postgres"))
    owner.migrate(ROLE)
    owner.close()
    opened = Database(postgres.conninfo(far_side.name, ROLE), MasterKeys.from_files([far_side.master_file]))
    yield opened
    opened.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "targets" / "models" / "fold"
    place.mkdir(parents=True)
    (place / f"{hashlib.sha256(DATA).hexdigest()}.7.tar").write_bytes(DATA)
    return tmp_path


def hear(far_side: FarSide, number: int, **content: Any) -> None:
    said = {"schema": "thermograph.update.v1", "number": number, "model": "fold", "version": 7, **content}
    identity = f"u{number}"
    sealed = far_side.key.seal(json.dumps(said).encode(), f"thermograph|clinic-a|unit-1|reply|{identity}")
    far_side.run(
        "INSERT INTO message (site, device, kind, identity, sha256, key_id, sealed)"
        " VALUES ('clinic-a', 'unit-1', 'reply', %s, %s, %s, %s)",
        (identity, number.to_bytes(32, "big"), far_side.key.id, sealed),
    )


def given(far_side: FarSide) -> list[tuple[str, bytes]]:
    return [(topic, bytes(data)) for topic, data in far_side.run("SELECT topic, envelope FROM downlink ORDER BY topic")]


def test_what_is_wanted_is_given_once(database: Database, far_side: FarSide, folder: Path) -> None:
    digest = hashlib.sha256(DATA).hexdigest()
    said: list[str] = []
    supply = Supply(database, folder)
    hear(far_side, 1, state="received", wants="1,3", parts=3)
    hear(far_side, 2, state="waiting")
    assert supply.look(datetime.now(UTC), said.append) == 2
    assert supply.look(datetime.now(UTC), said.append) == 0
    assert given(far_side) == [
        (f"model/{digest}/1-of-3", DATA[:PART_BYTES]), (f"model/{digest}/3-of-3", DATA[2 * PART_BYTES :]),
    ]  # fmt: skip
    hear(far_side, 3, state="received", wants="2", parts=3)
    assert supply.look(datetime.now(UTC), said.append) == 1
    assert b"".join(data for _, data in given(far_side)) == DATA
    assert said[0] == "clinic-a/unit-1: fold 7, parts 1,3 of 3"


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ({"wants": "1-3", "parts": 4}, "another one is signed"), ({"wants": "1-4", "parts": 3}, "at most"),
        ({"wants": "0", "parts": 3}, "expected e.g."), ({"wants": "1", "parts": 3, "version": 8}, "no whole file"),
        ({"wants": "1", "parts": 3, "model": "../fold"}, "impossible name"), ({"wants": "1", "parts": "3"}, "of what"),
        ({"wants": 7, "parts": 3}, "at most"),
    ],
)  # fmt: skip
def test_what_cannot_be_wanted_gives_nothing(
    database: Database, far_side: FarSide, folder: Path, content: dict[str, Any], word: str
) -> None:
    said: list[str] = []
    hear(far_side, 1, state="received", **content)
    assert Supply(database, folder).look(datetime.now(UTC), said.append) == 0
    assert given(far_side) == []
    assert word in said[0]


def test_a_damaged_file_is_not_given(folder: Path) -> None:
    (path,) = (folder / "targets" / "models" / "fold").iterdir()
    path.write_bytes(DATA + b"x")
    with pytest.raises(GatewayError, match="no whole file"):
        unit(folder, "fold", 7)


def test_numbers_are_bounded() -> None:
    assert numbers("1-3,7,9-10", 20) == [1, 2, 3, 7, 9, 10]
    assert numbers("5-20", 20) == list(range(5, 21))
    for text in ("", "1-", "-1", "1,,2", "3-1", "1-17", "1-10,11-20", "99999", "1;2", "1\n", "1-99999" * 80):
        with pytest.raises(GatewayError):
            numbers(text, 20)


def test_an_update_is_followed_to_its_state_or_its_end(database: Database, far_side: FarSide) -> None:
    def now(until: str) -> dict[str, Any] | None:
        return followed(database, [SENT], until, 0).get(COMMAND)

    hear(far_side, 1, state="waiting", command="another")
    assert now("waiting") is None
    hear(far_side, 2, schema="thermograph.reply.v1", id=COMMAND, state="done")
    hear(far_side, 3, state="received", command=COMMAND, wants="1", parts=1)
    assert now("waiting") is None
    hear(far_side, 4, state="waiting", command=COMMAND)
    found = now("waiting")
    assert found
    assert (found["state"], found["came_to"]) == ("done", "waiting")
    assert now("active") is None
    hear(far_side, 5, state="refused", reason="too slow", command=COMMAND)
    found = now("active")
    assert found
    assert (found["state"], found["reason"]) == ("refused", "too slow")


def test_a_command_that_was_refused_has_its_end(database: Database, far_side: FarSide) -> None:
    hear(far_side, 1, schema="thermograph.reply.v1", id=COMMAND, state="refused", reason="no metadata names it")
    found = followed(database, [SENT], "active", 0)[COMMAND]
    assert found["state"] == "refused"
