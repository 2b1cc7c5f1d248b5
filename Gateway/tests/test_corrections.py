"""Wrong tags put right: whatever is corrected, no picture of somebody else stays in a comparison or an export."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pydicom
import pytest

from tests.conftest import Clinic, csrf
from tests.folders import Store, identifier
from thermograph_gateway.corrections import Correction, Origin, Standing
from thermograph_gateway.destinations import FhirDestination, FolderDestination
from thermograph_gateway.errors import GatewayError
from thermograph_gateway.export import Exporter

Open = Callable[[], Clinic]


class Truth:
    """Who is whom, worked out in the simplest way: everything again after each correction."""

    def __init__(self, recorded: dict[str, str]) -> None:
        self.recorded = recorded
        self.log: list[tuple[str, str, str]] = []

    def state(self) -> dict[str, str | None]:
        undone = {int(subject) - 1 for kind, subject, _ in self.log if kind == "revert"}
        owner: dict[str, str | None] = dict(self.recorded)
        merges: dict[str, str] = {}
        # By the order in which each was made, whatever the order of arrival: here these are one and the same.
        for index, (kind, subject, target) in enumerate(self.log):
            if index in undone:
                continue
            if kind == "reassign":
                owner[subject] = target
            elif kind == "merge":
                merges[subject] = target
        for session, ref in owner.items():
            assert ref is not None
            steps = 0
            while ref in merges and steps < 50:
                ref, steps = merges[ref], steps + 1
            owner[session] = ref
        for kind, subject, _ in self.log:
            if kind == "withdraw":
                owner[subject] = None
        return owner


def test_200_mixed_corrections_leave_no_foreign_capture(store: Store, opened: Open, tmp_path: Path) -> None:
    patients = [f"p-{n}" for n in range(6)]
    recorded = {}
    for patient in patients:
        for session in range(5):
            store.add(store.record(patient, session))
            recorded[identifier("session", patient, session)] = patient
    clinic = opened()
    truth = Truth(recorded)
    random_ = random.Random(7)  # noqa: S311 - a test that repeats
    archive = FolderDestination(tmp_path / "archive")
    exporter = Exporter(clinic.catalogue, ("sr",))
    refused = of_device = attempt = 0
    device_merges: dict[int, int] = {}  # the correction's number here: the device's number of it
    while len(truth.log) < 200:
        kind = random_.choices(["reassign", "merge", "withdraw", "revert"], [8, 3, 0.4, 6])[0]
        subject, target = random_.choice(sorted(recorded)), random_.choice(patients)
        if kind == "merge":
            subject = random_.choice(patients)
        if kind == "revert":
            subject, target = str(random_.randint(1, 1 + len(truth.log))), ""
        # Every other one is the device's; it knows how to undo merges of its own only.
        by_device = random_.random() < 0.5 and (kind != "revert" or int(subject) in device_merges)
        number = len(truth.log) + 1
        if by_device:
            attempt += 1
            said = identifier("correction", device_merges[int(subject)]) if kind == "revert" else subject
            store.event(f"box-{attempt}", correction(attempt, kind, said, target))
            if clinic.catalogue.take_device_corrections() == 0:
                # It would be tried again later; this one is over.
                store.forget_event(f"box-{attempt}")
                refused += 1
                continue
            of_device += 1
            if kind == "merge":
                device_merges[number] = attempt
        else:
            try:
                clinic.catalogue.correct("a", kind, "clinic-a", subject, target, "of the test")
            except GatewayError:
                refused += 1
                continue
        truth.log.append((kind, subject, target))
        if len(truth.log) % 100 == 0:
            exporter.export(archive)
    assert refused > 0
    assert 60 < of_device < 140
    expected = truth.state()
    assert None in expected.values()
    client = clinic.client()
    for patient in patients:
        mine = {session for session, owner in expected.items() if owner == patient}
        assert {e.record.session_id for e in clinic.catalogue.patient("clinic-a", patient)} == mine
        page = client.get(f"/patient/clinic-a/{patient}")
        ids = re.findall(r'name="id" value="([^"]+)"', page.text) if page.status_code == 200 else []
        assert len(ids) == len(mine)
        if len(ids) >= 2:
            assert client.get("/compare", query_string={"id": ids[:4]}).status_code == 200
        for key, owner in expected.items():
            if owner is not None and owner != patient and ids:
                foreign = clinic.catalogue.patient("clinic-a", owner)
                other = next(e.capture_id for e in foreign if e.record.session_id == key)
                assert client.get("/compare", query_string={"id": [ids[0], other]}).status_code == 400
    # In the archive: what no rejection note took back is exactly what holds.
    held: dict[str, tuple[str, str]] = {}
    taken_back: set[str] = set()
    for path in (tmp_path / "archive").glob("*.dcm"):
        dataset = pydicom.dcmread(path)
        if dataset.Modality == "KO":
            for study in dataset.CurrentRequestedProcedureEvidenceSequence:
                for series in study.ReferencedSeriesSequence:
                    taken_back |= {str(i.ReferencedSOPInstanceUID) for i in series.ReferencedSOPSequence}
        else:
            held[str(dataset.SOPInstanceUID)] = (str(dataset.PatientID), str(dataset.StudyID))
    good = sorted(value for uid, value in held.items() if uid not in taken_back)
    assert good == sorted((owner, session[:8]) for session, owner in expected.items() if owner is not None)
    assert taken_back, "the corrections came in between the exports"


def test_originals_are_kept_and_the_log_cannot_be_bent(store: Store, opened: Open) -> None:
    record = store.record("p-1", 1)
    capture = store.add(record)
    clinic = opened()
    clinic.catalogue.correct("a", "reassign", "clinic-a", record["session_id"], "p-2", "wrong tag")
    entry = clinic.catalogue.entry(capture)
    assert entry is not None
    assert (entry.patient_ref, entry.record.patient_ref, entry.is_reassigned) == ("p-2", "p-1", True)
    assert "Assigned to this patient by a correction" in clinic.client().get(f"/capture/{capture}").text
    with pytest.raises(Exception, match="append-only|permission denied"):
        clinic.catalogue.ledger.connection.execute("DELETE FROM correction")


def test_a_withdrawn_session_is_gone_and_stays_so(store: Store, opened: Open) -> None:
    record = store.record("p-1", 1)
    capture = store.add(record)
    clinic = opened()
    client, boss = clinic.client(), clinic.client("boss")
    data = {"csrf": csrf(boss), "kind": "withdraw", "site": "clinic-a", "subject": record["session_id"], "reason": "consent"}
    assert boss.post("/administration/correction", data={**data, "reason": " "}).status_code == 422
    assert boss.post("/administration/correction", data=data).status_code == 302
    for path in (f"/capture/{capture}", f"/picture/{capture}.png", f"/values/{capture}.json", "/patient/clinic-a/p-1"):
        assert client.get(path).status_code == 404
    data.update(kind="revert", subject="1")
    assert "stays withdrawn" in boss.post("/administration/correction", data=data).text


@pytest.mark.parametrize(
    ("kind", "subject", "target", "words"),
    [
        ("reassign", "no-session", "p-2", "expected its identifier"),
        ("reassign", identifier("unknown"), "p-2", "has no session"),
        ("merge", "p-1", "p-1", "one patient already"),
        ("merge", "<script>", "p-1", "expected 1 to 64"),
        ("revert", "99", "", "does not exist"),
        ("revert", "-1", "", "does not exist"),
        ("delete", "p-1", "p-2", "expected one of"),
    ],
)
def test_corrections_that_make_no_sense(store: Store, opened: Open, kind: str, subject: str, target: str, words: str) -> None:
    store.add(store.record("p-1", 1))
    with pytest.raises(GatewayError, match=words):
        opened().catalogue.correct("a", kind, "clinic-a", subject, target, "r")


def test_merges_do_not_run_in_a_circle() -> None:
    log = [Correction(1, "merge", "s", "a", "b"), Correction(2, "merge", "s", "b", "c"), Correction(3, "merge", "s", "c", "a")]
    assert len({Standing(log).merged("s", ref) for ref in "abc"}) == 1
    assert Standing(log).merged("other-site", "a") == "a"


def correction(number: int, kind: str, subject: str, target: str = "", **changes: object) -> dict[str, object]:
    """A correction as the device's staff make one; held against the schema of the contract."""
    content: dict[str, object] = {
        "schema": "thermograph.correction.v1",
        "correction_id": identifier("correction", number),
        "outbox_id": identifier("outbox"),
        "number": number,
        "kind": kind,
        "subject": subject,
        "reason": "wrong tag",
        "at": "2026-01-02T03:04:05Z",
    }
    if target:
        content["target"] = target
    if kind in ("reassign", "withdraw"):
        content["recorded_ref"] = "p-1"
    return {**content, **changes}


