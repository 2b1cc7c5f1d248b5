"""A capture as a FHIR R4 transaction bundle, validated with fhir.resources (its R4B models; HL7's validator is another)."""

from __future__ import annotations

import base64
import json
import uuid
from typing import Any

from fhir.resources.R4B.bundle import Bundle

from . import HEALTHY_LEFT_RIGHT, INTENDED_USE, __version__
from .catalogue import Entry
from .dicom import SCHEME, captured
from .record import Record
from .wording import verdict_words

_NAMESPACE = uuid.UUID("0f3b5a0e-6a55-4d5f-8f0e-0f5ba2b35d61")
SYSTEM = "urn:thermograph"


def bundle(entry: Entry, master_png: bytes | None, link: str = "") -> bytes:
    """The bundle of one capture; the same capture gives the same bytes.

    `master_png` goes in as content; without it `link` says where the image is. A withdrawn or reassigned capture is
    `entered-in-error` in what was said of it before: see `corrected`.
    """
    return _encoded(_bundle(entry, entry.patient_ref, master_png, link, retracted=False))


def corrected(entry: Entry, said_of: str) -> bytes:
    """The bundle that takes back what was exported of this capture for patient `said_of`."""
    return _encoded(_bundle(entry, said_of, None, "", retracted=True))


def _encoded(value: dict[str, Any]) -> bytes:
    # Validation raises for whatever the models do not know; the bytes are ours, so that they stay the same.
    Bundle.model_validate(value)
    return (json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n").encode()


def _identifier(kind: str, key: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, f"{kind}|{key}"))


def _put(kind: str, key: str, resource: dict[str, Any]) -> dict[str, Any]:
    """An entry that creates or replaces its resource: sent twice, it changes nothing."""
    identifier = _identifier(kind, key)
    return {
        "fullUrl": f"urn:uuid:{identifier}",
        "resource": {"resourceType": kind, "id": identifier, **resource},
        "request": {"method": "PUT", "url": f"{kind}/{identifier}"},
    }


def _concept(value: str, text: str) -> dict[str, Any]:
    return {"coding": [{"system": f"{SYSTEM}:{SCHEME.lower()}", "code": value, "display": text}], "text": text}


def _bundle(entry: Entry, ref: str, master_png: bytes | None, link: str, retracted: bool) -> dict[str, Any]:
    record = entry.record
    at = captured(record).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    patient_key, device_key = f"{record.site}/{ref}", f"{record.site}/{record.device}"
    # What was said of another patient is another set of resources.
    key = f"{record.capture_id}|{ref}"
    patient = {"reference": f"urn:uuid:{_identifier('Patient', patient_key)}"}
    device = {"reference": f"urn:uuid:{_identifier('Device', device_key)}"}
    status = "entered-in-error" if retracted else "preliminary"
    content: dict[str, Any] = {"contentType": "image/png", "title": f"{record.view} master, centikelvin"}
    if master_png is not None:
        content["data"] = base64.b64encode(master_png).decode()
    elif link:
        content["url"] = f"{link.rstrip('/')}/capture/{record.capture_id}"
    master = record.image("master")
    if master is not None and master_png is not None:
        content["size"] = len(master_png)
    entries = [
        _put("Patient", patient_key, {"identifier": [{"system": f"{SYSTEM}:patient:{record.site}", "value": ref}]}),
        _put(
            "Device",
            device_key,
            {
                "identifier": [{"system": f"{SYSTEM}:device", "value": device_key}],
                "manufacturer": "Thermograph",
                "version": [{"value": str(record.versions.get("firmware", "unknown"))[:64] or "unknown"}],
            },
        ),
        _put(
            "Media",
            key,
            {
                "status": "entered-in-error" if retracted else "completed",
                "identifier": [{"system": f"{SYSTEM}:capture", "value": record.capture_id}],
                "subject": patient,
                "device": device,
                "createdDateTime": at,
                "bodySite": {
                    "coding": [{"system": "http://snomed.info/sct", "code": "76752008", "display": "Breast structure"}]
                },
                "view": _concept(record.view, record.view),
                "content": content,
            },
        ),
    ]
    results = []
    if record.left_right is not None:
        value, error = record.left_right
        results.append({"reference": f"urn:uuid:{_identifier('Observation', key)}"})
        entries.append(
            _put(
                "Observation",
                key,
                {
                    "status": status,
                    "code": _concept("left-right", "Left minus right skin temperature"),
                    "subject": patient,
                    "device": device,
                    "effectiveDateTime": at,
                    "valueQuantity": {
                        "value": round(value, 4),
                        "unit": "K",
                        "system": "http://unitsofmeasure.org",
                        "code": "K",
                    },
                    "note": [{"text": f"standard error {error:.3f} K {HEALTHY_LEFT_RIGHT}; {INTENDED_USE}"}],
                },
            )
        )
    entries.append(_report(record, key, patient, at, status, results))
    entries.append(
        _put(
            "Provenance",
            key,
            {
                "target": [{"reference": f"urn:uuid:{_identifier('DiagnosticReport', key)}"}],
                "recorded": at,
                "agent": [{"who": device}],
                "entity": [
                    {
                        "role": "source",
                        "what": {
                            "identifier": {"system": f"{SYSTEM}:record-sha256", "value": record.sha256},
                            "display": f"{record.schema}, read by thermograph-gateway {__version__}",
                        },
                    }
                ],
            },
        )
    )
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def _report(
    record: Record, key: str, patient: dict[str, str], at: str, status: str, results: list[dict[str, str]]
) -> dict[str, Any]:
    resource: dict[str, Any] = {
        "status": status,
        "code": _concept("thermography", "Thermography, research use only"),
        "subject": patient,
        "effectiveDateTime": at,
        "media": [{"link": {"reference": f"urn:uuid:{_identifier('Media', key)}"}}],
        "conclusion": INTENDED_USE if status == "entered-in-error" else " ".join(verdict_words(record)),
    }
    if results:
        resource["result"] = results
    return _put("DiagnosticReport", key, resource)
