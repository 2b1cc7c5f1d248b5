"""DICOM as archives and other people's validators see it."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image as Pillow

from tests.conftest import Clinic
from tests.folders import Store, change_png, with_change
from thermograph_gateway.catalogue import Catalogue
from thermograph_gateway.destinations import FolderDestination
from thermograph_gateway.dicom import MARGIN_PIXELS, Identity, Instance
from thermograph_gateway.errors import GatewayError
from thermograph_gateway.export import Exporter

LOCAL_CODE = "Unrecognized defined term = <99TGRAPH>"


@pytest.fixture
def catalogue(received: Store, tmp_path: Path) -> Catalogue:
    return received.open(tmp_path / "state")


def instances(catalogue: Catalogue) -> list[Instance]:
    exporter = Exporter(catalogue)
    return [i for _, entry in catalogue.all() for i in exporter.instances(Identity(entry))]


def parsed(made: list[Instance], kind: str) -> pydicom.Dataset:
    return pydicom.dcmread(io.BytesIO(next(i.data for i in made if i.kind == kind)))


def test_dciodvfy_finds_nothing(catalogue: Catalogue, tmp_path: Path) -> None:
    validator = shutil.which("dciodvfy")
    assert validator, "install the Debian package dicom3tools"
    entry = catalogue.all()[0][1]
    folder = FolderDestination(tmp_path / "out")
    Exporter(catalogue).export(folder)
    catalogue.correct("a", "reassign", "clinic-a", entry.record.session_id, "somebody-else", "wrong tag")
    Exporter(catalogue).export(folder)
    kinds: set[str] = set()
    for path in (tmp_path / "out").glob("*.dcm"):
        answer = subprocess.run([validator, "-new", str(path)], capture_output=True, text=True, check=False)
        lines = [line for line in (answer.stdout + answer.stderr).splitlines() if line.startswith(("Error", "Warning"))]
        modality = str(pydicom.dcmread(path, stop_before_pixels=True).Modality)
        kinds.add(modality)
        if modality == "SR":
            lines = [line for line in lines if LOCAL_CODE not in line]
        assert lines == [], f"{modality}: {lines}"
    assert kinds == {"TG", "DOC", "SR", "KO"}


def test_the_same_capture_gives_the_same_bytes(
    catalogue: Catalogue, received: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = instances(catalogue)
    # Another ledger, another day, another machine.
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    subprocess.run(["sleep", "1.1"], check=True)  # the shortest step that a DICOM time without fraction sees
    again = instances(received.open(tmp_path / "other"))
    assert [(i.uid, i.sha256) for i in first] == [(i.uid, i.sha256) for i in again]
    assert len({i.uid for i in first}) == len(first)
    assert all(i.uid.startswith("2.25.") and len(i.uid) <= 64 for i in first)


def test_radiometric_values_are_the_masters(catalogue: Catalogue) -> None:
    entry = catalogue.all()[0][1]
    image = parsed(instances(catalogue), "radiometric")
    celsius = image.pixel_array * float(image.RescaleSlope) + float(image.RescaleIntercept)
    master = catalogue.master(entry.record)
    for row, column in ((0, 0), (10, 16), (23, 31)):
        assert celsius[row, column] == pytest.approx(master.celsius(row, column), abs=1e-6)
    mapping = image.RealWorldValueMappingSequence[0]
    assert mapping.RealWorldValueSlope == 0.01
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "Cel"
    assert (float(image.WindowCenter), float(image.WindowWidth)) == (32, 10)
    assert image.Modality == "TG"
    assert len({image.StudyInstanceUID, image.SeriesInstanceUID, image.SOPInstanceUID}) == 3


def test_view_has_margins_for_a_viewers_text(catalogue: Catalogue) -> None:
    pixels = parsed(instances(catalogue), "view").pixel_array
    assert MARGIN_PIXELS == 60
    for edge in (pixels[:60], pixels[-60:], pixels[:, :60], pixels[:, -60:]):
        assert not np.any(edge)
    assert np.any(pixels[60:-60, 60:-60])


def test_a_difference_picture_is_exported_and_valid(store: Store, opened: Callable[[], Clinic], tmp_path: Path) -> None:
    validator = shutil.which("dciodvfy")
    assert validator, "install the Debian package dicom3tools"
    record = store.record("patient-1", 2)
    store.add(record, with_change(store, record))
    catalogue = opened().catalogue
    made = Exporter(catalogue).instances(Identity(catalogue.all()[0][1]))
    assert [i.kind for i in made] == ["radiometric", "view", "change", "nearest", "structured-report", "report"]
    image = parsed(made, "change")
    assert image.SeriesDescription == "Change against earlier sessions, by the device"
    expected = np.asarray(Pillow.open(io.BytesIO(change_png())))
    assert np.array_equal(image.pixel_array[MARGIN_PIXELS:-MARGIN_PIXELS, MARGIN_PIXELS:-MARGIN_PIXELS], expected)
    path = tmp_path / "change.dcm"
    path.write_bytes(next(i.data for i in made if i.kind == "change"))
    answer = subprocess.run([validator, "-new", str(path)], capture_output=True, text=True, check=False)
    assert [line for line in (answer.stdout + answer.stderr).splitlines() if line.startswith(("Error", "Warning"))] == []


def test_nearest_neighbour_shows_no_invented_colour(catalogue: Catalogue) -> None:
    made = instances(catalogue)
    pixels = parsed(made, "nearest").pixel_array
    blocks = pixels.reshape(24, 10, 32, 10, 3)
    assert np.all(blocks == blocks[:, :1, :, :1])


def test_structured_report_says_what_the_record_says(catalogue: Catalogue) -> None:
    entry = catalogue.all()[0][1]
    document = str(parsed(instances(catalogue), "structured-report"))
    assert "'126000'" in document
    assert "'screening-fold'" in document
    values: list[str] = []

    def walk(dataset: pydicom.Dataset) -> None:
        for element in dataset:
            if element.keyword == "TextValue":
                values.append(str(element.value))
            if element.VR == "SQ":
                for item in element.value:
                    walk(item)

    walk(parsed(instances(catalogue), "structured-report"))
    for reason in entry.record.verdict["reasons"]:
        assert reason in values
    assert "research use only, not a diagnosis, does not replace mammography" in values
    assert entry.record.verdict["model_sha256"] in values


def test_an_archive_that_holds_other_bytes_is_not_overwritten(catalogue: Catalogue, tmp_path: Path) -> None:
    folder = FolderDestination(tmp_path / "out")
    Exporter(catalogue).export(folder)
    path = next((tmp_path / "out").glob("*.dcm"))
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(GatewayError, match="other bytes"):
        Exporter(catalogue).export(folder)


def test_a_second_export_stores_nothing(catalogue: Catalogue, tmp_path: Path) -> None:
    folder = FolderDestination(tmp_path / "out")
    assert Exporter(catalogue).export(folder).states == {"Stored": 20}
    assert Exporter(catalogue).export(folder).states == {"AlreadyStored": 20}


def test_a_reassigned_capture_is_rejected_once_and_sent_under_new_uids(catalogue: Catalogue, tmp_path: Path) -> None:
    entry = catalogue.all()[0][1]
    folder = FolderDestination(tmp_path / "out")
    Exporter(catalogue).export(folder)
    number = catalogue.correct("a", "reassign", "clinic-a", entry.record.session_id, "somebody-else", "wrong tag")
    assert Exporter(catalogue).export(folder).states == {"Rejected": 2, "Stored": 10, "AlreadyStored": 10}
    catalogue.correct("a", "revert", "clinic-a", str(number), "", "it was right")
    # Back again: what was rejected stays rejected, so these get new UIDs too.
    assert Exporter(catalogue).export(folder).states == {"Rejected": 2, "Stored": 10, "AlreadyStored": 10}
    assert Exporter(catalogue).export(folder).states == {"AlreadyStored": 20}
    notes = [d for p in (tmp_path / "out").glob("*.dcm") if (d := pydicom.dcmread(p)).Modality == "KO"]
    assert len(notes) == 4
    assert {n.ConceptNameCodeSequence[0].CodeValue for n in notes} == {"113037"}
    referenced = [
        i.ReferencedSOPInstanceUID
        for n in notes
        for study in n.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for i in series.ReferencedSOPSequence
    ]
    assert len(referenced) == len(set(referenced)) == 20


def test_a_withdrawn_capture_is_rejected_and_never_sent_again(catalogue: Catalogue, tmp_path: Path) -> None:
    entry = catalogue.all()[0][1]
    folder = FolderDestination(tmp_path / "out")
    Exporter(catalogue).export(folder)
    catalogue.correct("a", "withdraw", "clinic-a", entry.record.session_id, "", "consent taken back")
    assert Exporter(catalogue).export(folder).states == {"Rejected": 2, "AlreadyStored": 10}
    assert Exporter(catalogue).export(folder).states == {"AlreadyStored": 10}
