"""The capture record of a device (Docs/schemas): read once at the border, with limits; unknown members are kept."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import RecordRefused

RECORD_BYTES_MAXIMUM = 1 << 20
IMAGES_MAXIMUM = 64
GATES_MAXIMUM = 64
DEPTH_MAXIMUM = 16
TEXT_CHARACTERS_MAXIMUM = 4096
SCHEMAS = ("thermograph.capture.v1", "thermograph.capture.v2")
VIEWS = ("frontal", "left-oblique", "right-oblique", "left-lateral", "right-lateral")
OUTCOMES = ("below-threshold", "above-threshold", "uncertain", "not-assessable")

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_PLACE = re.compile(r"[a-z0-9-]{1,36}")
_REFERENCE = re.compile(r"[a-z0-9-]{1,64}")
_IMAGE = re.compile(r"[a-z0-9-]{1,32}\.png")
# JSON can write half a character of UTF-16, which no database and no page takes.
_HALF = re.compile("[\ud800-\udfff]")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# Years 1677 to 2262: what 64 bits can say, in a database as in the record.
_NANOSECONDS = range(-(1 << 63), 1 << 63)

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Image:
    """One image of a capture, as its record names it."""

    name: str
    kind: str
    bytes: int
    sha256: str
    label: str


@dataclass(frozen=True)
class Gate:
    """One quality gate's result."""

    code: str
    value: float
    limit: float
    unit: str
    severity: str
    passed: bool
    sentence: str


@dataclass(frozen=True)
class Record:
    """A record that holds what the gateway relies on. `json` has everything, unknown members included."""

    json: Json
    sha256: str
    schema: str
    capture_id: str
    session_id: str
    outbox_id: str
    sequence: int
    site: str
    device: str
    patient_ref: str
    view: str
    utc_nanoseconds: int
    synchronised: bool
    images: tuple[Image, ...]
    gates: tuple[Gate, ...]

    @property
    def acquisition(self) -> Json:
        return section(self.json, "acquisition")

    @property
    def verdict(self) -> Json:
        return section(self.json, "verdict")

    @property
    def versions(self) -> Json:
        return section(self.json, "versions")

    @property
    def outcome(self) -> str:
        return str(self.verdict["outcome"])

    @property
    def failed_gates(self) -> tuple[Gate, ...]:
        return tuple(gate for gate in self.gates if not gate.passed)

    @property
    def consents_to_research(self) -> bool:
        consent = self.json.get("consent")
        return isinstance(consent, list) and "research" in consent

    @property
    def mirrored(self) -> bool | None:
        """Whether the picture's left is the patient's left; None when the record does not say (version 1)."""
        for holder in (section(self.json, "geometry"), section(self.acquisition, "geometry"), self.acquisition):
            value = holder.get("mirrored")
            if isinstance(value, bool):
                return value
        return None

    @property
    def left_right(self) -> tuple[float, float] | None:
        """Left minus right in degC with its standard error, as the device measured it."""
        holder = section(self.verdict, "left_right_difference")
        value, error = number(holder.get("celsius")), number(holder.get("standard_error_celsius"))
        return None if value is None or error is None else (value, error)

    @property
    def changes(self) -> tuple[tuple[str, float, bool], ...]:
        """Region, change since the person's baseline in degC, and whether it was unusual: from the record."""
        regions = section(self.verdict, "change_since_baseline").get("regions")
        found: list[tuple[str, float, bool]] = []
        for item in regions if isinstance(regions, list) else []:
            if not isinstance(item, dict):
                continue
            value = number(item.get("change_celsius"))
            if value is not None:
                found.append((str(item.get("name", "")), value, item.get("unusual") is True))
        return tuple(found[:6])

    @property
    def population(self) -> str | None:
        """For whom the calibrated probability holds; None when the record does not say."""
        holder = section(self.verdict, "probability_population")
        words, prevalence = holder.get("description"), number(holder.get("prevalence"))
        if not isinstance(words, str) or not words or prevalence is None:
            return None
        return f"{words} (prevalence {prevalence:.1%})"

    @property
    def former_ref(self) -> str | None:
        """What the same tag was called under the pseudonyms' version before; told once."""
        value = self.json.get("former_patient_ref")
        return value if isinstance(value, str) and _REFERENCE.fullmatch(value) else None

    @property
    def change_words(self) -> str | None:
        """What the device says of change against the patient's own earlier sessions; None when it says nothing."""
        holder = section(self.json, "change")
        if not holder:
            return None
        words = str(holder.get("state", ""))[:32].replace("-", " ")
        least = number(holder.get("minimum_detectable_celsius"))
        sessions = number(holder.get("sessions"))
        return (
            f"Change against earlier sessions, by the device: {words}"
            + ("" if sessions is None else f"; {sessions:.0f} sessions")
            + ("" if least is None else f"; from {least:.1f} degC on it can be told")
            + ". No diagnosis."
        )

    @property
    def sentinel_state(self) -> str | None:
        """What the device thought of itself; None when it says nothing."""
        value = section(self.json, "sentinel").get("state")
        return value[:32] if isinstance(value, str) else None

    def image(self, kind: str) -> Image | None:
        return next((image for image in self.images if image.kind == kind), None)


def section(holder: Json, name: str) -> Json:
    """An object's member that is an object; empty when it is none."""
    value = holder.get(name)
    return value if isinstance(value, dict) else {}


