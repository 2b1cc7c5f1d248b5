"""Commands: what is signed, whom it names, and whose reply counts."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.folders import FarSide
from tests.postgres import ROLE, Server
from thermograph_gateway.cli import main
from thermograph_gateway.database import Database
from thermograph_gateway.errors import GatewayError
from thermograph_gateway.sealing import MasterKeys
from thermograph_gateway.send import COMMANDS, Sent, arguments, reply, send
from thermograph_gateway.statement import COMMAND_TYPE, ResultKey, encoding

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
CHALLENGE = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def commander(tmp_path: Path) -> Path:
    path = tmp_path / "commander.key"
    path.touch(mode=0o600)
    path.write_bytes(Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


@pytest.fixture
def database(far_side: FarSide, postgres: Server) -> Iterator[Database]:
    owner = Database(postgres.conninfo(far_side.name, "postgres"))
    owner.migrate(ROLE)
    owner.close()
    opened = Database(postgres.conninfo(far_side.name, ROLE), MasterKeys.from_files([far_side.master_file]))
    yield opened
    opened.close()


def birth(far_side: FarSide, **more: Any) -> None:
    status = json.dumps({"schema": "thermograph.status.v1", "state": "online", **more}).encode()
    far_side.run("DELETE FROM device")
    far_side.run("INSERT INTO device (site, device, status) VALUES ('clinic-a', 'unit-1', %s)", (status,))


def answer(far_side: FarSide, number: int, content: dict[str, Any], device: str = "unit-1") -> None:
    identity = f"n{number}"
    sealed = far_side.key.seal(json.dumps(content).encode(), f"thermograph|clinic-a|{device}|reply|{identity}")
    far_side.run(
        "INSERT INTO message (site, device, kind, identity, sha256, key_id, sealed)"
        " VALUES ('clinic-a', %s, 'reply', %s, %s, %s, %s)",
        (device, identity, number.to_bytes(32, "big"), far_side.key.id, sealed),
    )


def statement(far_side: FarSide) -> tuple[dict[str, Any], dict[str, Any]]:
    ((envelope,),) = far_side.run("SELECT envelope FROM downlink WHERE topic = 'command'")
    outer = json.loads(bytes(envelope))
    return outer, json.loads(base64.b64decode(outer["payload"]))


def test_the_list_is_the_devices() -> None:
    swift = (ROOT / "Sources" / "Core" / "Remote" / "CommandAction.swift").read_text()
    block = re.search(r"static let names = \[(.*?)\]", swift, re.S)
    assert block
    assert tuple(re.findall(r'"([a-z-]+)"', block.group(1))) == COMMANDS


def test_a_command_is_signed_and_names_device_start_and_end(database: Database, far_side: FarSide, commander: Path) -> None:
    birth(far_side, challenge=CHALLENGE)
    key = ResultKey.from_file(commander)
    sent = send(database, key, "clinic-a", "unit-1", "hold-images", {"seconds": 60}, 2, NOW)
    assert sent.names_start
    outer, inner = statement(far_side)
    schema = json.loads((ROOT / "Docs" / "schemas" / "command-1.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(inner)
    assert inner["for_boot"] == CHALLENGE
    assert inner["arguments"] == {"seconds": 60}
    assert inner["id"] == sent.id
    assert (inner["issued"], inner["expires"]) == ("2026-03-01T09:30:00Z", "2026-03-01T11:30:00Z")
    assert outer["payloadType"] == COMMAND_TYPE
    # The signature is over DSSE's encoding of exactly these bytes; another kind of statement has another one.
    private = key._key
    assert isinstance(private, Ed25519PrivateKey)
    signature, payload = base64.b64decode(outer["signatures"][0]["sig"]), base64.b64decode(outer["payload"])
    private.public_key().verify(signature, encoding(payload, COMMAND_TYPE))


def test_without_a_start_it_is_said_and_without_a_device_nothing_is_sent(
    database: Database, far_side: FarSide, commander: Path
) -> None:
    key = ResultKey.from_file(commander)
    with pytest.raises(GatewayError, match="never been heard of"):
        send(database, key, "clinic-a", "unit-1", "status", {}, 1, NOW)
    for challenge in (None, "x", 7, CHALLENGE + "\n"):
        birth(far_side, challenge=challenge)
        far_side.run("DELETE FROM downlink")
        assert not send(database, key, "clinic-a", "unit-1", "status", {}, 1, NOW).names_start
        assert "for_boot" not in statement(far_side)[1]
    for site, device, hours in (("clinic-a/#", "unit-1", 1), ("clinic-a", "+", 1), ("clinic-a", "unit-1", 169)):
        with pytest.raises(GatewayError):
            send(database, key, site, device, "status", {}, hours, NOW)


def test_only_the_devices_own_reply_counts_and_busy_is_none(database: Database, far_side: FarSide) -> None:
    sent = Sent("c-1", "clinic-a", "unit-1", True)
    answer(far_side, 1, {"id": "c-1", "state": "done"}, device="unit-2")
    answer(far_side, 2, {"id": "c-2", "state": "done"})
    assert reply(database, sent, 0) is None
    answer(far_side, 3, {"id": "c-1", "state": "busy"})
    found = reply(database, sent, 0)
    assert found is not None
    assert found["state"] == "busy"

    def later(_: float) -> None:
        answer(far_side, 4, {"id": "c-1", "state": "refused", "reason": "a session is open"})

    found = reply(database, sent, 30, later)
    assert found is not None
    assert found["state"] == "refused"


def test_the_command_line(
    far_side: FarSide, postgres: Server, database: Database, commander: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    birth(far_side, challenge=CHALLENGE)
    common = [
        "--site", "clinic-a", "--device", "unit-1", "--key", str(commander), "--database",
        postgres.conninfo(far_side.name, ROLE), "--master-key-file", str(far_side.master_file),
    ]  # fmt: skip
    assert main(["send", "doctor", "parts=camera,frame", *common, "--wait", "0"]) == 0
    assert statement(far_side)[1]["arguments"] == {"parts": ["camera", "frame"]}
    far_side.run("DELETE FROM downlink")
    assert main(["send", "log-level", "level=debug", "minutes=x", *common]) == 1
    assert "expected a whole number" in capsys.readouterr().err
    assert far_side.run("SELECT count(*) FROM downlink") == [(0,)]
    commander.chmod(0o644)
    assert main(["send", "status", *common]) == 1
    assert "chmod 600" in capsys.readouterr().err


def test_arguments() -> None:
    assert arguments(["seconds=0", "level=debug"]) == {"seconds": 0, "level": "debug"}
    for words in (["seconds"], ["=1"], ["seconds=1", "seconds=2"], ["minutes=1.5"], ["seconds=-1"]):
        with pytest.raises(GatewayError):
            arguments(words)
