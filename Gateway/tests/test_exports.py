"""FHIR bundles, reports, data sets, notifications, the command line."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import os
import re
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pypdf
import pytest
from fhir.resources.R4B.bundle import Bundle
from PIL import Image as Pillow

from tests.conftest import Clinic, Clock
from tests.folders import Store, fixture_captures, master_png
from thermograph_gateway import dataset, fhir
from thermograph_gateway.cli import main
from thermograph_gateway.destinations import FhirDestination
from thermograph_gateway.errors import GatewayError
from thermograph_gateway.export import Exporter
from thermograph_gateway.images import INFERNO, Window, read_master, scale_picture
from thermograph_gateway.incoming import Incoming
from thermograph_gateway.notify import ATTEMPTS_MAXIMUM, Notifier, Settings, read_settings, send_mail, send_webhook
from thermograph_gateway.report import report

Open = Callable[[], Clinic]


# FHIR


def test_real_captures_make_valid_bundles(received: Store, tmp_path: Path) -> None:
    catalogue = received.open(tmp_path / "state")
    for _, entry in catalogue.all():
        image, data = catalogue.picture(entry.record, "master")
        raw = fhir.bundle(entry, data)
        assert raw == fhir.bundle(entry, data)
        Bundle.model_validate_json(raw)
        kinds = [item["resource"]["resourceType"] for item in json.loads(raw)["entry"]]
        assert kinds[:3] == ["Patient", "Device", "Media"]
        assert kinds[-2:] == ["DiagnosticReport", "Provenance"]
        value = json.loads(raw)
        by_kind = {item["resource"]["resourceType"]: item["resource"] for item in value["entry"]}
        assert base64.b64decode(by_kind["Media"]["content"]["data"]) == data
        assert by_kind["DiagnosticReport"]["status"] == "preliminary"
        assert hashlib.sha256(data).hexdigest() == image.sha256
        # Every reference inside points at an entry of the bundle.
        known = {item["fullUrl"] for item in value["entry"]}
        assert set(re.findall(r"urn:uuid:[0-9a-f-]+", raw.decode())) <= known
        codes = re.findall(r'"system":"(http://[^"]+)"', raw.decode())
        assert set(codes) <= {"http://snomed.info/sct", "http://unitsofmeasure.org"}


def test_a_bundle_may_link_instead(received: Store, tmp_path: Path) -> None:
    entry = received.open(tmp_path / "state").all()[0][1]
    content = json.loads(fhir.bundle(entry, None, "https://reader.example"))["entry"][2]["resource"]["content"]
    assert content["url"] == f"https://reader.example/capture/{entry.capture_id}"
    assert "data" not in content


class Recorder(BaseHTTPRequestHandler):
    """Keeps what is posted; answers with the server's `status`."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posts.append((self.path, self.headers["Content-Type"], body))  # type: ignore[attr-defined]
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> object:
    made = HTTPServer(("127.0.0.1", 0), Recorder)
    made.posts, made.status = [], 200  # type: ignore[attr-defined]
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def test_bundles_go_to_a_server_and_a_refusal_is_told(received: Store, tmp_path: Path, server: HTTPServer) -> None:
    catalogue = received.open(tmp_path / "state")
    url = f"http://127.0.0.1:{server.server_port}/fhir"
    assert Exporter(catalogue).export_fhir(FhirDestination(url), True, "").captures == 4
    posts = server.posts  # type: ignore[attr-defined]
    assert {(path, kind) for path, kind, _ in posts} == {("/fhir", "application/fhir+json")}
    for _, _, body in posts:
        Bundle.model_validate_json(body)
    server.status = 422  # type: ignore[attr-defined]
    with pytest.raises(GatewayError, match="status 422"):
        Exporter(catalogue).export_fhir(FhirDestination(url), True, "")


# Report


