"""A real archive: what it takes, and what it says when it does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import Clinic
from tests.folders import FarSide, Store
from tests.orthanc import free_port, orthanc
from tests.test_work import Work
from thermograph_gateway.destinations import ArchiveDestination
from thermograph_gateway.errors import GatewayError
from thermograph_gateway.export import BATCH_CAPTURES, Exporter


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[str]:
    """The base URL of an empty Orthanc that never overwrites."""
    with orthanc(tmp_path) as url:
        yield url


def test_orthanc_takes_all_kinds_once(archive: str, received: Store, tmp_path: Path) -> None:
    catalogue = received.open(tmp_path / "state")
    destination = ArchiveDestination(f"{archive}/dicom-web")
    assert Exporter(catalogue).export(destination).states == {"Stored": 20}
    assert Exporter(catalogue).export(destination).states == {"AlreadyStored": 20}
    # Another gateway without this one's memory, and Orthanc's own word on the same bytes.
    other = received.open(tmp_path / "other")
    assert Exporter(other).export(destination).states == {"AlreadyStored": 20}
    for instance in Exporter(other).instances(Exporter(other).identity(other.all()[0][1], destination.name)):
        answer = requests.post(f"{archive}/instances", data=instance.data, timeout=60).json()
        assert answer["Status"] == "AlreadyStored"
    assert requests.get(f"{archive}/statistics", timeout=60).json()["CountInstances"] == 20
    # What it gives back is what was sent.
    entry = catalogue.all()[0][1]
    made = Exporter(catalogue).instances(Exporter(catalogue).identity(entry, destination.name))
    found = requests.post(f"{archive}/tools/lookup", data=made[0].uid, timeout=60).json()
    assert requests.get(f"{archive}/instances/{found[0]['ID']}/file", timeout=60).content == made[0].data
    # A correction: notes, and new instances of the right patient.
    catalogue.correct("a", "reassign", "clinic-a", entry.record.session_id, "somebody-else", "wrong tag")
    assert Exporter(catalogue).export(destination).states == {"Rejected": 2, "Stored": 10, "AlreadyStored": 10}


def test_an_export_asks_the_archive_twice_a_batch(
    archive: str, store: Store, opened: Callable[[], Clinic], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What makes it fast; how fast it is, `make bench-gateway` measures."""
    for index in range(20):
        store.add(store.record(f"p-{index % 4}", index // 4))
    catalogue = opened().catalogue
    destination = ArchiveDestination(f"{archive}/dicom-web")
    asked: list[str] = []
    ask = destination._ask

    def counted(method: str, url: str, **options: Any) -> requests.Response:
        asked.append(method)
        return ask(method, url, **options)

    monkeypatch.setattr(destination, "_ask", counted)
    work = Work(catalogue.source, monkeypatch)
    outcome = Exporter(catalogue, ("image",)).export(destination)
    assert outcome.captures == 20
    assert outcome.problems == []
    # A master and a view each; of the ledger a few questions a batch, and where records are asked for again two more in all.
    assert work.counts["images"] == 2 * 20
    assert work.counts["records"] == 20
    of_images = 2 * 20 if isinstance(store, FarSide) else 0
    assert work.counts["statements"] - of_images <= 12 + 6 * -(-20 // BATCH_CAPTURES)
    batches = -(-20 // BATCH_CAPTURES)
    assert (asked.count("GET"), asked.count("POST")) == (batches, batches)
    asked.clear()
    assert Exporter(catalogue, ("image",)).export(destination).states == {"AlreadyStored": 40}
    assert (asked.count("GET"), asked.count("POST")) == (batches, 0), "what is there is not sent again"


def test_an_archive_that_is_away_or_refuses_is_told(archive: str, received: Store, tmp_path: Path) -> None:
    catalogue = received.open(tmp_path / "state")
    with pytest.raises(GatewayError, match="cannot be reached"):
        Exporter(catalogue).export(ArchiveDestination(f"http://127.0.0.1:{free_port()}/dicom-web"))
    with pytest.raises(GatewayError, match="status 404"):
        Exporter(catalogue).export(ArchiveDestination(f"{archive}/nothing-here"))
    assert catalogue.ledger.connection.execute("SELECT count(*) FROM exported").fetchone()[0] == 0
