"""People who ask to be called: on the list until somebody called, whatever a device sends."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import Clinic, csrf
from tests.folders import Store, identifier
from thermograph_gateway.calls import DEVICE_PEOPLE_MAXIMUM, PRESSES_MAXIMUM, called, earlier_calls, open_calls
from thermograph_gateway.errors import GatewayError
from thermograph_gateway.incoming import Incoming

Open = Callable[[], Clinic]
SESSION = identifier("session", "patient-1", 1)


def press(store: Store, number: int, patient: Any = "patient-1", device: str = "unit-1", **more: Any) -> None:
    content = {
        "schema": "thermograph.session.v1", "kind": "call-requested", "at": "2019-01-01T00:00:00Z",
        "patient_ref": patient, "session_id": SESSION, **more,
    }  # fmt: skip
    store.event(f"p-{device}-{number}", content, "event", device)


def waiting(clinic: Clinic) -> list[tuple[str, int]]:
    Incoming(clinic.catalogue).take()
    return [(call.patient_ref, call.presses) for call in open_calls(clinic.catalogue)[0]]


def test_somebody_asks_and_is_called(store: Store, opened: Open) -> None:
    store.add(store.record("patient-1", 1))
    clinic = opened()
    client = clinic.client()
    assert "to be called" not in client.get("/").text
    press(store, 1)
    press(store, 2)
    press(store, 3)
    clinic.clock.now += 100
    page = client.get("/").text
    assert "1 person asks to be called" in page
    assert page.index("person asks to be called") < page.index("captures, newest first"), "at the top"
    assert 'href="/patient/clinic-a/patient-1"' in page.split("</section>")[0]
    assert "pressed 3 times" in page
    # Without the tags, whose addresses have random digits.
    text = re.sub(r"<[^>]*>", "", page.split("</section>")[0])
    assert "2019" not in text, "the device's clock says nothing of when"
    (call,) = open_calls(clinic.catalogue)[0]
    assert client.post(f"/calls/{call.id}/called", data={"presses": "3"}).status_code == 403, "a forged form"
    answered = client.post(f"/calls/{call.id}/called", data={"csrf": csrf(client), "presses": "3"})
    assert answered.status_code == 302
    assert waiting(clinic) == []
    (kept,) = earlier_calls(clinic.catalogue)
    assert (kept.called_by, kept.presses) == ("reader-1", 3)
    assert kept.called_at >= kept.last_at >= kept.first_at
    shown = client.get("/calls").text
    assert "Nobody asks to be called" in shown
    assert "reader-1" in shown
    assert ">called<" in clinic.client("boss").get("/audit").text
    # Who presses again afterwards asks again.
    press(store, 4)
    assert waiting(clinic) == [("patient-1", 1)]


def test_the_same_message_counts_once(store: Store, opened: Open) -> None:
    clinic = opened()
    press(store, 1)
    assert waiting(clinic) == [("patient-1", 1)]
    assert waiting(clinic) == [("patient-1", 1)]


def test_two_gateways_that_look_at_once_count_once(store: Store, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = opened()
    press(store, 1)
    # Both have seen the message before either has taken it.
    seen = clinic.catalogue.source.fresh(("thermograph.session.v1",), 500, lambda _: False)
    assert len(seen) == 1
    monkeypatch.setattr(clinic.catalogue.source, "fresh", lambda *_: seen)
    for _ in range(2):
        assert Incoming(clinic.catalogue).take(1) == 1
    assert [(call.patient_ref, call.presses) for call in open_calls(clinic.catalogue)[0]] == [("patient-1", 1)]


def test_two_readers_call_once(store: Store, opened: Open) -> None:
    clinic = opened()
    press(store, 1)
    waiting(clinic)
    (call,) = open_calls(clinic.catalogue)[0]
    called(clinic.catalogue, call.id, "1", "reader-1")
    second = clinic.client("reader-2")
    answered = second.post(f"/calls/{call.id}/called", data={"csrf": csrf(second), "presses": "1"})
    assert answered.status_code == 422
    assert "reader-1 called already" in answered.text
    assert earlier_calls(clinic.catalogue)[0].called_by == "reader-1"
    with pytest.raises(GatewayError, match="no such line"):
        called(clinic.catalogue, identifier("x"), "1", "reader-1")


def test_a_press_after_the_look_stays(store: Store, opened: Open) -> None:
    clinic = opened()
    press(store, 1)
    waiting(clinic)
    (call,) = open_calls(clinic.catalogue)[0]
    press(store, 2)
    waiting(clinic)
    for presses in ("1", "", "x", "3"):
        with pytest.raises(GatewayError, match="pressed again"):
            called(clinic.catalogue, call.id, presses, "reader-1")
    assert waiting(clinic) == [("patient-1", 2)]


def test_a_hostile_device_fills_no_list(store: Store, opened: Open) -> None:
    clinic = opened()
    press(store, 0, "patient-honest", "unit-2")
    for number in range(80):
        press(store, number, f"invented-{number}")
    found = waiting(clinic)
    assert len(found) == DEVICE_PEOPLE_MAXIMUM + 2, "its own, one line for all the rest, and the other device's"
    assert ("", 80 - DEVICE_PEOPLE_MAXIMUM) in found
    assert ("patient-honest", 1) in found
    page = clinic.client().get("/").text
    assert "more people than one device may name" in page
    rows = clinic.catalogue.ledger.connection.execute("SELECT count(*) FROM call").fetchone()[0]
    assert rows == DEVICE_PEOPLE_MAXIMUM + 2


def test_a_button_that_sticks_counts_to_a_bound(store: Store, opened: Open) -> None:
    clinic = opened()
    press(store, 1)
    waiting(clinic)
    clinic.catalogue.ledger.connection.execute("UPDATE call SET presses = ?", (PRESSES_MAXIMUM,))
    press(store, 2)
    assert waiting(clinic) == [("patient-1", PRESSES_MAXIMUM)]
    assert f"pressed {PRESSES_MAXIMUM} times or more" in clinic.client().get("/").text


@pytest.mark.parametrize(
    "changes",
    [
        {"patient_ref": "<script>alert(1)</script>"},
        {"patient_ref": "Maria Canary-Souza"},
        {"patient_ref": ""},
        {"patient_ref": None},
        {"patient_ref": ["patient-1"]},
        {"patient_ref": "x" * 65},
        {"kind": "session-closed"},
        {"kind": ["call-requested"]},
        {"schema": "thermograph.gap.v1"},
    ],
)
def test_what_is_no_call(store: Store, opened: Open, changes: dict[str, Any]) -> None:
    clinic = opened()
    press(store, 1, **changes)
    assert waiting(clinic) == []
    text = clinic.client().get("/").text
    assert "to be called" not in text
    assert "Canary" not in text


def test_an_odd_session_is_left_out_and_the_call_stays(store: Store, opened: Open) -> None:
    clinic = opened()
    press(store, 1, session_id="<script>")
    press(store, 2, "patient-2", session_id=None)
    assert sorted(waiting(clinic)) == [("patient-1", 1), ("patient-2", 1)]


def test_calls_follow_corrections(store: Store, opened: Open) -> None:
    store.add(store.record("patient-1", 1))
    clinic = opened()
    press(store, 1)
    assert waiting(clinic) == [("patient-1", 1)]
    clinic.catalogue.correct("boss", "reassign", "clinic-a", SESSION, "patient-2", "wrong tag")
    assert waiting(clinic) == [("patient-2", 1)]
    page = clinic.client().get("/").text
    assert "as patient-1 when asking" in page
    clinic.catalogue.correct("boss", "withdraw", "clinic-a", SESSION, "", "consent taken back")
    assert "the session was withdrawn" in clinic.client().get("/").text


def test_a_reader_who_is_not_in_sees_no_call(store: Store, opened: Open) -> None:
    clinic = opened()
    press(store, 1)
    waiting(clinic)
    (call,) = open_calls(clinic.catalogue)[0]
    nobody = clinic.app.test_client()
    for answer in (
        nobody.get("/calls"),
        nobody.get("/times"),
        nobody.get("/times.json"),
        nobody.post(f"/calls/{call.id}/called"),
    ):
        assert answer.status_code == 302
    assert waiting(clinic) == [("patient-1", 1)]
