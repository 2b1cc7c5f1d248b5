"""What a reader must know before comparing captures: conditions that differ, gates that failed, clocks that were not set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from .catalogue import Entry
from .record import Record, number

AMBIENT_TOLERANCE_CELSIUS = 1.0
VIEW_WORDS = {
    "frontal": "frontal",
    "left-oblique": "left oblique",
    "right-oblique": "right oblique",
    "left-lateral": "left lateral",
    "right-lateral": "right lateral",
}


def date_words(utc_nanoseconds: int, synchronised: bool) -> str:
    """The moment in UTC, to the minute; marked when the device's clock was not set."""
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=utc_nanoseconds // 1000)
    return at.strftime("%Y-%m-%d %H:%M UTC") + ("" if synchronised else " (clock not synchronised)")


def minute(text: str) -> str:
    """A time of the far side (RFC 3339 in UTC), to the minute."""
    return f"{text[:10]} {text[11:16]} UTC" if len(text) > 16 and text.endswith("Z") else text


def sides(record: Record) -> tuple[str, str, str]:
    """What lies at the picture's left and right edge, and what that rests on."""
    if record.view in ("left-lateral", "right-lateral"):
        side = record.view.split("-")[0]
        return "", "", f"the patient's {side} side"
    if record.mirrored is None:
        return (
            "patient's right",
            "patient's left",
            "sides as the device reckons them: a camera that does not mirror",
        )
    return ("patient's left", "patient's right", "") if record.mirrored else ("patient's right", "patient's left", "")


def _acquired(name: str) -> Callable[[Record], object]:
    return lambda record: record.acquisition.get(name)


def _version(name: str) -> Callable[[Record], object]:
    return lambda record: record.versions.get(name)


_MUST_AGREE: tuple[tuple[str, Callable[[Record], object]], ...] = (
    ("lens", _acquired("lens")),
    ("distance (cm)", _acquired("distance_cm")),
    ("emissivity", _acquired("emissivity")),
    ("camera", _acquired("camera_serial")),
    ("mirroring", lambda record: record.mirrored),
    ("device", lambda record: record.device),
    ("firmware", _version("firmware")),
    ("configuration", lambda record: str(record.versions.get("configuration_sha256", ""))[:12]),
    ("model", lambda record: str(record.versions.get("unit_sha256") or record.versions.get("model_sha256") or "none")[:12]),
)


def _ambient(record: Record) -> float | None:
    """The room's temperature, as the gate measured it, degC."""
    gate = next((gate for gate in record.gates if gate.code == "ambient-range"), None)
    return gate.value if gate else number(record.acquisition.get("reflected_temperature_celsius"))


def warnings(entries: Sequence[Entry]) -> list[str]:
    """One sentence for each thing that makes these captures hard to compare."""
    found: list[str] = []
    for name, value_of in _MUST_AGREE:
        values = [value_of(entry.record) for entry in entries]
        if len({repr(value) for value in values}) > 1:
            found.append(f"{name} differs: " + ", ".join("not said" if v is None else str(v)[:64] for v in values))
    rooms = [_ambient(entry.record) for entry in entries]
    known = [room for room in rooms if room is not None]
    if known and max(known) - min(known) > AMBIENT_TOLERANCE_CELSIUS:
        found.append(
            f"ambient differs by more than {AMBIENT_TOLERANCE_CELSIUS:g} degC: "
            + ", ".join("not said" if room is None else f"{room:.1f}" for room in rooms)
        )
    shapes = {str(entry.record.view) for entry in entries}
    if len(shapes) > 1:
        found.append("views differ: " + ", ".join(sorted(shapes)))
    for entry in entries:
        when = date_words(entry.record.utc_nanoseconds, True)
        if not entry.record.synchronised:
            found.append(f"the clock was not synchronised at the capture dated {when}: the date may be wrong")
        failed = entry.record.failed_gates
        if failed:
            found.append(f"gates failed at {when}: " + ", ".join(gate.code[:64] for gate in failed))
        state = entry.record.sentinel_state
        if state not in (None, "normal"):
            found.append(f"the device doubted itself at {when}: {state}")
        if entry.fault:
            found.append(f"the record of {when} is not as the receiver confirmed it: {entry.fault}")
    return found
