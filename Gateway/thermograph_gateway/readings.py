"""Structured readings, locked when they are made; agreement of two readers; answers on their way to the device."""

from __future__ import annotations

import json
import uuid
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
STATES = ("answered", "repeat-requested")
RESULT_SCHEMA = "thermograph.result.v1"


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


def answers_of(catalogue: Catalogue, entry: Entry) -> list[tuple[Row, str]]:
    """Answers to a capture with their notes, oldest first."""
    rows = catalogue.ledger.connection.execute("SELECT * FROM answer WHERE capture_id = ? ORDER BY at, id", (entry.capture_id,))
    return [(row, catalogue.ledger.reveal(entry.record.site, f"answer|{row['id']}", row["note"])) for row in rows.fetchall()]


def answer(catalogue: Catalogue, entry: Entry, reviewer: str, state: str, note: str) -> str:
    """Lays an answer ready for its way to the device, and keeps the note here only. Says where. Raises GatewayError."""
    if state not in STATES:
        raise GatewayError(f"answer '{state[:32]}'; expected one of {', '.join(STATES)}")
    if len(note) > NOTE_CHARACTERS_MAXIMUM:
        raise GatewayError(f"a note has at most {NOTE_CHARACTERS_MAXIMUM} characters")
    identifier, at = str(uuid.uuid4()), now_text()
    content = {
        "schema": RESULT_SCHEMA,
        "id": identifier,
        "site": entry.record.site,
        "device": entry.record.device,
        "capture_id": entry.capture_id,
        "record_sha256": entry.record.sha256,
        "patient_ref": entry.patient_ref,
        "state": state,
        "reviewer": reviewer,
        "received_at": entry.received_at,
        "reviewed_at": at,
    }
    raw = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    with catalogue.ledger.transaction() as connection:
        # The file first: a row without it would tell of an answer that never leaves. In PostgreSQL both are one transaction.
        place = catalogue.source.put_answer(entry.record.site, entry.record.device, identifier, raw)
        concealed = catalogue.ledger.conceal(entry.record.site, f"answer|{identifier}", note)
        connection.execute(
            "INSERT INTO answer (id, capture_id, reviewer, at, state, note, place) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (identifier, entry.capture_id, reviewer, at, state, concealed, place),
        )
    return place


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
