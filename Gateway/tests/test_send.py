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
from thermograph_gateway.send import (
    COMMANDS,
    Configuration,
    Sent,
    Wave,
    arguments,
    configure,
    listed,
    reply,
    roll_out,
    send,
    waves,
)
from thermograph_gateway.statement import COMMAND_TYPE, CONFIGURATION_TYPE, ResultKey, encoding

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


def statement(far_side: FarSide, topic: str = "command") -> tuple[dict[str, Any], dict[str, Any]]:
    ((envelope,),) = far_side.run("SELECT envelope FROM downlink WHERE topic = %s", (topic,))
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


TOML = "[broker]\nport = 8884  # \u00e9\n"


def test_a_configuration_is_signed_and_counts_on(database: Database, far_side: FarSide, commander: Path) -> None:
    birth(far_side, challenge=CHALLENGE, remote_configuration={"version": 6, "tried": False, "highest": 7})
    key = ResultKey.from_file(commander)
    sent = configure(database, key, "clinic-a", "unit-1", Configuration(TOML), NOW)
    outer, inner = statement(far_side, "config")
    schema = json.loads((ROOT / "Docs" / "schemas" / "configuration-1.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(inner)
    assert (inner["toml"], inner["version"], inner["confirm_minutes"]) == (TOML, 8, 10)
    assert (inner["issued"], inner["expires"]) == ("2026-03-01T09:30:00Z", "2026-03-04T09:30:00Z")
    assert "for_boot" not in inner
    assert inner["id"] == sent.id
    assert outer["payloadType"] == CONFIGURATION_TYPE
    private = key._key
    assert isinstance(private, Ed25519PrivateKey)
    signature, payload = base64.b64decode(outer["signatures"][0]["sig"]), base64.b64decode(outer["payload"])
    private.public_key().verify(signature, encoding(payload, CONFIGURATION_TYPE))
    # What is on its way and not answered yet counts too.
    configure(database, key, "clinic-a", "unit-1", Configuration(TOML), NOW, for_boot=True)
    envelopes = far_side.run("SELECT envelope FROM downlink WHERE topic = 'config'")
    inners = [json.loads(base64.b64decode(json.loads(bytes(row[0]))["payload"])) for row in envelopes]
    assert sorted(inner["version"] for inner in inners) == [8, 9]
    assert [inner.get("for_boot") for inner in inners if inner["version"] == 9] == [CHALLENGE]
    for bad in (
        Configuration(TOML, 0),
        Configuration(TOML, 1, 61),
        Configuration(TOML, 1, 10, 721),
        Configuration("#" * 13000, 1),
    ):
        with pytest.raises(GatewayError):
            configure(database, key, "clinic-a", "unit-1", bad, NOW)


def test_a_trial_is_not_the_end(database: Database, far_side: FarSide) -> None:
    sent = Sent("c-1", "clinic-a", "unit-1", False)
    answer(far_side, 1, {"id": "c-1", "state": "trying"})

    def later(_: float) -> None:
        answer(far_side, 2, {"id": "c-1", "state": "rolled-back", "reason": "no line"})

    found = reply(database, sent, 30, later)
    assert found is not None
    assert found["state"] == "rolled-back"
    # The interim one comes again, later: the end stands.
    answer(far_side, 3, {"id": "c-1", "state": "trying"})
    found = reply(database, sent, 0)
    assert found is not None
    assert found["state"] == "rolled-back"


def test_a_configuration_for_a_stick(tmp_path: Path, commander: Path, capsys: pytest.CaptureFixture[str]) -> None:
    toml = tmp_path / "new.toml"
    toml.write_text(TOML, encoding="utf-8")
    output = tmp_path / "unit-1.configuration"
    words = ["send", "configuration", str(toml), "--site", "clinic-a", "--device", "unit-1", "--key", str(commander)]
    assert main([*words, "--output", str(output), "--number", "3"]) == 0
    inner = json.loads(base64.b64decode(json.loads(output.read_bytes())["payload"]))
    assert (inner["version"], inner["toml"]) == (3, TOML)
    assert "thermograph config import" in capsys.readouterr().out
    assert main([*words, "--output", str(output)]) == 1
    assert "--number" in capsys.readouterr().err
    toml.write_bytes(b"\xff")
    assert main([*words, "--output", str(output), "--number", "4"]) == 1
    assert main(words) == 1


def test_waves() -> None:
    devices = [("c", f"u-{number}") for number in range(1000)]
    parts = waves(devices, 5)
    assert [len(part) for part in parts] == [50] * 20
    assert [device for part in parts for device in part] == devices
    assert [len(part) for part in waves(devices[:3], 10)] == [1, 1, 1]
    assert [len(part) for part in waves(devices[:7], 50)] == [3, 3, 1]
    for percent in (0, 101):
        with pytest.raises(GatewayError):
            waves(devices, percent)
    assert listed(["# all", "", "c/u-1", "d/u-1"]) == [("c", "u-1"), ("d", "u-1")]
    for lines in ([], ["c"], ["c/u", "c/u"], ["C/u"], ["c/u/x"], ["c/+"]):
        with pytest.raises(GatewayError):
            listed(lines)


def test_a_roll_out_of_a_thousand_stops_where_it_goes_wrong() -> None:
    devices = [("c", f"u-{number}") for number in range(1000)]
    told: list[tuple[int, Wave]] = []

    def run(states: dict[str, str | None], stop_at: int) -> tuple[bool, list[str]]:
        asked: list[str] = []
        told.clear()

        def one(site: str, device: str) -> Sent:
            asked.append(device)
            if states.get(device) == "unknown device":
                raise GatewayError("never been heard of")
            return Sent(device, site, device, False)

        def wait(sent: Any) -> dict[str, dict[str, Any]]:
            return {s.id: {"state": states.get(s.id, "done")} for s in sent if states.get(s.id, "done") is not None}

        return roll_out(waves(devices, 10), one, wait, stop_at, lambda number, wave: told.append((number, wave))), asked

    assert run({}, 1) == (True, [device for _, device in devices])
    # One of the first hundred is taken back: nine hundred are never asked.
    finished, asked = run({"u-7": "rolled-back"}, 1)
    assert not finished
    assert len(asked) == 100
    assert told[0][1].failed == (("c/u-7", "rolled-back: "),)
    # Two are allowed, the third ends it, in the third wave.
    finished, asked = run({"u-7": "rolled-back", "u-150": "refused", "u-250": "unknown device"}, 3)
    assert (finished, len(asked)) == (False, 300)
    finished, asked = run({"u-7": "rolled-back", "u-150": "refused"}, 3)
    assert (finished, len(asked)) == (False, 1000)
    # Devices that are days away from a network hold nothing up, a wave in which nobody took it does.
    finished, asked = run({"u-7": None, "u-8": "trying"}, 1)
    assert (finished, len(asked)) == (True, 1000)
    assert told[0][1].silent == ("c/u-7", "c/u-8")
    finished, asked = run({f"u-{number}": None for number in range(100)}, 1)
    assert (finished, len(asked)) == (False, 100)
