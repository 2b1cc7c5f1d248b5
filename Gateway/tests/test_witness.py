"""What was seen of devices' audit logs, shown and handed to the verifier that shares no code with anything here."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.conftest import Clinic
from tests.folders import FarSide, Folder, Store, identifier
from tests.test_audit_verifier import Log
from thermograph_gateway.cli import main
from thermograph_gateway.witness import ALARM_WORDS

Open = Callable[[], Clinic]
ROOT = Path(__file__).parents[2]
VERIFIER = ROOT / "Gateway" / "thermograph_gateway" / "audit_verifier.py"
OUTBOX = identifier("outbox")


def see(
    store: Store, heads: list[tuple[int, int, str]], alarms: tuple[str, ...] = (), device: str = "unit-1", outbox: str = OUTBOX
) -> None:
    """As a receiver writes it: number of the capture, size and head, and what it found."""
    if isinstance(store, FarSide):
        store.run(
            "INSERT INTO device (site, device, outbox_id, connect_counter) VALUES ('clinic-a', %s, %s, 1)"
            " ON CONFLICT (site, device) DO UPDATE SET outbox_id = excluded.outbox_id", (device, outbox),
        )  # fmt: skip
        for number, size, head in heads:
            store.run(
                "INSERT INTO audit_head (site, device, outbox_id, sequence, size, head)"
                " VALUES ('clinic-a', %s, %s, %s, %s, %s)",
                (device, outbox, number, size, bytes.fromhex(head)),
            )
        for code in alarms:
            store.run("INSERT INTO audit_alarm (site, device, outbox_id, code) VALUES ('clinic-a', %s, %s, %s)",
                      (device, outbox, code))  # fmt: skip
        return
    assert isinstance(store, Folder)
    folder = store.path / "clinic-a" / device
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "audit-heads.json"
    value: dict[str, Any] = {"schema": "thermograph.audit-heads.v1", "logs": []}
    if path.exists():
        value = json.loads(path.read_text())
    value["logs"].append({
        "outbox_id": outbox, "alarms": list(alarms),
        "heads": [{"sequence": number, "size": size, "head": head} for number, size, head in heads],
    })  # fmt: skip
    path.write_text(json.dumps(value))


def head(number: int) -> str:
    return f"{number:064x}"


def test_the_last_head_and_the_alarms_of_each_device(store: Store, opened: Open) -> None:
    see(store, [(1, 5, head(1)), (2, 9, head(2)), (3, 12, head(3))])
    see(store, [(1, 7, head(7)), (2, 7, head(8))], ("audit-fork", "audit-cloned"), "unit-2", identifier("other"))
    clinic = opened()
    assert clinic.app.test_client().get("/devices").status_code == 302
    page = clinic.client().get("/devices").text
    assert head(3) in page
    assert "<td>12</td>" in page
    assert head(1) not in page
    assert "1 log contradicts what was seen before" in page
    for code in ("audit-fork", "audit-cloned"):
        assert code in page
        assert ALARM_WORDS[code] in page
    assert page.index("clinic-a/unit-2") < page.index("clinic-a/unit-1"), "what is wrong stands first"


def test_nothing_seen_says_so(store: Store, opened: Open) -> None:
    clinic = opened()
    page = clinic.client().get("/devices").text
    assert "No device has told of an audit log yet" in page
    assert "No log contradicts" in page


def test_an_alarm_of_an_earlier_outbox_stays_in_sight(store: Store, opened: Open) -> None:
    see(store, [(1, 5, head(1))], ("audit-shrunk",), outbox=identifier("before"))
    see(store, [(1, 3, head(2))])
    page = opened().client().get("/devices").text
    assert "audit-shrunk" in page
    assert identifier("before") in page
    assert OUTBOX in page


def logs(**changes: Any) -> str:
    log = {"outbox_id": OUTBOX, "alarms": [], "heads": [], **changes}
    return json.dumps({"schema": "thermograph.audit-heads.v1", "logs": [log]})


@pytest.mark.parametrize("store", ["folder"], indirect=True)
@pytest.mark.parametrize(
    "text",
    [
        "{", "[]", '{"schema": "x"}', '{"schema": "thermograph.audit-heads.v1"}',
        logs(outbox_id="<script>"), logs(alarms=["<b>"]), logs(heads=[{"sequence": 1, "size": -1, "head": "0" * 64}]),
        logs(heads=[{"sequence": 1, "size": 1, "head": "0"}]), logs(heads=7),
    ],
)  # fmt: skip
def test_a_damaged_file_is_told_and_kept(store: Folder, opened: Open, text: str) -> None:
    see(store, [])
    path = store.path / "clinic-a" / "unit-1" / "audit-heads.json"
    path.write_text(text)
    page = opened().client().get("/devices")
    assert page.status_code == 422
    assert "keep it, it says what logs were seen" in page.text
    assert "<script>" not in page.text.split("<main")[1]
    assert path.read_text() == text


def verify(folder: Path, key: Path, anchors: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, str(VERIFIER), str(folder), "--vkey", str(key), "--anchors", str(anchors)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_the_walk_of_the_documentation(store: Store, opened: Open, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Export of the device, anchors of the far side, and a verdict by files alone: sound, then changed."""
    log = Log(1)
    heads = log.heads()
    see(store, [(number, number * 3, heads[number * 3].hex()) for number in range(1, 6)])
    opened()
    key = tmp_path / "audit.pem"
    key.write_bytes(log.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    anchors = tmp_path / "anchors.jsonl"
    words = store.arguments(tmp_path / "state")
    device = ["--site", "clinic-a", "--device", "unit-1"]
    assert main(["witness", *device, "--anchors", str(anchors), *words]) == 0
    told = capsys.readouterr().out
    assert heads[15].hex() in told
    assert "15 entries" in told
    status, output = verify(log.write(tmp_path / "export"), key, anchors)
    assert (status, output) == (0, "sound; 5 heads that others kept agree with it\n")
    # Somebody with root changes an entry behind the last anchor and signs anew: only the anchors tell.
    log.entries[10] = {**log.entries[10], "what": {"forged": True}}
    status, output = verify(log.write(tmp_path / "forged"), key, anchors)
    assert status == 1
    assert "capture 4 knows other first 12 entries" in output
    assert "capture 3" not in output, "what lies before the change still agrees"
    # The receiver's own alarm is an exit status, for whoever watches.
    see(store, [(9, 1, head(1))], ("audit-shrunk",), "unit-9", identifier("nine"))
    assert main(["witness", *words]) == 1
    assert "ALARM audit-shrunk" in capsys.readouterr().out
    assert main(["witness", *device, *words]) == 0, "asked of another device alone"
    for refused, said in (
        (["witness", "--anchors", str(anchors)], "needs --site and --device"),
        (["witness", "--anchors", str(anchors), "--site", "clinic-a", "--device", "absent"], "nothing was seen"),
    ):
        assert main([*refused, *words]) == 1
        assert said in capsys.readouterr().err
    see(store, [(1, 2, head(4))], ("audit-fork",), "unit-9", identifier("ten"))
    assert main(["witness", "--anchors", str(anchors), "--site", "clinic-a", "--device", "unit-9", *words]) == 1
    assert "--outbox" in capsys.readouterr().err


def test_the_verifier_stays_small_and_alone() -> None:
    text = VERIFIER.read_text()
    assert len(text.splitlines()) < 150
    assert "from ." not in text
    assert "thermograph_gateway" not in text
