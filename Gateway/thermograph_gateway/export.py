"""Takes captures to archives, once, and takes back what a correction made wrong."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from . import fhir
from .catalogue import Catalogue, Entry
from .destinations import Destination, FhirDestination
from .dicom import Identity, Instance, change, encapsulated_report, nearest, radiometric, view
from .errors import GatewayError, ImageDropped, ImageRefused
from .images import read_colours
from .ledger import now_text
from .report import report
from .structured import reference, rejection, structured_report

KINDS = ("image", "nearest", "report", "sr")
BATCH_CAPTURES = 8
_EXPORTED = (
    "INSERT INTO exported (destination, identifier, kind, capture_id, patient_ref, generation, class_uid, sha256, state, at)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)


@dataclass
class Outcome:
    """What an export did."""

    captures: int = 0
    states: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def count(self, state: str) -> None:
        self.states[state] = self.states.get(state, 0) + 1


class Exporter:
    """Exports from a catalogue; what went where stands in the ledger."""

    def __init__(self, catalogue: Catalogue, kinds: tuple[str, ...] = KINDS) -> None:
        self._catalogue = catalogue
        self._kinds = kinds

    def identity(self, entry: Entry, destination: str) -> Identity:
        """A capture under the UIDs that are good at `destination`: new ones after each rejection there."""
        return Identity(entry, self._rejections(destination).get(entry.capture_id, 0))

    def _rejections(self, destination: str) -> dict[str, int]:
        """How often what was said of a capture was taken back there; captures without a rejection are left out."""
        rows = self._catalogue.ledger.connection.execute(
            "SELECT capture_id, count(*) FROM exported WHERE destination = ? AND kind = 'rejection' GROUP BY capture_id",
            (destination,),
        )
        return {row[0]: int(row[1]) for row in rows}

    def instances(self, identity: Identity) -> list[Instance]:
        """The DICOM files of a capture. Raises ImageRefused when its master is not good."""
        catalogue, entry = self._catalogue, identity.entry
        if entry.fault:
            raise ImageRefused(entry.fault)
        master = catalogue.master(entry.record)
        found = [radiometric(identity, master)]
        if "image" in self._kinds:
            for kind, made in (("view", view), ("change", change)):
                # A view that was not sent, or is not kept any more: the master and the nearest neighbour series say the same.
                with contextlib.suppress(ImageDropped):
                    if entry.record.image(kind) is not None:
                        image, data = catalogue.picture(entry.record, kind)
                        found.append(made(identity, read_colours(data, image.name)))
        if "nearest" in self._kinds:
            found.append(nearest(identity, master))
        if "sr" in self._kinds:
            found.append(structured_report(identity, found[0]))
        if "report" in self._kinds:
            history = catalogue.patient(entry.record.site, entry.patient_ref, entry.record.view)
            until = [past for past in history if past.record.utc_nanoseconds <= entry.record.utc_nanoseconds]
            pdf = report(catalogue, [entry], until)
            found.append(encapsulated_report(identity, pdf, "Thermography report"))
        return found if "image" in self._kinds else found[1:]

    def export(self, destination: Destination, progress: Callable[[int], None] | None = None) -> Outcome:
        """Everything that is not withdrawn; then rejection notes for what corrections made wrong."""
        outcome = Outcome()
        self._take_back(destination, outcome)
        batch: list[tuple[Identity, list[Instance]]] = []
        rejections = self._rejections(destination.name)
        # While the archive takes one batch, the next is made: at most two are in memory.
        with ThreadPoolExecutor(max_workers=1) as sender:
            under_way: Future[None] | None = None
            for entry in self._entries():
                identity = Identity(entry, rejections.get(entry.capture_id, 0))
                try:
                    instances = self.instances(identity)
                except ImageRefused as refusal:
                    outcome.problems.append(f"capture {entry.capture_id}: not exported: {refusal}")
                    continue
                batch.append((identity, instances))
                if len(batch) == BATCH_CAPTURES:
                    if under_way is not None:
                        under_way.result()
                    under_way = sender.submit(self._send, destination, batch, outcome, progress)
                    batch = []
            if under_way is not None:
                under_way.result()
            self._send(destination, batch, outcome, progress)
        return outcome

    def _send(
        self,
        destination: Destination,
        batch: list[tuple[Identity, list[Instance]]],
        outcome: Outcome,
        progress: Callable[[int], None] | None,
    ) -> None:
        if not batch:
            return
        self._refuse_other_bytes(destination.name, [instance for _, instances in batch for instance in instances])
        states = destination.store([instance for _, instances in batch for instance in instances])
        self._note(destination.name, batch, states)
        for state in states.values():
            outcome.count(state)
        outcome.captures += len(batch)
        if progress is not None:
            progress(outcome.captures)

    def _refuse_other_bytes(self, destination: str, instances: list[Instance]) -> None:
        marks = ", ".join("?" * len(instances))
        rows = self._catalogue.ledger.connection.execute(
            f"SELECT identifier, sha256 FROM exported WHERE destination = ? AND identifier IN ({marks})",
            (destination, *(instance.uid for instance in instances)),
        )
        known = {row["identifier"]: row["sha256"] for row in rows}
        for instance in instances:
            if known.get(instance.uid, instance.sha256) != instance.sha256:
                raise GatewayError(
                    f"{instance.kind} {instance.uid} was exported with other bytes: this is a fault of the gateway"
                )

    def _note(self, destination: str, batch: list[tuple[Identity, list[Instance]]], states: dict[str, str]) -> None:
        at = now_text()
        rows = [
            (
                destination,
                instance.uid,
                instance.kind,
                identity.entry.capture_id,
                identity.entry.patient_ref,
                identity.generation,
                instance.class_uid,
                instance.sha256,
                states[instance.uid],
                at,
            )
            for identity, instances in batch
            for instance in instances
        ]
        with self._catalogue.ledger.transaction() as connection:
            connection.executemany(_EXPORTED, rows)

    def _entries(self) -> Iterator[Entry]:
        last = 0
        while batch := self._catalogue.all(last):
            for last, entry in batch:  # noqa: B007
                yield entry

    def _wrong(self, destination: str) -> Iterator[tuple[Entry, Identity, list[tuple[str, str, str]]]]:
        """Captures exported under a patient that they do not belong to now, or that were withdrawn since."""
        connection = self._catalogue.ledger.connection
        rows = connection.execute(
            "SELECT e.capture_id, e.patient_ref, e.generation, e.class_uid, e.identifier, e.kind FROM exported e"
            " JOIN capture c ON c.capture_id = e.capture_id WHERE e.destination = ? AND e.kind <> 'rejection'"
            " AND (c.withdrawn = 1 OR c.patient_ref <> e.patient_ref) AND NOT EXISTS (SELECT 1 FROM exported r"
            " WHERE r.destination = e.destination AND r.capture_id = e.capture_id AND r.kind = 'rejection'"
            " AND r.generation = e.generation) ORDER BY e.capture_id, e.generation",
            (destination,),
        ).fetchall()
        groups: dict[tuple[str, int, str], list[tuple[str, str, str]]] = {}
        for row in rows:
            key = (row["capture_id"], row["generation"], row["patient_ref"])
            groups.setdefault(key, []).append((row["class_uid"], row["identifier"], row["kind"]))
        for (capture_id, generation, ref), instances in groups.items():
            entry = self._catalogue.entry(capture_id, withdrawn=True)
            if entry is not None:
                said = Entry(entry.record, ref, entry.withdrawn, entry.received_at, entry.fault)
                yield entry, Identity(said, generation), instances

    def _take_back(self, destination: Destination, outcome: Outcome) -> None:
        for entry, identity, instances in list(self._wrong(destination.name)):
            references = [reference(identity, class_uid, uid, kind) for class_uid, uid, kind in instances]
            note = rejection(identity, references, entry.withdrawn)
            states = destination.store([note])
            self._note(destination.name, [(identity, [note])], states)
            outcome.count("Rejected")

    def export_fhir(self, destination: FhirDestination, content: bool, link: str) -> Outcome:
        """A bundle a capture; what was said of a capture's former patient becomes `entered-in-error`."""
        outcome = Outcome()
        for entry, identity, _ in list(self._wrong(destination.name)):
            destination.store(fhir.corrected(entry, identity.entry.patient_ref))
            self._note_fhir(destination.name, entry, identity.entry.patient_ref, identity.generation, "rejection")
            outcome.count("entered-in-error")
        rejections = self._rejections(destination.name)
        for entry in self._entries():
            try:
                if entry.fault:
                    raise ImageRefused(entry.fault)
                master = self._catalogue.picture(entry.record, "master")[1] if content else None
                destination.store(fhir.bundle(entry, master, link))
            except ImageRefused as refusal:
                outcome.problems.append(f"capture {entry.capture_id}: not exported: {refusal}")
                continue
            self._note_fhir(destination.name, entry, entry.patient_ref, rejections.get(entry.capture_id, 0), "bundle")
            outcome.captures += 1
            outcome.count("sent")
        return outcome

    def _note_fhir(self, destination: str, entry: Entry, ref: str, generation: int, kind: str) -> None:
        self._catalogue.ledger.connection.execute(
            _EXPORTED,
            (destination, f"{kind} {entry.capture_id} {ref} {generation}", kind, entry.capture_id, ref, generation, "",
             entry.record.sha256, "sent", now_text()),
        )  # fmt: skip