def test_report_is_one_page_with_embedded_fonts_and_says_what_it_must(store: Store, opened: Open) -> None:
    for day in range(12):
        for view in ("frontal", "left-oblique", "right-oblique", "left-lateral", "right-lateral"):
            record = store.record("p-1", day, view)
            for gate in record["gates"]:
                gate.update(passed=False)
            record["verdict"].update(reasons=["a reason that is long enough to fill a line of the page " * 3] * 8)
            store.add(record)
    catalogue = opened().catalogue
    history = catalogue.patient("clinic-a", "p-1", "frontal")
    session = [e for e in catalogue.patient("clinic-a", "p-1") if e.record.session_id == history[-1].record.session_id]
    data = report(catalogue, session, history)
    assert data == report(catalogue, session, history)
    pdf = pypdf.PdfReader(io.BytesIO(data))
    assert len(pdf.pages) == 1
    text = pdf.pages[0].extract_text()
    for words in ("Research use only, not a diagnosis", "p-1", "27 degC", "37 degC", "patient's left", "patient's right",
                  "Left minus right", "found no room on this page"):  # fmt: skip
        assert words in text
    resources: Any = pdf.pages[0]["/Resources"]
    for font in resources["/Font"].values():
        described = font.get_object()
        assert "/FontFile2" in described["/FontDescriptor"], described["/BaseFont"]


def test_the_colours_rise_in_grey_too() -> None:
    grey = np.asarray(Pillow.open(io.BytesIO(scale_picture(Window()))).convert("L"))[0]
    assert np.all(np.diff(grey.astype(int)) >= 0)
    assert int(grey[-1]) - int(grey[0]) > 200


def test_the_palette_is_the_devices() -> None:
    source = Path(__file__).parents[2] / "Sources" / "Core" / "Thermography" / "Palette.swift"
    stops = re.search(r"infernoStops = \[(.*?)\]", source.read_text(), re.S)
    assert stops
    values = [int(text, 16) for text in re.findall(r"0x([0-9A-F]{6})", stops.group(1))]
    assert [(v >> 16, v >> 8 & 255, v & 255) for v in values] == list(INFERNO)


# Data set


