"""Records made by somebody who wants the page to fall, to lie or to run their script."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable

import pytest

from tests.conftest import Clinic
from tests.folders import Folder, Store, identifier, master_png
from thermograph_gateway.errors import RecordRefused
from thermograph_gateway.record import RECORD_BYTES_MAXIMUM, parse_record

Open = Callable[[], Clinic]
SCRIPT = "<script>alert(1)</script>"


def bomb(width: int = 65_535, height: int = 65_535) -> bytes:
    """A small PNG that claims 4 billion pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1_000_000)) + chunk(b"IEND", b"")
    )


def test_scripts_are_text(store: Store, opened: Open) -> None:
    record = store.record("patient-1", 1)
    for gate in record["gates"]:
        gate.update(passed=False, sentence=SCRIPT, code=SCRIPT, unit=SCRIPT)
    record["verdict"].update(reasons=[SCRIPT], model_id=SCRIPT)
    record["acquisition"].update(lens=SCRIPT, camera=SCRIPT)
    record["images"][1]["label"] = SCRIPT
    record["future"] = {"member": SCRIPT}
    capture = store.add(record)
    other = store.add(store.record("patient-1", 2))
    refused = store.record(SCRIPT, 1)
    store.add(refused)
    clinic = opened()
    client = clinic.client()
    clinic.read(client, capture)
    compare = f"/compare?id={capture}&id={other}"
    stored = ["/", f"/capture/{capture}", "/patient/clinic-a/patient-1", compare, "/refused"]
    asked = [f"/?search={SCRIPT}&site={SCRIPT}&view={SCRIPT}", f"/patient/clinic-a/{SCRIPT}", f"/capture/{SCRIPT}"]
    for path in [*stored, *asked, f"/report/clinic-a/patient-1/{record['session_id']}", f"{compare}&low={SCRIPT}"]:
        answer = client.get(path)
        assert answer.status_code in (200, 404), path
        assert "<script>alert" not in answer.text, path
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in client.get("/refused").text


def hostile_records(store: Store) -> list[tuple[bytes, str]]:
    def changed(**changes: object) -> bytes:
        return json.dumps({**store.record("patient-1", 1), **changes}).encode()

    good = changed()
    return [
        (changed(site="x" * 10_000_000), "bytes; expected at most"),
        (changed(note="x" * 500_000), "a text of 500000 characters"),
        (changed(schema="thermograph.capture.v9"), "update the gateway"),
        (changed(schema=SCRIPT), "schema"),
        (changed(patient_ref=SCRIPT), "patient_ref"),
        (changed(patient_ref="../../etc/passwd"), "patient_ref"),
        (changed(capture_id="../../../etc"), "capture_id"),
        (changed(images=[{"name": "../x.png", "bytes": 1, "sha256": "0" * 64}]), "name"),
        (changed(images=[{"name": "a.png", "kind": "master", "bytes": 1, "sha256": "0" * 64}] * 65), "at most 64"),
        (changed(captured_at={"utc_nanoseconds": 1 << 70}), "utc_nanoseconds"),
        (changed(captured_at={"utc_nanoseconds": 1e3}), "utc_nanoseconds"),
        # A date beyond 64 bits, half a character: no database and no page takes them.
        (changed(captured_at={"utc_nanoseconds": 1 << 64}), "utc_nanoseconds"),
        (changed(captured_at={"utc_nanoseconds": -(1 << 63) - 1}), "utc_nanoseconds"),
        (changed(note="\ud800"), "half a character"),
        (good.replace(b'"sequence"', b'"\\udfff": 1, "sequence"', 1), "half a character"),
        (changed(sequence=True), "sequence"),
        (changed(gates=[{"code": "x", "passed": True, "value": "1", "limit": 2}]), "finite"),
        (changed(verdict={"outcome": "malignant"}), "outcome"),
        (good.replace(b'"sequence"', b'"view": "frontal", "sequence"', 1), "twice"),
        (good.replace(b'"emissivity": 0.98', b'"emissivity": NaN'), "NaN"),
        (b"[" * 100_000 + b"]" * 100_000, "no JSON"),
        (b'{"a":' * 60 + b"1" + b"}" * 60, "nested deeper"),
        (b"9" * 5000, "no JSON"),
        (b'"text"', "no JSON object"),
        (b"\xff\xfe", "no JSON"),
        (b"", "no JSON"),
    ]


def test_hostile_records_are_refused_with_a_reason(store: Store) -> None:
    for raw, reason in hostile_records(store):
        with pytest.raises(RecordRefused) as refusal:
            parse_record(raw)
        assert reason in str(refusal.value), reason
        assert len(str(refusal.value)) < 400


def test_a_folder_full_of_them_leaves_the_page_up(store: Store, opened: Open) -> None:
    good = store.add(store.record("patient-1", 1))
    rows = [(identifier("hostile", number), 1000 + number, raw) for number, (raw, _) in enumerate(hostile_records(store))]
    store.index(rows)
    clinic = opened()
    client = clinic.client()
    page = client.get("/").text
    assert "1 captures" in page
    assert f"{len(rows)} records were refused" in page
    assert client.get(f"/capture/{good}").status_code == 200
    assert client.get("/refused").text.count("<tr><td>") == len(rows)


