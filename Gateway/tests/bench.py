"""How fast the gateway is, over both kinds of store, with each figure's share of its limit. `make bench-gateway` runs it.

Figures are of the machine as it is: what else runs on it counts against them.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.conftest import PASSWORD, Clinic, Clock
from tests.folders import FarSide, Folder, Store
from tests.orthanc import orthanc
from tests.postgres import Server
from thermograph_gateway.accounts import Accounts
from thermograph_gateway.destinations import ArchiveDestination
from thermograph_gateway.export import Exporter
from thermograph_gateway.report import report
from thermograph_gateway.web import create_app

CAPTURES, PATIENTS, EXPORTED = 500, 20, 100
ROUNDS = 9


def median_milliseconds(action: Callable[[], object]) -> float:
    """Of several rounds after one that does not count."""
    action()
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        action()
        times.append((time.perf_counter() - began) * 1000)
    return sorted(times)[ROUNDS // 2]


class Sheet:
    """The figures, and whether one is beyond its limit."""

    def __init__(self) -> None:
        self.is_beyond = False

    def at_most(self, what: str, value: float, limit: float, unit: str) -> None:
        self._line(what, value, limit, value / limit, unit, value <= limit)

    def at_least(self, what: str, value: float, limit: float, unit: str) -> None:
        self._line(what, value, limit, limit / value, unit, value >= limit)

    def figure(self, what: str, value: float, unit: str) -> None:
        print(f"{what:58} {value:8.1f} {unit:11}", flush=True)

    def _line(self, what: str, value: float, limit: float, ratio: float, unit: str, is_good: bool) -> None:
        self.is_beyond = self.is_beyond or not is_good
        print(
            f"{what:58} {value:8.1f} {unit:11} limit {limit:6.0f}, ratio {ratio:5.2f}{'' if is_good else '  BEYOND'}",
            flush=True,
        )


def measure(kind: str, store: Store, state: Path, archive: str, sheet: Sheet) -> None:
    captures: dict[str, list[str]] = {}
    for index in range(CAPTURES):
        patient = f"patient-{index % PATIENTS}"
        captures.setdefault(patient, []).append(store.add(store.record(patient, index // PATIENTS)))
    store.flush()
    began = time.perf_counter()
    catalogue = store.open(state)
    sheet.figure(f"{kind}: captures taken in", CAPTURES / (time.perf_counter() - began), "a second")
    Accounts(catalogue.ledger, Clock()).add("reader-1", "reader", PASSWORD)
    clinic = Clinic(store, catalogue, create_app(catalogue, clock=Clock()), Clock())
    client = clinic.client()

    def get(path: str) -> None:
        assert client.get(path).status_code == 200

    four = captures["patient-3"][:4]
    query = "&".join(f"id={capture}" for capture in four)

    def compare() -> None:
        get(f"/compare?{query}")
        for capture in four:
            get(f"/picture/{capture}.png")

    sheet.at_most(
        f"{kind}: worklist of {CAPTURES} captures of {PATIENTS} patients", median_milliseconds(lambda: get("/")), 200, "ms"
    )
    sheet.at_most(f"{kind}: comparison of four, with its pictures", median_milliseconds(compare), 300, "ms")
    history = catalogue.patient("clinic-a", "patient-3")
    session = [entry for entry in history if entry.record.session_id == history[-1].record.session_id]
    made = median_milliseconds(lambda: report(catalogue, session, history))
    sheet.at_most(f"{kind}: report of a session, {len(history)} in the trend", made, 2000, "ms")
    entries = [entry for _, entry in catalogue.all(limit=EXPORTED)]
    for name in ("image", "nearest", "report", "sr"):
        destination = ArchiveDestination(f"{archive}/dicom-web")
        destination.name = f"{kind} {destination.name}"
        exporter = Exporter(catalogue, (name,))
        exporter._entries = lambda: iter(entries)  # type: ignore[method-assign]
        began = time.perf_counter()
        outcome = exporter.export(destination)
        rate = EXPORTED / (time.perf_counter() - began)
        assert (outcome.captures, outcome.problems) == (EXPORTED, [])
        what = {"image": "master and view", "nearest": "nearest neighbour", "report": "reports", "sr": "structured reports"}[
            name
        ]
        if name == "image":
            sheet.at_least(f"{kind}: export to Orthanc, {what}", rate, 20, "a second")
        else:
            sheet.figure(f"{kind}: export to Orthanc, {what}", rate, "a second")


def main() -> int:
    load = os.getloadavg()[0]
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f} before; median of {ROUNDS} rounds")
    sheet = Sheet()
    key = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "a").mkdir()
        with orthanc(folder / "a") as archive:
            measure("folder", Folder(folder / "received"), folder / "state", archive, sheet)
        server = Server()
        try:
            server.make_template()
            store = FarSide(server, folder / "far-side", key)
            (folder / "b").mkdir()
            with orthanc(folder / "b") as archive:
                measure("PostgreSQL", store, folder / "state-2", archive, sheet)
            store.close()
        finally:
            server.remove()
    return 1 if sheet.is_beyond else 0


if __name__ == "__main__":
    sys.exit(main())
