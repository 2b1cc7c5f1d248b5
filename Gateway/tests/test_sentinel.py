"""What the device thought of itself, in words that a reader understands."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Clinic
from tests.folders import Store

Open = Callable[[], Clinic]
ROOT = Path(__file__).parents[2]


def watched(store: Store, state: Any, outcome: str = "not-assessable", **more: Any) -> str:
    record = store.record("patient-1", 1)
    record["schema"] = "thermograph.capture.v2"
    record["verdict"]["outcome"] = outcome
    record["sentinel"] = {"state": state, "p_health": 0.93, "p_cyber": 0.02, "delta": 0.1, "window_id": "w-1", **more}
    return store.add(record)


@pytest.mark.parametrize(
    ("state", "outcome", "words", "absent"),
    [
        ("normal", "uncertain", "found nothing unusual", "withheld"),
        ("uncertain", "uncertain", "cannot tell what", "withheld"),
        ("sensing", "not-assessable", "The model&#39;s outcome is withheld because of it", "all the same"),
        ("sensing", "above-threshold", "do not rely on it", "withheld"),
        ("attack", "uncertain", "somebody attacked the device", "withheld"),
        ("<script>alert(1)</script>", "uncertain", "does not know: update it", "<script>alert"),
    ],
)
def test_states_in_words(store: Store, opened: Open, state: str, outcome: str, words: str, absent: str) -> None:
    capture = watched(store, state, outcome)
    clinic = opened()
    client = clinic.client()
    before = client.get(f"/capture/{capture}").text
    assert words in before, "before the reading: it is about the device, not the model's opinion"
    assert absent not in before
    assert "lies above its upper threshold" not in before
    assert "ill sensing 0.93, an attack 0.02; one must exceed the other by 0.10" in before
    clinic.read(client, capture)
    after = client.get(f"/capture/{capture}").text
    assert words in after
    if state not in ("normal",):
        verdict = after.split('<ul class="verdict">')[1].split("</ul>")[0]
        assert "watch on itself" in verdict, "the verdict itself says so, and with it the report"


def test_every_state_of_the_schema_has_words(store: Store, opened: Open) -> None:
    schema = json.loads((ROOT / "Docs" / "schemas" / "capture-record-2.schema.json").read_text())
    captures = [watched(store, state) for state in schema["properties"]["sentinel"]["properties"]["state"]["enum"]]
    client = opened().client()
    for capture in captures:
        assert "does not know" not in client.get(f"/capture/{capture}").text


@pytest.mark.parametrize("more", [{"p_health": 2}, {"p_cyber": -1}, {"p_health": "0.9"}, {"p_cyber": True}, {"p_health": None}])
def test_odd_numbers_are_left_out(store: Store, opened: Open, more: dict[str, Any]) -> None:
    capture = watched(store, "sensing", **more)
    page = opened().client().get(f"/capture/{capture}").text
    assert "its sensing was ill" in page
    assert "suspicion" not in page


def test_a_record_that_says_nothing_shows_nothing(store: Store, opened: Open) -> None:
    values: tuple[Any, ...] = (None, {}, "normal", {"state": None}, {"state": 7})
    captures = [store.add(store.record("patient-1", day, sentinel=value)) for day, value in enumerate(values)]
    client = opened().client()
    for capture in captures:
        assert "watch on itself" not in client.get(f"/capture/{capture}").text
