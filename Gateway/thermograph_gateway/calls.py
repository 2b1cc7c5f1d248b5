"""People who ask to be called: one line a person and device, however often the button was pressed, until somebody called."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .catalogue import Catalogue
from .corrections import Standing
from .errors import GatewayError
from .ledger import Connection, Row
from .source import DeviceMessage

KIND = "call-requested"
SCHEMA = "thermograph.session.v1"
# People of one device who may wait at once. A device that names more is broken or hostile; the rest is one line of its own.
DEVICE_PEOPLE_MAXIMUM = 20
PRESSES_MAXIMUM = 999
# Lines that the worklist and the page of earlier calls show.
SHOWN_MAXIMUM = 100
# In the place of a pseudonym: presses of a device for whose people there was no line left.
OVERFLOW = ""
_REFERENCE = re.compile(r"[a-z0-9-]{1,64}")
_SESSION = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Call:
    """Somebody who asks to be called. Times are the far side's: when it heard of it."""

    id: str
    site: str
    device: str
    # To whom the pseudonym belongs now; empty: the device named too many.
    patient_ref: str
    recorded_ref: str
    first_at: str
    last_at: str
    presses: int
    is_withdrawn: bool
    called_at: str
    called_by: str

    @property
    def presses_words(self) -> str:
        if self.presses >= PRESSES_MAXIMUM:
            return f"{PRESSES_MAXIMUM} times or more"
        return "once" if self.presses == 1 else f"{self.presses} times"


def take_calls(connection: Connection, messages: Sequence[DeviceMessage]) -> int:
    """Writes presses down; how many. Within a transaction."""
    taken = 0
    for message in messages:
        content = message.content
        if message.kind != "event" or content.get("schema") != SCHEMA or content.get("kind") != KIND:
            continue
        ref, session = content.get("patient_ref"), content.get("session_id")
        if not isinstance(ref, str) or not _REFERENCE.fullmatch(ref):
            continue
        _press(connection, message, ref, session if isinstance(session, str) and _SESSION.fullmatch(session) else "")
        taken += 1
    return taken


def _press(connection: Connection, message: DeviceMessage, ref: str, session: str) -> None:
    place = (message.site, message.device)
    row = _open_row(connection, place, ref)
    if row is None:
        count = connection.execute(
            "SELECT count(*) FROM call WHERE site = ? AND device = ? AND called_at = '' AND patient_ref <> ?",
            (*place, OVERFLOW),
        ).fetchone()[0]
        if count >= DEVICE_PEOPLE_MAXIMUM:
            ref, session = OVERFLOW, ""
            row = _open_row(connection, place, ref)
    if row is None:
        connection.execute(
            "INSERT INTO call (id, site, device, patient_ref, session_id, first_at, last_at, presses)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, 1)",
            (str(uuid.uuid4()), *place, ref, session, message.received_at, message.received_at),
        )
        return
    connection.execute(
        "UPDATE call SET presses = ?, first_at = ?, last_at = ?, session_id = ? WHERE id = ?",
        (
            min(row["presses"] + 1, PRESSES_MAXIMUM),
            min(row["first_at"], message.received_at),
            max(row["last_at"], message.received_at),
            session or row["session_id"],
            row["id"],
        ),
    )


def _open_row(connection: Connection, place: tuple[str, str], ref: str) -> Row | None:
    row: Row | None = connection.execute(
        "SELECT * FROM call WHERE site = ? AND device = ? AND patient_ref = ? AND called_at = ''", (*place, ref)
    ).fetchone()
    return row


def open_calls(catalogue: Catalogue) -> tuple[list[Call], int]:
    """Who waits longest first, at most a page of them, and how many there are."""
    connection = catalogue.ledger.connection
    rows = connection.execute(
        "SELECT c.*, count(*) OVER () AS total FROM call c WHERE called_at = '' ORDER BY first_at, id LIMIT ?", (SHOWN_MAXIMUM,)
    ).fetchall()
    return (_calls(catalogue, rows), int(rows[0]["total"])) if rows else ([], 0)


def earlier_calls(catalogue: Catalogue) -> list[Call]:
    """Who was called, newest first."""
    rows = catalogue.ledger.connection.execute(
        "SELECT * FROM call WHERE called_at <> '' ORDER BY called_at DESC, id LIMIT ?", (SHOWN_MAXIMUM,)
    ).fetchall()
    return _calls(catalogue, rows)


def _calls(catalogue: Catalogue, rows: Sequence[Row]) -> list[Call]:
    standing = Standing(catalogue.corrections().values()) if rows else Standing(())
    return [_call(row, standing) for row in rows]


def _call(row: Row, standing: Standing) -> Call:
    site, device, session, recorded = row["site"], row["device"], row["session_id"], row["patient_ref"]
    ref = OVERFLOW if recorded == OVERFLOW else standing.patient(site, session, recorded, device)
    return Call(
        row["id"], site, device, ref, recorded, row["first_at"], row["last_at"], row["presses"],
        bool(session) and standing.is_withdrawn(site, session, device), row["called_at"], row["called_by"],
    )  # fmt: skip


def called(catalogue: Catalogue, call_id: str, presses: str, who: str) -> Mapping[str, str]:
    """Takes a line off the list, and keeps who did and when. Raises GatewayError when somebody else did, or when the person
    has pressed again since `who` looked (`presses` is what stood there then)."""
    with catalogue.ledger.transaction() as connection:
        row = connection.execute("SELECT * FROM call WHERE id = ?", (call_id,)).fetchone()
        if row is None:
            raise GatewayError("there is no such line; look at the worklist again")
        if row["called_at"]:
            raise GatewayError(f"{row['called_by']} called already, {row['called_at']}")
        if str(row["presses"]) != presses:
            raise GatewayError("the button was pressed again meanwhile: look at the worklist again")
        connection.execute(
            "UPDATE call SET called_at = ?, called_by = ? WHERE id = ?", (catalogue.ledger.now_text(), who, call_id)
        )
    return {"site": row["site"], "device": row["device"], "patient_ref": row["patient_ref"]}
