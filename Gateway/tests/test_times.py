"""Times: what devices measured, as a distribution; never worked out here."""

from __future__ import annotations

import json
import random
import re
import statistics
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Clinic
from tests.folders import Store, identifier
from thermograph_gateway.cli import main
from thermograph_gateway.incoming import Incoming
from thermograph_gateway.times import DEVICE_DAY_MAXIMUM, TERMS, Distribution, distributions, duration, picture

Open = Callable[[], Clinic]


def times(capture: Any, total: Any, edge: Any, queue: Any, cloud: Any, response: Any) -> dict[str, Any]:
    return {
        "schema": "thermograph.times.v1", "kind": "times", "capture_id": capture, "total_ms": total, "edge_ms": edge,
        "queue_ms": queue, "cloud_ms": cloud, "response_ms": response,
    }  # fmt: skip


def found(clinic: Clinic) -> dict[str, Distribution]:
    Incoming(clinic.catalogue).take()
    return {one.term: one for one in distributions(clinic.catalogue)}


def test_median_p95_and_unknown(store: Store, opened: Open) -> None:
    seed = random.Random(7)  # noqa: S311 - no secret
    totals = []
    for number in range(60):
        capture = store.add(store.record("patient-1", number))
        edge, queue, cloud, response = (seed.randrange(1, 10**k) for k in (3, 6, 4, 8))
        totals.append(edge + queue + cloud + response)
        if number < 40:
            store.event(f"t-{number}", times(capture, totals[-1], edge, queue, cloud, response))
        else:
            store.event(f"t-{number}", times(capture, None, edge, None, None, None))
    clinic = opened()
    terms = found(clinic)
    total = terms["total"]
    assert (len(total.values), total.unknown) == (40, 20)
    assert list(total.values) == sorted(totals[:40])
    assert total.median == sorted(totals[:40])[19]
    assert total.p95 == sorted(totals[:40])[37]
    assert total.median <= statistics.median(totals[:40])
    assert (len(terms["edge"].values), terms["edge"].unknown) == (60, 0)
    page = clinic.client().get("/times").text
    assert page.count("<svg") == len(TERMS)
    assert f"median {duration(total.median)}, 95 of 100 within {duration(total.p95)}, 40 known, 20 unknown" in page
    told = json.loads(clinic.client().get("/times.json").text)
    assert told["terms"]["total"] == {"known": 40, "unknown": 20, "median_ms": total.median, "p95_ms": total.p95}
    assert json.loads(clinic.client().get("/times.json?site=other").text)["terms"]["total"]["known"] == 0


def test_quantiles_are_values_that_were_measured() -> None:
    assert Distribution("edge", (), 3).median is None
    assert Distribution("edge", (5,), 0).p95 == 5
    hundred = Distribution("edge", tuple(range(1, 101)), 0)
    assert (hundred.median, hundred.p95) == (50, 95)


@pytest.mark.parametrize(
    "changes",
    [
        {"total_ms": -1}, {"edge_ms": True}, {"queue_ms": 1.5}, {"cloud_ms": "5"}, {"response_ms": 10**15},
        {"capture_id": "<script>"}, {"capture_id": None}, {"total_ms": 99}, {"total_ms": 120}, {"edge_ms": 10**9},
        {"schema": "thermograph.session.v1"}, {"kind": "call-requested"},
    ],
)  # fmt: skip
def test_what_no_device_measured_is_not_counted(store: Store, opened: Open, changes: dict[str, Any]) -> None:
    capture = store.add(store.record("patient-1", 1))
    store.event("t-1", {**times(capture, 110, 10, 20, 30, 50), **changes})
    clinic = opened()
    assert all(one.values == () and one.unknown == 0 for one in found(clinic).values())


