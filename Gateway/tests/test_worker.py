"""What the real worker stored, read by the gateway: the two sides were written apart, and here they meet.

The worker is a program of another language; `make test` has built it by then and says where it is. Elsewhere:
THERMOGRAPH_RECEIVER=.build/release/thermograph-receiver Scripts/test-gateway
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.conftest import PASSWORD
from tests.folders import FIXTURE, FarSide
from tests.postgres import ROLE, Server
from tests.test_integrators import broker as broker  # the fixture
from thermograph_gateway.accounts import Accounts
from thermograph_gateway.answers import answer, answers_of
from thermograph_gateway.calls import open_calls
from thermograph_gateway.cli import main
from thermograph_gateway.database import Database
from thermograph_gateway.incoming import Incoming
from thermograph_gateway.readings import lock
from thermograph_gateway.times import distributions

PROGRAM = os.environ.get("THERMOGRAPH_RECEIVER", "")

pytestmark = pytest.mark.skipif(not PROGRAM, reason="THERMOGRAPH_RECEIVER names no worker; make test builds it and runs this")


@pytest.fixture
def database(postgres: Server, far_side: FarSide) -> FarSide:
    """A database that the worker itself has made from nothing."""
    name = far_side.name
    far_side.disconnect()
    postgres.drop(name)
    postgres.run("postgres", f"CREATE DATABASE {name}")
    worker("--migrate", "--database", postgres.conninfo(name, "postgres"))
    owner = Database(postgres.conninfo(name, "postgres"))
    assert owner.migrate(ROLE)
    owner.close()
    return far_side


def worker(*arguments: str) -> None:
    answer = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert answer.returncode == 0, answer.stderr


def publish_as(device: mqtt.Client) -> None:
    """Everything that the simulated device sent."""
    topic = "tg/v1/clinic-a/unit-1/up"
    for path in sorted(FIXTURE.glob("*/*/*/record.json")):
        capture = path.parent.name
        for image in sorted(path.parent.glob("*.png")):
            name = f"{capture}_{image.name.replace('.', '_')}"
            device.publish(f"{topic}/image/{name}", image.read_bytes(), 1).wait_for_publish(10)
        device.publish(f"{topic}/capture", path.read_bytes(), 1).wait_for_publish(10)
    for path in sorted(FIXTURE.glob("*/*/messages/*.json")):
        device.publish(f"{topic}/{path.stem.split('-')[0]}", path.read_bytes(), 1).wait_for_publish(10)


def publish(port: int) -> None:
    device = mqtt.Client(CallbackAPIVersion.VERSION2, "unit-1", protocol=mqtt.MQTTv5)
    device.connect("127.0.0.1", port)
    device.loop_start()
    try:
        publish_as(device)
    finally:
        device.loop_stop()
        device.disconnect()


def test_the_gateway_reads_what_the_worker_stored(
    database: FarSide, broker: int, tmp_path: Path, postgres: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    conninfo = postgres.conninfo(database.name, "postgres")
    master = str(database.master_file)
    running = subprocess.Popen(
        [PROGRAM, "--database", conninfo, "--broker", f"127.0.0.1:{broker}", "--master-key-file", master, "--allow-plaintext"],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert running.stderr is not None
        assert "receiving from" in running.stderr.readline()
        publish(broker)
        deadline = time.monotonic() + 30
        while database.run("SELECT count(*) FROM capture WHERE complete_at IS NOT NULL") != [(4,)]:
            assert time.monotonic() < deadline, "the worker has not stored all four captures"
            assert running.poll() is None
            time.sleep(0.1)
    finally:
        running.terminate()
        running.wait(20)
    common = database.arguments(tmp_path / "state")
    assert main(["verify", *common]) == 0
    assert "4 captures, 0 faults" in capsys.readouterr().out
    catalogue = database.open(tmp_path / "state")
    recorded = {path.parent.name: path for path in FIXTURE.glob("*/*/*/record.json")}
    for _, entry in catalogue.all():
        folder = recorded.pop(entry.capture_id).parent
        assert entry.record.sha256 == hashlib.sha256((folder / "record.json").read_bytes()).hexdigest()
        for image in entry.record.images:
            assert catalogue.source.image(entry.record, image) == (folder / image.name).read_bytes()
    assert recorded == {}
    alerts = [json.loads(path.read_text()) for path in FIXTURE.rglob("alert-*.json")]
    assert sorted(m.content["code"] for m in catalogue.source.alerts()) == sorted(a["code"] for a in alerts)  # type: ignore[type-var]
    events = [json.loads(path.read_text()) for path in FIXTURE.rglob("event-*.json")]
    found = [message.content for message in catalogue.source.events(("thermograph.session.v1",))]
    assert sorted(map(json.dumps, found)) == sorted(map(json.dumps, events))
    # Its keys rotate, and the new master alone is enough once it has wrapped them anew.
    newer = tmp_path / "newer.key"
    newer.touch(mode=0o600)
    newer.write_bytes(os.urandom(32))
    worker("--rotate-keys", "--database", conninfo, "--master-key-file", master)
    worker("--rewrap-keys", "--database", conninfo, "--master-key-file", str(newer), "--older-master-key-file", master)
    assert main(["verify", *common]) == 1
    assert "is wrapped by master key" in capsys.readouterr().err
    common[common.index("--master-key-file") + 1] = str(newer)
    assert main(["verify", *common]) == 0


def test_an_answer_a_call_and_times_go_through_the_worker(
    database: FarSide, broker: int, tmp_path: Path, postgres: Server
) -> None:
    running = subprocess.Popen(
        [PROGRAM, "--database", postgres.conninfo(database.name, "postgres"), "--broker", f"127.0.0.1:{broker}",
         "--master-key-file", str(database.master_file), "--allow-plaintext"],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    heard: list[mqtt.MQTTMessage] = []
    device, other = (mqtt.Client(CallbackAPIVersion.VERSION2, name, protocol=mqtt.MQTTv5) for name in ("unit-1", "unit-2"))

    def until(condition: Callable[[], bool], words: str) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline, words
            assert running.poll() is None
            time.sleep(0.1)

    def say(client: mqtt.Client, name: str, topic: str, content: dict[str, Any]) -> None:
        client.publish(f"tg/v1/clinic-a/{name}/up/{topic}", json.dumps(content), 1).wait_for_publish(10)

    try:
        assert running.stderr is not None
        assert "receiving from" in running.stderr.readline()
        for client in (device, other):
            client.connect("127.0.0.1", broker)
            client.loop_start()
        device.on_message = lambda _client, _data, message: heard.append(message)
        device.subscribe("tg/v1/clinic-a/+/dn/#", 1)
        publish_as(device)
        until(lambda: database.run("SELECT count(*) FROM capture WHERE complete_at IS NOT NULL") == [(4,)], "not stored")
        catalogue = database.open(tmp_path / "state")
        Accounts(catalogue.ledger, time.time).add("reader-1", "reader", PASSWORD)
        entry = catalogue.all()[0][1]
        reading = {"usable": "yes", "side": "none", "place": "none", "confidence": "3", "follow_up": "no"}
        lock(catalogue, entry, "reader-1", reading, "a canary's words")
        answer(catalogue, entry, "reader-1", "answered", "more of a canary's words", "")
        (one,) = answers_of(catalogue, entry)
        until(lambda: any(m.topic.endswith("dn/result") for m in heard), "not published")
        message = next(m for m in heard if m.topic.endswith("dn/result"))
        assert (message.topic, message.qos, message.retain) == ("tg/v1/clinic-a/unit-1/dn/result", 1, False)
        said = json.loads(base64.b64decode(json.loads(message.payload)["payload"]))
        assert (said["id"], said["capture_id"]) == (one.id, entry.capture_id)
        assert said["received_at"] <= said["cloud_done_at"] <= said["reviewed_at"]
        assert not any(b"canary" in m.payload + m.topic.encode() for m in heard)
        # Another device says that it has it, then the right one.
        reply = {
            "schema": "thermograph.reply.v1",
            "id": one.id,
            "name": "result",
            "state": "done",
            "at": "2026-03-01T08:00:00Z",
        }
        say(other, "unit-2", "reply", reply)
        until(lambda: database.run("SELECT count(*) FROM message WHERE kind = 'reply'") == [(1,)], "no reply stored")
        incoming = Incoming(catalogue)
        incoming.take()
        assert [a.progress for a in answers_of(catalogue, entry)] == ["waiting"]
        assert database.run("SELECT state FROM downlink") != [("answered",)]
        say(device, "unit-1", "reply", reply)
        until(lambda: database.run("SELECT state FROM downlink") == [("answered",)], "not taken as answered")
        incoming.take()
        assert [a.progress for a in answers_of(catalogue, entry)] == ["done"]
        say(device, "unit-1", "event", {
            "schema": "thermograph.session.v1", "kind": "call-requested", "at": "2019-03-01T08:00:00Z", "patient_ref": "ward-7",
        })  # fmt: skip
        say(device, "unit-1", "event", {
            "schema": "thermograph.times.v1", "kind": "times", "at": "2019-03-01T08:00:00Z", "capture_id": entry.capture_id,
            "total_ms": 100, "edge_ms": 40, "queue_ms": 30, "cloud_ms": 20, "response_ms": 10,
        })  # fmt: skip
        until(lambda: (incoming.take(), bool(open_calls(catalogue)[0]) and bool(distributions(catalogue)[0].values))[1], "lost")
        (call,) = open_calls(catalogue)[0]
        assert (call.patient_ref, call.presses, call.first_at[:4] > "2025") == ("ward-7", 1, True)
        assert distributions(catalogue)[0].values == (100,)
    finally:
        for client in (device, other):
            client.loop_stop()
            client.disconnect()
        running.terminate()
        running.wait(20)
