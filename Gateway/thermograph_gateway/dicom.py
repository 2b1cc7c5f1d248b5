"""A capture as DICOM: the same capture always gives the same bytes, because archives refuse one UID with two contents.

No SOP class exists for thermography: images are Secondary Captures of modality TG. Codes are standard ones or, where
none fits, private ones of scheme 99TGRAPH.
"""

from __future__ import annotations

import hashlib
import io
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence
from pydicom.uid import UID, EncapsulatedPDFStorage, ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from . import INTENDED_USE
from .catalogue import Entry
from .images import Master, Window, false_colours
from .record import VIEWS, Record

SCHEME = "99TGRAPH"
MARGIN_PIXELS = 60
ENLARGEMENT = 10
_NAMESPACE = uuid.UUID("6f0f0cf2-7a1d-4b7c-9f52-1f8a1d5b7e11")
IMPLEMENTATION = UID(f"2.25.{uuid.uuid5(_NAMESPACE, 'implementation 1').int}")
_SERIES = {"radiometric": 1, "view": 2, "nearest": 3, "report": 4, "structured-report": 5, "rejection": 6, "change": 7}
_DESCRIPTIONS = {
    "radiometric": "Radiometric master",
    "view": "False colours, as the device drew them",
    "nearest": "False colours, nearest neighbour",
    "report": "Report",
    "change": "Change against earlier sessions, by the device",
    "structured-report": "Model result, research use",
}


@dataclass(frozen=True)
class Instance:
    """One DICOM file."""

    kind: str
    class_uid: str
    uid: str
    data: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True)
class Identity:
    """To whom an export says a capture belongs. `generation` counts how often an earlier export was rejected."""

    entry: Entry
    generation: int = 0

    def uid(self, what: str, key: str) -> UID:
        """`2.25.` and a number made from the identifiers; another one after a correction, for other bytes."""
        # The recorded patient in the first generation is not part of it: the UID follows from the capture alone.
        now = "" if self.generation == 0 and not self.entry.is_reassigned else f"|{self.entry.patient_ref}|{self.generation}"
        return UID(f"2.25.{uuid.uuid5(_NAMESPACE, f'{what}|{key}{now}').int}")

    def instance(self, kind: str) -> UID:
        return self.uid(kind, self.entry.capture_id)

    @property
    def study(self) -> UID:
        return self.uid("study", self.entry.record.session_id)

    def series(self, kind: str) -> UID:
        return self.uid(f"series {kind}", self.entry.record.session_id)