def test_the_corrections_of_these_tests_are_those_of_the_contract() -> None:
    schema = json.loads((Path(__file__).parents[2] / "Docs" / "schemas" / "correction-1.schema.json").read_text())
    session = identifier("session", "p-1", 1)
    for content in (
        correction(1, "reassign", session, "p-2"),
        correction(2, "withdraw", session),
        correction(3, "merge", "p-1", "p-2"),
        correction(4, "revert", identifier("correction", 3)),
    ):
        jsonschema.Draft202012Validator(schema).validate(content)


def test_corrections_of_a_device_are_followed_once(store: Store, opened: Open) -> None:
    record = store.record("p-1", 1)
    capture = store.add(record)
    said = correction(7, "reassign", record["session_id"], "p-2")
    store.event("box-7", said)
    store.event("box-8", said)  # sent again under another number of a message
    store.event("box-9", {**correction(9, "merge", "p-9", "p-8"), "target": "../x"})
    clinic = opened()
    assert [clinic.catalogue.take_device_corrections() for _ in range(2)] == [1, 0]
    entry = clinic.catalogue.entry(capture)
    assert entry is not None
    assert entry.patient_ref == "p-2"
    page = clinic.client("boss").get("/audit").text
    assert page.count("device correction refused") == 1
    assert "event-box-9" in page


