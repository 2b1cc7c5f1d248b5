"""Corrections: a session that belongs to somebody else, two patients that are one, a consent withdrawn.

The original record is never changed. What holds for a session is worked out from the log of corrections.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

from .errors import GatewayError

Kind = Literal["reassign", "merge", "withdraw", "revert"]
KINDS: tuple[str, ...] = get_args(Kind)
REASON_CHARACTERS_MAXIMUM = 500
NUMBER_MAXIMUM = (1 << 53) - 1
_KIND = re.compile("|".join(KINDS))
_SESSION = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_REFERENCE = re.compile(r"[a-z0-9-]{1,64}")


class Origin(NamedTuple):
    """Whose correction it is: a device's, by its own id and number there. Made here or from a record it is no such one."""

    site: str
    device: str
    correction_id: str
    outbox_id: str
    number: int

    @property
    def text(self) -> str:
        """As the ledger keeps it, each once."""
        return f"{_DEVICE} {self.site} {self.device} {self.correction_id} {self.outbox_id} {self.number}"

    @classmethod
    def reading(cls, text: str) -> Origin | None:
        words = text.split(" ")
        return (
            cls(words[1], words[2], words[3], words[4], int(words[5])) if words[:1] == [_DEVICE] and len(words) == 6 else None
        )


_DEVICE = "device"


@dataclass(frozen=True)
class Correction:
    """`subject` is a session (reassign, withdraw), a patient (merge) or a correction's number (revert)."""

    id: int
    kind: str
    site: str
    subject: str
    target: str
    origin: Origin | None = None


def in_order(corrections: Iterable[Correction]) -> list[Correction]:
    """In the order in which they came, but those of one outbox in the order of its numbers: messages overtake each other."""
    ordered = sorted(corrections, key=lambda correction: correction.id)
    places: dict[tuple[str, str, str], list[int]] = {}
    for index, correction in enumerate(ordered):
        if correction.origin is not None:
            places.setdefault((correction.origin.site, correction.origin.device, correction.origin.outbox_id), []).append(index)
    for indices in places.values():
        by_number = sorted((ordered[index] for index in indices), key=lambda c: (c.origin.number if c.origin else 0, c.id))
        for index, correction in zip(indices, by_number, strict=True):
            ordered[index] = correction
    return ordered


class Standing:
    """What holds after all corrections."""

    def __init__(self, corrections: Iterable[Correction]) -> None:
        ordered = in_order(corrections)
        reverted = {int(correction.subject) for correction in ordered if correction.kind == "revert"}
        # A device speaks of its own sessions only; corrections made here of any. The last that concerns a session counts.
        self._sessions: dict[tuple[str, str], list[tuple[str, str]]] = {}
        self._merged: dict[tuple[str, str], str] = {}
        self._withdrawn: set[tuple[str, str, str]] = set()
        for correction in ordered:
            key = (correction.site, correction.subject)
            device = correction.origin.device if correction.origin else ""
            if correction.kind == "withdraw":
                self._withdrawn.add((*key, device))
            elif correction.id in reverted:
                continue
            elif correction.kind == "reassign":
                self._sessions.setdefault(key, []).append((device, correction.target))
            elif correction.kind == "merge":
                self._merged[key] = correction.target

    def patient(self, site: str, session_id: str, recorded_ref: str, device: str) -> str:
        """To whom a session that `device` took belongs now."""
        said = [target for who, target in self._sessions.get((site, session_id), ()) if who in ("", device)]
        return self.merged(site, said[-1] if said else recorded_ref)

    def merged(self, site: str, ref: str) -> str:
        """The patient into whom `ref` was merged, at the end of the chain."""
        seen: set[str] = set()
        # A circle cannot be entered here, but two places may each have made half of one: it then ends where it closes.
        while (site, ref) in self._merged and ref not in seen:
            seen.add(ref)
            ref = self._merged[(site, ref)]
        return min(seen | {ref}) if ref in seen else ref

    def is_withdrawn(self, site: str, session_id: str, device: str) -> bool:
        return not self._withdrawn.isdisjoint({(site, session_id, ""), (site, session_id, device)})


class DeviceCorrection(NamedTuple):
    """What a device's staff put right (`Docs/schemas/correction-1.schema.json`), checked by itself."""

    origin: Origin
    kind: str
    subject: str
    target: str
    reason: str


def read_device_correction(site: str, device: str, content: Mapping[str, Any]) -> DeviceCorrection:
    """Raises GatewayError that names the member which is not as the schema has it."""

    def text(name: str, form: re.Pattern[str]) -> str:
        value = content.get(name)
        if not isinstance(value, str) or not form.fullmatch(value):
            raise GatewayError(f"a device's correction: {name} has not the form {form.pattern}")
        return value

    number = content.get("number")
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= NUMBER_MAXIMUM:
        raise GatewayError(f"a device's correction: number is none of 1 to {NUMBER_MAXIMUM}")
    origin = Origin(site, device, text("correction_id", _SESSION), text("outbox_id", _SESSION), number)
    kind = text("kind", _KIND)
    reason = content.get("reason")
    if not isinstance(reason, str) or not 1 <= len(reason) <= REASON_CHARACTERS_MAXIMUM or not reason.isprintable():
        raise GatewayError(f"a device's correction: reason is no text of 1 to {REASON_CHARACTERS_MAXIMUM} printable characters")
    subject = text("subject", _REFERENCE if kind == "merge" else _SESSION)
    has_target = kind in ("reassign", "merge")
    if not has_target and "target" in content:
        raise GatewayError(f"a device's correction: {kind} has no target")
    return DeviceCorrection(origin, kind, subject, text("target", _REFERENCE) if has_target else "", reason)


def check(kind: str, site: str, subject: str, target: str, reason: str, log: Mapping[int, Correction]) -> None:
    """Refuses a correction that says nothing or contradicts the log. Raises GatewayError."""
    if kind not in KINDS:
        raise GatewayError(f"correction '{kind[:32]}'; expected one of {', '.join(KINDS)}")
    if not reason.strip() or len(reason) > REASON_CHARACTERS_MAXIMUM:
        raise GatewayError(f"a correction needs a reason of 1 to {REASON_CHARACTERS_MAXIMUM} characters")
    if kind in ("reassign", "withdraw") and not _SESSION.fullmatch(subject):
        raise GatewayError(f"session '{subject[:64]}'; expected its identifier")
    if kind in ("reassign", "merge") and not _REFERENCE.fullmatch(target):
        raise GatewayError(f"patient '{target[:64]}'; expected 1 to 64 of a-z, 0-9 and '-'")
    standing = Standing(log.values())
    if kind == "merge":
        if not _REFERENCE.fullmatch(subject):
            raise GatewayError(f"patient '{subject[:64]}'; expected 1 to 64 of a-z, 0-9 and '-'")
        if standing.merged(site, target) == standing.merged(site, subject):
            raise GatewayError(f"{subject} and {target} are one patient already")
    if kind == "revert":
        undone = log.get(int(subject)) if subject.isascii() and subject.isdigit() and len(subject) < 12 else None
        if undone is None or undone.site != site:
            raise GatewayError(f"correction {subject[:16]} does not exist at {site}")
        if undone.kind == "withdraw":
            raise GatewayError("a withdrawn session stays withdrawn: the patient took the consent back")
        if undone.kind == "revert" or any(c.kind == "revert" and c.subject == subject for c in log.values()):
            raise GatewayError(f"correction {subject} was undone already or is an undoing itself")
