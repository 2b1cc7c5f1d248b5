"""A real archive: Orthanc with its DICOMweb plugin, on loopback, in a folder of its own."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests.conftest import Clinic
from tests.folders import Store
from thermograph_gateway.destinations import ArchiveDestination
from thermograph_gateway.errors import GatewayError
from thermograph_gateway.export import Exporter

PLUGIN = "/usr/share/orthanc/plugins"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[str]:
    """The base URL of an empty Orthanc that never overwrites."""
    program = shutil.which("Orthanc", path="/usr/sbin:/usr/bin")
    assert program, "install the Debian packages orthanc and orthanc-dicomweb"
    port = free_port()
    configuration = {
        "Name": "test",
        "HttpPort": port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomServerEnabled": False,
        "OverwriteInstances": False,
        "StorageDirectory": str(tmp_path / "orthanc"),
        "IndexDirectory": str(tmp_path / "orthanc"),
        "Plugins": [PLUGIN],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        "Worklists": {"Enable": False},
    }
    (tmp_path / "orthanc.json").write_text(json.dumps(configuration))
    with (tmp_path / "orthanc.log").open("wb") as log:
        process = subprocess.Popen([program, str(tmp_path / "orthanc.json")], stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}"
            for _ in range(200):
                try:
                    requests.get(f"{url}/system", timeout=2)
                    break
                except requests.ConnectionError:
                    assert process.poll() is None, (tmp_path / "orthanc.log").read_text()[-2000:]
                    time.sleep(0.1)
            yield url
        finally:
            process.terminate()
            process.wait(30)


def test_orthanc_takes_all_kinds_once(archive: str, received: Store, tmp_path: Path) -> None:
    catalogue = received.open(tmp_path / "state")
    destination = ArchiveDestination(f"{archive}/dicom-web")
    assert Exporter(catalogue).export(destination).states == {"Stored": 20}
    assert Exporter(catalogue).export(destination).states == {"AlreadyStored": 20}
    # Another gateway without this one's memory, and Orthanc's own word on the same bytes.
    other = received.open(tmp_path / "other")
    assert Exporter(other).export(destination).states == {"AlreadyStored": 20}
    for instance in Exporter(other).instances(Exporter(other).identity(other.all()[0][1], destination.name)):
        answer = requests.post(f"{archive}/instances", data=instance.data, timeout=10).json()
        assert answer["Status"] == "AlreadyStored"
    assert requests.get(f"{archive}/statistics", timeout=10).json()["CountInstances"] == 20
    # What it gives back is what was sent.
    entry = catalogue.all()[0][1]
    made = Exporter(catalogue).instances(Exporter(catalogue).identity(entry, destination.name))
    found = requests.post(f"{archive}/tools/lookup", data=made[0].uid, timeout=10).json()
    assert requests.get(f"{archive}/instances/{found[0]['ID']}/file", timeout=10).content == made[0].data
    # A correction: notes, and new instances of the right patient.
    catalogue.correct("a", "reassign", "clinic-a", entry.record.session_id, "somebody-else", "wrong tag")
    assert Exporter(catalogue).export(destination).states == {"Rejected": 2, "Stored": 10, "AlreadyStored": 10}


def test_twenty_captures_a_second(archive: str, store: Store, opened: Callable[[], Clinic]) -> None:
    for index in range(100):
        store.add(store.record(f"p-{index % 20}", index // 20))
    catalogue = opened().catalogue
    destination = ArchiveDestination(f"{archive}/dicom-web")
    rates = {}
    for kind in ("image", "nearest", "report", "sr"):
        began = time.perf_counter()
        outcome = Exporter(catalogue, (kind,)).export(destination)
        rates[kind] = 100 / (time.perf_counter() - began)
        assert outcome.captures == 100
        assert outcome.problems == []
    print("captures a second: " + ", ".join(f"{kind} {rate:.0f}" for kind, rate in rates.items()))
    # The bar is for this machine with nothing else to do; a machine that is busy with more shows only that it works.
    idle = (os.getloadavg()[0] / (os.cpu_count() or 1)) < 1.5
    assert rates["image"] >= (20 if idle else 4)


def test_an_archive_that_is_away_or_refuses_is_told(archive: str, received: Store, tmp_path: Path) -> None:
    catalogue = received.open(tmp_path / "state")
    with pytest.raises(GatewayError, match="cannot be reached"):
        Exporter(catalogue).export(ArchiveDestination(f"http://127.0.0.1:{free_port()}/dicom-web"))
    with pytest.raises(GatewayError, match="status 404"):
        Exporter(catalogue).export(ArchiveDestination(f"{archive}/nothing-here"))
    assert catalogue.ledger.connection.execute("SELECT count(*) FROM exported").fetchone()[0] == 0