def test_the_greater_number_overrules_whatever_came_first(store: Store, opened: Open) -> None:
    record = store.record("p-1", 1)
    capture = store.add(record)
    store.event("box-12", correction(12, "reassign", record["session_id"], "p-late"))
    clinic = opened()
    clinic.catalogue.take_device_corrections()
    store.event("box-7", correction(7, "reassign", record["session_id"], "p-early"))
    assert clinic.catalogue.take_device_corrections() == 1
    entry = clinic.catalogue.entry(capture)
    assert entry is not None
    assert entry.patient_ref == "p-late"


def test_a_device_undoes_only_its_own_merges(store: Store, opened: Open) -> None:
    store.add(store.record("p-1", 1))
    clinic = opened()
    mine = clinic.catalogue.correct("a", "merge", "clinic-a", "p-1", "p-2", "same person")
    store.event("box-1", correction(1, "merge", "p-3", "p-2"))
    store.event("box-2", correction(2, "reassign", identifier("session", "p-1", 1), "p-4"))
    store.event("box-3", correction(3, "revert", identifier("correction", 1)))
    store.event("box-4", correction(4, "revert", identifier("correction", 2)))  # no merge
    store.event("box-5", correction(5, "revert", identifier("correction", 99)))  # not there
    store.event("box-6", correction(6, "revert", identifier("correction", 1), outbox_id=identifier("other")))
    assert clinic.catalogue.take_device_corrections() == 3
    standing = Standing(clinic.catalogue.corrections().values())
    assert standing.merged("clinic-a", "p-3") == "p-3"
    assert standing.merged("clinic-a", "p-1") == "p-2", f"correction {mine} was made here"


