"""What the real worker stored, read by the gateway: the two sides were written apart, and here they meet.

The worker is a program of another language; `make test` has built it by then and says where it is. Elsewhere:
THERMOGRAPH_RECEIVER=.build/release/thermograph-receiver Scripts/test-gateway
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.folders import FIXTURE, FarSide
from tests.postgres import ROLE, Server
from tests.test_integrators import broker as broker  # the fixture
from thermograph_gateway.cli import main
from thermograph_gateway.database import Database

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


def publish(port: int) -> None:
    """Everything that the simulated device sent."""
    device = mqtt.Client(CallbackAPIVersion.VERSION2, "unit-1", protocol=mqtt.MQTTv5)
    device.connect("127.0.0.1", port)
    device.loop_start()
    try:
        for path in sorted(FIXTURE.glob("*/*/*/record.json")):
            capture, topic = path.parent.name, "tg/v1/clinic-a/unit-1/up"
            for image in sorted(path.parent.glob("*.png")):
                name = f"{capture}_{image.name.replace('.', '_')}"
                device.publish(f"{topic}/image/{name}", image.read_bytes(), 1).wait_for_publish(10)
            device.publish(f"{topic}/capture", path.read_bytes(), 1).wait_for_publish(10)
        for path in sorted(FIXTURE.glob("*/*/messages/*.json")):
            device.publish(f"{topic}/{path.stem.split('-')[0]}", path.read_bytes(), 1).wait_for_publish(10)
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
