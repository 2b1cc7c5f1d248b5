"""What makes the pages fast: how much each one asks and reads, whatever lies in the store. Times are `make bench-gateway`'s."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import Clinic
from tests.folders import Store
from thermograph_gateway import catalogue as catalogue_module
from thermograph_gateway.catalogue import PAGE_ROWS
from thermograph_gateway.database import Database
from thermograph_gateway.ledger import _SQLite
from thermograph_gateway.sealing import Key
from thermograph_gateway.source import CaptureSource

Open = Callable[[], Clinic]


class Work:
    """Counts statements, records that are read, and images with their bytes."""

    def __init__(self, source: CaptureSource, monkeypatch: pytest.MonkeyPatch) -> None:
        self.counts: Counter[str] = Counter()
        for owner in (Database, _SQLite):
            self._count(monkeypatch, owner, "execute", "statements")
        self._count(monkeypatch, catalogue_module, "parse_record", "records")
        self._count(monkeypatch, Key, "open", "openings")
        self._count(monkeypatch, source, "image", "images", lambda data: ("bytes", len(data)))

    def _count(
        self,
        monkeypatch: pytest.MonkeyPatch,
        owner: Any,
        name: str,
        what: str,
        more: Callable[[Any], tuple[str, int]] | None = None,
    ) -> None:
        original = getattr(owner, name)

        def counted(*arguments: Any, **options: Any) -> Any:
            self.counts[what] += 1
            result = original(*arguments, **options)
            if more is not None:
                key, amount = more(result)
                self.counts[key] += amount
            return result

        monkeypatch.setattr(owner, name, counted)

    def of(self, action: Callable[[], Any]) -> Counter[str]:
        self.counts.clear()
        action()
        return Counter(self.counts)


@pytest.fixture
def clinic(store: Store, opened: Open) -> tuple[Clinic, dict[str, list[str]]]:
    """500 captures of 20 patients."""
    captures: dict[str, list[str]] = {}
    for index in range(500):
        patient = f"patient-{index % 20}"
        captures.setdefault(patient, []).append(store.add(store.record(patient, index // 20)))
    return opened(), captures


def test_a_page_does_not_grow_with_the_store(
    store: Store, clinic: tuple[Clinic, dict[str, list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, captures = clinic
    client = made.client()
    work = Work(made.catalogue.source, monkeypatch)

    def get(path: str) -> None:
        assert client.get(path).status_code == 200

    made.clock.now += 100
    get("/")  # looks into the store, and finds nothing new
    made.clock.now += 100
    worklist = work.of(lambda: get("/"))
    # Login, its minute's mark, the look for what is new, the page itself, the audit; not a row for each capture.
    assert worklist["statements"] <= 14
    assert worklist["records"] == worklist["images"] == worklist["openings"] == 0
    assert client.get("/").text.count("<tr>") == PAGE_ROWS + 1
    four = captures["patient-3"][:4]
    compare = work.of(lambda: get("/compare?" + "&".join(f"id={capture}" for capture in four)))
    # A row, its record (where the cache holds none: one more question) and an audit row each; four masters.
    assert compare["statements"] <= 3 + 4 * 4
    assert (compare["records"], compare["images"]) == (4, 4)
    assert compare["bytes"] < 4 * 8192, "masters only: no view is read for a comparison"
    picture = work.of(lambda: get(f"/picture/{four[0]}.png"))
    assert picture["statements"] <= 5
    assert (picture["records"], picture["images"]) == (1, 1)
    assert picture["bytes"] < 8192
    patient = work.of(lambda: get("/patient/clinic-a/patient-3"))
    assert patient["records"] == 25
    assert patient["images"] == 0
    assert patient["statements"] <= 16, "the readings of all captures are one question"
    session = made.catalogue.patient("clinic-a", "patient-3")[0].record.session_id
    made.read(client, four[0])
    report = work.of(lambda: get(f"/report/clinic-a/patient-3/{session}.pdf"))
    assert report["images"] == 1
    assert report["records"] <= 25 + 1


def test_taking_in_asks_a_bounded_number_of_questions(store: Store, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    store.add(store.record("p", 1))
    made = opened()
    work = Work(made.catalogue.source, monkeypatch)
    quiet = work.of(made.catalogue.refresh)
    for day in range(100):
        store.add(store.record("p", day))
    store.flush()
    busy = work.of(made.catalogue.refresh)
    assert busy["records"] == 100
    assert busy["images"] == 0
    assert busy["openings"] <= 100 + 1, "each record is opened once"
    assert busy["statements"] <= quiet["statements"] + 100 + 20, "a row each, and what a batch costs"
    for number in range(50):
        store.event(f"box-{number}", {"schema": "thermograph.correction.v1", "number": number})
    first = work.of(made.catalogue.take_device_corrections)
    later = work.of(made.catalogue.take_device_corrections)
    assert first["openings"] <= 50
    assert later["openings"] == 0, "a message is opened once"
    assert later["statements"] <= 4
    again = work.of(made.catalogue.refresh)
    assert (again["records"], again["openings"]) == (0, 0)
    assert again["statements"] <= quiet["statements"]
