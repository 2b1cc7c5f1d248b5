"""Readings and masters of those who consented to research, for later training: new pseudonyms, patient-wise splits, hashes."""

from __future__ import annotations

import csv
import hashlib
import hmac
import io
import secrets
from collections.abc import Callable
from pathlib import Path

from .catalogue import Catalogue
from .errors import GatewayError, ImageRefused
from .files import write_durably

SPLITS = (("train", 70), ("validation", 15), ("test", 15))
_READING = ("usable", "side", "place", "confidence", "follow_up")


def split_of(subject: str) -> str:
    """The part of the data to which a subject belongs: always the same one, all captures of a subject together."""
    share = int.from_bytes(hashlib.sha256(f"split {subject}".encode()).digest()[:8], "big") % 100
    for name, width in SPLITS:
        if share < width:
            return name
        share -= width
    raise AssertionError("the widths of the splits add up to 100")


def export(
    catalogue: Catalogue, folder: Path, salt: bytes | None = None, progress: Callable[[int], None] | None = None
) -> dict[str, int]:
    """Writes `masters/`, `captures.csv`, `readings.csv` and `SHA256SUMS` into a new folder; how many of each.

    Subjects are new pseudonyms: without `salt`, which is kept nowhere, nobody can lead them back. Raises GatewayError.
    """
    if folder.exists():
        raise GatewayError(f"{folder} exists: a data set is written into a new folder")
    salt = secrets.token_bytes(32) if salt is None else salt
    (folder / "masters").mkdir(parents=True)
    captures: list[list[str]] = []
    readings: list[list[str]] = []
    sums: dict[str, str] = {}
    left_out = 0
    after = 0
    while batch := catalogue.all(after):
        for number, entry in batch:
            after = number
            record = entry.record
            if not record.consents_to_research or entry.fault:
                left_out += 1
                continue
            try:
                catalogue.master(record)
                data = catalogue.picture(record, "master")[1]
            except ImageRefused:
                left_out += 1
                continue
            subject = _pseudonym(salt, f"{record.site}/{entry.patient_ref}")
            name = f"masters/{_pseudonym(salt, record.capture_id)}.png"
            # The manifest inside the picture names the capture: only the samples go out.
            data = _samples_only(data)
            write_durably(folder / name, data)
            sums[name] = hashlib.sha256(data).hexdigest()
            captures.append(
                [name, subject, split_of(subject), record.view, ";".join(g.code for g in record.failed_gates),
                 str(record.acquisition.get("lens", ""))[:64], str(record.acquisition.get("distance_cm", ""))[:16]]
            )  # fmt: skip
            for row in catalogue.ledger.connection.execute(
                "SELECT * FROM reading WHERE capture_id = ? ORDER BY reader", (record.capture_id,)
            ):
                readings.append([name, _pseudonym(salt, f"reader {row['reader']}"), *(str(row[key]) for key in _READING)])
            if progress is not None:
                progress(len(captures))
    _table(
        folder, "captures.csv", ["master", "subject", "split", "view", "failed_gates", "lens", "distance_cm"], captures, sums
    )
    _table(folder, "readings.csv", ["master", "reader", *_READING], readings, sums)
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))
    write_durably(folder / "SHA256SUMS", lines.encode())
    return {"captures": len(captures), "readings": len(readings), "left out": left_out}


def _pseudonym(salt: bytes, text: str) -> str:
    return hmac.new(salt, text.encode(), hashlib.sha256).hexdigest()[:20]


def _samples_only(data: bytes) -> bytes:
    """The PNG without its text and time: critical chunks and the calibration."""
    kept, position = [data[:8]], 8
    while position + 12 <= len(data):
        size = int.from_bytes(data[position : position + 4], "big")
        chunk = data[position : position + 12 + size]
        if chunk[4:8] in (b"IHDR", b"IDAT", b"IEND", b"pCAL"):
            kept.append(chunk)
        position += 12 + size
    return b"".join(kept)


def _table(folder: Path, name: str, header: list[str], rows: list[list[str]], sums: dict[str, str]) -> None:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    # In the order of the names, which say nothing: the order of capture would.
    writer.writerows(sorted(rows))
    data = stream.getvalue().encode()
    write_durably(folder / name, data)
    sums[name] = hashlib.sha256(data).hexdigest()
