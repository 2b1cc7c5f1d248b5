"""Corrections: a session that belongs to somebody else, two patients that are one, a consent withdrawn.

The original record is never changed. What holds for a session is worked out from the log of corrections.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from .errors import GatewayError

Kind = Literal["reassign", "merge", "withdraw", "revert"]
KINDS: tuple[str, ...] = get_args(Kind)
REASON_CHARACTERS_MAXIMUM = 500
_SESSION = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_REFERENCE = re.compile(r"[a-z0-9-]{1,64}")


@dataclass(frozen=True)
class Correction:
    """`subject` is a session (reassign, withdraw), a patient (merge) or a correction's number (revert)."""

    id: int
    kind: str
    site: str
    subject: str
    target: str


class Standing:
    """What holds after all corrections, in the order in which they were made."""

    def __init__(self, corrections: Iterable[Correction]) -> None:
        ordered = sorted(corrections, key=lambda correction: correction.id)
        reverted = {int(correction.subject) for correction in ordered if correction.kind == "revert"}
        self._sessions: dict[tuple[str, str], str] = {}
        self._merged: dict[tuple[str, str], str] = {}
        self._withdrawn: set[tuple[str, str]] = set()
        for correction in ordered:
            key = (correction.site, correction.subject)
            if correction.kind == "withdraw":
                self._withdrawn.add(key)
            elif correction.id in reverted:
                continue
            elif correction.kind == "reassign":
                self._sessions[key] = correction.target
            elif correction.kind == "merge":
                self._merged[key] = correction.target

    def patient(self, site: str, session_id: str, recorded_ref: str) -> str:
        """To whom a session belongs now."""
        return self.merged(site, self._sessions.get((site, session_id), recorded_ref))

    def merged(self, site: str, ref: str) -> str:
        """The patient into whom `ref` was merged, at the end of the chain."""
        seen: set[str] = set()
        # A circle cannot be entered here, but two places may each have made half of one: it then ends where it closes.
        while (site, ref) in self._merged and ref not in seen:
            seen.add(ref)
            ref = self._merged[(site, ref)]
        return min(seen | {ref}) if ref in seen else ref

    def is_withdrawn(self, site: str, session_id: str) -> bool:
        return (site, session_id) in self._withdrawn


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