def test_odd_texts_and_far_dates_are_taken_and_shown(store: Store, opened: Open) -> None:
    far = store.record("patient-1", 1)
    far["captured_at"]["utc_nanoseconds"] = (1 << 63) - 1
    captures = [store.add(far)]
    odd = store.record("patient-1", 2)
    for gate in odd["gates"]:
        gate.update(passed=False, code="zero\0character \u202e right to left \U0001f600", sentence="\0")
    captures.append(store.add(odd))
    client = opened().client()
    for path in ("/", "/patient/clinic-a/patient-1", *(f"/capture/{capture}" for capture in captures)):
        assert client.get(path).status_code == 200
    assert "2262-04-11" in client.get("/").text
    assert client.get("/", query_string={"search": "\0'; DROP TABLE capture; --%_!"}).status_code == 200
    assert "2 captures" in client.get("/").text


def test_search_takes_its_words_as_they_are(store: Store, opened: Open) -> None:
    for patient in ("a-1", "ab-1", "xa-1"):
        store.add(store.record(patient, 1))
    client = opened().client()
    for search, count in (("a-1", 2), ("A-1", 2), ("_-1", 0), ("%", 0), ("!", 0), ("b-", 1), ("", 3)):
        assert f"{count} captures" in client.get("/", query_string={"search": search}).text, search


def test_records_that_are_cut_are_not_taken(store: Store) -> None:
    raw = json.dumps(store.record("patient-1", 1)).encode()
    for length in range(0, len(raw), 97):
        with pytest.raises(RecordRefused):
            parse_record(raw[:length])
    assert parse_record(raw + b" " * 10).view == "frontal"
    with pytest.raises(RecordRefused):
        parse_record(raw + b" " * RECORD_BYTES_MAXIMUM)


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (bomb(), "65535 x 65535 pixels"),
        (bomb(2000, 2000), "a damaged PNG"),
        (b"no picture", "no PNG"),
        (master_png()[:60], "a damaged PNG"),
        (b"", "bytes"),
    ],
    ids=["bomb", "claims-more", "text", "cut", "empty"],
)
def test_hostile_images_are_told_and_never_shown(store: Store, opened: Open, image: bytes, reason: str) -> None:
    record = store.record("patient-1", 1)
    record["images"] = [i for i in record["images"] if i["kind"] == "master"]
    capture = store.add(record, {"master.png": image})
    good = store.add(store.record("patient-1", 2))
    clinic = opened()
    client = clinic.client()
    page = client.get(f"/capture/{capture}") if image else client.get("/refused")
    assert page.status_code == 200
    assert reason in page.text
    assert client.get(f"/picture/{capture}.png").status_code in (404, 422)
    if image:
        page = client.get(f"/compare?id={capture}&id={good}")
        assert reason in page.text
        clinic.read(client, capture)
        assert client.get(f"/report/clinic-a/patient-1/{record['session_id']}.pdf").status_code == 200


def test_an_image_that_is_not_the_records_is_never_shown_as_good(store: Store, opened: Open) -> None:
    capture = store.add(store.record("patient-1", 1))
    missing = store.add(store.record("patient-1", 2))
    store.flush()
    store.replace_image(capture, "master.png", master_png(40))
    store.remove_image(missing, "master.png")
    store.remove_image(missing, "view.png")
    if isinstance(store, Folder):
        (store.path / "clinic-a" / "unit-1" / missing / "view.png").symlink_to("/etc/passwd")
    client = opened().client()
    assert "SHA-256 differs" in client.get(f"/capture/{capture}").text
    assert client.get(f"/picture/{capture}.png").status_code == 422
    assert client.get(f"/values/{capture}.json").status_code == 422
    assert store.missing_words in client.get(f"/capture/{missing}").text
    assert client.get(f"/image/{missing}/view.png").status_code == 422


def test_a_record_that_was_changed_behind_the_receivers_back_is_marked(store: Store, opened: Open) -> None:
    record = store.record("patient-1", 1)
    capture = store.add(record)
    store.flush()
    store.contradict(capture)
    client = opened().client()
    assert "not as confirmed" in client.get("/").text
    assert "not as the receiver confirmed" in client.get(f"/capture/{capture}").text
    assert client.get(f"/picture/{capture}.png").status_code == 422


def test_unknown_members_of_version_2_are_kept(store: Store) -> None:
    record = store.record(
        "patient-1", 1, schema="thermograph.capture.v2", sentinel={"level": 2}, audit={"size": 1, "head": "x"}
    )
    parsed = parse_record(json.dumps(record).encode())
    assert parsed.json["sentinel"] == {"level": 2}
    assert parsed.json["audit"] == {"size": 1, "head": "x"}
