"""Answers of readers: signed, on their way to the device, followed until it replies. The reader's words stay here."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from .catalogue import Catalogue, Entry
from .corrections import Correction, Standing
from .errors import GatewayError
from .ledger import Connection, Row
from .readings import NOTE_CHARACTERS_MAXIMUM, reading_of
from .source import DeviceMessage

STATES = ("answered", "repeat-requested")
STATE_WORDS = {"answered": "answered", "repeat-requested": "please repeat"}
RESULT_SCHEMA = "thermograph.result.v1"
REASON_CHARACTERS_MAXIMUM = 300
FOLLOWED_BATCH = 200
# Replies that another one follows.
_INTERIM = ("busy", "trying")
# What a device may say of an answer (Docs/schemas/reply-1.schema.json).
_FINAL = ("done", "refused", "failed", "unknown")
_ENDS = {
    "superseded": "taken back: a newer answer took its place",
    "withdrawn": "taken back: the session was withdrawn",
    "moved": "taken back: the session belongs to somebody else now",
    "earlier-version": "made by an earlier version of the gateway, in a form that no device takes: answer again",
}


class AnswerChanged(GatewayError):
    """What the reader confirmed is not what is there now."""


@dataclass(frozen=True)
class Answer:
    """One answer to a capture, and what became of it."""

    id: str
    at: str
    state: str
    reviewer: str
    patient_ref: str
    note: str
    # `waiting`, `done`, `refused`, or `taken-back`: no more goes out.
    progress: str
    words: str
    supersedes: str

    @property
    def state_words(self) -> str:
        return STATE_WORDS[self.state]


def answers_of(catalogue: Catalogue, entry: Entry) -> list[Answer]:
    """All answers to a capture, oldest first; none is ever removed."""
    rows = catalogue.ledger.connection.execute(
        "SELECT a.*, r.state AS replied, r.reason, r.at AS replied_at, e.why AS ended FROM answer a"
        " LEFT JOIN answer_reply r ON r.answer_id = a.id LEFT JOIN answer_end e ON e.answer_id = a.id"
        " WHERE a.capture_id = ? ORDER BY a.at, a.id",
        (entry.capture_id,),
    ).fetchall()
    waiting = [row["id"] for row in rows if row["replied"] is None and row["ended"] is None]
    ways = catalogue.source.ways(waiting) if waiting else {}
    found = []
    for row in rows:
        progress, words = _progress(row, ways.get(row["id"], "not to be found where answers wait"))
        if row["why"] == "moved":
            words = f"sent anew after a correction; {words}"
        note = catalogue.ledger.reveal(entry.record.site, f"answer|{row['id']}", row["note"])
        found.append(
            Answer(row["id"], row["at"], row["state"], row["reviewer"], row["patient_ref"], note, progress, words,
                   row["supersedes"])
        )  # fmt: skip
    return found


def _progress(row: Row, way: str) -> tuple[str, str]:
    # Only the device's own word says that it has an answer; what the broker or a table says is said as such.
    if row["replied"] == "done":
        return "done", f"the device has it since {row['replied_at']}"
    if row["replied"] is not None:
        reason = f": {row['reason']}" if row["reason"] else ""
        return "refused", f"the device did not take it ({row['replied']}, {row['replied_at']}){reason}"
    if row["ended"] is not None:
        return "taken-back", _ENDS[row["ended"]]
    return "waiting", f"on its way: {way}"


def latest(catalogue: Catalogue, capture_id: str) -> str:
    """The id of the newest answer to a capture; empty when there is none."""
    return _latest(catalogue.ledger.connection, capture_id)


def _latest(connection: Connection, capture_id: str) -> str:
    row = connection.execute(
        "SELECT id FROM answer a WHERE capture_id = ? AND NOT EXISTS (SELECT 1 FROM answer n WHERE n.supersedes = a.id)"
        " ORDER BY at DESC, id DESC LIMIT 1",
        (capture_id,),
    ).fetchone()
    return "" if row is None else str(row["id"])


def check(catalogue: Catalogue, entry: Entry, reviewer: str, state: str, note: str) -> None:
    """Whether `reviewer` may answer this capture so. Raises GatewayError."""
    if state not in STATES:
        raise GatewayError(f"answer '{state[:32]}'; expected one of {', '.join(STATES)}")
    if len(note) > NOTE_CHARACTERS_MAXIMUM:
        raise GatewayError(f"a note has at most {NOTE_CHARACTERS_MAXIMUM} characters")
    if catalogue.source.answer_fault is not None:
        raise GatewayError(catalogue.source.answer_fault)
    user = catalogue.ledger.connection.execute('SELECT enabled FROM "user" WHERE name = ?', (reviewer,)).fetchone()
    if user is None or not user["enabled"]:
        raise GatewayError(f"'{reviewer[:32]}' is no user here who may log in")
    if reading_of(catalogue, entry.capture_id, reviewer) is None:
        raise GatewayError("Lock your reading first; then answer.")
    fault = entry.fault or catalogue.source.record_fault(entry.record)
    if fault:
        raise GatewayError(f"no answer goes to a device for a record that is not as it was confirmed: {fault}")


def answer(catalogue: Catalogue, entry: Entry, reviewer: str, state: str, note: str, seen: str) -> str:
    """Signs an answer and lays it ready for its way; the note stays here. An earlier one that the device has not taken yet
    is taken back. Says where it lies.

    `seen`: the newest answer that the reader knew of. Raises AnswerChanged when there is another, GatewayError.
    """
    check(catalogue, entry, reviewer, state, note)
    with catalogue.ledger.transaction() as connection:
        standing = connection.execute(
            "SELECT patient_ref, withdrawn FROM capture WHERE capture_id = ?", (entry.capture_id,)
        ).fetchone()
        if standing is None or standing["withdrawn"]:
            raise AnswerChanged("the session was withdrawn meanwhile: nothing is sent")
        if standing["patient_ref"] != entry.patient_ref:
            raise AnswerChanged("the session was given to another patient meanwhile: look again, then answer")
        before = _latest(connection, entry.capture_id)
        if before != seen:
            if not before:
                raise AnswerChanged("the answer that you saw is not there: look again, then confirm")
            who = connection.execute("SELECT reviewer, state, at FROM answer WHERE id = ?", (before,)).fetchone()
            raise AnswerChanged(
                f"{who['reviewer']} answered meanwhile ({STATE_WORDS[who['state']]}, {who['at']}): look again, then confirm"
            )
        return _put(catalogue, connection, entry, _Said(reviewer, state, note, before, ""))


@dataclass(frozen=True)
class _Said:
    reviewer: str
    state: str
    note: str
    supersedes: str
    why: str


def _put(catalogue: Catalogue, connection: Connection, entry: Entry, said: _Said) -> str:
    """Within a transaction: in a folder the file first, because a row without it would tell of an answer that never leaves."""
    record, identifier = entry.record, str(uuid.uuid4())
    at = catalogue.ledger.now_text()
    # The far side's one clock may have been set back between these; then nothing took less than no time.
    received = instant(entry.received_at)
    listed = max(received, instant(entry.listed_at))
    reviewed = max(listed, instant(catalogue.ledger.now_text()))
    if said.supersedes:
        # A device holds the one that was reviewed last for the newest.
        reviewed = max(reviewed, _reviewed(connection, said.supersedes) + timedelta(milliseconds=1))
    content = {
        "schema": RESULT_SCHEMA, "id": identifier, "site": record.site, "device": record.device,
        "capture_id": entry.capture_id, "record_sha256": record.sha256, "patient_ref": entry.patient_ref,
        "state": said.state, "reviewer": said.reviewer, "received_at": _text(received), "cloud_done_at": _text(listed),
        "reviewed_at": _text(reviewed),
    }  # fmt: skip
    raw = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    place = catalogue.source.put_answer(record.site, record.device, identifier, raw)
    values = {
        "id": identifier, "capture_id": entry.capture_id, "reviewer": said.reviewer, "at": at, "state": said.state,
        "note": catalogue.ledger.conceal(record.site, f"answer|{identifier}", said.note), "place": place,
        "site": record.site, "device": record.device, "patient_ref": entry.patient_ref,
        "reviewed_at": _text(reviewed), "supersedes": said.supersedes, "why": said.why,
    }  # fmt: skip
    connection.execute(
        f"INSERT INTO answer ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})", tuple(values.values())
    )
    if said.supersedes:
        _end(catalogue, connection, entry, said.supersedes, said.why or "superseded")
    return place


def _reviewed(connection: Connection, answer_id: str) -> datetime:
    row = connection.execute("SELECT reviewed_at, at FROM answer WHERE id = ?", (answer_id,)).fetchone()
    return instant(row["reviewed_at"] or row["at"])


def _end(catalogue: Catalogue, connection: Connection, entry: Entry, answer_id: str, why: str) -> None:
    connection.execute(
        "INSERT INTO answer_end (answer_id, at, why) VALUES (?, ?, ?) ON CONFLICT (answer_id) DO NOTHING",
        (answer_id, catalogue.ledger.now_text(), why),
    )
    catalogue.source.take_back(entry.record.site, entry.record.device, answer_id)


def instant(text: str) -> datetime:
    """An RFC 3339 time, to the millisecond, rounded down. Raises GatewayError."""
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            raise ValueError
    except ValueError:
        raise GatewayError(f"'{text[:40]}' is no time; the store says no usable time for this capture") from None
    at = at.astimezone(UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _text(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def follow_corrections(catalogue: Catalogue) -> int:
    """Answers of sessions that were withdrawn are taken back, those of sessions that belong to another patient now follow.

    How many. What a device corrected itself it knows; it is told of what it has taken only when it does not.
    """
    followed, after = 0, ("", "")
    while True:
        rows = catalogue.ledger.connection.execute(
            "SELECT a.*, c.patient_ref AS now_ref, c.withdrawn, c.session_id, c.recorded_ref, r.state AS replied FROM answer a"
            " JOIN capture c ON c.capture_id = a.capture_id LEFT JOIN answer_reply r ON r.answer_id = a.id"
            " WHERE (c.withdrawn = 1 OR c.patient_ref <> a.patient_ref) AND (a.at > ? OR (a.at = ? AND a.id > ?))"
            " AND NOT EXISTS (SELECT 1 FROM answer_end e WHERE e.answer_id = a.id) ORDER BY a.at, a.id LIMIT ?",
            (after[0], after[0], after[1], FOLLOWED_BATCH),
        ).fetchall()
        if not rows:
            return followed
        own = _own_corrections(catalogue)
        for row in rows:
            entry = catalogue.entry(row["capture_id"], withdrawn=True)
            if entry is not None and _follow(catalogue, row, entry, own):
                followed += 1
        after = (rows[-1]["at"], rows[-1]["id"])


def _own_corrections(catalogue: Catalogue) -> dict[tuple[str, str], Standing]:
    """What each device knows of its sessions by its own corrections."""
    by_device: dict[tuple[str, str], list[Correction]] = {}
    for correction in catalogue.corrections().values():
        if correction.origin is not None:
            by_device.setdefault((correction.site, correction.origin.device), []).append(correction)
    return {key: Standing(corrections) for key, corrections in by_device.items()}


def _follow(catalogue: Catalogue, row: Row, entry: Entry, own: Mapping[tuple[str, str], Standing]) -> bool:
    if not row["withdrawn"] and row["replied"] is not None:
        standing = own.get((row["site"], row["device"]), Standing(()))
        if standing.patient(row["site"], row["session_id"], row["recorded_ref"], row["device"]) == row["now_ref"]:
            return False
    if not row["withdrawn"] and (catalogue.source.answer_fault or entry.fault):
        # Nothing goes to the wrong patient; to the right one when there is a key again.
        catalogue.source.take_back(row["site"], row["device"], row["id"])
        return False
    with catalogue.ledger.transaction() as connection:
        if _latest(connection, entry.capture_id) != row["id"]:
            return False
        if row["withdrawn"]:
            _end(catalogue, connection, entry, row["id"], "withdrawn")
        else:
            _put(catalogue, connection, entry, _Said(row["reviewer"], row["state"], "", row["id"], "moved"))
    what = "answer taken back" if row["withdrawn"] else "answer follows"
    catalogue.ledger.audit("gateway", what, row["site"], entry.patient_ref, entry.capture_id, row["id"])
    return True


def take_replies(connection: Connection, messages: Sequence[DeviceMessage]) -> int:
    """What devices said of answers: each speaks of its own only, and its first last word counts. How many were taken."""
    taken = 0
    for message in messages:
        identifier, state = message.content.get("id"), message.content.get("state")
        if message.kind != "reply" or not isinstance(identifier, str) or state in _INTERIM:
            continue
        reason = message.content.get("reason")
        taken += connection.execute(
            "INSERT INTO answer_reply (answer_id, state, reason, at) SELECT id, ?, ?, ? FROM answer"
            " WHERE id = ? AND site = ? AND device = ? ON CONFLICT (answer_id) DO NOTHING",
            (
                state if state in _FINAL else "unknown",
                reason[:REASON_CHARACTERS_MAXIMUM] if isinstance(reason, str) else "",
                message.received_at,
                identifier[:64],
                message.site,
                message.device,
            ),
        ).rowcount
    return taken
