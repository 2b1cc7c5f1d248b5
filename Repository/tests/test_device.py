"""What the device makes of it: the program of this repository reads what the tool publishes."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Site

PROGRAM = os.environ.get("THERMOGRAPH")

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="THERMOGRAPH names no program")


class Device:
    """A device's files in a folder, and its tools."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stick = folder / "stick"
        self.stick.mkdir(parents=True)
        self.configuration = folder / "thermograph.toml"
        self.configuration.write_text(
            f'schema = 1\n[device]\nid = "unit-1"\nsite = "clinic-a"\n[paths]\nstate_directory = "{folder}/state"\n'
        )
        (folder / "state" / "keys").mkdir(parents=True, mode=0o700)

    def run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        command = [str(PROGRAM), *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def tool(self, command: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
        return self.run(*command.split(), *words, "--config", self.configuration)

    def sign(self) -> None:
        """What whoever signs certificates puts onto the stick."""
        assert self.tool("enroll", "--request", self.stick).returncode == 0
        key, authority = self.folder / "ca.key", self.stick / "ca.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
             "-out", authority, "-subj", "/CN=test authority", "-days", "30"], check=True, capture_output=True,
        )  # fmt: skip
        subprocess.run(
            ["openssl", "x509", "-req", "-in", self.stick / "request.csr", "-CA", authority, "-CAkey", key,
             "-CAcreateserial", "-days", "20", "-out", self.stick / "certificate.pem"], check=True, capture_output=True,
        )  # fmt: skip

    def trust(self) -> dict[str, Any]:
        shown = self.tool("trust show", "--json")
        site: dict[str, Any] = next(root for root in json.loads(shown.stdout)["roots"] if root["root"] == "site")
        return site


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path / "device")


def bring(site: Site, device: Device) -> Path:
    """Onto the stick as it was published."""
    return site.publish(str(device.stick))


def test_a_site_root_is_enrolled_and_its_list_is_the_only_one(begun: Site, device: Device) -> None:
    device.sign()
    assert device.trust()["state"] == "absent"
    out = bring(begun, device)
    installed = device.tool("enroll", "--install", device.stick)
    assert installed.returncode == 0, installed.stderr
    fingerprint = hashlib.sha256((out / "site-root.json").read_bytes()).hexdigest()
    assert fingerprint in installed.stderr
    trust = device.trust()
    assert trust["fingerprint"] == fingerprint
    assert {role: count for role, count in trust["keys"].items() if count} == {"command": 1, "receipt": 1}
    # The keys of files are no longer believed, and the device says so.
    device.configuration.write_text(device.configuration.read_text() + '[remote]\ncommand_keys_file = "/etc/commanders.pem"\n')
    shown = device.tool("trust show")
    assert "/etc/commanders.pem: no longer believed" in shown.stderr
    assert "no longer believed" in device.tool("check").stderr


def test_a_newer_list_is_taken_and_an_older_one_is_not(begun: Site, device: Device) -> None:
    device.sign()
    bring(begun, device)
    assert device.tool("enroll", "--install", device.stick).returncode == 0
    old = begun.publish("old")
    assert begun.run("online-keys", begun.word("command"), *begun.keys("targets", "online")) == 0
    new = begun.publish("new")
    taken = device.tool("trust import", new)
    assert taken.returncode == 0, taken.stderr
    assert device.trust()["keys"]["receipt"] == 0
    before = (device.folder / "state" / "trust" / "site" / "trusted.json").read_bytes()
    refused = device.tool("trust import", old)
    assert refused.returncode == 1
    assert "an earlier version than was trusted before" in refused.stderr
    assert (device.folder / "state" / "trust" / "site" / "trusted.json").read_bytes() == before
    # A rotated root, signed by the old and the new keys, and the key list below it.
    words: list[str | Path] = ["rotate", "root", "--remove", begun.pem("root-1"), *begun.keys("root-2", "root-3", "root-1")]
    assert begun.run(str(words[0]), *words[1:]) == 0
    rotated = device.tool("trust import", begun.publish("rotated"))
    assert rotated.returncode == 0, rotated.stderr
    assert "root 2" in rotated.stdout


def test_models_of_a_vendor_are_no_key_list(begun: Site, device: Device, tmp_path: Path) -> None:
    device.sign()
    bring(begun, device)
    assert device.tool("enroll", "--install", device.stick).returncode == 0
    (tmp_path / "other").mkdir()
    other = Site(tmp_path / "other")
    other.begin()
    refused = device.tool("trust import", other.publish("stick"))
    assert refused.returncode == 1
    assert "right signatures of 0 keys" in refused.stderr
    (device.stick / "site-root.json").write_bytes((other.folder / "stick" / "site-root.json").read_bytes())
    replaced = device.tool("enroll", "--install", device.stick)
    assert replaced.returncode == 1
    assert "another site root is installed" in replaced.stderr


def test_a_prepared_folder_needs_the_sites_signature(begun: Site, device: Device) -> None:
    device.sign()
    bring(begun, device)
    assert device.tool("enroll", "--install", device.stick).returncode == 0
    prepared = device.folder / "prepared"
    prepared.mkdir()
    installed = device.folder / "etc"
    installed.mkdir()
    main = device.configuration.read_text() + '[broker]\nhost = "127.0.0.1"\nport = {port}\nallow_plaintext = true\n'
    (installed / "thermograph.toml").write_text(main.format(port=1883) + "[import]\nrequire_signature = true\n")
    wanted = main.format(port=1884)
    (prepared / "thermograph.toml").write_text(wanted)
    words: list[str | Path] = ["import", prepared, "--into", installed, "--owner", "nobody", "--confirm"]
    unsigned = device.run(*words)
    assert unsigned.returncode == 1
    assert "import.require_signature" in unsigned.stdout
    assert "port = 1883" in (installed / "thermograph.toml").read_text()
    name = "provisioning/unit-1/thermograph.toml"
    assert begun.run("add-file", name, prepared / "thermograph.toml", *begun.keys("targets", "online")) == 0
    site_files = begun.publish("signed")
    (site_files / "metadata").rename(prepared / "metadata")
    (site_files / "targets").rename(prepared / "targets")
    signed = device.run(*words)
    assert signed.returncode == 0, signed.stdout + signed.stderr
    assert (installed / "thermograph.toml").read_text() == wanted