def test_dataset_holds_only_those_who_consented_and_no_identity(store: Store, opened: Open, tmp_path: Path) -> None:
    for patient in range(40):
        for day in range(3):
            record = store.record(f"p-{patient}", day)
            if patient % 4 == 0:
                record["consent"] = ["capture", "upload"]
            if patient == 1:
                del record["consent"]
            store.add(record)
    withdrawn = store.record("p-2", 50)
    store.add(withdrawn)
    clinic = opened()
    clinic.catalogue.correct("a", "withdraw", "clinic-a", withdrawn["session_id"], "", "r")
    reader = clinic.client()
    for _, entry in clinic.catalogue.all(limit=5):
        clinic.read(reader, entry.capture_id)
    counts = dataset.export(clinic.catalogue, tmp_path / "data", b"salt")
    # Five captures were read: of patient 0 (no consent, three) and 1 (none either, two).
    assert counts == {"captures": 29 * 3, "readings": 0, "left out": 11 * 3}
    rows = list(csv.DictReader((tmp_path / "data" / "captures.csv").open()))
    splits: dict[str, set[str]] = {}
    for row in rows:
        splits.setdefault(row["subject"], set()).add(row["split"])
    assert len(splits) == 29
    assert all(len(parts) == 1 for parts in splits.values()), "a subject in two splits leaks"
    everything = b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file())
    for secret in (b"p-3,", b"clinic-a", b"unit-1", b"reader-1", b"thermograph:manifest", b"capture_id"):
        assert secret not in everything
    for line in (tmp_path / "data" / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((tmp_path / "data" / name).read_bytes()).hexdigest() == digest
    master = read_master((tmp_path / "data" / rows[0]["master"]).read_bytes())
    assert np.array_equal(master.centikelvin, read_master(fixture_captures()[0][1]["master.png"]).centikelvin)
    with pytest.raises(GatewayError, match="exists"):
        dataset.export(clinic.catalogue, tmp_path / "data")


def test_splits_have_their_sizes() -> None:
    names = [dataset.split_of(f"s{n}") for n in range(4000)]
    for name, width in dataset.SPLITS:
        assert abs(names.count(name) / 40 - width) < 3


# Notifications


def test_notifications_name_no_patient_and_keep_to_their_rate(store: Store, opened: Open) -> None:
    store.add(store.record("secret-patient", 1))
    store.event(
        "a1", {"schema": "thermograph.alert.v1", "code": "quota", "severity": "warning", "detail": "secret words"}, "alert"
    )
    store.event("a2", {"schema": "thermograph.alert.v1", "code": "<b>x", "severity": "critical", "detail": "x"}, "alert")
    clinic = opened()
    clock, sent = Clock(), []
    settings = Settings(webhook="https://x.example", link="https://reader.example")
    notifier = Notifier(clinic.catalogue, settings, clock, {"webhook": lambda _, body: sent.append(body)})
    assert notifier.gather()
    assert notifier.send() == 1
    (body,) = sent
    assert "1 new captures wait for a reader (clinic-a)." in body
    assert "Alert quota (warning) from clinic-a/unit-1, 1 times." in body
    assert "https://reader.example" in body
    for secret in ("secret", "<b>", clinic.catalogue.all()[0][1].capture_id):
        assert secret not in body
    store.add(store.record("secret-patient", 2))
    store.flush()
    clinic.catalogue.refresh()
    assert not notifier.gather(), "one message an interval"
    clock.now += 901
    assert notifier.gather()
    clock.now += 901
    assert not notifier.gather(), "nothing is told twice"


def test_somebody_who_asks_to_be_called_is_told_once_and_by_no_name(store: Store, opened: Open) -> None:
    clinic = opened()
    content = {"schema": "thermograph.session.v1", "kind": "call-requested", "at": "x", "patient_ref": "secret-patient"}
    store.event("call-1", content)
    store.event("call-2", content)
    Incoming(clinic.catalogue).take()
    clock, sent = Clock(), list[str]()
    notifier = Notifier(clinic.catalogue, Settings(webhook="https://x"), clock, {"webhook": lambda _, body: sent.append(body)})
    assert notifier.gather()
    notifier.send()
    (body,) = sent
    assert "1 person asks to be called: see the worklist." in body
    assert "secret" not in body
    clock.now += 901
    assert not notifier.gather(), "once"


def test_a_refused_notification_is_tried_again_ever_later_and_given_up(store: Store, opened: Open) -> None:
    store.add(store.record("p", 1))
    clinic = opened()
    clock, tries = Clock(), []

    def refuse(_: Settings, body: str) -> None:
        tries.append(clock.now)
        raise ConnectionRefusedError(111, "refused")

    notifier = Notifier(clinic.catalogue, Settings(webhook="https://x"), clock, {"webhook": refuse})
    notifier.gather()
    for _ in range(20_000):
        notifier.send()
        clock.now += 30
    steps = np.diff(tries)
    assert len(tries) == ATTEMPTS_MAXIMUM
    assert np.all(np.diff(steps) > 0)
    row = clinic.catalogue.ledger.connection.execute("SELECT state, problem FROM notification").fetchone()
    assert row["state"] == "given-up"
    assert "refused" in row["problem"]


def test_webhook_and_mail_on_real_sockets(server: HTTPServer, tmp_path: Path) -> None:
    send_webhook(Settings(webhook=f"http://127.0.0.1:{server.server_port}/hook"), "words")
    assert json.loads(server.posts[0][2]) == {"schema": "thermograph.notification.v1", "text": "words"}  # type: ignore[attr-defined]
    server.status = 500  # type: ignore[attr-defined]
    with pytest.raises(GatewayError, match="status 500"):
        send_webhook(Settings(webhook=f"http://127.0.0.1:{server.server_port}/hook"), "words")
    received: list[str] = []
    port = _mail_server(received)
    settings = Settings(
        smtp_host="127.0.0.1", smtp_port=port, smtp_starttls=False, sender="a@b.example", recipients=("d@e.example",)
    )
    send_mail(settings, "3 new captures wait\n")
    assert "3 new captures wait" in received[0]
    assert "To: d@e.example" in received[0]


def _mail_server(received: list[str]) -> int:
    """Takes one message by SMTP (RFC 5321)."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener, listener.accept()[0] as line, line.makefile("rw", newline="\r\n") as file:

            def say(text: str) -> None:
                file.write(text + "\n")
                file.flush()

            say("220 test")
            for command in file:
                verb = command.split()[0].upper()
                if verb == "DATA":
                    say("354 go on")
                    text = ""
                    for part in file:
                        if part.strip() == ".":
                            break
                        text += part
                    received.append(text)
                    say("250 taken")
                elif verb == "QUIT":
                    say("221 bye")
                    return
                else:
                    say("250 ok")

    threading.Thread(target=serve, daemon=True).start()
    return int(listener.getsockname()[1])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("webhok = 'x'", "unknown keys webhok"),
        ("webhook = 'http://other.example/x'", "must be https"),
        ("interval_seconds = 900", "neither"),
        ("webhook = 5", "is no str"),
        ("smtp_host = 'x'", "sender and recipients"),
        ("webhook = 'https://x'\ninterval_seconds = 1", "60 or more"),
        ("[", "Invalid initial character"),
    ],
)
def test_mistakes_in_the_settings_are_told(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "n.toml"
    path.write_text(text)
    with pytest.raises(GatewayError, match=words):
        read_settings(path)


# Command line


def test_commands_over_real_captures(received: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = received.arguments(tmp_path / "state")
    record = received.bases[0][0]
    ref = record["patient_ref"]
    assert main(["verify", *common]) == 0
    assert "4 captures, 0 faults" in capsys.readouterr().out
    assert main(["export", *common, "--to", str(tmp_path / "dicom"), "--fhir", str(tmp_path / "b.ndjson")]) == 0
    assert "20 Stored" in capsys.readouterr().out
    assert main(["verify", *common]) == 0
    assert (
        main(["report", *common, "--site", "clinic-a", "--patient", ref, "--view", "frontal", "--output", str(tmp_path / "r")])
        == 0
    )
    page = next((tmp_path / "r").glob("*.html")).read_text()
    for name in re.findall(r'(?:src|href)="([^"#]+)"', page):
        assert (tmp_path / "r" / name).is_file() or name == "/", name
    assert next((tmp_path / "r").glob("*.pdf")).read_bytes()[:5] == b"%PDF-"
    assert main(["report", *common, "--site", "clinic-a", "--patient", "nobody"]) == 1
    assert "no session of patient nobody" in capsys.readouterr().err
    received.replace_image(record["capture_id"], "master.png", master_png())
    assert main(["verify", *common]) == 1
    assert "SHA-256 differs" in capsys.readouterr().out
    assert main(["export", *common, "--to", str(tmp_path / "again")]) == 1
    assert "not exported" in capsys.readouterr().err


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("serve", "export", "report", "verify", "dataset", "correct", "user", "migrate"):
        with pytest.raises(SystemExit) as end:
            main([command, "--help"])
        assert end.value.code == 0
        assert f"example:\n  thermograph-gateway {command}" in capsys.readouterr().out


def test_users_by_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secret = tmp_path / "password"
    secret.write_text("a long enough one\n")
    common = ["--state", str(tmp_path / "state")]
    assert main(["user", "add", "dr.silva", "--role", "reader", "--password-file", str(secret), *common]) == 0
    assert main(["user", "add", "dr.silva", "--password-file", str(secret), *common]) == 1
    assert main(["user", "disable", "dr.silva", *common]) == 0
    assert main(["user", "list", *common]) == 0
    assert "dr.silva\treader\tkept out" in capsys.readouterr().out
    assert oct((tmp_path / "state" / "gateway.sqlite").stat().st_mode & 0o777) == "0o600"
    os.chmod(tmp_path / "state", 0o755)  # noqa: S103 - what the test is about
    assert main(["user", "list", *common]) == 1
    assert "open to others" in capsys.readouterr().err


def test_an_open_address_needs_tls(received: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = received.arguments(tmp_path / "state")
    assert main(["serve", *common, "--host", "0.0.0.0"]) == 1  # noqa: S104
    assert "give --certificate and --key" in capsys.readouterr().err
