"""The server as it stands in a clinic: TLS of its own, many readers at once, a store that goes away."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from flask import Flask

from tests.conftest import PASSWORD, Clinic
from tests.folders import FarSide, Store
from thermograph_gateway.errors import GatewayError
from thermograph_gateway.service import run, server_for
from thermograph_gateway.web import create_app

Open = Callable[[], Clinic]


@contextmanager
def served(app: Flask, certificate: Path | None = None, key: Path | None = None) -> Iterator[str]:
    server = server_for(app, "127.0.0.1", 0, certificate, key)
    ready = threading.Event()
    thread = threading.Thread(target=run, args=(server, ready))
    thread.start()
    assert ready.wait(60)
    yield f"{'https' if certificate else 'http'}://127.0.0.1:{server.bind_addr[1]}"
    server.stop()
    thread.join(10)


def log_in(address: str, user: str = "reader-1", verify: str | bool = True) -> requests.Session:
    session = requests.Session()
    session.verify = verify
    session.trust_env = False  # or the environment's certificates take the place of the test's
    token = session.get(f"{address}/login", timeout=60).text.split('name="csrf" value="')[1].split('"')[0]
    page = session.post(f"{address}/login", {"csrf": token, "name": user, "password": PASSWORD}, timeout=60)
    assert "captures, newest first" in page.text
    return session


def test_tls_of_its_own(store: Store, opened: Open, tmp_path: Path) -> None:
    store.add(store.record("p-1", 1))
    clinic = opened()
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(key),
         "-out", str(certificate), "-days", "1", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    with served(create_app(clinic.catalogue, secure=True), certificate, key) as address:
        session = log_in(address, verify=str(certificate))
        assert all(cookie.secure for cookie in session.cookies)
        assert len(session.cookies) == 2
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(address, timeout=5)
    for host in ("0.0.0.0", "192.0.2.1", "::", "clinic.example"):  # noqa: S104
        with pytest.raises(GatewayError, match="open to other machines"):
            server_for(clinic.app, host, 0, None, None)
    with pytest.raises(GatewayError, match="both"):
        server_for(clinic.app, "127.0.0.1", 0, certificate, None)


def test_many_readers_at_once_while_captures_come(store: Store, opened: Open) -> None:
    captures = [store.add(store.record("p-1", day)) for day in range(4)]
    clinic = opened()
    app = create_app(clinic.catalogue)  # with the real clock: it looks into the store again
    with served(app) as address:
        paths = ["/", "/patient/clinic-a/p-1", f"/compare?id={captures[0]}&id={captures[1]}", f"/picture/{captures[2]}.png"]

        def look(number: int) -> set[int]:
            session = log_in(address, f"reader-{1 + number % 2}")
            return {session.get(address + paths[(number + step) % 4], timeout=30).status_code for step in range(12)}

        with ThreadPoolExecutor(8) as pool:
            tasks = [pool.submit(look, number) for number in range(8)]
            for day in range(10, 30):
                store.add(store.record("p-1", day))
                store.flush()
            assert {status for task in tasks for status in task.result()} == {200}
    clinic.catalogue.refresh()
    assert len(clinic.catalogue.patient("clinic-a", "p-1")) == 24


def test_broken_requests_leave_the_page_up(store: Store, opened: Open) -> None:
    store.add(store.record("p-1", 1))
    with served(opened().app) as address:
        port = int(address.rsplit(":", 1)[1])
        long, odd = b"GET / HTTP/1.1\r\nX: " + b"a" * 100_000, b"GET /%ff%00 HTTP/1.1\r\nHost: x\r\n\r\n"
        large = b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n"
        for raw in (b"\x16\x03\x01\x00\xff", long, odd, large, b"\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", port), 5) as line:
                line.sendall(raw)
        session = log_in(address)
        assert session.post(f"{address}/login", {"name": "x" * 1_000_000}, timeout=60).status_code in (403, 413)
        assert session.get(f"{address}/compare?" + "id=x&" * 5000, timeout=60).status_code in (400, 404, 413, 414)
        assert session.get(f"{address}/?page=99999999999999999999&search=%00%ff", timeout=60).status_code == 200
        assert session.get(f"{address}/?page=99999", timeout=60).status_code == 200
        assert session.get(f"{address}/static/../ledger.py", timeout=60).status_code == 404
        assert requests.get(f"{address}/static/%2e%2e/ledger.py", timeout=60).status_code == 404
        assert session.get(f"{address}/", timeout=60).status_code == 200


def test_a_store_that_goes_away_is_told_and_comes_back(store: Store, opened: Open) -> None:
    capture = store.add(store.record("p-1", 1))
    clinic = opened()
    client = clinic.client()
    store.take_away()
    try:
        page = client.get(f"/capture/{capture}")
        assert (page.status_code, store.gone_words in page.text) == (store.gone_status, True)
    finally:
        store.bring_back()
    assert client.get(f"/picture/{capture}.png").status_code == 200


def test_the_ledger_of_another_version_is_refused(received: Store, tmp_path: Path) -> None:
    catalogue = received.open(tmp_path / "state")
    if isinstance(received, FarSide):
        received.run("INSERT INTO gateway.version (number) VALUES (9)")
    else:
        catalogue.ledger.connection.execute("PRAGMA user_version = 9")
    with pytest.raises(GatewayError, match="version 9"):
        received.open(tmp_path / "state")
