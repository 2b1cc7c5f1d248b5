"""The far side's PostgreSQL as a source, attacked: keys, schemas, rights, rows that somebody changed, what a dump shows."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import logging
import os
import re
import secrets
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from tests.conftest import Clinic, csrf
from tests.folders import FarSide, identifier
from tests.postgres import PROGRAMS, ROLE, Server, worker_steps
from thermograph_gateway.catalogue import Catalogue
from thermograph_gateway.cli import main
from thermograph_gateway.database import WORKER_STEPS, Database, worker_fault
from thermograph_gateway.database_source import DatabaseSource
from thermograph_gateway.errors import GatewayError, ImageDropped, StoreUnavailable
from thermograph_gateway.ledger import DatabaseLedger
from thermograph_gateway.sealing import Key, MasterKeys, NotAuthentic, id_text, read_key_file
from thermograph_gateway.statement import ResultKey

NOTE = "words of the doctor that nobody else reads"


@pytest.fixture
def store(far_side: FarSide) -> FarSide:
    """Only the database: these tests are about nothing else."""
    return far_side


Open = Callable[[], Clinic]


def opened_with(store: FarSide, *masters: Key) -> Catalogue:
    database = store.database(masters=MasterKeys(masters))
    catalogue = Catalogue(DatabaseSource(database), DatabaseLedger(database))
    catalogue.refresh()
    return catalogue


# The form of what is sealed


def test_the_gateway_reads_the_schema_that_the_worker_makes() -> None:
    assert [(number, name) for number, name, _ in worker_steps()] == list(WORKER_STEPS)


def test_the_form_is_that_of_the_workers_sources() -> None:
    """The words that both sides must have alike stand in the worker's sources; so does the cipher's layout."""
    adapters = Path(__file__).parents[2] / "Sources" / "Adapters"
    sealing = (adapters / "Storage" / "SealingKey.swift").read_text()
    assert '"thermograph sealing key id"' in sealing
    assert "mac.prefix(8)" in sealing
    assert (
        '"thermograph site key|\\(site)|\\(SealingKey.text(ofID: id))"'
        in (adapters / "CaptureDatabase" / "SiteKeys.swift").read_text()
    )
    store = (adapters / "CaptureDatabase" / "DatabaseStore.swift").read_text()
    assert '"thermograph|\\(site)|\\(device)|\\(captureID)|\\(name)"' in store
    messages = (adapters / "CaptureDatabase" / "Batch+Messages.swift").read_text()
    assert '"thermograph|\\(device.site)|\\(device.device)|\\(kind)|\\(identity)"' in messages


def test_a_key_says_its_id_and_nothing_else() -> None:
    key = Key(bytes(range(32)))
    # openssl: printf 'thermograph sealing key id' | openssl dgst -sha256 -mac HMAC -macopt hexkey:000102...1f
    answer = subprocess.run(
        ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{bytes(range(32)).hex()}"],
        input=b"thermograph sealing key id", capture_output=True, check=True,
    )  # fmt: skip
    assert id_text(key.id) == answer.stdout.decode().split("= ")[1][:16]
    assert bytes(range(32)).hex()[:8] not in repr(key) + str(vars(key))
    sealed = key.seal(b"content", "place")
    assert key.open(sealed, "place") == b"content"
    for index in range(len(sealed)):
        with pytest.raises(NotAuthentic):
            key.open(sealed[:index] + bytes([sealed[index] ^ 1]) + sealed[index + 1 :], "place")
    for wrong in (b"", sealed[:27], sealed + b"x"):
        with pytest.raises(NotAuthentic):
            key.open(wrong, "place")
    with pytest.raises(NotAuthentic):
        key.open(sealed, "place2")


@pytest.mark.parametrize("form", ["raw", "hexadecimal", "base64"])
def test_key_files_have_three_forms(tmp_path: Path, form: str) -> None:
    secret = secrets.token_bytes(32)
    written = {"raw": secret, "hexadecimal": secret.hex().encode() + b"\n", "base64": base64.b64encode(secret) + b"\r\n"}
    path = tmp_path / "key"
    path.touch(mode=0o600)
    path.write_bytes(written[form])
    assert read_key_file(path) == secret


def test_key_files_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key"
    with pytest.raises(GatewayError, match="cannot be read"):
        read_key_file(path)
    path.touch(mode=0o600)
    for content in (b"", b"x" * 31, b"x" * 33, b"g" * 64, b"=" * 44, b"x" * 100_000):
        path.write_bytes(content)
        with pytest.raises(GatewayError, match="holds no key") as error:
            read_key_file(path)
        assert "xxxx" not in str(error.value)
    path.write_bytes(secrets.token_bytes(32))
    path.chmod(0o644)
    with pytest.raises(GatewayError, match="open to others"):
        read_key_file(path)
    path.chmod(0o640)  # as systemd shows a credential
    with pytest.raises(GatewayError, match="open to others"):
        read_key_file(path)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert len(read_key_file(path)) == 32
    os.mkfifo(tmp_path / "pipe")
    for place, words in ((tmp_path, "cannot be read"), (tmp_path / "pipe", "no file")):
        with pytest.raises(GatewayError, match=words):
            read_key_file(place)


# Keys of the database


def test_a_wrong_master_key_is_told_with_its_name(store: FarSide) -> None:
    store.add(store.record("p", 1))
    store.flush()
    wrong = Key(secrets.token_bytes(32))
    with pytest.raises(GatewayError) as error:
        opened_with(store, wrong)
    assert id_text(store.master.id) in str(error.value)
    assert id_text(wrong.id) in str(error.value)
    assert "--older-master-key-file" in str(error.value)


def test_rotated_keys_are_taken_up_while_the_gateway_runs(store: FarSide, opened: Open) -> None:
    old = store.add(store.record("p", 1))
    clinic = opened()
    store.key = store.new_key("clinic-a")
    new = store.add(store.record("p", 2))
    store.flush()
    assert clinic.catalogue.refresh() == 1
    client = clinic.client()
    assert client.get(f"/compare?id={old}&id={new}").text.count("Not shown") == 0
    # A new master: the worker wraps all keys anew, and both masters are good meanwhile.
    master = Key(secrets.token_bytes(32))
    for key_id, wrapped in store.run("SELECT key_id, wrapped FROM site_key"):
        place = f"thermograph site key|clinic-a|{id_text(int(key_id))}"
        again = master.seal(store.master.open(bytes(wrapped), place), place)
        store.run("UPDATE site_key SET master_id = %s, wrapped = %s WHERE key_id = %s", (master.id, again, key_id))
    assert client.get(f"/picture/{old}.png").status_code == 200, "keys that it has go on"
    for masters in ((master,), (master, store.master)):
        fresh = opened_with(store, *masters)
        assert [len(e.record.sha256) for e in fresh.patient("clinic-a", "p")] == [64, 64]
    with pytest.raises(GatewayError, match=id_text(master.id)):
        opened_with(store, store.master).patient("clinic-a", "p")


def test_a_key_that_is_gone_or_changed_is_told(store: FarSide) -> None:
    store.add(store.record("p", 1))
    store.flush()
    (wrapped,) = store.run("SELECT wrapped FROM site_key")[0]
    store.run("UPDATE site_key SET wrapped = %s", (bytes(60),))
    with pytest.raises(GatewayError, match="does not open under its master key"):
        opened_with(store, store.master)
    # Another key's content in its place, rightly wrapped for that place.
    place = f"thermograph site key|clinic-a|{id_text(store.key.id)}"
    store.run("UPDATE site_key SET wrapped = %s", (store.master.seal(secrets.token_bytes(32), place),))
    with pytest.raises(GatewayError, match="is another key"):
        opened_with(store, store.master)
    store.run("DELETE FROM site_key")
    with pytest.raises(GatewayError, match="no data key"):
        opened_with(store, store.master)
    assert wrapped


def test_new_captures_that_cannot_be_opened_leave_the_page_up(store: FarSide, opened: Open) -> None:
    old = store.add(store.record("p", 1))
    clinic = opened()
    client = clinic.client()
    stranger = Key(secrets.token_bytes(32))
    store.key = store.new_key("clinic-a", stranger)
    store.add(store.record("p", 2))
    store.flush()
    clinic.clock.now += 10
    page = client.get("/")
    assert page.status_code == 200
    assert f"New captures cannot be taken in: the data key {id_text(store.key.id)}" in page.text
    assert client.get(f"/capture/{old}").status_code == 200


def test_a_site_without_its_key_keeps_no_other_from_being_read(store: FarSide) -> None:
    good = [store.add(store.record("p", day)) for day in range(3)]
    store.flush()
    # 600 captures of a site whose key is lost, complete before all others: more than one batch.
    store.run(
        "INSERT INTO capture (site, device, outbox_id, sequence, capture_id, schema, images, sha256, key_id, sealed,"
        " complete_at) SELECT 'lost', 'unit-1', gen_random_uuid(), n, gen_random_uuid(), 'x', '', '', 7, '',"
        " now() - interval '1 day'"
        " FROM generate_series(1, 600) AS n"
    )
    database = store.database()
    catalogue = Catalogue(DatabaseSource(database), DatabaseLedger(database))
    with pytest.raises(GatewayError, match="no data key 0000000000000007 of site lost"):
        catalogue.refresh()
    assert {e.capture_id for e in catalogue.patient("clinic-a", "p")} == set(good)


# Rows that somebody changed


def test_contents_in_another_place_do_not_open(store: FarSide, opened: Open) -> None:
    first, second, third = (store.add(store.record("p", day)) for day in range(3))
    store.flush()
    # Whole rows exchanged by somebody who can write, but has no key.
    store.run(
        "UPDATE capture a SET sealed = b.sealed FROM capture b WHERE a.capture_id = %s AND b.capture_id = %s", (first, second)
    )
    store.run("UPDATE image SET sealed = set_byte(sealed, 40, get_byte(sealed, 40) # 1) WHERE capture_id = %s", (third,))
    clinic = opened()
    client = clinic.client()
    assert client.get(f"/capture/{first}").status_code == 404
    assert "does not open: it was changed in the database" in client.get("/refused").text
    page = client.get(f"/capture/{third}")
    assert page.status_code == 200
    assert "does not open" in page.text
    assert client.get(f"/picture/{third}.png").status_code == 422
    assert client.get(f"/picture/{second}.png").status_code == 200


def test_a_record_changed_after_it_was_taken_in_goes_to_the_refused(store: FarSide, opened: Open) -> None:
    first, second = (store.add(store.record("p", day)) for day in range(2))
    clinic = opened()
    client = clinic.client()
    assert client.get(f"/capture/{first}").status_code == 200
    store.run("UPDATE capture SET sealed = %s WHERE capture_id = %s", (bytes(100), first))
    page = client.get("/patient/clinic-a/p")
    assert page.status_code == 200
    assert second in page.text
    assert first not in page.text
    store.run("DELETE FROM capture WHERE capture_id = %s", (second,))
    assert client.get(f"/capture/{second}").status_code == 404
    text = client.get("/refused").text
    assert first in text
    assert "the database has this capture no more" in text


def test_another_devices_capture_of_the_same_id_takes_nobodys_place(store: FarSide, opened: Open) -> None:
    record = store.record("p", 1)
    capture = store.add(record)
    clinic = opened()
    forged = {**record, "device": "unit-2", "patient_ref": "somebody-else"}
    store.index([(capture, 1, json.dumps(forged).encode())], device="unit-2")
    liar = {**record, "patient_ref": "somebody-else"}  # says unit-1, lies under unit-3
    store.index([(capture, 1, json.dumps(liar).encode())], device="unit-3")
    assert [clinic.catalogue.refresh() for _ in range(2)] == [2, 0]
    entry = clinic.catalogue.entry(capture)
    assert entry is not None
    assert (entry.record.device, entry.patient_ref) == ("unit-1", "p")
    assert clinic.catalogue.patient("clinic-a", "somebody-else") == []
    page = clinic.client().get("/refused").text
    assert "has a capture of this id already" in page
    assert "speaks of another site or device" in page


def test_what_is_not_complete_is_not_shown_and_what_comes_late_is(store: FarSide, opened: Open) -> None:
    first, second = (store.add(store.record("p", day)) for day in range(2))
    store.flush()
    store.run("UPDATE capture SET complete_at = NULL WHERE capture_id = %s", (first,))
    clinic = opened()
    assert clinic.catalogue.entry(first) is None
    assert clinic.catalogue.refresh() == 0
    # A transaction that began before another one and ended after it: its time lies before what was seen.
    store.run("UPDATE capture SET complete_at = now() - interval '5 minutes' WHERE capture_id = %s", (first,))
    assert clinic.catalogue.refresh() == 1
    assert {e.capture_id for e in clinic.catalogue.patient("clinic-a", "p")} == {first, second}


def test_a_view_that_was_dropped_is_no_fault(store: FarSide, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capture = store.add(store.record("p", 1))
    store.flush()
    store.run("UPDATE image SET sealed = NULL WHERE name = 'view.png'")
    common = store.arguments(tmp_path / "state")
    assert main(["verify", *common]) == 0
    assert main(["export", *common, "--to", str(tmp_path / "out")]) == 0
    assert "1 captures; 4 Stored" in capsys.readouterr().out
    assert main(["verify", *common]) == 0
    catalogue = store.open(tmp_path / "state")
    entry = catalogue.entry(capture)
    assert entry is not None
    with pytest.raises(ImageDropped, match="keeps such images for a while"):
        catalogue.picture(entry.record, "view")


# Schemas and rights


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (
            "INSERT INTO schema_step (number, name) VALUES (99, 'of the future')",
            "at step 4, this gateway knows 3; install the newer",
        ),
        ("DELETE FROM schema_step WHERE number = 3", "at step 2 of 3; run thermograph-receiver --migrate"),
        ("UPDATE schema_step SET name = 'x' WHERE number = 2", "other steps than this gateway knows"),
        ("DROP TABLE schema_step", "no schema yet; run thermograph-receiver --migrate"),
        ("DROP SCHEMA gateway CASCADE", "run thermograph-gateway migrate"),
        ("INSERT INTO gateway.version (number) VALUES (9)", "has version 9, this gateway has 2; install the newer gateway"),
    ],
)
def test_other_schemas_are_told(
    store: FarSide, tmp_path: Path, capsys: pytest.CaptureFixture[str], statement: str, words: str
) -> None:
    words = words.replace(
        "at step 4, this gateway knows 3", f"at step {len(WORKER_STEPS) + 1}, this gateway knows {len(WORKER_STEPS)}"
    )
    statement = statement.replace("number = 3", f"number = {len(WORKER_STEPS)}")
    words = words.replace("at step 2 of 3", f"at step {len(WORKER_STEPS) - 1} of {len(WORKER_STEPS)}")
    store.run(statement)
    assert main(["verify", *store.arguments(tmp_path / "state")]) == 1
    assert words in capsys.readouterr().err


def test_the_steps_are_compared_one_by_one() -> None:
    assert worker_fault(WORKER_STEPS) is None
    assert worker_fault([]) is not None
    assert worker_fault([*WORKER_STEPS[1:]]) is not None


def test_the_gateways_role_can_change_nothing_of_the_worker_and_nothing_that_must_stay(store: FarSide, opened: Open) -> None:
    store.add(store.record("p", 1))
    clinic = opened()
    clinic.client().get("/")
    database = store.database()
    forbidden = [
        "UPDATE public.capture SET patient_ref = 'x'", "DELETE FROM public.capture", "DELETE FROM public.image",
        "INSERT INTO public.site_key VALUES ('s', 1, 1, '')", "UPDATE public.downlink SET state = 'answered'",
        "DELETE FROM public.downlink", "DELETE FROM public.message", "SELECT * FROM public.set_aside",
        "UPDATE audit SET detail = ''", "DELETE FROM audit", "TRUNCATE audit", "DELETE FROM reading",
        "UPDATE correction SET target = 'x'",
        "DELETE FROM answer", "DROP TABLE audit", "ALTER TABLE audit DISABLE TRIGGER ALL", "DELETE FROM exported",
        "CREATE TABLE gateway.x (a int)", "DROP TRIGGER append_only ON audit", "DELETE FROM \"user\"",
    ]  # fmt: skip
    for statement in forbidden:
        with pytest.raises(GatewayError, match="permission denied|must be owner"):
            database.execute(statement)
    # Nor can the owner by mistake.
    for statement in ("UPDATE gateway.audit SET detail = ''", "TRUNCATE gateway.audit", "DELETE FROM gateway.audit"):
        with pytest.raises(Exception, match="append-only"):
            store.run(statement)


def test_migrate_says_what_is_missing_and_may_be_repeated(
    postgres: Server, store: FarSide, capsys: pytest.CaptureFixture[str]
) -> None:
    owner = postgres.conninfo(store.name, "postgres")
    assert main(["migrate", "--database", owner]) == 0
    assert "is there" in capsys.readouterr().out
    store.run("DROP SCHEMA gateway CASCADE")
    assert main(["migrate", "--database", owner]) == 0
    assert "made the schema gateway" in capsys.readouterr().out
    assert main(["migrate", "--database", owner, "--role", "nobody_here"]) == 1
    assert "CREATE ROLE nobody_here LOGIN" in capsys.readouterr().err
    assert main(["migrate", "--database", owner, "--role", "x; DROP TABLE capture"]) == 1
    assert main(["migrate", "--database", postgres.conninfo(store.name, ROLE)]) == 1
    assert main(["migrate", "--database", postgres.conninfo("postgres", "postgres")]) == 1
    assert "run thermograph-receiver --migrate" in capsys.readouterr().err


# What is told and what is not


def test_connections_that_would_tell_something(capsys: pytest.CaptureFixture[str], store: FarSide, tmp_path: Path) -> None:
    key = ["--master-key-file", str(store.master_file)]
    for target in ("host=db password=hunter22 dbname=x", "postgresql://u:hunter22@db/x", "postgresql://u:hunter22@db:x:y/"):
        assert main(["verify", "--database", target, *key]) == 1
        assert "hunter22" not in capsys.readouterr().err
    assert main(["verify", "--database", "host=/nowhere dbname=x", *key]) == 1
    assert "database: no connection" in capsys.readouterr().err
    assert main(["verify", "--database", "x", "--folder", "y", *key]) == 1
    assert main(["verify", "--database", "dbname=x"]) == 1
    assert "--master-key-file is missing" in capsys.readouterr().err
    assert main(["verify"]) == 1
    assert "give --folder or --database" in capsys.readouterr().err


def test_a_connection_to_another_machine_needs_tls(store: FarSide, monkeypatch: pytest.MonkeyPatch) -> None:
    database = store.database()
    database.execute("SELECT 1")
    database.close()

    # The same server, as if it were far away.
    class Far(psycopg.ConnectionInfo):
        host = "db.example"
        hostaddr = "192.0.2.1"

    monkeypatch.setattr(psycopg.Connection, "info", property(lambda self: Far(self.pgconn)))
    with pytest.raises(GatewayError, match=r"db\.example is not encrypted; add sslmode=verify-full"):
        store.database().execute("SELECT 1")
    allowed = Database(store.server.conninfo(store.name), MasterKeys([store.master]), allow_plaintext=True)
    assert allowed.execute("SELECT 1").fetchone()[0] == 1  # type: ignore[index]
    allowed.close()


def test_no_dump_and_no_file_of_the_server_holds_what_is_sealed(store: FarSide, opened: Open, postgres: Server) -> None:
    record = store.record("p", 1)
    record["verdict"].update(reasons=["because of a sentence in the record"])
    capture = store.add(record)
    store.event(
        "box-1", {"schema": "thermograph.alert.v1", "code": "quota", "severity": "warning", "detail": "told in words"}, "alert"
    )
    clinic = opened()
    client = clinic.client()
    clinic.read(client, capture, note=NOTE)
    clinic.answer(client, capture, "answered", NOTE + " again")
    page = client.get(f"/capture/{capture}").text
    assert NOTE in page
    assert NOTE + " again" in page
    assert "because of a sentence in the record" in page
    dump = subprocess.run(
        [str(PROGRAMS / "pg_dump"), "-d", postgres.conninfo(store.name, "postgres")], capture_output=True, check=True
    ).stdout
    assert b"clinic-a" in dump
    store.run("CHECKPOINT")
    files = [path.read_bytes() for path in (postgres.folder / "data").rglob("*") if path.is_file()]
    secrets_ = [b"because of a sentence", NOTE.encode(), b"told in words", store.master_file.read_bytes(), b'"acquisition"']
    secrets_ += [base64.b64encode(NOTE.encode())[:40], record["session_id"].encode() + b'"']
    for secret in secrets_:
        assert secret not in dump
        assert not any(secret in data for data in files), secret


def test_faults_and_logs_hold_no_content(
    store: FarSide, opened: Open, caplog: pytest.LogCaptureFixture, postgres: Server
) -> None:
    caplog.set_level(logging.DEBUG)
    capture = store.add(store.record("secret-patient", 1))
    clinic = opened()
    client = clinic.client()
    database = store.database()
    wrong: list[tuple[str, tuple[object, ...]]] = [
        ("INSERT INTO reading (capture_id, reader, at, usable, side, place, confidence, follow_up, note)"
         " VALUES (?, 'r', 'a', 'no such', 'none', 'none', 1, 'no', 'secret-patient')", (capture,)),
        ("SELECT ?::bigint", ("secret-patient",)),
        ("INSERT INTO noticed (subject) VALUES (?), (?)", ("secret-patient", "secret-patient")),
        ("INSERT INTO noticed (subject) VALUES (?)", (None,)),
    ]  # fmt: skip
    for statement, values in wrong:
        with pytest.raises(GatewayError) as error:
            database.execute(statement, values)
        assert "secret-patient" not in str(error.value)
        assert error.value.__cause__ is None, "a traceback would tell the database's own words"
        assert error.value.__suppress_context__
    assert client.get("/?search=%00secret").status_code == 200
    assert "secret-patient" not in caplog.text
    assert store.master_file.read_bytes().hex() not in caplog.text


def test_the_server_may_be_started_anew_under_the_page(store: FarSide, opened: Open) -> None:
    capture = store.add(store.record("p", 1))
    clinic = opened()
    client = clinic.client()
    store.take_away()
    try:
        assert client.get(f"/capture/{capture}").status_code == 503
    finally:
        store.bring_back()
    assert client.get(f"/capture/{capture}").status_code == 200
    store.take_away()
    store.bring_back()
    assert client.get(f"/capture/{capture}").status_code == 200, "asked again at once over a new connection"


def test_a_connection_lost_within_a_transaction_leaves_nothing_of_it(store: FarSide) -> None:
    database = store.database()

    def half_done() -> None:
        with database.transaction():
            database.execute("INSERT INTO noticed (subject) VALUES ('first half')")
            store.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (ROLE,))
            for half in ("lost", "second half"):
                with contextlib.suppress(StoreUnavailable):
                    database.execute("INSERT INTO noticed (subject) VALUES (?)", (half,))

    with pytest.raises(StoreUnavailable):
        half_done()
    assert store.run("SELECT subject FROM gateway.noticed") == []
    database.execute("INSERT INTO noticed (subject) VALUES ('afterwards')")
    assert store.run("SELECT subject FROM gateway.noticed") == [("afterwards",)]


def test_a_commit_that_no_standby_confirmed_is_told(store: FarSide) -> None:
    database = store.database()
    # What the server says when the wait for a standby is cut short is a warning of the commit.
    warning = "DO $$ BEGIN RAISE WARNING 'canceling wait for synchronous replication'; END $$"
    with pytest.raises(StoreUnavailable, match="not confirmed by a standby"), database.transaction():
        database.execute(warning)


# Answers


def test_an_answer_is_a_signed_statement_in_downlink(store: FarSide, opened: Open) -> None:
    capture = store.add(store.record("p", 1))
    clinic = opened()
    client = clinic.client()
    clinic.read(client, capture)
    clinic.answer(client, capture, "repeat-requested", NOTE)
    rows = store.run("SELECT id, site, device, topic, envelope, state, not_after > now() + interval '300 days' FROM downlink")
    ((row_id, site, device, topic, envelope, state, is_long),) = rows
    assert (site, device, topic, state, is_long) == ("clinic-a", "unit-1", "result", "waiting", True)
    value = json.loads(bytes(envelope))
    assert value["payloadType"] == "application/vnd.thermograph.result.v1+json"
    payload = base64.b64decode(value["payload"])
    content = json.loads(payload)
    assert content["id"] == row_id
    assert content["capture_id"] == capture
    assert NOTE.encode() not in bytes(envelope)
    # By hand, as DSSE has it.
    kind = value["payloadType"].encode()
    message = b"DSSEv1 " + str(len(kind)).encode() + b" " + kind + b" " + str(len(payload)).encode() + b" " + payload
    private = load_pem_private_key(store.result_file.read_bytes(), None)
    public = private.public_key()
    assert isinstance(public, Ed25519PublicKey)
    (signature,) = value["signatures"]
    public.verify(base64.b64decode(signature["sig"]), message)
    with pytest.raises(InvalidSignature):
        public.verify(base64.b64decode(signature["sig"]), message + b"x")
    der = subprocess.run(
        ["openssl", "pkey", "-in", str(store.result_file), "-pubout", "-outform", "DER"], capture_output=True, check=True
    ).stdout
    assert signature["keyid"] == hashlib.sha256(der).hexdigest()
    assert f"downlink {row_id}" in clinic.client("boss").get("/audit").text


def test_an_answer_and_its_row_come_together_or_not_at_all(store: FarSide, opened: Open) -> None:
    capture = store.add(store.record("p", 1))
    clinic = opened()
    client = clinic.client()
    clinic.read(client, capture)
    store.run("ALTER TABLE gateway.answer ADD CHECK (note <> '')")
    answer = clinic.answer(client, capture)
    assert answer.status_code == 422
    assert store.answers() == []


def test_without_a_key_nothing_is_promised(store: FarSide, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    capture = store.add(store.record("p", 1))
    clinic = opened()
    monkeypatch.setattr(clinic.catalogue.source, "_result_key", None)
    client = clinic.client()
    clinic.read(client, capture)
    page = client.get(f"/capture/{capture}").text
    assert "started without --result-key" in page
    assert 'name="state"' not in page
    answer = client.post(f"/capture/{capture}/answer", data={"csrf": csrf(client), "state": "answered"})
    assert answer.status_code == 422
    assert store.answers() == []


def test_result_keys(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    key = generate_private_key(SECP256R1())
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    envelope = json.loads(ResultKey.from_file(path).envelope(b"{}"))
    public = key.public_key()
    assert isinstance(public, EllipticCurvePublicKey)
    kind = envelope["payloadType"]
    public.verify(
        base64.b64decode(envelope["signatures"][0]["sig"]), f"DSSEv1 {len(kind)} {kind} 2 {{}}".encode(), ECDSA(SHA256())
    )
    with pytest.raises(GatewayError, match="at most 12288"):
        ResultKey.from_file(path).envelope(b"x" * 12_289)
    path.chmod(0o644)
    with pytest.raises(GatewayError, match="open to others"):
        ResultKey.from_file(path)
    path.chmod(0o600)
    path.write_text("no key")
    with pytest.raises(GatewayError, match="no private key"):
        ResultKey.from_file(path)
    with pytest.raises(GatewayError, match="cannot be read"):
        ResultKey.from_file(tmp_path / "absent")


def test_the_note_of_another_row_does_not_open(store: FarSide, opened: Open) -> None:
    first, second = (store.add(store.record("p", day)) for day in range(2))
    clinic = opened()
    ledger = clinic.catalogue.ledger
    sealed = ledger.conceal("clinic-a", f"reading|{first}|reader-1", NOTE)
    assert ledger.reveal("clinic-a", f"reading|{first}|reader-1", sealed) == NOTE
    for place, stored in (
        (f"reading|{second}|reader-1", sealed),
        (f"reading|{first}|reader-1", sealed[:-8] + "AAAAAAA="),
        ("", "x"),
    ):
        assert "does not open" in ledger.reveal("clinic-a", place, stored)
    assert ledger.conceal("clinic-a", "x", "") == ""


def test_two_gateways_on_one_database_agree(store: FarSide, opened: Open, tmp_path: Path) -> None:
    captures = [store.add(store.record("p", day)) for day in range(3)]
    clinic = opened()
    other = store.open(tmp_path / "state")  # the same database
    assert {e.capture_id for e in other.patient("clinic-a", "p")} == set(captures)
    clinic.catalogue.correct("a", "reassign", "clinic-a", identifier("session", "p", 1), "q", "wrong tag")
    assert len(other.patient("clinic-a", "q")) == 1


def test_the_state_folder_is_not_used(store: FarSide, opened: Open, tmp_path: Path) -> None:
    store.add(store.record("p", 1))
    opened().client().get("/")
    assert not (tmp_path / "state").exists()
    assert not re.search(r"gateway\.sqlite", " ".join(os.listdir(tmp_path)))
