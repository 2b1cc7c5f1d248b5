"""Metadata for `dn/trust`: what is sent is what was published, and what a person would want to hear is said before."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.folders import FarSide
from tests.postgres import ROLE, Server
from thermograph_gateway.cli import main
from thermograph_gateway.database import Database
from thermograph_gateway.errors import GatewayError
from thermograph_gateway.metadata import MESSAGE_BYTES_MAXIMUM, read_metadata, send_metadata
from thermograph_gateway.sealing import MasterKeys
from thermograph_gateway.send import reply

ROOT = Path(__file__).parents[2]
NOW = datetime.now(UTC).replace(microsecond=0)


def text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def timestamp(at: datetime) -> str:
    return text(json.dumps({"signed": {"expires": at.strftime("%Y-%m-%dT%H:%M:%SZ")}, "signatures": []}).encode())


def published(folder: Path, end: datetime = NOW + timedelta(days=90), **changes: Any) -> Path:
    """What `Scripts/repository publish` writes, as far as the gateway looks at it. No signature: the device judges those."""
    bundle: dict[str, Any] = {
        "schema": "thermograph.trust.v1", "root": "site",
        "metadata": {"1.root.json": text(b"{}"), "2.root.json": text(b"x" * 9000), "timestamp.json": timestamp(end)},
        "targets": {"3f1c.online-keys.json": text(b"[]")},
        **changes,
    }  # fmt: skip
    folder.mkdir(exist_ok=True)
    (folder / "trust.json").write_text(json.dumps(bundle))
    return folder


@pytest.fixture
def database(far_side: FarSide, postgres: Server) -> Iterator[Database]:
    opened = Database(postgres.conninfo(far_side.name, ROLE), MasterKeys.from_files([far_side.master_file]))
    yield opened
    opened.close()


def test_it_goes_down_as_it_was_published_with_an_id(database: Database, far_side: FarSide, tmp_path: Path) -> None:
    folder = published(tmp_path / "out")
    sent = send_metadata(database, "clinic-a", "unit-1", read_metadata(folder, NOW), 720, NOW)
    ((row_id, site, device, topic, envelope, not_after),) = far_side.run(
        "SELECT id, site, device, topic, envelope, not_after FROM downlink"
    )
    assert (row_id, site, device, topic) == (sent.id, "clinic-a", "unit-1", "trust")
    assert not_after == NOW + timedelta(days=30)
    value = json.loads(bytes(envelope))
    schema = json.loads((ROOT / "Docs" / "schemas" / "trust-1.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(value)
    assert value.pop("id") == sent.id
    assert value == json.loads((folder / "trust.json").read_text())
    assert reply(database, sent, 0) is None
    far_side.event("t-1", {"id": sent.id, "state": "done", "name": "trust"}, "reply", "unit-2")
    assert reply(database, sent, 0) is None, "another device's"
    far_side.event("t-1", {"id": sent.id, "state": "done", "name": "trust"}, "reply")
    found = reply(database, sent, 0)
    assert found is not None
    assert found["state"] == "done"
    # Nothing is offered beyond what it says of its own end.
    far_side.run("DELETE FROM downlink")
    short = read_metadata(published(folder, NOW + timedelta(days=3)), NOW)
    send_metadata(database, "clinic-a", "unit-1", short, 720, NOW)
    assert far_side.run("SELECT not_after FROM downlink") == [(NOW + timedelta(days=3),)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema": "thermograph.trust.v2"}, "expected schema"),
        ({"root": "mine"}, "root site or vendor"),
        ({"metadata": []}, "no object"),
        ({"metadata": {}}, "no timestamp.json"),
        ({"metadata": {"timestamp.json": timestamp(NOW + timedelta(days=1))}}, "no N.root.json"),
        ({"metadata": {"../1.root.json": "", "timestamp.json": ""}}, "name is none"),
        ({"metadata": {"1.root.json": "*", "timestamp.json": ""}}, "not base64"),
        ({"metadata": {"1.root.json": 7, "timestamp.json": ""}}, "not base64"),
        ({"metadata": {"1.root.json": "", "timestamp.json": text(b"{}")}}, "says no end"),
        ({"metadata": {"1.root.json": "", "timestamp.json": text(b"[")}}, "says no end"),
        ({"metadata": {f"{n}.root.json": "" for n in range(1, 302)}}, "at most 300"),
        ({"targets": None}, "no object"),
        ({"targets": {"/etc/passwd": ""}}, "name is none"),
        ({"id": "mine"}, "no published set has"),
        ({"installed_root": "x"}, "no published set has"),
        ({"targets": {"a": text(b"x" * 60_000)}}, "expected at most"),
    ],
)
def test_what_is_said_before_it_is_sent(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(GatewayError, match=words):
        read_metadata(published(tmp_path / "out", **changes), NOW)


def test_old_absent_or_no_file(tmp_path: Path) -> None:
    with pytest.raises(GatewayError, match="renew and publish"):
        read_metadata(published(tmp_path / "out", NOW - timedelta(seconds=1)), NOW)
    with pytest.raises(GatewayError, match="cannot be read"):
        read_metadata(tmp_path / "absent", NOW)
    (tmp_path / "out" / "trust.json").unlink()
    (tmp_path / "out" / "trust.json").symlink_to("/etc/hostname")
    with pytest.raises(GatewayError, match="cannot be read"):
        read_metadata(tmp_path / "out", NOW)


def test_the_id_must_fit_too(tmp_path: Path) -> None:
    folder = published(tmp_path / "out")
    short = len((folder / "trust.json").read_bytes())
    fill = (MESSAGE_BYTES_MAXIMUM - short - 30) // 4 * 4
    published(folder, targets={"3f1c.online-keys.json": text(b"[]"), "a": "A" * fill})
    given = read_metadata(folder, NOW)
    with pytest.raises(GatewayError, match="with its id"):
        given.message("0" * 36)


def test_the_command_line(
    far_side: FarSide, postgres: Server, database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = published(tmp_path / "out")
    words = [
        "--site", "clinic-a", "--device", "unit-1", "--database", postgres.conninfo(far_side.name, ROLE),
        "--master-key-file", str(far_side.master_file),
    ]  # fmt: skip
    assert main(["send", "trust", str(folder), *words, "--wait", "0"]) == 0
    assert far_side.run("SELECT topic FROM downlink") == [("trust",)]
    assert main(["send", "trust", str(folder), *words, "--wait", "1"]) == 1
    assert "trust-refused" in capsys.readouterr().err
    for refused, said in (
        (["send", "trust", *words], "expected the folder"),
        (["send", "trust", str(folder), *words, "--key", "x"], "signed already"),
        (["send", "status", *words], "--key is missing"),
    ):
        assert main(refused) == 1
        assert said in capsys.readouterr().err