def captured(record: Record) -> datetime:
    """The moment of the capture, UTC; exact to the microsecond."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=record.utc_nanoseconds // 1000)


def code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue = value
    item.CodingSchemeDesignator = scheme
    item.CodeMeaning = meaning
    return item


def base(identity: Identity, kind: str, class_uid: UID, modality: str) -> Dataset:
    """Patient, study, series and equipment of an instance."""
    record = identity.entry.record
    at = captured(record)
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = class_uid
    dataset.SOPInstanceUID = identity.instance(kind)
    dataset.StudyDate = dataset.ContentDate = at.strftime("%Y%m%d")
    # To the hour: captures of one session then rarely disagree about their study.
    dataset.StudyTime = at.strftime("%H")
    dataset.ContentTime = at.strftime("%H%M%S.%f")
    dataset.TimezoneOffsetFromUTC = "+0000"
    dataset.AccessionNumber = ""
    dataset.Modality = modality
    dataset.Manufacturer = "Thermograph"
    dataset.ManufacturerModelName = str(record.acquisition.get("camera", ""))[:64]
    dataset.DeviceSerialNumber = str(record.acquisition.get("camera_serial", ""))[:64]
    dataset.SoftwareVersions = str(record.versions.get("firmware", ""))[:64]
    dataset.InstitutionName = record.site
    dataset.StationName = record.device[:16]
    dataset.ReferringPhysicianName = ""
    dataset.PatientName = f"{identity.entry.patient_ref}^"
    dataset.PatientID = identity.entry.patient_ref
    dataset.IssuerOfPatientID = record.site
    dataset.PatientBirthDate = ""
    dataset.PatientSex = ""
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = "pseudonym of the site"
    dataset.StudyInstanceUID = identity.study
    dataset.SeriesInstanceUID = identity.series(kind)
    dataset.StudyID = record.session_id[:8]
    dataset.StudyDescription = "Thermography, research use only"
    dataset.SeriesNumber = _SERIES[kind]
    dataset.SeriesDescription = _DESCRIPTIONS.get(kind, kind)
    dataset.InstanceNumber = record.sequence % 2_147_483_647
    return dataset


def _image(identity: Identity, kind: str) -> Dataset:
    record = identity.entry.record
    dataset = base(identity, kind, SecondaryCaptureImageStorage, "TG")
    at = captured(record)
    dataset.AcquisitionDateTime = at.strftime("%Y%m%d%H%M%S.%f+0000")
    dataset.ConversionType = "DI"
    dataset.BodyPartExamined = "BREAST"
    dataset.AnatomicRegionSequence = Sequence([code("76752008", "SCT", "Breast structure")])
    dataset.ImageLaterality = "B"
    dataset.PatientOrientation = ""
    dataset.ImageComments = f"{record.view}; {INTENDED_USE}"
    dataset.DerivationDescription = f"capture {record.capture_id}, view {record.view} ({VIEWS.index(record.view) + 1} of 5)"
    return dataset


def radiometric(identity: Identity, master: Master) -> Instance:
    """The master as 16-bit MONOCHROME2 in centikelvin, with rescale and real world values in degC, window 32/10."""
    dataset = _image(identity, "radiometric")
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.BurnedInAnnotation = "NO"
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    _pixels(dataset, master.rows, master.columns, 16)
    dataset.RescaleIntercept = "-273.15"
    dataset.RescaleSlope = "0.01"
    dataset.RescaleType = "US"
    dataset.WindowCenter = "32"
    dataset.WindowWidth = "10"
    mapping = Dataset()
    mapping.LUTExplanation = "temperature in degrees Celsius"
    mapping.LUTLabel = "CELSIUS"
    mapping.add_new((0x0040, 0x9216), "US", 1)
    mapping.add_new((0x0040, 0x9211), "US", 65535)
    mapping.RealWorldValueIntercept = -273.15
    mapping.RealWorldValueSlope = 0.01
    mapping.MeasurementUnitsCodeSequence = Sequence([code("Cel", "UCUM", "degrees Celsius")])
    dataset.RealWorldValueMappingSequence = Sequence([mapping])
    dataset.PixelData = master.centikelvin.astype("<u2").tobytes()
    return write(dataset, "radiometric")


def view(identity: Identity, colours: npt.NDArray[np.uint8]) -> Instance:
    """The device's own picture with margins, so that a viewer's text covers neither its scale nor its capture id."""
    return _colour(identity, "view", _framed(colours), burned_in=True)


def change(identity: Identity, colours: npt.NDArray[np.uint8]) -> Instance:
    """The device's difference picture against the patient's earlier sessions, with the same margins."""
    return _colour(identity, "change", _framed(colours), burned_in=True)


def _framed(colours: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    framed = np.zeros((colours.shape[0] + 2 * MARGIN_PIXELS, colours.shape[1] + 2 * MARGIN_PIXELS, 3), dtype=np.uint8)
    framed[MARGIN_PIXELS:-MARGIN_PIXELS, MARGIN_PIXELS:-MARGIN_PIXELS] = colours
    return framed


def nearest(identity: Identity, master: Master, window: Window | None = None) -> Instance:
    """False colours of the master, each pixel a square: what a viewer smooths shows detail that is not there."""
    colours = false_colours(master, window or Window())
    enlarged = np.repeat(np.repeat(colours, ENLARGEMENT, axis=0), ENLARGEMENT, axis=1)
    return _colour(identity, "nearest", enlarged, burned_in=False)


def _colour(identity: Identity, kind: str, pixels: npt.NDArray[np.uint8], burned_in: bool) -> Instance:
    dataset = _image(identity, kind)
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.BurnedInAnnotation = "YES" if burned_in else "NO"
    dataset.SamplesPerPixel = 3
    dataset.PhotometricInterpretation = "RGB"
    dataset.PlanarConfiguration = 0
    _pixels(dataset, pixels.shape[0], pixels.shape[1], 8)
    data = pixels.tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    return write(dataset, kind)


def _pixels(dataset: Dataset, rows: int, columns: int, bits: int) -> None:
    dataset.Rows = rows
    dataset.Columns = columns
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = 0


def encapsulated_report(identity: Identity, pdf: bytes, title: str) -> Instance:
    """The report as PDF. Its UID follows from its content: a report of later days is another document."""
    dataset = base(identity, "report", EncapsulatedPDFStorage, "DOC")
    digest = hashlib.sha256(pdf).hexdigest()
    dataset.SOPInstanceUID = identity.uid("report", f"{identity.entry.capture_id}|{digest}")
    at = captured(identity.entry.record)
    dataset.AcquisitionDateTime = at.strftime("%Y%m%d%H%M%S.%f+0000")
    dataset.ConversionType = "WSD"
    dataset.BurnedInAnnotation = "YES"
    dataset.DocumentTitle = title
    dataset.ConceptNameCodeSequence = Sequence([])  # no standard code says what this is
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    dataset.EncapsulatedDocumentLength = len(pdf)
    dataset.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    return write(dataset, "report")


def write(dataset: Dataset, kind: str) -> Instance:
    """The file's bytes; nothing of the time or the machine of writing goes in."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = IMPLEMENTATION
    meta.ImplementationVersionName = "THERMOGRAPH_1"
    dataset.file_meta = meta
    stream = io.BytesIO()
    dcmwrite(stream, dataset, enforce_file_format=True)
    return Instance(kind, str(dataset.SOPClassUID), str(dataset.SOPInstanceUID), stream.getvalue())
