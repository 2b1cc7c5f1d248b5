"""What there is to see: captures of the source with the corrections that hold, in the ledger's cache."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .corrections import Correction, Origin, Standing, check, read_device_correction
from .errors import GatewayError, ImageRefused, RecordRefused, StoreUnavailable
from .images import Master, read_master
from .ledger import Connection, Ledger, Row, now_text
from .record import Image, Record, parse_record
from .source import CaptureSource, Place, StoredCapture

BATCH = 500
PAGE_ROWS = 100
DEVICE_CORRECTION = "thermograph.correction.v1"


@dataclass(frozen=True)
class Entry:
    """A capture as it stands now: its record as it came, and to whom it belongs."""

    record: Record
    patient_ref: str
    withdrawn: bool
    received_at: str
    fault: str
    # When it stood in the worklist, by the clock of `received_at`.
    listed_at: str = ""

    @property
    def capture_id(self) -> str:
        return self.record.capture_id

    @property
    def is_reassigned(self) -> bool:
        return self.patient_ref != self.record.patient_ref


@dataclass(frozen=True)
class Filter:
    """What the worklist shows; None and empty mean all."""

    site: str = ""
    view: str = ""
    outcome: str = ""
    failed_gates: bool = False
    unread: bool = False
    search: str = ""
    page: int = 0


_GONE = RecordRefused("the database has this capture no more")


def _read(stored: StoredCapture) -> Record:
    """The record of a stored capture, which speaks of no other place than its own. Raises RecordRefused."""
    if stored.refusal:
        raise RecordRefused(stored.refusal)
    record = parse_record(stored.record)
    if record.capture_id != stored.capture_id:
        raise RecordRefused("the index names another capture than the record")
    if stored.place is not None and Place(record.site, record.device, record.capture_id) != stored.place:
        raise RecordRefused("the record speaks of another site or device than its place in the store")
    return record


def _entry(record: Record, row: Row) -> Entry:
    return Entry(record, row["patient_ref"], bool(row["withdrawn"]), row["received_at"], row["fault"], row["listed_at"])


class Catalogue:
    """Reads the source into the ledger, applies corrections, answers questions."""

    def __init__(self, source: CaptureSource, ledger: Ledger) -> None:
        self.source = source
        self.ledger = ledger
        self._told: set[str] = set()

    def refresh(self, progress: Callable[[int], None] | None = None) -> int:
        """Takes in what the source has new; how many captures that were."""
        taken = 0
        while True:
            # The number is read again each time: another thread may have taken some in meanwhile.
            last = self.ledger.connection.execute(
                "SELECT coalesce(max(number), 0) FROM (SELECT max(number) AS number FROM capture"
                " UNION ALL SELECT max(number) FROM refused) AS taken"
            ).fetchone()[0]
            batch = self.source.captures_after(last, BATCH)
            if not batch:
                return taken
            with self.ledger.transaction() as connection:
                standing = Standing(self._corrections(connection).values())
                listed_at = self.ledger.now_text()
                renamed = []
                for stored in batch:
                    try:
                        record = _read(stored)
                        self._add(connection, stored, record, standing, listed_at)
                    except RecordRefused as refusal:
                        self._refuse(connection, stored, str(refusal))
                        continue
                    if record.former_ref is not None:
                        renamed.append(record)
            for record in renamed:
                self._follow_new_pseudonym(record)
            taken += len(batch)
            if progress is not None:
                progress(taken)

    def _follow_new_pseudonym(self, record: Record) -> None:
        """A tag got a new pseudonym: what came under the old one belongs to the same patient. Can be undone like any merge."""
        former = record.former_ref or ""
        log = self.corrections()
        standing = Standing(log.values())
        if standing.merged(record.site, former) == standing.merged(record.site, record.patient_ref):
            return
        origin = f"record {record.capture_id}"
        if self.ledger.connection.execute("SELECT 1 FROM correction WHERE origin = ?", (origin,)).fetchone() is None:
            reason = "the record names the tag's former pseudonym"
            self.correct(f"device {record.device}", "merge", record.site, former, record.patient_ref, reason, origin)

    def _add(self, connection: Connection, stored: StoredCapture, record: Record, standing: Standing, listed_at: str) -> None:
        """Raises RecordRefused when the capture's id is another device's already."""
        fault = stored.fault if stored.fault is not None else self.source.record_fault(record) or ""
        values: dict[str, object] = {
            "capture_id": record.capture_id,
            "site": record.site,
            "device": record.device,
            "session_id": record.session_id,
            "recorded_ref": record.patient_ref,
            "patient_ref": standing.patient(record.site, record.session_id, record.patient_ref, record.device),
            "withdrawn": int(standing.is_withdrawn(record.site, record.session_id, record.device)),
            "view": record.view,
            "utc_nanoseconds": record.utc_nanoseconds,
            "synchronised": int(record.synchronised),
            "outcome": record.outcome,
            "failed_gates": " ".join(gate.code for gate in record.failed_gates),
            "received_at": stored.received_at,
            "listed_at": listed_at,
            "fault": fault,
        }
        if self.ledger.keeps_records:
            values |= {"number": stored.number, "record": stored.record}
        names = ", ".join(values)
        added = connection.execute(
            f"INSERT INTO capture ({names}) VALUES ({', '.join('?' * len(values))}) ON CONFLICT DO NOTHING",
            tuple(values.values()),
        ).rowcount
        if added == 0:
            owner = connection.execute("SELECT site, device FROM capture WHERE capture_id = ?", (record.capture_id,)).fetchone()
            if owner is not None and (owner["site"], owner["device"]) != (record.site, record.device):
                raise RecordRefused(f"device {owner['site']}/{owner['device']} has a capture of this id already")

    def _refuse(self, connection: Connection, stored: StoredCapture, reason: str) -> None:
        if stored.place is None:
            connection.execute(
                "INSERT INTO refused (number, capture_id, reason) VALUES (?, ?, ?)"
                " ON CONFLICT (number) DO UPDATE SET capture_id = excluded.capture_id, reason = excluded.reason",
                (stored.number, stored.capture_id, reason),
            )
        else:
            connection.execute(
                "INSERT INTO refused (source_key, capture_id, reason) VALUES (?, ?, ?) ON CONFLICT (source_key) DO NOTHING",
                ("/".join(stored.place), stored.capture_id, reason),
            )

    # Corrections

    def corrections(self) -> dict[int, Correction]:
        """All corrections by their numbers."""
        return self._corrections(self.ledger.connection)

    def _corrections(self, connection: Connection) -> dict[int, Correction]:
        rows = connection.execute("SELECT id, kind, site, subject, target, origin FROM correction")
        return {
            row["id"]: Correction(
                row["id"], row["kind"], row["site"], row["subject"], row["target"], Origin.reading(row["origin"])
            )
            for row in rows
        }

    def correct(
        self, actor: str, kind: str, site: str, subject: str, target: str, reason: str, origin: str | None = None
    ) -> int:
        """Writes a correction and makes everything follow it; its number. Raises GatewayError."""
        with self.ledger.transaction() as connection:
            check(kind, site, subject, target, reason, self._corrections(connection))
            if kind in ("reassign", "withdraw"):
                known = connection.execute(
                    "SELECT 1 FROM capture WHERE site = ? AND session_id = ?", (site, subject)
                ).fetchone()
                if known is None and origin is None:
                    raise GatewayError(f"site {site} has no session {subject}")
            number = connection.execute(
                "INSERT INTO correction (at, actor, origin, kind, site, subject, target, reason)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
                (now_text(), actor, origin or f"here-{uuid.uuid4().hex}", kind, site, subject, target, reason),
            ).fetchone()[0]
            self._apply(connection, site)
        return int(number)

    def _apply(self, connection: Connection, site: str) -> None:
        standing = Standing(self._corrections(connection).values())
        rows = connection.execute(
            "SELECT capture_id, device, session_id, recorded_ref, patient_ref, withdrawn FROM capture WHERE site = ?", (site,)
        ).fetchall()
        for row in rows:
            ref = standing.patient(site, row["session_id"], row["recorded_ref"], row["device"])
            withdrawn = standing.is_withdrawn(site, row["session_id"], row["device"])
            if ref != row["patient_ref"] or withdrawn != bool(row["withdrawn"]):
                connection.execute(
                    "UPDATE capture SET patient_ref = ?, withdrawn = ? WHERE capture_id = ?",
                    (ref, int(withdrawn), row["capture_id"]),
                )

    def take_device_corrections(self) -> int:
        """Corrections that a device's staff made, each once; how many. One that cannot be followed yet is tried again."""
        taken = 0
        messages = list(self.source.events((DEVICE_CORRECTION,)))
        if not messages:
            return 0
        known = {
            correction.origin[:3]: correction for correction in self.corrections().values() if correction.origin is not None
        }
        for message in messages:
            place = f"{message.site}/{message.device}/{message.name}"
            try:
                said = read_device_correction(message.site, message.device, message.content)
                if said.origin[:3] in known:
                    continue
                subject = said.subject
                if said.kind == "revert":  # a device names what it undoes by its own id
                    undone = known.get((message.site, message.device, subject))
                    if undone is None or undone.kind != "merge" or undone.origin is None:
                        raise GatewayError("it undoes a merge that is not here")
                    if undone.origin.outbox_id != said.origin.outbox_id:
                        raise GatewayError("it undoes a merge of another outbox")
                    subject = str(undone.id)
                number = self.correct(
                    f"device {message.device}", said.kind, message.site, subject, said.target, said.reason, said.origin.text
                )
                known[said.origin[:3]] = Correction(number, said.kind, message.site, subject, said.target, said.origin)
                taken += 1
            except StoreUnavailable:
                raise
            except GatewayError as error:
                self._tell_once(f"correction {place}", message.site, f"{place}: {error}")
        return taken

    def _tell_once(self, subject: str, site: str, detail: str) -> None:
        """A device's correction that cannot be followed is tried again, but stands in the audit once."""
        if subject in self._told:
            return
        self._told.add(subject)
        fresh = self.ledger.connection.execute(
            "INSERT INTO noticed (subject) VALUES (?) ON CONFLICT DO NOTHING", (subject,)
        ).rowcount
        if fresh:
            self.ledger.audit("gateway", "device correction refused", site, detail=detail[:500])

    # Questions

    def entry(self, capture_id: str, withdrawn: bool = False) -> Entry | None:
        """One capture; those withdrawn only when asked for."""
        row = self.ledger.connection.execute("SELECT * FROM capture WHERE capture_id = ?", (capture_id,)).fetchone()
        if row is None or (row["withdrawn"] and not withdrawn):
            return None
        return next((entry for _, entry in self._entries([row])), None)

    def _entries(self, rows: Iterable[Row]) -> list[tuple[Row, Entry]]:
        """Rows of the cache with their records. What the source does not give any more goes to the refused ones."""
        rows = list(rows)
        places = [Place(row["site"], row["device"], row["capture_id"]) for row in rows]
        records = {} if self.ledger.keeps_records else self.source.records(places)
        found: list[tuple[Row, Entry]] = []
        for row, place in zip(rows, places, strict=True):
            known = None if self.ledger.keeps_records else place
            try:
                raw = bytes(row["record"]) if self.ledger.keeps_records else records.get(place, _GONE)
                if isinstance(raw, RecordRefused):
                    raise raw
                record = _read(StoredCapture(row["number"], place.capture_id, row["received_at"], raw, known))
            except RecordRefused as refusal:
                with self.ledger.transaction() as connection:
                    connection.execute("DELETE FROM capture WHERE capture_id = ?", (place.capture_id,))
                    self._refuse(connection, StoredCapture(row["number"], place.capture_id, "", b"", known), str(refusal))
                continue
            found.append((row, _entry(record, row)))
        return found

    def patient(self, site: str, ref: str, view: str = "") -> list[Entry]:
        """All captures that belong to a patient now, oldest first."""
        rows = self.ledger.connection.execute(
            "SELECT * FROM capture WHERE site = ? AND patient_ref = ? AND withdrawn = 0 AND (? = '' OR view = ?)"
            " ORDER BY utc_nanoseconds, capture_id LIMIT 2000",
            (site, ref, view, view),
        ).fetchall()
        return [entry for _, entry in self._entries(rows)]

    def all(self, after: int = 0, limit: int = 200) -> list[tuple[int, Entry]]:
        """Everything that is not withdrawn, in batches by the source's number."""
        while True:
            rows = self.ledger.connection.execute(
                "SELECT * FROM capture WHERE number > ? AND withdrawn = 0 ORDER BY number LIMIT ?", (after, limit)
            ).fetchall()
            found = [(row["number"], entry) for row, entry in self._entries(rows)]
            if found or not rows:
                return found
            # A whole batch that the source does not give any more is not the end.
            after = rows[-1]["number"]

    def worklist(self, wanted: Filter, reader: str) -> tuple[list[Row], int]:
        """A page of captures, newest first, and how many there are.

        An outcome is told, and can be asked for, only where `reader` has locked a reading.
        """
        where = """
            FROM capture c LEFT JOIN reading r ON r.capture_id = c.capture_id AND r.reader = :reader
            WHERE c.withdrawn = 0 AND (:site = '' OR c.site = :site) AND (:view = '' OR c.view = :view)
            AND (:outcome = '' OR (c.outcome = :outcome AND r.id IS NOT NULL))
            AND (NOT :failed OR c.failed_gates <> '') AND (NOT :unread OR r.id IS NULL)
            AND (:search = '' OR c.patient_ref LIKE :pattern ESCAPE '!')"""
        search = wanted.search.strip().lower()
        values = {
            "reader": reader,
            "site": wanted.site,
            "view": wanted.view,
            "outcome": wanted.outcome,
            "failed": wanted.failed_gates,
            "unread": wanted.unread,
            "search": search,
            "pattern": "%" + "".join(f"!{c}" if c in "!%_" else c for c in search) + "%",
            "rows": PAGE_ROWS,
            "offset": PAGE_ROWS * wanted.page,
        }
        connection = self.ledger.connection
        total = connection.execute(f"SELECT count(*) {where}", values).fetchone()[0]
        rows = connection.execute(
            "SELECT c.capture_id, c.site, c.device, c.session_id, c.patient_ref, c.view, c.utc_nanoseconds,"
            " c.synchronised, c.failed_gates, c.fault, r.id AS reading,"
            f" CASE WHEN r.id IS NULL THEN '' ELSE c.outcome END AS outcome {where}"
            " ORDER BY c.utc_nanoseconds DESC, c.capture_id LIMIT :rows OFFSET :offset",
            values,
        ).fetchall()
        return rows, int(total)

    def sites(self) -> list[str]:
        rows = self.ledger.connection.execute("SELECT DISTINCT site FROM capture ORDER BY site")
        return [row["site"] for row in rows]

    def master(self, record: Record) -> Master:
        """The radiometric image, checked. Raises ImageRefused."""
        image = record.image("master")
        if image is None:
            raise ImageRefused("the record names no master image")
        return read_master(self.source.image(record, image))

    def picture(self, record: Record, kind: str) -> tuple[Image, bytes]:
        """An image of the record by its kind, checked. Raises ImageRefused."""
        image = record.image(kind)
        if image is None:
            raise ImageRefused(f"the record names no image of kind {kind}")
        return image, self.source.image(record, image)
