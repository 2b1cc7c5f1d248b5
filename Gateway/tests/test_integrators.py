"""What integrators are told, held against what devices send and against the sources that send it."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.conftest import Clinic
from tests.folders import FIXTURE, Store, fixture_captures

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "Docs" / "schemas"
FORWARDING = ROOT / "Sources" / "Core" / "Forwarding"


def schema(name: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((SCHEMAS / f"{name}.schema.json").read_text())
    return value


def real_messages() -> list[tuple[str, dict[str, Any]]]:
    """Schema's file and content of everything that the simulated device sent, and its receiver's receipts."""
    found = []
    for path in FIXTURE.rglob("*.json"):
        content = json.loads(path.read_text())
        kind, version = re.fullmatch(r"thermograph\.([a-z-]+)\.v(\d)", content["schema"]).groups()  # type: ignore[union-attr]
        found.append((f"{'capture-record' if kind == 'capture' else kind}-{version}", content))
    return found


def test_every_real_message_fits_its_schema() -> None:
    kinds = set()
    for name, content in real_messages():
        jsonschema.Draft202012Validator(schema(name)).validate(content)
        kinds.add(name)
    assert kinds == {"capture-record-1", "alert-1", "status-1", "health-1", "session-1", "receipt-1"}


@pytest.mark.parametrize("path", sorted(SCHEMAS.glob("*.schema.json")), ids=lambda path: path.stem)
def test_schemas_are_schemas_that_refuse_something(path: Path) -> None:
    value = json.loads(path.read_text())
    jsonschema.Draft202012Validator.check_schema(value)
    validator = jsonschema.Draft202012Validator(value)
    assert list(validator.iter_errors({}))
    assert list(validator.iter_errors({"schema": "thermograph.other.v9"}))
    if not path.stem.startswith("capture-record"):
        undescribed = [name for name, member in value["properties"].items() if "description" not in member]
        assert undescribed == []


@pytest.mark.parametrize(
    ("source", "type_name", "name"),
    [
        ("AlertMessage", "AlertMessage", "alert-1"),
        ("StatusMessage", "StatusMessage", "status-1"),
        ("HealthMessage", "HealthMessage", "health-1"),
        ("GapRecord", "GapRecord", "gap-1"),
        ("SessionMessage", "SessionMessage", "session-1"),
        ("CorrectionMessage", "CorrectionMessage", "correction-1"),
        ("ProbeMessage", "ProbeMessage", "probe-1"),
        ("Receipt", "Receipt", "receipt-2"),
        ("../Remote/CommandReply", "CommandReply", "reply-1"),
        ("../Remote/Updates/UpdateMessage", "UpdateMessage", "update-1"),
    ],
)
def test_members_are_those_of_the_source_that_sends_them(source: str, type_name: str, name: str) -> None:
    """Gap records and probes were not in the recorded delivery: their members are held against the code that writes them."""
    text = (FORWARDING / f"{source}.swift").read_text()
    blocks = re.findall(r"enum CodingKeys: String, CodingKey \{\n(.*?)\n\s*\}", text, re.S)
    if blocks:
        keys = set()
        block = next((b for b in blocks if "schema" in b), blocks[-1])
        for line in re.findall(r"case (.*)", block):
            renamed = re.fullmatch(r'(\w+) = "(\w+)"', line.strip())
            keys |= {renamed.group(2)} if renamed else {key.strip() for key in line.split(",")}
    else:
        keys = set(re.findall(r"^  package (?:var|let) (\w+)", text, re.M))
    assert keys == set(schema(name)["properties"]), type_name


SESSION, PERSON = "3f1c2a44-8f0d-4b52-8a0e-0c4b1a4f9a11", "ward-7-0042"


@pytest.mark.parametrize(
    ("kind", "subject", "others", "fits"),
    [
        ("reassign", SESSION, {"target": PERSON, "recorded_ref": "ward-7-0041"}, True),
        ("reassign", SESSION, {"recorded_ref": "ward-7-0041"}, False),  # to whom?
        ("reassign", PERSON, {"target": PERSON, "recorded_ref": "ward-7-0041"}, False),  # a person is no session
        ("withdraw", SESSION, {"recorded_ref": PERSON}, True),
        ("withdraw", SESSION, {"recorded_ref": PERSON, "target": PERSON}, False),
        ("merge", "ward-7-0041", {"target": PERSON}, True),
        ("merge", "Ward 7", {"target": PERSON}, False),
        ("revert", SESSION, {}, True),
        ("revert", "42", {}, False),  # a correction is named by its id, not by a number of somebody's own
        ("forget", SESSION, {}, False),
    ],
)
def test_a_correction_says_what_is_corrected(kind: str, subject: str, others: dict[str, str], fits: bool) -> None:
    content = {
        "schema": "thermograph.correction.v1", "correction_id": "7d3f0a10-02c4-4f1e-9b7a-55a1c2d3e4f5", "number": 1,
        "outbox_id": "0b6d1c9e-5f0e-4b52-8a0e-0c4b1a4f9a11", "kind": kind, "subject": subject, "reason": "wrong tag",
        "at": "2026-11-30T09:14:00Z", **others,
    }  # fmt: skip
    validator = jsonschema.Draft202012Validator(schema("correction-1"))
    assert validator.is_valid(content) == fits
    assert not validator.is_valid({**content, "reason": ""})
    assert not validator.is_valid({**content, "number": 0})


def test_the_gateways_own_messages_fit(store: Store, opened: Callable[[], Clinic]) -> None:
    capture = store.add(store.record("p-1", 1))
    clinic = opened()
    client = clinic.client()
    clinic.read(client, capture)
    assert clinic.answer(client, capture).status_code == 302
    (answer,) = store.answers()
    jsonschema.Draft202012Validator(schema("result-1")).validate(json.loads(answer))


def test_the_asyncapi_document_names_what_there_is() -> None:
    document = json.loads((SCHEMAS / "asyncapi.json").read_text())
    swift = (FORWARDING / "TopicSchema.swift").read_text()
    uplink = set(re.findall(r'case \("(\w+)", \d\)', swift)) | {"image"}
    named = {channel["address"].split("/")[5] for channel in document["channels"].values() if "/up/" in channel["address"]}
    assert named == uplink
    for operation in document["operations"].values():
        channel = operation["channel"]["$ref"].rsplit("/", 1)[1]
        assert channel in document["channels"]
        assert operation["bindings"]["mqtt"]["qos"] == 1
        assert operation["bindings"]["mqtt"]["retain"] == (channel == "status")
    for message in document["components"]["messages"].values():
        if "$ref" in message["payload"]:
            assert (SCHEMAS / message["payload"]["$ref"]).is_file()
    composer = (FORWARDING / "MessageComposer.swift").read_text()
    properties = set(re.findall(r'package static let \w+ = "(\w+)"', composer))
    assert set(document["components"]["messageTraits"]["cloudEvent"]["headers"]["properties"]) == properties


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    (tmp_path / "m.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
    process = subprocess.Popen(["/usr/sbin/mosquitto", "-c", str(tmp_path / "m.conf")], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            assert process.poll() is None, "the broker ended"
            assert time.monotonic() < deadline, "no broker"
            time.sleep(0.05)
    yield port
    process.terminate()
    process.wait(10)


def test_the_thirty_lines_of_the_page_receive_and_confirm(broker: int, tmp_path: Path) -> None:
    page = (ROOT / "Docs" / "integrate.md").read_text()
    program = re.search(r"```python\n(.*?)```", page, re.S)
    assert program
    assert len([line for line in program.group(1).splitlines() if line.strip()]) <= 30
    (tmp_path / "consumer.py").write_text(program.group(1))
    consumer = subprocess.Popen(
        [sys.executable, str(tmp_path / "consumer.py"), "127.0.0.1", str(broker), str(tmp_path / "out")]
    )
    receipts: list[dict[str, Any]] = []
    device = mqtt.Client(CallbackAPIVersion.VERSION2, "unit-1", protocol=mqtt.MQTTv5)
    device.on_message = lambda _client, _data, message: receipts.append(json.loads(message.payload))
    device.connect("127.0.0.1", broker)
    device.subscribe("tg/v1/clinic-a/unit-1/dn/#", 1)
    device.loop_start()
    record, images = fixture_captures()[0]
    capture = record["capture_id"]
    raw = next(p for p in FIXTURE.rglob("record.json") if capture in str(p)).read_bytes()
    topic = "tg/v1/clinic-a/unit-1/up"
    try:
        # Two images, the record, the other images late; all of it until the receipt is there, as a device does.
        names = sorted(images)
        deadline = time.monotonic() + 120
        complete = False
        while not receipts and time.monotonic() < deadline:
            for name in names[:2]:
                device.publish(f"{topic}/image/{capture}_{name.replace('.', '_')}", images[name], 1).wait_for_publish(5)
            device.publish(f"{topic}/capture", raw, 1).wait_for_publish(5)
            if not complete:
                time.sleep(0.5)
                assert receipts == [], "no receipt before the last image is there"
                complete = True
            for name in names[2:]:
                device.publish(f"{topic}/image/{capture}_{name.replace('.', '_')}", images[name], 1).wait_for_publish(5)
            time.sleep(0.3)
    finally:
        device.loop_stop()
        device.disconnect()
        consumer.terminate()
        consumer.wait(10)
    assert receipts, "no receipt came"
    jsonschema.Draft202012Validator(schema("receipt-1")).validate(receipts[0])
    stored = {entry["name"]: entry["sha256"] for entry in receipts[0]["entries"]}
    assert stored == {"record.json": hashlib.sha256(raw).hexdigest(), **{i["name"]: i["sha256"] for i in record["images"]}}
    for name in (*images, "record.json"):
        data = (tmp_path / "out" / "clinic-a" / "unit-1" / capture / name).read_bytes()
        assert hashlib.sha256(data).hexdigest() == stored[name]
