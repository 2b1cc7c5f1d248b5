"""Wrong tags put right: whatever is corrected, no picture of somebody else stays in a comparison or an export."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest

from tests.conftest import Clinic, csrf
from tests.folders import Folder, identifier
from thermograph_gateway.corrections import Correction, Standing
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


def test_200_mixed_corrections_leave_no_foreign_capture(folder: Folder, opened: Open, tmp_path: Path) -> None:
    patients = [f"p-{n}" for n in range(6)]
    recorded = {}
    for patient in patients:
        for session in range(5):
            folder.add(folder.record(patient, session))
            recorded[identifier("session", patient, session)] = patient
    clinic = opened()
    truth = Truth(recorded)
    random_ = random.Random(7)  # noqa: S311 - a test that repeats
    archive = FolderDestination(tmp_path / "archive")
    exporter = Exporter(clinic.catalogue, ("sr",))
    refused = 0
    while len(truth.log) < 200:
        kind = random_.choices(["reassign", "merge", "withdraw", "revert"], [8, 3, 0.4, 6])[0]
        subject, target = random_.choice(sorted(recorded)), random_.choice(patients)
        if kind == "merge":
            subject = random_.choice(patients)
        if kind == "revert":
            subject, target = str(random_.randint(1, 1 + len(truth.log))), ""
        try:
            clinic.catalogue.correct("a", kind, "clinic-a", subject, target, "of the test")
        except GatewayError:
            refused += 1
            continue
        truth.log.append((kind, subject, target))
        if len(truth.log) % 100 == 0:
            exporter.export(archive)
    assert refused > 0
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


def test_originals_are_kept_and_the_log_cannot_be_bent(folder: Folder, opened: Open) -> None:
    record = folder.record("p-1", 1)
    capture = folder.add(record)
    clinic = opened()
    clinic.catalogue.correct("a", "reassign", "clinic-a", record["session_id"], "p-2", "wrong tag")
    entry = clinic.catalogue.entry(capture)
    assert entry is not None
    assert (entry.patient_ref, entry.record.patient_ref, entry.is_reassigned) == ("p-2", "p-1", True)
    assert "Assigned to this patient by a correction" in clinic.client().get(f"/capture/{capture}").text
    with pytest.raises(Exception, match="append-only"):
        clinic.catalogue.ledger.connection.execute("DELETE FROM correction")


def test_a_withdrawn_session_is_gone_and_stays_so(folder: Folder, opened: Open) -> None:
    record = folder.record("p-1", 1)
    capture = folder.add(record)
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
def test_corrections_that_make_no_sense(folder: Folder, opened: Open, kind: str, subject: str, target: str, words: str) -> None:
    folder.add(folder.record("p-1", 1))
    with pytest.raises(GatewayError, match=words):
        opened().catalogue.correct("a", kind, "clinic-a", subject, target, "r")


def test_merges_do_not_run_in_a_circle() -> None:
    log = [Correction(1, "merge", "s", "a", "b"), Correction(2, "merge", "s", "b", "c"), Correction(3, "merge", "s", "c", "a")]
    assert len({Standing(log).merged("s", ref) for ref in "abc"}) == 1
    assert Standing(log).merged("other-site", "a") == "a"


def test_corrections_of_a_device_are_followed_once(folder: Folder, opened: Open) -> None:
    record = folder.record("p-1", 1)
    capture = folder.add(record)
    content = {"schema": "thermograph.correction.v1", "kind": "reassign", "subject": record["session_id"], "target": "p-2",
               "reason": "wrong tag"}  # fmt: skip
    folder.event("box-1", content)
    folder.event("box-2", {**content, "target": "../x"})
    clinic = opened()
    assert [clinic.catalogue.take_device_corrections() for _ in range(2)] == [1, 0]
    entry = clinic.catalogue.entry(capture)
    assert entry is not None
    assert entry.patient_ref == "p-2"
    page = clinic.client("boss").get("/audit").text
    assert page.count("device correction refused") == 1
    assert "event-box-2" in page


def test_fhir_takes_back_what_was_wrong(folder: Folder, opened: Open, tmp_path: Path) -> None:
    record = folder.record("p-1", 1)
    folder.add(record)
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


def test_a_tags_new_pseudonym_keeps_its_history(folder: Folder, opened: Open) -> None:
    folder.add(folder.record("old-name", 1))
    folder.add(
        folder.record("new-name", 2, schema="thermograph.capture.v2", patient_ref_version=2, former_patient_ref="old-name")
    )
    folder.add(folder.record("third", 3, schema="thermograph.capture.v2", former_patient_ref="<script>"))
    catalogue = opened().catalogue
    assert [e.record.patient_ref for e in catalogue.patient("clinic-a", "new-name")] == ["old-name", "new-name"]
    assert catalogue.patient("clinic-a", "old-name") == []
    catalogue.correct("a", "revert", "clinic-a", "1", "", "another person")
    assert len(catalogue.patient("clinic-a", "old-name")) == 1
