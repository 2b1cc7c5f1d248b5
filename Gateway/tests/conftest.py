"""What several tests need."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.folders import FarSide, Folder, Store, copied_fixture, put_fixture
from tests.postgres import Server
from thermograph_gateway import accounts
from thermograph_gateway.accounts import Accounts
from thermograph_gateway.catalogue import Catalogue
from thermograph_gateway.web import create_app

PASSWORD = "correct horse battery"


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Clinic:
    """A store of captures, its catalogue and a page over both."""

    store: Store
    catalogue: Catalogue
    app: Flask
    clock: Clock

    def client(self, user: str = "reader-1") -> FlaskClient:
        """Somebody who is logged in; `csrf(client)` is the token of their forms."""
        client = self.app.test_client()
        page = client.get("/login").text
        token = page.split('name="csrf" value="')[1].split('"')[0]
        answer = client.post("/login", data={"csrf": token, "name": user, "password": PASSWORD})
        assert answer.status_code == 302, answer.text
        return client

    def read(self, client: FlaskClient, capture_id: str, **changes: str) -> None:
        values = {"usable": "yes", "side": "none", "place": "none", "confidence": "3", "follow_up": "no", **changes}
        answer = client.post(f"/capture/{capture_id}/reading", data={"csrf": csrf(client), **values})
        assert answer.status_code == 302, answer.text

    def answer(self, client: FlaskClient, capture_id: str, state: str = "answered", note: str = "") -> TestResponse:
        """Chooses and confirms."""
        page = client.post(f"/capture/{capture_id}/answer", data={"csrf": csrf(client), "state": state, "note": note})
        if page.status_code != 200:
            return page
        return client.post(f"/capture/{capture_id}/answer/confirmed", data=hidden(page.text))


def hidden(page: str) -> dict[str, str]:
    """What the form of the page would send, that of the logout excepted."""
    form = page.split("<main")[1]
    return {name: unescape(value) for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form)}


def csrf(client: FlaskClient) -> str:
    """The token that the pages put into every form."""
    return client.get("/agreement").text.split('name="csrf" value="')[1].split('"')[0]


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> Iterator[int]:
    """Hashes of passwords cost on purpose, and every test makes several; gives the cost that is shipped."""
    shipped = accounts._N
    accounts._N = 1 << 4
    yield shipped
    accounts._N = shipped


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """One PostgreSQL for the whole run; each test has a database of its own in it."""
    server = Server()
    try:
        server.make_template()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def result_key() -> bytes:
    """A key that signs answers, as PEM."""
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.fixture
def far_side(postgres: Server, tmp_path: Path, result_key: bytes) -> Iterator[FarSide]:
    """An empty database of the worker."""
    made = FarSide(postgres, tmp_path / "far-side", result_key)
    yield made
    made.close()


@pytest.fixture(params=["folder", "database"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Both kinds of store, one after the other."""
    if request.param == "folder":
        return Folder(tmp_path / "received")
    made: FarSide = request.getfixturevalue("far_side")
    return made


@pytest.fixture
def opened(store: Store, tmp_path: Path) -> Callable[[], Clinic]:
    """Opens what the test has put into its store."""

    def open_it() -> Clinic:
        store.flush()
        catalogue = store.open(tmp_path / "state")
        clock = Clock()
        made = Accounts(catalogue.ledger, clock)
        for name, role in (("reader-1", "reader"), ("reader-2", "reader"), ("boss", "administrator")):
            made.add(name, role, PASSWORD)
        return Clinic(store, catalogue, create_app(catalogue, clock=clock), clock)

    return open_it


@pytest.fixture(params=["folder", "database"])
def received(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """What the simulated device really sent, in both kinds of store."""
    if request.param == "folder":
        return copied_fixture(tmp_path / "fixture")
    made: FarSide = request.getfixturevalue("far_side")
    put_fixture(made)
    return made
