"""The model's result as a TID 1500 structured report, and rejection notes, by highdicom."""

from __future__ import annotations

from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    ComprehensiveSR,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    TextContentItem,
    TrackingIdentifier,
)
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.uid import UID, ComprehensiveSRStorage, KeyObjectSelectionDocumentStorage

from . import INTENDED_USE
from .dicom import SCHEME, Identity, Instance, base, captured, write
from .record import number, section

_NO_UNITS = CodedConcept("1", "UCUM", "no units")
_CELSIUS = CodedConcept("Cel", "UCUM", "degrees Celsius")
_KELVIN_DIFFERENCE = CodedConcept("K", "UCUM", "kelvin")
WRONG_PATIENT = CodedConcept("113037", "DCM", "Rejected for Patient Safety Reasons")
WITHDRAWN = CodedConcept("113039", "DCM", "Data Retention Policy Expired")
_OUTCOMES = {
    "below-threshold": "score below the lower threshold",
    "above-threshold": "score above the upper threshold",
    "uncertain": "uncertain: the model abstains",
    "not-assessable": "not assessable",
}


def _local(value: str, meaning: str) -> CodedConcept:
    return CodedConcept(value, SCHEME, meaning)


def structured_report(identity: Identity, radiometric: Instance) -> Instance:
    """Algorithm, version, thresholds, score, measured difference and reasons of one capture, with its master."""
    record = identity.entry.record
    image = dcmread(DicomBytesIO(radiometric.data))
    verdict = record.verdict
    evaluations = [
        QualitativeEvaluation(
            name=_local("outcome", "Outcome of the model"),
            value=CodedConcept("373068000", "SCT", "Undetermined")
            if record.outcome == "uncertain"
            else _local(record.outcome, _OUTCOMES[record.outcome]),
        )
    ]
    measurements: list[Measurement] = []
    score = number(verdict.get("score"))
    if score is not None:
        measurements.append(Measurement(_local("score", "Score of the model"), round(score, 6), _NO_UNITS))
    if record.left_right is not None:
        measurements.append(
            Measurement(_local("left-right", "Left minus right"), round(record.left_right[0], 6), _KELVIN_DIFFERENCE)
        )
    thresholds = section(verdict, "thresholds")
    model = str(verdict.get("model_id") or "none")[:64]
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(identity.uid("tracking", record.capture_id), record.capture_id),
        algorithm_id=AlgorithmIdentification(
            name=model,
            version=str(verdict.get("model_sha256") or record.versions.get("model_sha256") or "none")[:64],
            family=_local("int8-network", "Network of 8-bit integers"),
            parameters=[f"threshold {name} {thresholds[name]}" for name in ("lower", "upper") if name in thresholds] or None,
        ),
        measurements=measurements or None,
        qualitative_evaluations=evaluations,
        finding_sites=[FindingSite(CodedConcept("76752008", "SCT", "Breast structure"))],
        source_images=[SourceImageForMeasurementGroup.from_source_image(image)],
    )
    reasons = verdict.get("reasons")
    for reason in [*(reasons if isinstance(reasons, list) else []), INTENDED_USE]:
        group[0].ContentSequence.append(
            TextContentItem(
                name=_local(
                    "reason" if reason != INTENDED_USE else "use", "Reason" if reason != INTENDED_USE else "Intended use"
                ),
                value=str(reason)[:1024],
                relationship_type=RelationshipTypeValues.CONTAINS,
            )
        )
    report = MeasurementReport(
        observation_context=ObservationContext(
            observer_device_context=ObserverContext(
                observer_type=CodedConcept("121007", "DCM", "Device"),
                observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
                    uid=identity.uid("device", f"{record.site}/{record.device}"), name=f"{record.site}/{record.device}"
                ),
            )
        ),
        procedure_reported=_local("thermography", "Thermography, research use only"),
        imaging_measurements=[group],
        title=CodedConcept("126000", "DCM", "Imaging Measurement Report"),
    )
    document = ComprehensiveSR(
        evidence=[image],
        content=report[0],
        series_instance_uid=identity.series("structured-report"),
        series_number=5,
        sop_instance_uid=identity.instance("structured-report"),
        instance_number=1,
        manufacturer="Thermograph",
        is_complete=True,
        is_final=False,
        is_verified=False,
    )
    return _written(identity, document, "structured-report", ComprehensiveSRStorage, "SR")


def rejection(identity: Identity, instances: list[Dataset], withdrawn: bool) -> Instance:
    """A note that tells an archive to reject what it got of a capture before a correction (IHE IOCM)."""
    content = KeyObjectSelection(
        document_title=WITHDRAWN if withdrawn else WRONG_PATIENT,
        referenced_objects=instances,
        description="The session was withdrawn." if withdrawn else "The capture belongs to another patient.",
    )
    document = KeyObjectSelectionDocument(
        evidence=instances,
        content=content,
        series_instance_uid=identity.series("rejection"),
        series_number=6,
        sop_instance_uid=identity.instance("rejection"),
        instance_number=1,
        manufacturer="Thermograph",
    )
    return _written(identity, document, "rejection", KeyObjectSelectionDocumentStorage, "KO")


def reference(identity: Identity, class_uid: str, uid: str, kind: str) -> Dataset:
    """What a rejection note needs to know of an instance that was exported before."""
    dataset = base(identity, kind, UID(class_uid), "TG")
    dataset.SOPInstanceUID = uid
    if "1.5.1.4.1.1.7" in class_uid:
        dataset.Rows = dataset.Columns = 1
    return dataset


def _written(identity: Identity, document: Dataset, kind: str, class_uid: UID, modality: str) -> Instance:
    """The document with patient, study and times of our own: nothing of the time of writing stays in it."""
    at = captured(identity.entry.record)
    frame = base(identity, kind, class_uid, modality)
    for element in frame:
        if element.keyword not in ("SeriesNumber", "InstanceNumber", "Modality"):
            document[element.tag] = element
    for keyword in ("InstanceCreationDate", "InstanceCreationTime", "SeriesDate", "SeriesTime", "StudyTime"):
        if keyword in document and keyword != "StudyTime":
            delattr(document, keyword)
    _pin_times(document, at.strftime("%Y%m%d%H%M%S"))
    plain = Dataset()
    for element in document:
        plain[element.tag] = element
    return write(plain, kind)


def _pin_times(dataset: Dataset, stamp: str) -> None:
    for element in dataset:
        if element.keyword in ("ObservationDateTime", "VerificationDateTime", "ContributionDateTime"):
            element.value = stamp
        if element.VR == "SQ":
            for item in element.value:
                _pin_times(item, stamp)
