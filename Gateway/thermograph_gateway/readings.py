"""Structured readings, locked when they are made; agreement of two readers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .catalogue import Catalogue, Entry
from .errors import GatewayError, StoreConflict
from .ledger import Row, now_text
from .record import number

CHOICES: Mapping[str, tuple[str, ...]] = {
    "usable": ("yes", "limited", "no"),
    "side": ("none", "left", "right", "both"),
    "place": ("none", "upper-outer", "upper-inner", "lower-outer", "lower-inner", "centre", "armpit"),
    "confidence": ("1", "2", "3", "4", "5"),
    "follow_up": ("no", "undecided", "yes"),
}
NOTE_CHARACTERS_MAXIMUM = 2000


def lock(catalogue: Catalogue, entry: Entry, reader: str, choices: Mapping[str, str], note: str) -> None:
    """Keeps a reading; it cannot be changed afterwards. Raises GatewayError."""
    for name, allowed in CHOICES.items():
        if choices.get(name) not in allowed:
            raise GatewayError(f"{name.replace('_', ' ')}: choose one of {', '.join(allowed)}")
    if (choices["side"] == "none") != (choices["place"] == "none"):
        raise GatewayError("side and place belong together: give both, or none for both")
    if len(note) > NOTE_CHARACTERS_MAXIMUM:
        raise GatewayError(f"a note has at most {NOTE_CHARACTERS_MAXIMUM} characters")
    try:
        catalogue.ledger.connection.execute(
            "INSERT INTO reading (capture_id, reader, at, usable, side, place, confidence, follow_up, note)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                entry.capture_id,
                reader,
                now_text(),
                choices["usable"],
                choices["side"],
                choices["place"],
                int(choices["confidence"]),
                choices["follow_up"],
                catalogue.ledger.conceal(entry.record.site, f"reading|{entry.capture_id}|{reader}", note),
            ),
        )
    except StoreConflict as error:
        raise GatewayError("you have read this capture already; a reading is locked") from error


def reading_of(catalogue: Catalogue, capture_id: str, reader: str) -> Row | None:
    row: Row | None = catalogue.ledger.connection.execute(
        "SELECT * FROM reading WHERE capture_id = ? AND reader = ?", (capture_id, reader)
    ).fetchone()
    return row


def read_of_patient(catalogue: Catalogue, site: str, ref: str, reader: str) -> set[str]:
    """Which captures of a patient `reader` has read."""
    rows = catalogue.ledger.connection.execute(
        "SELECT r.capture_id FROM reading r JOIN capture c ON c.capture_id = r.capture_id"
        " WHERE c.site = ? AND c.patient_ref = ? AND r.reader = ?",
        (site, ref, reader),
    )
    return {row["capture_id"] for row in rows}


def reading_note(catalogue: Catalogue, entry: Entry, reading: Row) -> str:
    """The note of a reading, which is stored as the ledger stores notes."""
    return catalogue.ledger.reveal(entry.record.site, f"reading|{entry.capture_id}|{reading['reader']}", reading["note"])


@dataclass(frozen=True)
class Agreement:
    """Cohen's kappa of two readers in one question over the captures that both read."""

    first: str
    second: str
    question: str
    captures: int
    observed: float
    kappa: float | None


def kappa(pairs: Sequence[tuple[str, str]]) -> tuple[float, float | None]:
    """Share of equal answers and Cohen's kappa (1960); None where chance alone explains everything."""
    if not pairs:
        return 0.0, None
    total = len(pairs)
    observed = sum(a == b for a, b in pairs) / total
    first, second = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    expected = sum(first[value] * second[value] for value in first) / total**2
    return observed, None if expected == 1 else (observed - expected) / (1 - expected)


def agreements(catalogue: Catalogue) -> list[Agreement]:
    """Every two readers, every question with words for answers."""
    rows = catalogue.ledger.connection.execute(
        "SELECT a.reader AS first, b.reader AS second, a.usable AS u1, b.usable AS u2, a.side AS s1, b.side AS s2,"
        " a.follow_up AS f1, b.follow_up AS f2 FROM reading a JOIN reading b ON b.capture_id = a.capture_id"
        " AND a.reader < b.reader JOIN capture c ON c.capture_id = a.capture_id WHERE c.withdrawn = 0"
        " ORDER BY a.reader, b.reader"
    ).fetchall()
    found: list[Agreement] = []
    for first, second in sorted({(row["first"], row["second"]) for row in rows}):
        mine = [row for row in rows if (row["first"], row["second"]) == (first, second)]
        for question, a, b in (("usable", "u1", "u2"), ("side", "s1", "s2"), ("follow-up", "f1", "f2")):
            observed, value = kappa([(row[a], row[b]) for row in mine])
            found.append(Agreement(first, second, question, len(mine), observed, value))
    return found


def typed_number(text: str) -> float | None:
    """A number as people type it: 27.5 and 27,5 are the same."""
    try:
        return number(float(text.strip().replace(",", ".")))
    except ValueError:
        return None
