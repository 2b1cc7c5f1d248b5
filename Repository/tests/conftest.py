"""Repositories with keys that are made for the test."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from repository import main, make_key

NOW = datetime.now(UTC).replace(microsecond=0)


class Site:
    """A site's repository, its keys, and a way to run the tool on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repository = folder / "repository"
        for name in ("root-1", "root-2", "root-3", "targets", "online", "command", "receipt", "models-1", "models-2"):
            self.pem(name).write_text(make_key(self.key(name)))

    def key(self, name: str) -> Path:
        return self.folder / f"{name}.key"

    def pem(self, name: str) -> Path:
        return self.folder / f"{name}.pem"

    def run(self, command: str, *words: str | Path, now: datetime = NOW) -> int:
        return main([command, str(self.repository), *map(str, words)], now)

    def keys(self, *names: str) -> list[str | Path]:
        return [word for name in names for word in ("--key", self.key(name))]

    def begin(self) -> None:
        assert self.run(
            "init", "--root-key", self.key("root-1"), "--root-key", self.key("root-2"), "--root-key", self.pem("root-3"),
            "--targets-key", self.key("targets"), "--online-key", self.key("online"),
        ) == 0  # fmt: skip
        assert self.run("online-keys", self.word("command"), self.word("receipt"), *self.keys("targets", "online")) == 0

    def word(self, role: str) -> str:
        return f"{role}={self.pem(role)}"

    def publish(self, name: str = "out", kind: str = "site") -> Path:
        assert self.run("publish", self.folder / name, "--kind", kind) == 0
        return self.folder / name


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def begun(site: Site) -> Site:
    site.begin()
    return site
