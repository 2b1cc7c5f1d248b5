"""The far side's PostgreSQL as a source: what the worker stored sealed, opened here and kept nowhere in the clear."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from .database import Database
from .errors import GatewayError, ImageDropped, ImageRefused, RecordRefused, StoreUnavailable
from .images import IMAGE_BYTES_MAXIMUM
from .ledger import Row
from .record import RECORD_BYTES_MAXIMUM, Image, Record, parse_json
from .sealing import OVERHEAD_BYTES, NotAuthentic
from .source import (
    DEVICES_MAXIMUM,
    MESSAGE_BYTES_MAXIMUM,
    MESSAGES_KEPT_MAXIMUM,
    DeviceMessage,
    Place,
    StoredCapture,
    Witnessed,
    check_answer,
)
from .statement import ResultKey

# Rows of one transaction of a worker become visible together, at most this long after the time that they carry.
OVERLAP = "interval '1 hour'"
ANSWER_DAYS = 365
# Heads of one log that are given to a verifier, the newest.
ANCHORS_MAXIMUM = 100_000
_CHANGED = "does not open: it was changed in the database, or belongs to another capture"


class DatabaseSource:
    """The worker's tables. Nothing of them is changed; an answer is a row of `downlink`."""

    def __init__(self, database: Database, result_key: ResultKey | None = None) -> None:
        database.check()
        self._database = database
        self._result_key = result_key
        self._complete_until: datetime | None = None
        self._fresh_until: datetime | None = None
        self._broken: set[str] = set()
        self._events: dict[tuple[str, str, str, bytes], DeviceMessage | None] = {}

    # Captures

    def captures_after(self, number: int, limit: int) -> list[StoredCapture]:
        """What is complete and not in the gateway's cache yet; the worker's rows have no numbers.

        A site whose key is not to be had keeps no other from being read: it is told when everything else was given.
        """
        broken: dict[str, GatewayError] = {}
        while True:
            rows = self._new_rows(list(broken), limit)
            found: list[StoredCapture] = []
            for row in rows:
                if row["site"] in broken:
                    continue
                try:
                    found.append(self._stored(row))
                except StoreUnavailable:
                    raise
                except GatewayError as error:
                    broken[row["site"]] = error
            if found:
                return found
            if not rows:
                if broken:
                    raise next(iter(broken.values()))
                # From here on only what became complete since is looked at, not the whole table every time.
                newest = self._database.execute(
                    "SELECT max(complete_at) FROM public.capture WHERE complete_at IS NOT NULL"
                ).fetchone()
                self._complete_until = newest[0] if newest else None
                return []

    def _new_rows(self, without_sites: list[str], limit: int) -> list[Row]:
        return list(
            self._database.execute(
                f"""SELECT c.site, c.device, c.capture_id::text AS capture_id, c.complete_at, c.sha256, c.key_id,
                  CASE WHEN length(c.sealed) <= :most THEN c.sealed END AS sealed, length(c.sealed) AS size
                FROM public.capture c
                WHERE c.complete_at IS NOT NULL AND NOT c.site = ANY (:without::text[])
                  AND (:since::timestamptz IS NULL OR c.complete_at > :since::timestamptz - {OVERLAP})
                  AND NOT EXISTS (SELECT 1 FROM capture g
                    WHERE g.capture_id = c.capture_id::text AND g.site = c.site AND g.device = c.device)
                  AND NOT EXISTS (SELECT 1 FROM refused r
                    WHERE r.source_key = c.site || '/' || c.device || '/' || c.capture_id::text)
                ORDER BY c.complete_at, c.site, c.device, c.capture_id LIMIT :rows""",
                {
                    "most": RECORD_BYTES_MAXIMUM + OVERHEAD_BYTES,
                    "since": self._complete_until,
                    "rows": limit,
                    "without": without_sites,
                },
            )
        )

    def _stored(self, row: Row) -> StoredCapture:
        place = Place(row["site"], row["device"], row["capture_id"])
        content, refusal = b"", ""
        try:
            content = self._record(place, row)
        except RecordRefused as error:
            refusal = str(error)
        fault = "" if hashlib.sha256(content).digest() == bytes(row["sha256"]) else _OTHER_RECORD
        return StoredCapture(0, place.capture_id, _time_text(row["complete_at"]), content, place, refusal, fault)

    def _record(self, place: Place, row: Row) -> bytes:
        """The record in a row. Raises RecordRefused, or GatewayError when the key is not to be had."""
        if row["sealed"] is None:
            raise RecordRefused(f"{row['size'] - OVERHEAD_BYTES} bytes; expected at most {RECORD_BYTES_MAXIMUM}")
        key = self._database.keys.key(place.site, row["key_id"])
        try:
            return key.open(bytes(row["sealed"]), _associated(place, "record.json"))
        except NotAuthentic:
            raise RecordRefused(f"the record {_CHANGED}") from None

    def records(self, places: Sequence[Place]) -> dict[Place, bytes | RecordRefused]:
        """The records of captures that were taken in before; absent when the database has them no more."""
        if not places:
            return {}
        rows = self._database.execute(
            """SELECT c.site, c.device, c.capture_id::text AS capture_id, c.key_id, c.sealed, length(c.sealed) AS size
            FROM public.capture c
            JOIN unnest(:sites::text[], :devices::text[], :captures::uuid[]) AS k (site, device, capture_id)
              ON c.site = k.site AND c.device = k.device AND c.capture_id = k.capture_id""",
            {
                "sites": [place.site for place in places],
                "devices": [place.device for place in places],
                "captures": [place.capture_id for place in places],
            },
        )
        found: dict[Place, bytes | RecordRefused] = {}
        for row in rows:
            place = Place(row["site"], row["device"], row["capture_id"])
            try:
                found[place] = self._record(place, row)
            except RecordRefused as refusal:
                found[place] = refusal
        return found

    def image(self, record: Record, image: Image) -> bytes:
        if image.bytes > IMAGE_BYTES_MAXIMUM:
            raise ImageRefused(f"{image.name}: {image.bytes} bytes; expected at most {IMAGE_BYTES_MAXIMUM}")
        place = Place(record.site, record.device, record.capture_id)
        # A content under the same name that the record does not name may lie beside it; it is not asked for.
        row = self._database.execute(
            "SELECT key_id, CASE WHEN length(sealed) <= ? THEN sealed END AS sealed, sealed IS NULL AS is_dropped"
            " FROM public.image"
            " WHERE site = ? AND device = ? AND capture_id = ?::uuid AND name = ? AND sha256 = ?",
            (IMAGE_BYTES_MAXIMUM + OVERHEAD_BYTES, *place, image.name, bytes.fromhex(image.sha256)),
        ).fetchone()
        if row is None:
            raise ImageRefused(
                f"{image.name}: missing in the database, or is not the image that the record names (SHA-256 differs)"
            )
        if row["is_dropped"]:
            raise ImageDropped(
                f"{image.name}: the far side keeps such images for a while only; the master holds the same content"
            )
        key = self._database.keys.key(place.site, row["key_id"])
        try:
            data = key.open(bytes(row["sealed"] or b""), _associated(place, image.name))
        except NotAuthentic:
            raise ImageRefused(f"{image.name}: {_CHANGED}") from None
        if len(data) != image.bytes or hashlib.sha256(data).hexdigest() != image.sha256:
            raise ImageRefused(f"{image.name}: is not the image that the record names (SHA-256 differs)")
        return data

    def record_fault(self, record: Record) -> str | None:
        row = self._database.execute(
            "SELECT sha256, complete_at IS NOT NULL FROM public.capture WHERE site = ? AND device = ? AND capture_id = ?::uuid",
            (record.site, record.device, record.capture_id),
        ).fetchone()
        if row is None or not row[1]:
            return "the database does not have this capture complete"
        return None if bytes(row[0]).hex() == record.sha256 else _OTHER_RECORD

    # Messages and answers

    def alerts(self) -> Iterator[DeviceMessage]:
        """By what the worker noted of them in the clear: none is opened."""
        for row in self._messages("alert", None):
            content = {"code": row["code"], "severity": row["severity"]}
            yield DeviceMessage(row["site"], row["device"], f"alert-{row['identity']}", "alert", content)

    def events(self, schemas: Sequence[str]) -> Iterator[DeviceMessage]:
        rows = self._messages("event", list(schemas))
        places = [(row["site"], row["device"], row["identity"], bytes(row["sha256"])) for row in rows]
        self._open_events([place for place in places if place not in self._events])
        for place in places:
            message = self._events.get(place)
            if message is not None:
                yield message

    def _open_events(self, places: list[tuple[str, str, str, bytes]]) -> None:
        """Opens what was not opened before: a row of a message never changes."""
        if len(self._events) + len(places) > MESSAGES_KEPT_MAXIMUM:
            self._events.clear()
        for start in range(0, len(places), 500):
            some = places[start : start + 500]
            sites, devices, identities, hashes = (list(column) for column in zip(*some, strict=True))
            for row in self._database.execute(
                """SELECT m.site, m.device, m.identity, m.sha256, m.key_id,
                  CASE WHEN length(m.sealed) <= :most THEN m.sealed END AS sealed
                FROM public.message m
                JOIN unnest(:sites::text[], :devices::text[], :identities::text[], :hashes::bytea[])
                  AS k (site, device, identity, sha256)
                  ON m.site = k.site AND m.device = k.device AND m.identity = k.identity AND m.sha256 = k.sha256
                WHERE m.kind = 'event'""",
                {"most": _MESSAGE_MOST, "sites": sites, "devices": devices, "identities": identities, "hashes": hashes},
            ):
                place = (row["site"], row["device"], row["identity"], bytes(row["sha256"]))
                self._events[place] = self._opened_event(row)

    def _opened_event(self, row: Row) -> DeviceMessage | None:
        message = self._opened(row, "event", "")
        return message if message.content else None

    def _opened(self, row: Row, kind: str, received_at: str) -> DeviceMessage:
        """With nothing in it when it does not open, or is not JSON."""
        content: dict[str, object] = {}
        associated = f"thermograph|{row['site']}|{row['device']}|{kind}|{row['identity']}"
        with contextlib.suppress(NotAuthentic, RecordRefused):
            key = self._database.keys.key(row["site"], row["key_id"])
            content = parse_json(key.open(bytes(row["sealed"] or b""), associated), MESSAGE_BYTES_MAXIMUM)
        return DeviceMessage(row["site"], row["device"], f"{kind}-{row['identity']}", kind, content, received_at)

    def _messages(self, kind: str, schemas: list[str] | None) -> list[Row]:
        # Of two contents under one number the first counts, as in a receive folder.
        return list(
            self._database.execute(
                """SELECT DISTINCT ON (site, device, identity) site, device, identity, code, severity, received_at, sha256
                FROM public.message WHERE kind = :kind AND (:schemas::text[] IS NULL OR schema = ANY (:schemas::text[]))
                ORDER BY site, device, identity, received_at, sha256""",
                {"kind": kind, "schemas": schemas},
            )
        )

    def fresh(self, schemas: Sequence[str], limit: int, is_taken: Callable[[str], bool]) -> list[DeviceMessage]:
        while True:
            found, broken = self._fresh(schemas, limit)
            self._broken |= broken
            if found or not broken:
                return found

    def _fresh(self, schemas: Sequence[str], limit: int) -> tuple[list[DeviceMessage], set[str]]:
        """Messages, and sites whose key is not to be had: they keep no other from being read; the next start tries again."""
        rows = self._database.execute(
            f"""SELECT m.site, m.device, m.kind, m.identity, m.key_id, m.received_at,
              CASE WHEN length(m.sealed) <= :most THEN m.sealed END AS sealed
            FROM public.message m
            WHERE (m.kind = 'reply' OR (m.kind = 'event' AND m.schema = ANY (:schemas::text[])))
              AND (:since::timestamptz IS NULL OR m.received_at > :since::timestamptz - {OVERLAP})
              AND NOT m.site = ANY (:without::text[])
              AND NOT EXISTS (SELECT 1 FROM taken t
                WHERE t.source_key = m.site || '/' || m.device || '/' || m.kind || '-' || m.identity)
            ORDER BY m.received_at, m.site, m.device, m.kind, m.identity, m.sha256 LIMIT :rows""",
            {"most": _MESSAGE_MOST, "schemas": list(schemas), "since": self._fresh_until, "rows": limit,
             "without": sorted(self._broken)},
        ).fetchall()  # fmt: skip
        found: dict[str, DeviceMessage] = {}
        broken: set[str] = set()
        for row in rows:
            try:
                message = self._opened(row, row["kind"], _time_text(row["received_at"]))
            except StoreUnavailable:
                raise
            except GatewayError:
                broken.add(row["site"])
                continue
            # Of two contents under one number the first counts.
            found.setdefault(message.key, message)
        if len(rows) < limit and rows and not self._broken and not broken:
            self._fresh_until = rows[-1]["received_at"]
        return list(found.values()), broken

    def witnessed(self) -> list[Witnessed]:
        alarms: dict[tuple[str, str, str], list[str]] = {}
        for row in self._database.execute(
            "SELECT site, device, outbox_id::text AS outbox_id, code FROM public.audit_alarm"
            " ORDER BY site, device, code LIMIT ?",
            (DEVICES_MAXIMUM,),
        ):
            alarms.setdefault((row["site"], row["device"], row["outbox_id"]), []).append(row["code"])
        # A head for each device's present outbox, found by the key: not a look at every head that was ever seen.
        rows = self._database.execute(
            f"""SELECT o.site, o.device, o.outbox_id, h.size, encode(h.head, 'hex') AS head, h.seen_at
            FROM (SELECT site, device, outbox_id::text AS outbox_id FROM public.device WHERE outbox_id IS NOT NULL
              UNION SELECT * FROM unnest(:sites::text[], :devices::text[], :outboxes::text[])
              ORDER BY 1, 2, 3 LIMIT {DEVICES_MAXIMUM}) o
            LEFT JOIN LATERAL (SELECT size, head, seen_at FROM public.audit_head h WHERE h.site = o.site
              AND h.device = o.device AND h.outbox_id = o.outbox_id::uuid ORDER BY sequence DESC LIMIT 1) h ON true
            ORDER BY o.site, o.device, o.outbox_id""",
            {
                "sites": [site for site, _, _ in alarms],
                "devices": [device for _, device, _ in alarms],
                "outboxes": [outbox for _, _, outbox in alarms],
            },
        )
        return [
            Witnessed(
                row["site"], row["device"], row["outbox_id"], int(row["size"] or 0), row["head"] or "",
                "" if row["seen_at"] is None else _time_text(row["seen_at"]),
                tuple(alarms.get((row["site"], row["device"], row["outbox_id"]), ())),
            )
            for row in rows
        ]  # fmt: skip

    def anchors(self, site: str, device: str, outbox_id: str) -> list[tuple[int, str, str]]:
        rows = self._database.execute(
            "SELECT size, encode(head, 'hex') AS head, sequence FROM public.audit_head"
            " WHERE site = ? AND device = ? AND outbox_id = ?::uuid ORDER BY sequence DESC LIMIT ?",
            (site, device, outbox_id, ANCHORS_MAXIMUM),
        ).fetchall()
        return [(int(row["size"]), row["head"], f"capture {row['sequence']}") for row in reversed(rows)]

    @property
    def answer_fault(self) -> str | None:
        if self._result_key is None:
            return "Answers to devices are signed, and this gateway was started without --result-key."
        return None

    def put_answer(self, site: str, device: str, answer_id: str, content: bytes) -> str:
        check_answer(site, device, answer_id)
        if self._result_key is None:
            raise GatewayError(self.answer_fault or "")
        self._database.execute(
            "INSERT INTO public.downlink (id, site, device, topic, envelope, not_after)"
            f" VALUES (?, ?, ?, 'result', ?, now() + interval '{ANSWER_DAYS} days')",
            (answer_id, site, device, self._result_key.envelope(content)),
        )
        return f"downlink {answer_id}"

    def take_back(self, site: str, device: str, answer_id: str) -> None:
        # Workers publish nothing whose end has come; the row stays.
        self._database.execute(
            "UPDATE public.downlink SET not_after = now()"
            " WHERE id = ? AND site = ? AND device = ? AND state IN ('waiting', 'published') AND not_after > now()",
            (answer_id, site, device),
        )

    def ways(self, answer_ids: Sequence[str]) -> dict[str, str]:
        rows = self._database.execute(
            "SELECT id, state, publishes, not_after < now() AS is_over FROM public.downlink"
            " WHERE topic = 'result' AND id = ANY (?::text[])",
            (list(answer_ids),),
        )
        return {
            row["id"]: "its time is over"
            if row["is_over"] or row["state"] == "expired"
            else "waits for a worker"
            if row["publishes"] == 0
            else f"given to the broker, {row['publishes']} times so far"
            for row in rows
        }


_OTHER_RECORD = "the record is not the one that the worker confirmed (SHA-256 differs)"
_MESSAGE_MOST = MESSAGE_BYTES_MAXIMUM + OVERHEAD_BYTES


def _associated(place: Place, name: str) -> str:
    return f"thermograph|{place.site}|{place.device}|{place.capture_id}|{name}"


def _time_text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