def number(value: object) -> float | None:
    """A finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        converted = float(value)
    except OverflowError:
        return None
    return converted if math.isfinite(converted) else None


def parse_json(
    raw: bytes, bytes_maximum: int = RECORD_BYTES_MAXIMUM, text_maximum: int = TEXT_CHARACTERS_MAXIMUM
) -> dict[str, Any]:
    """Strict JSON object: bounded, no member twice, no NaN, bounded depth and text. Raises RecordRefused."""
    if len(raw) > bytes_maximum:
        raise RecordRefused(f"{len(raw)} bytes; expected at most {bytes_maximum}")
    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except RecordRefused:
        raise
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise RecordRefused(f"no JSON ({type(error).__name__})") from error
    if not isinstance(value, dict):
        raise RecordRefused("no JSON object")
    _check_size(value, 0, text_maximum)
    return value


def parse_record(raw: bytes) -> Record:
    """Reads a record of version 1 or 2 and checks what the gateway relies on. Raises RecordRefused."""
    value = parse_json(raw)
    schema = value.get("schema")
    if schema not in SCHEMAS:
        shown = str(schema)[:64]
        raise RecordRefused(f"schema '{shown}'; this gateway reads {' and '.join(SCHEMAS)}: update the gateway")
    at = section(value, "redated_at") or section(value, "captured_at")
    utc = at.get("utc_nanoseconds")
    if isinstance(utc, bool) or not isinstance(utc, int) or utc not in _NANOSECONDS:
        raise RecordRefused("captured_at has no usable utc_nanoseconds")
    outcome = section(value, "verdict").get("outcome")
    if outcome not in OUTCOMES:
        raise RecordRefused(f"verdict.outcome '{str(outcome)[:64]}'; expected one of {', '.join(OUTCOMES)}")
    if value.get("view") not in VIEWS:
        raise RecordRefused(f"view '{str(value.get('view'))[:64]}'; expected one of {', '.join(VIEWS)}")
    sequence = value.get("sequence")
    if isinstance(sequence, bool) or not isinstance(sequence, int) or not 1 <= sequence < 1 << 63:
        raise RecordRefused("sequence is no number from 1 on")
    return Record(
        json=value,
        sha256=hashlib.sha256(raw).hexdigest(),
        schema=schema,
        capture_id=_text(value, "capture_id", _UUID),
        session_id=_text(value, "session_id", _UUID),
        outbox_id=_text(value, "outbox_id", _UUID),
        sequence=sequence,
        site=_text(value, "site", _PLACE),
        device=_text(value, "device", _PLACE),
        patient_ref=_text(value, "patient_ref", _REFERENCE),
        view=value["view"],
        utc_nanoseconds=utc,
        synchronised=at.get("synchronised") is True,
        images=_images(value.get("images")),
        gates=_gates(value.get("gates")),
    )


def _images(listed: object) -> tuple[Image, ...]:
    if not isinstance(listed, list) or len(listed) > IMAGES_MAXIMUM:
        raise RecordRefused(f"images is no list of at most {IMAGES_MAXIMUM}")
    found: list[Image] = []
    for item in listed:
        if not isinstance(item, dict):
            raise RecordRefused("an image is no object")
        size = item.get("bytes")
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise RecordRefused("an image's bytes is no number from 1 on")
        found.append(
            Image(
                name=_text(item, "name", _IMAGE),
                kind=str(item.get("kind", ""))[:64],
                bytes=size,
                sha256=_text(item, "sha256", _SHA256),
                label=str(item.get("label", ""))[:256],
            )
        )
    if len({image.name for image in found}) != len(found):
        raise RecordRefused("two images have the same name")
    return tuple(found)


def _gates(listed: object) -> tuple[Gate, ...]:
    if not isinstance(listed, list) or len(listed) > GATES_MAXIMUM:
        raise RecordRefused(f"gates is no list of at most {GATES_MAXIMUM}")
    found: list[Gate] = []
    for item in listed:
        if not isinstance(item, dict) or not isinstance(item.get("passed"), bool):
            raise RecordRefused("a gate is no object with 'passed'")
        value, limit = number(item.get("value")), number(item.get("limit"))
        if value is None or limit is None:
            raise RecordRefused("a gate has no finite value and limit")
        found.append(
            Gate(
                code=str(item.get("code", "")),
                value=value,
                limit=limit,
                unit=str(item.get("unit", "")),
                severity=str(item.get("severity", "")),
                passed=item["passed"],
                sentence=str(item.get("sentence", "")),
            )
        )
    return tuple(found)


def _text(holder: Json, name: str, form: re.Pattern[str]) -> str:
    value = holder.get(name)
    if not isinstance(value, str) or form.fullmatch(value) is None:
        raise RecordRefused(f"{name} '{str(value)[:64]}' has not the form {form.pattern}")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise RecordRefused("a member stands twice in one object")
    return found


def _no_constant(text: str) -> Any:
    raise RecordRefused(f"{text} is no JSON number")


def _check_size(value: Any, depth: int, text_maximum: int) -> None:
    if depth > DEPTH_MAXIMUM:
        raise RecordRefused(f"nested deeper than {DEPTH_MAXIMUM}")
    if isinstance(value, str):
        if len(value) > text_maximum:
            raise RecordRefused(f"a text of {len(value)} characters; expected at most {text_maximum}")
        if _HALF.search(value):
            raise RecordRefused("a text holds half a character (a lone surrogate)")
    if isinstance(value, dict):
        for key, item in value.items():
            _check_size(key, depth + 1, text_maximum)
            _check_size(item, depth + 1, text_maximum)
    elif isinstance(value, list):
        for item in value:
            _check_size(item, depth + 1, text_maximum)
