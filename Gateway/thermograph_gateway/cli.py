"""`thermograph-gateway`: the reader's page, exports, reports, checks."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flask import Flask, g

from . import dataset
from .accounts import Accounts
from .answers import answer, answers_of, follow_corrections, latest
from .catalogue import Catalogue, Entry
from .database import Database
from .database_source import DatabaseSource
from .destinations import ArchiveDestination, FhirDestination, FolderDestination
from .dicom import Identity
from .errors import GatewayError, ImageDropped, ImageRefused
from .export import KINDS as EXPORT_KINDS
from .export import Exporter, Outcome
from .files import read_bounded, write_durably
from .images import Window, false_colours, png, scale_picture
from .incoming import Incoming
from .ledger import DatabaseLedger, FileLedger, Ledger
from .metadata import HOURS, Metadata, read_metadata, send_metadata
from .notify import Notifier, read_settings
from .options import parser
from .report import report
from .sealing import MasterKeys
from .send import Configuration, Sent, Wave, arguments, configure, listed, replies, roll_out, send, waves
from .service import run, server_for
from .source import CaptureSource, ReceiveFolder
from .statement import ONLINE_KEYS_BYTES_MAXIMUM, PAYLOAD_BYTES_MAXIMUM, ResultKey
from .supply import Supply, followed, serve
from .times import as_json, as_prometheus, distributions, duration
from .web import create_app, report_page
from .witness import devices, lines, write_anchors

NOTIFY_SECONDS = 30.0
# Nobody waits for a page here: half a million messages before a command begins.
MESSAGE_BATCHES = 1000


def main(arguments: Sequence[str] | None = None) -> int:
    """0 done, 1 something is not as it should be, 2 wrong usage."""
    options = parser().parse_args(arguments)
    handlers: dict[str, Callable[[argparse.Namespace], int]] = {
        "serve": _serve, "export": _export, "report": _report, "verify": _verify,
        "dataset": _dataset, "correct": _correct, "user": _user, "migrate": _migrate, "send": _send,
        "answer": _answer, "times": _times, "supply": _supply, "witness": _witness,
    }  # fmt: skip
    try:
        return handlers[options.command](options)
    except GatewayError as error:
        print(f"thermograph-gateway: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _progress(what: str) -> Callable[[int], None]:
    """A line that is written over on a terminal; nothing elsewhere."""
    began = time.monotonic()

    def show(count: int) -> None:
        if sys.stderr.isatty():
            seconds = max(time.monotonic() - began, 0.001)
            print(f"\r{count} {what}, {count / seconds:.0f} a second ", end="", file=sys.stderr, flush=True)

    return show


def _opened(options: argparse.Namespace) -> tuple[CaptureSource, Ledger]:
    """The folder with the file beside it, or the database with the schema in it."""
    if (options.folder is None) == (options.database is None):
        raise GatewayError("where are the captures? give --folder or --database, one of both")
    key = ResultKey.from_file(options.result_key) if options.result_key is not None else None
    if options.online_keys is not None:
        if key is None:
            raise GatewayError("--online-keys without --result-key: which key is to be looked for?")
        key.check_role("result", _listed(options.online_keys), str(options.online_keys))
    if options.folder is not None:
        return ReceiveFolder(options.folder, key), FileLedger(options.state)
    if options.master_key_file is None:
        raise GatewayError("--master-key-file is missing: the database's contents are sealed under the worker's master key")
    masters = MasterKeys.from_files([options.master_key_file, *options.older_master_key_file])
    database = Database(options.database, masters, options.allow_plaintext)
    return DatabaseSource(database, key), DatabaseLedger(database)


def _listed(path: Path) -> bytes:
    try:
        return read_bounded(path, ONLINE_KEYS_BYTES_MAXIMUM)
    except OSError as error:
        raise GatewayError(f"{path} cannot be read ({error.strerror or error}); expected online-keys.json") from error


def opened_catalogue(options: argparse.Namespace) -> Catalogue:
    """What a command works on, with what came since the last time."""
    catalogue = Catalogue(*_opened(options))
    catalogue.refresh(_progress("captures read"))
    catalogue.take_device_corrections()
    Incoming(catalogue).take(MESSAGE_BATCHES)
    return catalogue


def _serve(options: argparse.Namespace) -> int:
    catalogue = opened_catalogue(options)
    app = create_app(catalogue, secure=options.certificate is not None or options.behind_tls)
    server = server_for(app, options.host, options.port, options.certificate, options.key)
    stopping = threading.Event()
    worker = None
    if options.notifications:
        notifier = Notifier(catalogue, read_settings(options.notifications), time.time)
        worker = threading.Thread(target=_notify, args=(catalogue, notifier, stopping))
        worker.start()
    if not Accounts(catalogue.ledger, time.time).users():
        print("nobody may log in yet: thermograph-gateway user add NAME --role administrator", file=sys.stderr)
    scheme = "https" if options.certificate else "http"
    print(f"{scheme}://{options.host}:{options.port}/", file=sys.stderr, flush=True)
    try:
        run(server)
    finally:
        stopping.set()
        if worker is not None:
            worker.join()
    return 0


def _notify(catalogue: Catalogue, notifier: Notifier, stopping: threading.Event) -> None:
    incoming = Incoming(catalogue)
    while not stopping.wait(NOTIFY_SECONDS):
        try:
            catalogue.refresh()
            incoming.take()
            notifier.gather()
            notifier.send()
        except GatewayError as error:
            print(f"notifications: {error}", file=sys.stderr)


def _export(options: argparse.Namespace) -> int:
    if not (options.archive or options.to or options.fhir):
        raise GatewayError("export where to? give --archive URL, --to FOLDER or --fhir URL-or-FILE")
    catalogue = opened_catalogue(options)
    exporter = Exporter(catalogue, tuple(options.only or EXPORT_KINDS))
    outcomes: list[tuple[str, Outcome]] = []
    if options.archive:
        destination = ArchiveDestination(options.archive)
        outcomes.append((destination.name, exporter.export(destination, _progress("captures exported"))))
    if options.to:
        place = FolderDestination(options.to)
        outcomes.append((place.name, exporter.export(place, _progress("captures exported"))))
    if options.fhir:
        server = FhirDestination(options.fhir)
        outcomes.append((server.name, exporter.export_fhir(server, not options.fhir_link, options.fhir_link)))
    problems = 0
    for name, outcome in outcomes:
        states = ", ".join(f"{count} {state}" for state, count in sorted(outcome.states.items())) or "nothing to do"
        print(f"{name}: {outcome.captures} captures; {states}")
        for problem in outcome.problems:
            print(f"  {problem}", file=sys.stderr)
        problems += len(outcome.problems)
    return 1 if problems else 0


def _answer(options: argparse.Namespace) -> int:
    catalogue = opened_catalogue(options)
    follow_corrections(catalogue)
    entry = catalogue.entry(options.capture)
    if entry is None:
        raise GatewayError(f"there is no capture {options.capture[:64]} here; it may have been withdrawn")
    if options.answer is not None:
        if not options.reviewer:
            raise GatewayError("--reviewer is missing: whose answer is it?")
        seen = latest(catalogue, entry.capture_id)
        place = answer(catalogue, entry, options.reviewer, options.answer, options.note, seen)
        catalogue.ledger.audit(
            f"command line, {getpass.getuser()}", "answer", entry.record.site, entry.patient_ref, entry.capture_id,
            f"{options.reviewer}: {place}",
        )  # fmt: skip
    for one in answers_of(catalogue, entry):
        print(f"{one.at}  {one.state}  {one.reviewer}  {one.id}  {one.words}")
    return 0


def _witness(options: argparse.Namespace) -> int:
    catalogue = Catalogue(*_opened(options))
    if options.anchors is not None:
        if not (options.site and options.device):
            raise GatewayError("--anchors needs --site and --device: the heads of one log")
        count = write_anchors(catalogue, options.site, options.device, options.outbox, options.anchors)
        print(f"{options.anchors}: {count} heads", file=sys.stderr)
    found = [
        one for one in devices(catalogue)
        if options.site in ("", one.seen.site) and options.device in ("", one.seen.device)
    ]  # fmt: skip
    print("\n".join(lines(found)) if found else "no device has told of an audit log yet")
    return 1 if any(one.alarms for one in found) else 0


def _times(options: argparse.Namespace) -> int:
    found = distributions(opened_catalogue(options), options.site)
    if options.json:
        print(as_json(found))
    elif options.prometheus:
        print(as_prometheus(found), end="")
    else:
        for one in found:
            print(
                f"{one.term:9} median {duration(one.median):>9}  95 of 100 within {duration(one.p95):>9}  "
                f"known {len(one.values)}  unknown {one.unknown}"
            )
    return 0


def _send(options: argparse.Namespace) -> int:
    now = datetime.now(UTC)
    if options.devices is None and not (options.site and options.device):
        raise GatewayError("--site and --device are missing, or --devices")
    metadata = _metadata(options, now) if options.name == "trust" else None
    key = _sending_key(options) if metadata is None else None
    given = _configuration(options) if options.name == "configuration" else None
    if options.output is not None:
        return _stick(options, key, given, now)
    if options.database is None or options.master_key_file is None:
        raise GatewayError("--database and --master-key-file are missing: the worker takes what is sent from there")
    masters = MasterKeys.from_files([options.master_key_file, *options.older_master_key_file])
    database = Database(options.database, masters, options.allow_plaintext)

    def one(site: str, device: str) -> Sent:
        if metadata is not None:
            return send_metadata(database, site, device, metadata, options.hours or HOURS, now)
        if key is None:
            raise GatewayError("--key is missing: nothing goes to a device unsigned")
        if given is not None:
            return configure(database, key, site, device, given, now, options.for_boot)
        return send(database, key, site, device, options.name, arguments(options.arguments), options.hours or 24, now)

    # A trial, and the minute in which it is taken back.
    seconds = options.wait if options.wait is not None else 60 if given is None else 60 * (given.confirm_minutes + 1)
    if options.devices is not None:
        devices = listed(read_bounded(options.devices, 1 << 20).decode("utf-8", "replace").splitlines())
        parts = waves(devices, options.wave)
        return 0 if roll_out(parts, one, lambda sent: _answers(database, options, sent, seconds), options.stop_at, _tell) else 1
    sent = one(options.site, options.device)
    print(f"{sent.id} waits for the worker", file=sys.stderr)
    if given is None and metadata is None and not sent.names_start:
        print("the device's newest birth names no start: it takes no commands, or needs a newer program", file=sys.stderr)
    if seconds <= 0:
        return 0
    answer = _answers(database, options, [sent], seconds).get(sent.id)
    if answer is None:
        print("no reply yet; it stays until its end, and its reply will be in the database", file=sys.stderr)
        if metadata is not None:
            print("a device that does not believe it replies nothing and raises the alert trust-refused", file=sys.stderr)
        return 1
    print(json.dumps(answer, indent=2, sort_keys=True))
    return 0 if answer.get("state") == "done" else 1


def _answers(
    database: Database, options: argparse.Namespace, sent: Sequence[Sent], seconds: float
) -> dict[str, dict[str, Any]]:
    if options.follow is None:
        return replies(database, sent, seconds)
    if options.name != "update-install":
        raise GatewayError("--follow is for update-install")
    return followed(database, sent, options.follow, seconds)


def _supply(options: argparse.Namespace) -> int:
    if options.database is None:
        raise GatewayError("--database is missing: what devices want stands there")
    masters = MasterKeys.from_files([options.master_key_file, *options.older_master_key_file])
    database = Database(options.database, masters, options.allow_plaintext)
    serve(Supply(database, options.folder, tuple(options.site)), options.seconds, lambda line: print(line, flush=True))
    return 0


def _sending_key(options: argparse.Namespace) -> ResultKey:
    if options.key is None:
        raise GatewayError("--key is missing: nothing goes to a device unsigned")
    key = ResultKey.from_file(options.key)
    if options.online_keys is not None:
        role = "configuration" if options.name == "configuration" else "command"
        key.check_role(role, _listed(options.online_keys), str(options.online_keys))
    return key


def _metadata(options: argparse.Namespace, now: datetime) -> Metadata:
    if len(options.arguments) != 1 or options.output is not None or options.key is not None:
        raise GatewayError(
            "trust: expected the folder that was published, and neither --key nor --output: it is signed already"
        )
    return read_metadata(Path(options.arguments[0]), now)


def _configuration(options: argparse.Namespace) -> Configuration:
    if len(options.arguments) != 1:
        raise GatewayError("configuration: expected its TOML file, and nothing else")
    try:
        toml = read_bounded(Path(options.arguments[0]), PAYLOAD_BYTES_MAXIMUM).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise GatewayError(f"{options.arguments[0]} cannot be read: {error}; expected TOML in UTF-8") from error
    return Configuration(toml, options.number, options.confirm_minutes, options.hours or 72)


def _stick(options: argparse.Namespace, key: ResultKey | None, given: Configuration | None, now: datetime) -> int:
    if key is None or given is None or given.version is None or options.devices is not None:
        raise GatewayError("--output is for one configuration of one device, and needs --number")
    envelope = given.envelope(key, options.site, options.device, now, given.version)[1]
    write_durably(options.output, envelope)
    print(f"{options.output}: on the device: thermograph config import {options.output.name}")
    return 0


def _tell(number: int, wave: Wave) -> None:
    print(f"wave {number}: {len(wave.done)} took it, {len(wave.failed)} did not, {len(wave.silent)} have not answered")
    for name, reason in wave.failed:
        print(f"  {name}: {reason}", file=sys.stderr)
    for name in wave.silent:
        print(f"  {name}: no answer yet; it is offered again until its end", file=sys.stderr)


def _sessions(catalogue: Catalogue, site: str, ref: str, view: str) -> dict[str, list[Entry]]:
    sessions: dict[str, list[Entry]] = {}
    for entry in catalogue.patient(site, ref):
        sessions.setdefault(entry.record.session_id, []).append(entry)
    return {key: found for key, found in sessions.items() if not view or any(e.record.view == view for e in found)}


def _report(options: argparse.Namespace) -> int:
    catalogue = opened_catalogue(options)
    sessions = _sessions(catalogue, options.site, options.patient, options.view or "")
    if not sessions:
        raise GatewayError(f"site {options.site} has no session of patient {options.patient} with such a view")
    app = create_app(catalogue)
    options.output.mkdir(parents=True, exist_ok=True)
    for key, entries in sessions.items():
        view = options.view or entries[0].record.view
        until = entries[-1].record.utc_nanoseconds
        history = [e for e in catalogue.patient(options.site, options.patient, view) if e.record.utc_nanoseconds <= until]
        catalogue.ledger.audit("command line", "report", options.site, options.patient, entries[0].capture_id)
        path = options.output / f"{key}.pdf"
        write_durably(path, report(catalogue, entries, history))
        _html(catalogue, options.output, key, entries, history, app)
        print(path)
    return 0


def _html(catalogue: Catalogue, output: Path, key: str, entries: list[Entry], history: list[Entry], app: Flask) -> None:
    """The page with its pictures in a folder beside it."""
    folder = output / f"{key}-pictures"
    folder.mkdir(exist_ok=True)
    for entry in entries:
        try:
            write_durably(folder / f"{entry.capture_id}.png", png(false_colours(catalogue.master(entry.record), Window()), 10))
        except ImageRefused as refusal:
            print(f"{entry.capture_id}: {refusal}", file=sys.stderr)
    write_durably(folder / "scale.png", scale_picture(Window()))
    style = Path(__file__).parent / "static" / "style.css"
    write_durably(folder / "style.css", style.read_bytes())
    with app.test_request_context("/"):
        g.login = None
        text = report_page(entries, history, folder.name)
    text = text.replace("/static/style.css", f"{folder.name}/style.css").replace(
        '<link rel="icon" href="/static/icon.png">\n', ""
    )
    write_durably(output / f"{key}.html", text.encode())


def _verify(options: argparse.Namespace) -> int:
    catalogue = opened_catalogue(options)
    faults: list[str] = []
    count, after = 0, 0
    show = _progress("captures verified")
    exporter = Exporter(catalogue)
    while batch := catalogue.all(after):
        for after, entry in batch:  # noqa: B007
            faults += [f"capture {entry.capture_id}: {fault}" for fault in _faults(catalogue, exporter, entry)]
            count += 1
            show(count)
    refused = catalogue.ledger.connection.execute("SELECT capture_id, reason FROM refused").fetchall()
    faults += [f"capture {row['capture_id']}: refused: {row['reason']}" for row in refused]
    for fault in faults:
        print(fault)
    print(f"{count + len(refused)} captures, {len(faults)} faults")
    return 1 if faults else 0


def _faults(catalogue: Catalogue, exporter: Exporter, entry: Entry) -> list[str]:
    found = []
    now = catalogue.source.record_fault(entry.record)
    if now is not None:
        found.append(now)
    for image in entry.record.images:
        try:
            catalogue.source.image(entry.record, image)
        except ImageDropped:
            continue
        except ImageRefused as refusal:
            found.append(str(refusal))
    try:
        catalogue.master(entry.record)
    except ImageRefused as refusal:
        found.append(str(refusal))
    if found:
        return sorted(set(found))
    rows = catalogue.ledger.connection.execute(
        "SELECT destination, identifier, kind, generation, sha256 FROM exported WHERE capture_id = ? AND patient_ref = ?"
        " AND class_uid <> '' AND kind NOT IN ('report', 'rejection')",
        (entry.capture_id, entry.patient_ref),
    ).fetchall()
    for generation in {row["generation"] for row in rows}:
        made = {i.uid: i.sha256 for i in exporter.instances(Identity(entry, generation))}
        found += [
            f"{row['kind']} for {row['destination']} would have other bytes now"
            for row in rows
            if row["generation"] == generation and made.get(row["identifier"]) != row["sha256"]
        ]
    return found


def _dataset(options: argparse.Namespace) -> int:
    counts = dataset.export(opened_catalogue(options), options.output, progress=_progress("captures"))
    print(", ".join(f"{count} {name}" for name, count in counts.items()))
    return 0


def _correct(options: argparse.Namespace) -> int:
    catalogue = opened_catalogue(options)
    number = catalogue.correct(
        f"command line, {getpass.getuser()}", options.kind, options.site, options.subject, options.to, options.reason
    )
    follow_corrections(catalogue)
    catalogue.ledger.audit("command line", f"correction {options.kind}", options.site, detail=str(number))
    print(f"correction {number}")
    return 0


def _migrate(options: argparse.Namespace) -> int:
    if options.database is None:
        raise GatewayError("--database is missing: whose schema is to be made?")
    made = Database(options.database, None, options.allow_plaintext).migrate(options.role)
    print(f"{'made the schema gateway' if made else 'the schema gateway is there'}; role {options.role} has its rights")
    return 0


def _user(options: argparse.Namespace) -> int:
    ledger = (
        DatabaseLedger(Database(options.database, None, options.allow_plaintext))
        if options.database
        else FileLedger(options.state)
    )
    accounts = Accounts(ledger, time.time)
    if options.action == "list":
        for row in accounts.users():
            print(f"{row['name']}\t{row['role']}\t{'in use' if row['enabled'] else 'kept out'}")
        return 0
    if options.action in ("add", "password"):
        password = _password(options.password_file)
        if options.action == "add":
            accounts.add(options.name, options.role, password)
        else:
            accounts.set_password(options.name, password)
    else:
        accounts.set_enabled(options.name, options.action == "enable")
    ledger.audit("command line", f"user {options.action}", detail=options.name)
    return 0


def _password(path: Path | None) -> str:
    if path is None:
        return getpass.getpass("password: ")
    try:
        return read_bounded(path, 4096).decode().splitlines()[0]
    except (OSError, UnicodeDecodeError, IndexError) as error:
        raise GatewayError(f"{path} cannot be read as a password ({error})") from error
