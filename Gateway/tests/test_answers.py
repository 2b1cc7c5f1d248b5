"""Answers, against those who forge replies, change records, correct patients meanwhile, or read what should not leave."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.conftest import PASSWORD, Clinic, csrf, hidden
from tests.folders import FarSide, Folder, Store, identifier
from thermograph_gateway.accounts import Accounts
from thermograph_gateway.answers import AnswerChanged, answer, answers_of, follow_corrections, instant
from thermograph_gateway.cli import main
from thermograph_gateway.errors import GatewayError
from thermograph_gateway.incoming import Incoming
from thermograph_gateway.statement import ResultKey

ROOT = Path(__file__).parents[2]
Open = Callable[[], Clinic]
# Words that must stay where they were written.
CANARIES = ("Maria Canary-Souza", "lump of 7 mm", "canary@example.org")


@pytest.fixture
def read(store: Store, opened: Open) -> tuple[Clinic, str]:
    """A capture of patient-1 that reader-1 has read."""
    capture = store.add(store.record("patient-1", 1))
    clinic = opened()
    clinic.read(clinic.client(), capture)
    return clinic, capture


def standing(clinic: Clinic, capture: str) -> list[tuple[str, str]]:
    entry = clinic.catalogue.entry(capture, withdrawn=True)
    assert entry is not None
    return [(one.state, one.progress) for one in answers_of(clinic.catalogue, entry)]


def look(clinic: Clinic) -> None:
    Incoming(clinic.catalogue).take()
    follow_corrections(clinic.catalogue)


def reply(store: Store, number: int, content: dict[str, Any], kind: str = "reply", device: str = "unit-1") -> None:
    store.event(f"r-{number}", {"schema": "thermograph.reply.v1", "name": "result", **content}, kind, device)


def statements(store: Store) -> list[dict[str, Any]]:
    return [json.loads(raw) for raw in store.answers()]


# What leaves


def test_the_statement_is_the_contracts_and_holds_no_words(store: Store, read: tuple[Clinic, str]) -> None:
    clinic, capture = read
    before = datetime.now(UTC)
    assert clinic.answer(clinic.client(), capture, "answered", " ".join(CANARIES)).status_code == 302
    (said,) = statements(store)
    schema = json.loads((ROOT / "Docs" / "schemas" / "result-1.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(said)
    assert set(said) == set(schema["properties"]), "nothing but what the contract names"
    entry = clinic.catalogue.entry(capture)
    assert entry is not None
    assert (said["record_sha256"], said["patient_ref"], said["state"]) == (entry.record.sha256, "patient-1", "answered")
    assert said["received_at"] <= said["cloud_done_at"] <= said["reviewed_at"]
    reviewed = datetime.fromisoformat(said["reviewed_at"])
    assert abs((reviewed - before).total_seconds()) < 60
    assert not any(canary in raw.decode() for canary in CANARIES for raw in store.answers())
    # Nor in the audit that an administrator reads.
    audit = clinic.client("boss").get("/audit").text
    assert not any(canary in audit for canary in CANARIES)
    assert standing(clinic, capture) == [("answered", "waiting")]


@pytest.mark.parametrize("store", ["database"], indirect=True)
def test_times_are_the_far_sides_alone(store: FarSide, opened: Open) -> None:
    """The device's clock is years off and says so nowhere: no time of it is in the statement."""
    record = store.record("patient-1", 1)
    record["captured_at"].update(utc_nanoseconds=4_000_000_000 * 10**9, synchronised=False)
    capture = store.add(record)
    store.flush()
    store.run("UPDATE capture SET received_at = '2026-03-01T08:00:00Z', complete_at = '2026-03-01T08:00:07.9Z'")
    clinic = opened()
    clinic.read(clinic.client(), capture)
    clinic.answer(clinic.client(), capture)
    (said,) = statements(store)
    assert said["received_at"] == "2026-03-01T08:00:07.900Z", "when the whole capture was there, not its record alone"
    assert said["cloud_done_at"] > said["received_at"]
    assert said["reviewed_at"] < "2090"