def test_captures_that_are_not_here_do_not_count(store: Store, opened: Open) -> None:
    capture = store.add(store.record("patient-1", 1))
    store.event("t-1", times(identifier("invented"), 110, 10, 20, 30, 50))
    store.event("t-2", times(capture, 210, 10, 20, 30, 150), device="unit-2")  # another's capture
    clinic = opened()
    assert found(clinic)["total"].values == ()
    store.event("t-3", times(capture, 110, 10, 20, 30, 50))
    assert found(clinic)["total"].values == (110,)
    clinic.catalogue.correct("boss", "withdraw", "clinic-a", identifier("session", "patient-1", 1), "", "taken back")
    assert found(clinic)["total"].values == ()


@pytest.mark.parametrize("is_turned", [False, True])
def test_the_readers_answer_closes_it_whatever_comes_first(store: Store, opened: Open, is_turned: bool) -> None:
    capture = store.add(store.record("patient-1", 1))
    both = [times(capture, 60, 10, 20, 30, 0), times(capture, 5060, 10, 20, 3000, 2030)]
    for number, content in enumerate(reversed(both) if is_turned else both):
        store.event(f"t-{number}", content)
    clinic = opened()
    assert found(clinic)["total"].values == (5060,)
    assert found(clinic)["cloud"].values == (3000,)


def test_a_hostile_device_fills_no_table(store: Store, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thermograph_gateway.times.DEVICE_DAY_MAXIMUM", 5)
    assert DEVICE_DAY_MAXIMUM >= 1000
    for number in range(12):
        store.event(f"t-{number}", times(identifier(number), 110, 10, 20, 30, 50))
    clinic = opened()
    found(clinic)
    assert clinic.catalogue.ledger.connection.execute("SELECT count(*) FROM times").fetchone()[0] == 5


def test_pictures_are_pictures() -> None:
    for values in ((), (0,), (1,), (10**14,), tuple(sorted(10**k for k in range(12)))):
        text = picture(Distribution("total", values, 4))
        root = ElementTree.fromstring(text)  # noqa: S314 - our own
        names = {"x", "x1", "x2", "y", "y1", "y2", "width", "height"}
        for element in root.iter():
            for name in names & set(element.keys()):
                value = element.get(name) or ""
                assert -0.01 <= float(value) <= 560.01, (values, name, value)
        bars = [element for element in root.iter() if element.get("class") == "bar"]
        assert len(bars) == len({v for v in values if v > 0} or set(values))
    assert re.search(r"median unknown, 95 of 100 within unknown, 0 known, 4 unknown", picture(Distribution("edge", (), 4)))


def test_durations_in_words() -> None:
    for milliseconds, words in (
        (None, "unknown"), (0, "0 ms"), (999, "999 ms"), (1000, "1.0 s"), (119_000, "119.0 s"), (120_000, "2.0 min"),
        (3 * 3_600_000, "3.0 h"), (3 * 86_400_000, "3.0 days"),
    ):  # fmt: skip
        assert duration(milliseconds) == words


def test_the_command_line_in_three_forms(
    store: Store, opened: Open, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capture = store.add(store.record("patient-1", 1))
    store.event("t-1", times(capture, 110, 10, 20, 30, 50))
    other = store.add(store.record("patient-1", 2))
    store.event("t-2", times(other, None, 12, None, None, None))
    opened()
    words = store.arguments(tmp_path / "state")
    assert main(["times", *words]) == 0
    assert re.search(r"total +median +110 ms  95 of 100 within +110 ms  known 1  unknown 1", capsys.readouterr().out)
    assert main(["times", "--json", *words]) == 0
    assert json.loads(capsys.readouterr().out)["terms"]["edge"] == {"known": 2, "unknown": 0, "median_ms": 10, "p95_ms": 12}
    assert main(["times", "--prometheus", *words]) == 0
    text = capsys.readouterr().out
    assert 'thermograph_time_seconds{term="total",quantile="0.5"} 0.110' in text
    assert 'thermograph_time_unknown{term="total"} 1' in text
    for line in text.splitlines():
        assert re.fullmatch(r"# (HELP|TYPE) [a-z_]+ .+|[a-z_]+\{[a-z]+=\"[a-z]+\"(,quantile=\"0\.\d+\")?\} [0-9.]+", line), line
