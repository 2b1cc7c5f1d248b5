"""What several tests need."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.folders import FIXTURE, Folder
from thermograph_gateway.accounts import Accounts
from thermograph_gateway.catalogue import Catalogue
from thermograph_gateway.ledger import Ledger
from thermograph_gateway.source import ReceiveFolder
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
    """A folder, its catalogue and a page over both."""

    folder: Folder
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


def csrf(client: FlaskClient) -> str:
    """The token that the pages put into every form."""
    return client.get("/agreement").text.split('name="csrf" value="')[1].split('"')[0]


def open_catalogue(folder: Path, state: Path) -> Catalogue:
    catalogue = Catalogue(ReceiveFolder(folder), Ledger(state))
    catalogue.refresh()
    return catalogue


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "received")


@pytest.fixture
def opened(folder: Folder, tmp_path: Path) -> Callable[[], Clinic]:
    """Opens what the test has put into its folder."""

    def open_it() -> Clinic:
        folder.flush()
        catalogue = open_catalogue(folder.path, tmp_path / "state")
        clock = Clock()
        accounts = Accounts(catalogue.ledger, clock)
        for name, role in (("reader-1", "reader"), ("reader-2", "reader"), ("boss", "administrator")):
            accounts.add(name, role, PASSWORD)
        return Clinic(folder, catalogue, create_app(catalogue, clock=clock), clock)

    return open_it


@pytest.fixture
def received(tmp_path: Path) -> Path:
    """A copy of what the simulated device really sent."""
    return Path(shutil.copytree(FIXTURE, tmp_path / "fixture"))