def test_instants_are_to_the_millisecond() -> None:
    assert instant("2026-03-01T08:00:07.9999Z") == datetime(2026, 3, 1, 8, 0, 7, 999_000, tzinfo=UTC)
    assert instant("2026-03-01T10:00:07+02:00") == datetime(2026, 3, 1, 8, 0, 7, tzinfo=UTC)
    for text in ("", "2026-03-01", "2026-03-01T08:00:07", "yesterday"):
        with pytest.raises(GatewayError):
            instant(text)


def test_a_clock_that_is_set_back_makes_no_time_negative_and_no_newer_answer_older(
    store: Store, read: tuple[Clinic, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic, capture = read
    now = iter(["2031-01-01T00:00:00.000Z"] * 4 + ["1970-01-01T00:00:00.000Z"] * 20)
    monkeypatch.setattr(clinic.catalogue.ledger, "now_text", lambda: next(now))
    clinic.answer(clinic.client(), capture)
    clinic.answer(clinic.client(), capture, "repeat-requested")
    rows = clinic.catalogue.ledger.connection.execute("SELECT id, reviewed_at FROM answer").fetchall()
    times = sorted(row["reviewed_at"] for row in rows)
    assert times == ["2031-01-01T00:00:00.000Z", "2031-01-01T00:00:00.001Z"]
    for said in statements(store):
        assert said["received_at"] <= said["cloud_done_at"] <= said["reviewed_at"]


# Who may answer


def test_nothing_leaves_without_the_confirmation(store: Store, read: tuple[Clinic, str]) -> None:
    clinic, capture = read
    client = clinic.client()
    page = client.post(f"/capture/{capture}/answer", data={"csrf": csrf(client), "state": "answered", "note": ""})
    assert page.status_code == 200
    assert "Nothing has been sent yet" in page.text
    assert (store.answers(), standing(clinic, capture)) == ([], [])
    form = hidden(page.text)
    for changed, status in (
        ({"record_sha256": "0" * 64}, 409), ({"patient_ref": "patient-2"}, 409), ({"seen": identifier("x")}, 409),
        ({"state": "cured"}, 422), ({"csrf": "x"}, 403), ({"record_sha256": ""}, 409), ({"note": "x" * 2001}, 422),
    ):  # fmt: skip
        answered = client.post(f"/capture/{capture}/answer/confirmed", data={**form, **changed})
        assert answered.status_code == status, changed
    assert (store.answers(), standing(clinic, capture)) == ([], [])
    assert client.get(f"/capture/{capture}/answer/confirmed").status_code == 405
    assert client.post(f"/capture/{capture}/answer/confirmed", data=form).status_code == 302
    # The same form once more, as a browser sends it when somebody goes back: one answer.
    again = client.post(f"/capture/{capture}/answer/confirmed", data=form)
    assert again.status_code == 409
    assert "answered meanwhile" in again.text
    assert len(statements(store)) == 1


def test_who_may_not_answer(store: Store, read: tuple[Clinic, str]) -> None:
    clinic, capture = read
    # Logged in, but has locked no reading of it.
    other = clinic.client("reader-2")
    assert clinic.answer(other, capture).status_code == 422
    stolen = {"csrf": csrf(other), "state": "answered", "seen": "", "record_sha256": "", "patient_ref": "patient-1"}
    entry = clinic.catalogue.entry(capture)
    assert entry is not None
    direct = other.post(f"/capture/{capture}/answer/confirmed", data={**stolen, "record_sha256": entry.record.sha256})
    assert direct.status_code == 422
    assert "Lock your reading first" in direct.text
    # Not logged in at all.
    assert clinic.app.test_client().post(f"/capture/{capture}/answer/confirmed", data=stolen).status_code == 302
    # Kept out since, or never there: by no other door either.
    Accounts(clinic.catalogue.ledger, clinic.clock).set_enabled("reader-1", False)
    for name in ("reader-1", "nobody", "", "reader-2"):
        with pytest.raises(GatewayError):
            answer(clinic.catalogue, entry, name, "answered", "", "")
    assert store.answers() == []


def test_an_answer_to_another_record_is_refused(store: Store, read: tuple[Clinic, str]) -> None:
    clinic, capture = read
    client = clinic.client()
    page = client.post(f"/capture/{capture}/answer", data={"csrf": csrf(client), "state": "answered"})
    store.contradict(capture)
    answered = client.post(f"/capture/{capture}/answer/confirmed", data=hidden(page.text))
    assert answered.status_code == 422
    assert "not as it was confirmed" in answered.text
    assert clinic.answer(client, capture).status_code == 422
    assert store.answers() == []


def test_two_readers_at_once(store: Store, read: tuple[Clinic, str]) -> None:
    clinic, capture = read
    first, second = clinic.client(), clinic.client("reader-2")
    clinic.read(second, capture)
    pages = [c.post(f"/capture/{capture}/answer", data={"csrf": csrf(c), "state": s}).text
             for c, s in ((first, "answered"), (second, "repeat-requested"))]  # fmt: skip
    assert first.post(f"/capture/{capture}/answer/confirmed", data=hidden(pages[0])).status_code == 302
    late = second.post(f"/capture/{capture}/answer/confirmed", data=hidden(pages[1]))
    assert late.status_code == 409
    assert "reader-1 answered meanwhile" in late.text
    # Knowing of it, the second may: both stay, the first is taken back.
    page = second.post(f"/capture/{capture}/answer", data={"csrf": csrf(second), "state": "repeat-requested"})
    assert "There is an answer already: answered by reader-1" in page.text
    assert second.post(f"/capture/{capture}/answer/confirmed", data=hidden(page.text)).status_code == 302
    assert standing(clinic, capture) == [("answered", "taken-back"), ("repeat-requested", "waiting")]
    assert len(store.open_answers()) == 1
    said = statements(store)[-1]
    assert (said["reviewer"], said["state"]) == ("reader-2", "repeat-requested")


def test_many_threads_make_one_answer(store: Store, read: tuple[Clinic, str]) -> None:
    clinic, capture = read
    entry = clinic.catalogue.entry(capture)
    assert entry is not None
    outcomes: list[str] = []

    def one() -> None:
        try:
            outcomes.append(answer(clinic.catalogue, entry, "reader-1", "answered", "", ""))
        except AnswerChanged:
            outcomes.append("changed")

    threads = [threading.Thread(target=one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(outcomes).count("changed") == 5
    assert len(statements(store)) == 1


# What becomes of it


def test_only_the_devices_own_reply_says_that_it_has_an_answer(store: Store, read: tuple[Clinic, str]) -> None:
    clinic, capture = read
    clinic.answer(clinic.client(), capture)
    (identity,) = store.open_answers()
    reply(store, 1, {"id": identity, "state": "done"}, device="unit-2")  # another device
    reply(store, 2, {"id": identity, "state": "done"}, kind="event")  # no reply
    reply(store, 3, {"id": identity, "state": "done"}, kind="alert")
    reply(store, 4, {"id": identifier("guess"), "state": "done"})
    reply(store, 5, {"id": [identity], "state": "done"})
    reply(store, 6, {"id": identity, "state": "busy"})  # comes again
    look(clinic)
    assert standing(clinic, capture) == [("answered", "waiting")]
    reply(store, 7, {"id": identity, "state": "done"})
    look(clinic)
    assert standing(clinic, capture) == [("answered", "done")]
    # What came first stands, whatever comes later.
    reply(store, 8, {"id": identity, "state": "refused", "reason": "another thought"})
    look(clinic)
    assert standing(clinic, capture) == [("answered", "done")]
    clinic.clock.now += 100
    assert "the device has it since" in clinic.client().get(f"/capture/{capture}").text


def test_a_reply_that_somebody_wrote_into_the_database_does_not_open(far_side: FarSide, tmp_path: Path) -> None:
    capture = far_side.add(far_side.record("patient-1", 1))
    far_side.flush()
    catalogue = far_side.open(tmp_path / "state")
    Accounts(catalogue.ledger, lambda: 0.0).add("reader-1", "reader", PASSWORD)
    catalogue.ledger.connection.execute(
        "INSERT INTO reading (capture_id, reader, at, usable, side, place, confidence, follow_up, note)"
        " VALUES (?, 'reader-1', 'x', 'yes', 'none', 'none', 3, 'no', '')", (capture,))  # fmt: skip
    entry = catalogue.entry(capture)
    assert entry is not None
    answer(catalogue, entry, "reader-1", "answered", "", "")
    (identity,) = far_side.open_answers()
    content = json.dumps({"id": identity, "state": "done"}).encode()
    # Sealed for another device, and moved; in the clear; sealed as an event.
    for number, sealed in enumerate(
        (far_side.key.seal(content, f"thermograph|clinic-a|unit-2|reply|f-{0}"), content,
         far_side.key.seal(content, f"thermograph|clinic-a|unit-1|event|f-{2}"))
    ):  # fmt: skip
        far_side.run(
            "INSERT INTO message (site, device, kind, identity, sha256, key_id, sealed)"
            " VALUES ('clinic-a', 'unit-1', 'reply', %s, %s, %s, %s)",
            (f"f-{number}", number.to_bytes(32, "big"), far_side.key.id, sealed),
        )
    # Whoever may write the worker's table can say that it was answered; the page does not repeat it as the device's word.
    far_side.run("UPDATE downlink SET state = 'answered', answered_at = now()")
    Incoming(catalogue).take()
    (one,) = answers_of(catalogue, entry)
    assert one.progress == "waiting"


def test_a_refusal_is_shown_with_its_reason_as_text(store: Store, read: tuple[Clinic, str]) -> None:
    clinic, capture = read
    clinic.answer(clinic.client(), capture)
    (identity,) = store.open_answers()
    reply(store, 1, {"id": identity, "state": "refused", "reason": "<script>alert(1)</script>" + "x" * 3000})
    clinic.clock.now += 100
    page = clinic.client().get(f"/capture/{capture}").text
    assert "the device did not take it (refused" in page
    assert "&lt;script&gt;" in page
    assert "<script>alert" not in page
    assert "x" * 400 not in page
    # A state that no device knows is nothing that was done.
    clinic.answer(clinic.client(), capture, "repeat-requested")
    reply(store, 2, {"id": store.open_answers()[-1], "state": "<b>done</b>"})
    look(clinic)
    assert standing(clinic, capture)[-1] == ("repeat-requested", "refused")


def test_a_second_answer_after_the_device_has_the_first(store: Store, read: tuple[Clinic, str]) -> None:
    clinic, capture = read
    client = clinic.client()
    clinic.answer(client, capture)
    (first,) = store.open_answers()
    reply(store, 1, {"id": first, "state": "done"})
    look(clinic)
    clinic.answer(client, capture, "repeat-requested")
    assert standing(clinic, capture) == [("answered", "done"), ("repeat-requested", "waiting")]
    assert len({said["id"] for said in statements(store)} | {first}) == 2


def test_names_of_patients_and_readers_are_text(store: Store, opened: Open) -> None:
    capture = store.add(store.record("patient-1", 1))
    clinic = opened()
    client = clinic.client()
    clinic.read(client, capture)
    clinic.answer(client, capture)
    # Written past the page, by somebody who could.
    clinic.catalogue.ledger.connection.execute(
        "INSERT INTO answer (id, capture_id, reviewer, at, state, note, place, patient_ref)"
        " VALUES (?, ?, ?, '2099', 'answered', '', '', ?)",
        (identifier("x"), capture, "<img src=x onerror=alert(1)>", '"><script>alert(1)</script>'),
    )
    for page in (
        client.get(f"/capture/{capture}").text,
        client.post(f"/capture/{capture}/answer",
                    data={"csrf": csrf(client), "state": "answered", "note": "\"><script>alert(1)</script>"}).text,
    ):  # fmt: skip
        assert "<script>alert" not in page
        assert "<img src=x" not in page
    with pytest.raises(GatewayError):
        Accounts(clinic.catalogue.ledger, clinic.clock).add("<script>", "reader", PASSWORD)


# Corrections


SESSION = identifier("session", "patient-1", 1)


def test_a_withdrawn_session_takes_its_answer_back(store: Store, read: tuple[Clinic, str]) -> None:
    clinic, capture = read
    client = clinic.client()
    page = client.post(f"/capture/{capture}/answer", data={"csrf": csrf(client), "state": "answered"})
    clinic.answer(client, capture)
    assert len(store.open_answers()) == 1
    clinic.catalogue.correct("boss", "withdraw", "clinic-a", SESSION, "", "consent taken back")
    look(clinic)
    assert store.open_answers() == []
    assert standing(clinic, capture) == [("answered", "taken-back")]
    # Nor does one follow that was being confirmed.
    assert client.post(f"/capture/{capture}/answer/confirmed", data=hidden(page.text)).status_code == 404
    assert follow_corrections(clinic.catalogue) == 0, "once"


def test_a_withdrawal_between_look_and_signature(store: Store, read: tuple[Clinic, str]) -> None:
    clinic, capture = read
    entry = clinic.catalogue.entry(capture)
    assert entry is not None
    clinic.catalogue.correct("boss", "reassign", "clinic-a", SESSION, "patient-2", "wrong tag")
    with pytest.raises(AnswerChanged, match="given to another patient"):
        answer(clinic.catalogue, entry, "reader-1", "answered", "", "")
    clinic.catalogue.correct("boss", "withdraw", "clinic-a", SESSION, "", "consent taken back")
    with pytest.raises(AnswerChanged, match="withdrawn meanwhile"):
        answer(clinic.catalogue, entry, "reader-1", "answered", "", "")
    assert store.answers() == []


def test_an_answer_follows_its_session(store: Store, read: tuple[Clinic, str]) -> None:
    clinic, capture = read
    clinic.answer(clinic.client(), capture)
    (first,) = store.open_answers()
    boss = clinic.client("boss")
    boss.post("/administration/correction", data={
        "csrf": csrf(boss), "kind": "reassign", "site": "clinic-a", "subject": SESSION, "target": "patient-2",
        "reason": "wrong tag",
    })  # fmt: skip
    (second,) = store.open_answers()
    assert second != first
    said = next(s for s in statements(store) if s["id"] == second)
    assert (said["patient_ref"], said["reviewer"], said["state"]) == ("patient-2", "reader-1", "answered")
    assert standing(clinic, capture) == [("answered", "taken-back"), ("answered", "waiting")]
    assert "sent anew after a correction; on its way" in clinic.client().get(f"/capture/{capture}").text
    assert follow_corrections(clinic.catalogue) == 0, "once"
    # Back again: a third, for the first patient.
    (number,) = clinic.catalogue.corrections()
    clinic.catalogue.correct("boss", "revert", "clinic-a", str(number), "", "it was right")
    look(clinic)
    (third,) = store.open_answers()
    assert next(s for s in statements(store) if s["id"] == third)["patient_ref"] == "patient-1"


def test_what_a_device_corrected_itself_it_is_not_told_again(store: Store, read: tuple[Clinic, str]) -> None:
    clinic, capture = read
    clinic.answer(clinic.client(), capture)
    (first,) = store.open_answers()
    reply(store, 1, {"id": first, "state": "done"})
    look(clinic)
    store.event("box-1", {
        "schema": "thermograph.correction.v1", "correction_id": identifier("c"), "outbox_id": identifier("o"), "number": 1,
        "kind": "reassign", "subject": SESSION, "target": "patient-2", "reason": "wrong tag", "recorded_ref": "patient-1",
        "at": "2026-11-30T09:14:00Z",
    })  # fmt: skip
    clinic.catalogue.take_device_corrections()
    entry = clinic.catalogue.entry(capture)
    assert entry is not None
    assert entry.patient_ref == "patient-2"
    look(clinic)
    assert standing(clinic, capture) == [("answered", "done")]
    # What was corrected here it does not know: told anew.
    clinic.catalogue.correct("boss", "reassign", "clinic-a", SESSION, "patient-3", "wrong tag")
    look(clinic)
    assert standing(clinic, capture) == [("answered", "done"), ("answered", "waiting")]
    assert statements(store)[-1]["patient_ref"] == "patient-3"


def test_without_the_key_nothing_goes_to_the_wrong_patient(far_side: FarSide, tmp_path: Path) -> None:
    capture = far_side.add(far_side.record("patient-1", 1))
    far_side.flush()
    catalogue = far_side.open(tmp_path / "state")
    Accounts(catalogue.ledger, lambda: 0.0).add("reader-1", "reader", PASSWORD)
    catalogue.ledger.connection.execute(
        "INSERT INTO reading (capture_id, reader, at, usable, side, place, confidence, follow_up, note)"
        " VALUES (?, 'reader-1', 'x', 'yes', 'none', 'none', 3, 'no', '')", (capture,))  # fmt: skip
    entry = catalogue.entry(capture)
    assert entry is not None
    answer(catalogue, entry, "reader-1", "answered", "", "")
    catalogue.correct("boss", "reassign", "clinic-a", SESSION, "patient-2", "wrong tag")
    key, catalogue.source._result_key = catalogue.source._result_key, None  # type: ignore[attr-defined]
    follow_corrections(catalogue)
    assert far_side.open_answers() == []
    catalogue.source._result_key = key  # type: ignore[attr-defined]
    assert follow_corrections(catalogue) == 1
    assert len(far_side.open_answers()) == 1
    assert statements(far_side)[-1]["patient_ref"] == "patient-2"


# Keys


def pem(key: Ed25519PrivateKey | Any) -> bytes:
    made: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return made


def public(key: Ed25519PrivateKey | Any) -> str:
    made: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return made.decode()


def test_the_role_of_the_key(tmp_path: Path) -> None:
    mine, other = Ed25519PrivateKey.generate(), generate_private_key(SECP256R1())
    key = ResultKey(pem(mine))

    def listed(*keys: tuple[str, str], schema: str = "thermograph.online-keys.v1") -> bytes:
        return json.dumps({"schema": schema, "keys": [{"role": role, "key": text} for role, text in keys]}).encode()

    key.check_role("result", listed(("command", public(other)), ("result", public(mine))), "list")
    key.check_role("result", listed(("command", public(mine)), ("result", public(mine))), "list")
    for raw, words in (
        (listed(("command", public(mine)), ("result", public(other))), "as command only"),
        (listed(("result", public(other))), "not at all"),
        (listed(), "not at all"),
        (listed(("result", public(mine)), schema="x"), "expected the site's online-keys.json"),
        (listed(("result", "no key")), "none in PEM form"),
        (b'{"schema": "thermograph.online-keys.v1", "keys": [1]}', "no object"),
        (b'{"schema": "thermograph.online-keys.v1", "keys": [], "keys": []}', "twice"),
        (b" " * 40_000, "bytes; expected at most"),
        (b"", "no JSON"),
    ):
        with pytest.raises(GatewayError, match=re.escape(words)):
            key.check_role("result", raw, "list")


def test_the_command_line(
    store: Store, read: tuple[Clinic, str], result_key: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, capture = read
    # `--state` says the answer here; the gateway's own folder has another name.
    words = ["--state-folder" if word == "--state" else word for word in store.arguments(tmp_path / "state")]
    if isinstance(store, Folder):
        key_file = tmp_path / "result.pem"
        key_file.touch(mode=0o600)
        key_file.write_bytes(result_key)
        words += ["--result-key", str(key_file)]
    keys = tmp_path / "online-keys.json"
    entry = {"role": "command", "key": public(Ed25519PrivateKey.generate())}
    keys.write_text(json.dumps({"schema": "thermograph.online-keys.v1", "keys": [entry]}))
    assert main(["answer", capture, "--state", "answered", "--reviewer", "reader-1", "--online-keys", str(keys), *words]) == 1
    assert "devices believe it no result" in capsys.readouterr().err
    entry = {"role": "result", "key": public(ResultKey(result_key)._key)}
    keys.write_text(json.dumps({"schema": "thermograph.online-keys.v1", "keys": [entry]}))
    words += ["--online-keys", str(keys)]
    for refused, said in (
        (["answer", capture, "--state", "answered"], "--reviewer is missing"),
        (["answer", capture, "--state", "answered", "--reviewer", "reader-2"], "Lock your reading first"),
        (["answer", identifier("absent"), "--state", "answered", "--reviewer", "reader-1"], "there is no capture"),
    ):
        assert main([*refused, *words]) == 1
        assert said in capsys.readouterr().err
    assert store.answers() == []
    assert main(["answer", capture, "--state", "answered", "--reviewer", "reader-1", "--note", CANARIES[1], *words]) == 0
    assert "on its way" in capsys.readouterr().out
    (raw,) = store.answers()
    if isinstance(store, Folder):
        raw = base64.b64decode(json.loads(raw)["payload"])
    assert json.loads(raw)["capture_id"] == capture
    assert CANARIES[1].encode() not in raw
    assert main(["answer", capture, *words]) == 0
    assert capsys.readouterr().out.count("answered") == 1
    with pytest.raises(SystemExit):
        main(["answer", "--help"])
    shown = capsys.readouterr().out
    assert "examples:" in shown
    assert "--state repeat-requested" in shown


# Ledgers of the version before


def test_a_ledger_of_the_first_version_is_carried_over(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "received")
    capture = folder.add(folder.record("patient-1", 1))
    folder.flush()
    catalogue = folder.open(tmp_path / "state")
    connection = catalogue.ledger.connection
    connection.execute(
        "INSERT INTO answer (id, capture_id, reviewer, at, state, note, place)"
        " VALUES ('old', ?, 'reader-1', '2026', 'answered', 'kept', '')", (capture,))  # fmt: skip
    for statement in (
        "DROP TABLE answer_reply", "DROP TABLE answer_end", "DROP TABLE call", "DROP TABLE times", "DROP TABLE taken",
        "ALTER TABLE capture DROP COLUMN listed_at", "PRAGMA user_version = 1",
        *(f"ALTER TABLE answer DROP COLUMN {name}"
          for name in ("site", "device", "patient_ref", "reviewed_at", "supersedes", "why")),
    ):  # fmt: skip
        connection.execute(statement)
    again = folder.open(tmp_path / "state")
    entry = again.entry(capture)
    assert entry is not None
    assert entry.listed_at.endswith("Z")
    (one,) = answers_of(again, entry)
    assert (one.note, one.progress) == ("kept", "taken-back")
    assert "answer again" in one.words
    with pytest.raises(Exception, match="append-only"):
        again.ledger.connection.execute("DELETE FROM answer_end")


def test_a_database_of_the_first_version_is_carried_over(far_side: FarSide, tmp_path: Path) -> None:
    capture = far_side.add(far_side.record("patient-1", 1))
    far_side.flush()
    far_side.open(tmp_path / "state")
    far_side.run("ALTER TABLE gateway.answer DISABLE TRIGGER ALL")
    for name in ("answer_reply", "answer_end", "call", "times", "taken"):
        far_side.run(f"DROP TABLE gateway.{name}")
    for name in ("site", "device", "patient_ref", "reviewed_at", "supersedes", "why"):
        far_side.run(f"ALTER TABLE gateway.answer DROP COLUMN {name}")
    far_side.run("ALTER TABLE gateway.capture DROP COLUMN listed_at")
    far_side.run("DELETE FROM gateway.version WHERE number = 2")
    far_side.run("INSERT INTO gateway.answer VALUES ('old', %s, 'reader-1', '2026', 'answered', '', '')", (capture,))
    far_side.run("INSERT INTO downlink (id, site, device, topic, envelope, not_after) VALUES"
                 " ('old', 'clinic-a', 'unit-1', 'result', 'x', now() + interval '1 day')")  # fmt: skip
    far_side.run("ALTER TABLE gateway.answer ENABLE TRIGGER ALL")
    with pytest.raises(GatewayError, match="has version 1, this gateway has 2; run thermograph-gateway migrate"):
        far_side.open(tmp_path / "state")
    owner = far_side.server.conninfo(far_side.name, "postgres")
    assert main(["migrate", "--database", owner]) == 0
    assert main(["migrate", "--database", owner]) == 0, "again, and nothing is left to do"
    again = far_side.open(tmp_path / "state")
    entry = again.entry(capture)
    assert entry is not None
    (one,) = answers_of(again, entry)
    assert one.progress == "taken-back"
    assert far_side.open_answers() == []


def test_the_role_may_end_a_downlink_and_say_nothing_else_of_it(far_side: FarSide, tmp_path: Path) -> None:
    far_side.open(tmp_path / "state")
    database = far_side.database()
    database.execute("UPDATE public.downlink SET not_after = now()")
    for column in ("state = 'answered'", "envelope = 'x'", "device = 'unit-2'", "topic = 'command'"):
        with pytest.raises(GatewayError, match="permission denied"):
            database.execute(f"UPDATE public.downlink SET {column}")