def test_a_device_speaks_of_its_own_sessions_only() -> None:
    origin = Origin("s", "unit-2", identifier("c"), identifier("o"), 1)
    log = [Correction(1, "reassign", "s", "session", "p-2", origin), Correction(2, "withdraw", "s", "other", "", origin)]
    standing = Standing(log)
    assert standing.patient("s", "session", "p-1", "unit-1") == "p-1"
    assert standing.patient("s", "session", "p-1", "unit-2") == "p-2"
    assert not standing.is_withdrawn("s", "other", "unit-1")
    assert standing.is_withdrawn("s", "other", "unit-2")
    # What is made here is about the session, whoever took it; the later one counts.
    standing = Standing([*log, Correction(3, "reassign", "s", "session", "p-3")])
    assert {standing.patient("s", "session", "p-1", unit) for unit in ("unit-1", "unit-2")} == {"p-3"}


@pytest.mark.parametrize(
    "changes",
    [
        {"number": 0},
        {"number": True},
        {"number": 1 << 60},
        {"correction_id": "x"},
        {"outbox_id": 5},
        {"kind": "delete"},
        {"kind": "withdraw"},  # with a target
        {"subject": "p-1"},
        {"target": "<script>"},
        {"target": "x" * 65},
        {"reason": ""},
        {"reason": "x" * 501},
        {"reason": "two\nlines"},
    ],
    ids=str,
)
def test_corrections_of_a_broken_device_change_nothing(store: Store, opened: Open, changes: dict[str, object]) -> None:
    record = store.record("p-1", 1)
    capture = store.add(record)
    store.event("box-1", {**correction(1, "reassign", record["session_id"], "p-2"), **changes})
    clinic = opened()
    assert clinic.catalogue.take_device_corrections() == 0
    entry = clinic.catalogue.entry(capture)
    assert entry is not None
    assert entry.patient_ref == "p-1"
    assert "device correction refused" in clinic.client("boss").get("/audit").text


def test_fhir_takes_back_what_was_wrong(store: Store, opened: Open, tmp_path: Path) -> None:
    record = store.record("p-1", 1)
    store.add(record)
    clinic = opened()
    path = tmp_path / "bundles.ndjson"
    exporter = Exporter(clinic.catalogue)
    exporter.export_fhir(FhirDestination(str(path)), True, "")
    assert path.read_text().count("entered-in-error") == 0
    clinic.catalogue.correct("a", "reassign", "clinic-a", record["session_id"], "p-2", "wrong tag")
    outcome = exporter.export_fhir(FhirDestination(str(path)), True, "")
    assert outcome.states == {"entered-in-error": 1, "sent": 1}
    lines = path.read_text().splitlines()
    assert '"p-1"' in lines[0]
    assert '"entered-in-error"' in lines[0]
    assert '"p-2"' in lines[1]
    assert '"p-1"' not in lines[1]
    assert "entered-in-error" not in lines[1]
    assert exporter.export_fhir(FhirDestination(str(path)), True, "").states == {"sent": 1}


def test_a_tags_new_pseudonym_keeps_its_history(store: Store, opened: Open) -> None:
    store.add(store.record("old-name", 1))
    store.add(
        store.record("new-name", 2, schema="thermograph.capture.v2", patient_ref_version=2, former_patient_ref="old-name")
    )
    store.add(store.record("third", 3, schema="thermograph.capture.v2", former_patient_ref="<script>"))
    catalogue = opened().catalogue
    assert [e.record.patient_ref for e in catalogue.patient("clinic-a", "new-name")] == ["old-name", "new-name"]
    assert catalogue.patient("clinic-a", "old-name") == []
    catalogue.correct("a", "revert", "clinic-a", "1", "", "another person")
    assert len(catalogue.patient("clinic-a", "old-name")) == 1
