"""What is signed, by whom, and what is never published."""

from __future__ import annotations

import base64
import json
import shutil
from datetime import timedelta
from pathlib import Path

import jsonschema
import pytest
from tuf.api.metadata import Metadata

from repository import main
from tests.conftest import NOW, Site

ROOT = Path(__file__).parents[2]


def test_what_is_published_is_whole_and_the_same_in_one_piece(begun: Site) -> None:
    out = begun.publish()
    names = sorted(path.name for path in (out / "metadata").iterdir())
    assert names == ["1.root.json", "2.snapshot.json", "2.targets.json", "timestamp.json"]
    bundle = json.loads((out / "trust.json").read_bytes())
    assert bundle["schema"] == "thermograph.trust.v1"
    for name in names:
        assert base64.b64decode(bundle["metadata"][name]) == (out / "metadata" / name).read_bytes()
    (target,) = (out / "targets").iterdir()
    assert base64.b64decode(bundle["targets"][target.name]) == target.read_bytes()
    schema = json.loads((ROOT / "Docs" / "schemas" / "online-keys-1.schema.json").read_text())
    listed = json.loads(target.read_bytes())
    jsonschema.Draft202012Validator(schema).validate(listed)
    assert [key["role"] for key in listed["keys"]] == ["command", "receipt"]
    assert (out / "site-root.json").read_bytes() == (out / "metadata" / "1.root.json").read_bytes()
    assert "PRIVATE" not in "".join(path.read_text() for path in out.rglob("*") if path.is_file())


def test_two_of_three_sign_the_root_and_one_is_not_enough(begun: Site, capsys: pytest.CaptureFixture[str]) -> None:
    begun.publish()
    assert begun.run("rotate", "root", "--remove", begun.pem("root-1"), "--threshold", "2", *begun.keys("root-3")) == 0
    assert "signed by 1 of the 2 keys that must" in capsys.readouterr().err
    # The removed key is of the old root and may vouch for the new one, but not by itself.
    assert begun.run("publish", begun.folder / "out") == 1
    assert "nothing is published" in capsys.readouterr().err
    assert begun.run("sign", "root", *begun.keys("root-2")) == 0
    out = begun.publish()
    assert (out / "metadata" / "2.root.json").exists()
    assert (out / "site-root.json").read_bytes() == (out / "metadata" / "2.root.json").read_bytes()


def test_a_stranger_signs_nothing(begun: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert begun.run("sign", "root", *begun.keys("command")) == 1
    assert "none of the keys signs root" in capsys.readouterr().err
    assert begun.run("online-keys", begun.word("command"), *begun.keys("command", "online")) == 0
    assert begun.run("publish", begun.folder / "out") == 1


def test_a_key_that_is_no_longer_listed_is_gone(begun: Site) -> None:
    assert begun.run("online-keys", begun.word("receipt"), *begun.keys("targets", "online")) == 0
    out = begun.publish()
    (target,) = (out / "targets").iterdir()
    assert [key["role"] for key in json.loads(target.read_bytes())["keys"]] == ["receipt"]


def test_models_are_signed_by_their_own_keys(begun: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "screening-fold"
    model.mkdir()
    (model / "network.tflite").write_bytes(b"network")
    (model / "manifest.json").write_bytes(b"{}")
    delegation: list[str | Path] = [
        "--delegate-key",
        begun.pem("models-1"),
        "--delegate-key",
        begun.pem("models-2"),
        "--path",
        "models/*/*",
    ]
    assert begun.run("delegate", "models", *delegation, *begun.keys("targets", "online", "models-1", "models-2")) == 0
    assert begun.run("add-model", model, "--role", "models", *begun.keys("models-1", "online")) == 0
    assert begun.run("publish", begun.folder / "out", "--kind", "vendor") == 1
    assert "models version 2: signed by 1 of the 2" in capsys.readouterr().err
    assert begun.run("sign", "models", *begun.keys("models-2")) == 0
    out = begun.publish(kind="vendor")
    assert len(list((out / "targets" / "models" / "screening-fold").iterdir())) == 2
    # The metadata goes over the line, the models come in parts.
    message = json.loads((out / "trust.json").read_bytes())
    assert (message["root"], message["targets"]) == ("vendor", {})
    assert set(message["metadata"]) == {path.name for path in (out / "metadata").iterdir()}


def test_a_prepared_folders_files_are_signed_and_not_copied(begun: Site, tmp_path: Path) -> None:
    secret = tmp_path / "site.key"
    secret.write_bytes(b"0123456789abcdef0123456789abcdef")
    assert begun.run("add-file", "provisioning/unit-1/site.key", secret, *begun.keys("targets", "online")) == 0
    out = begun.publish()
    assert not [path for path in [*out.rglob("*"), *begun.repository.rglob("*")] if "site.key" in path.name]
    assert b"0123456789abcdef" not in (out / "trust.json").read_bytes()
    signed = json.loads((out / "metadata" / "3.targets.json").read_bytes())["signed"]
    assert "provisioning/unit-1/site.key" in signed["targets"]
    assert begun.run("add-file", "../x", secret, *begun.keys("targets", "online")) == 1


def test_renewing_moves_the_end_and_nothing_else(begun: Site) -> None:
    before = Metadata.from_file(str(begun.repository / "metadata" / "timestamp.json"))
    assert begun.run("renew", *begun.keys("online"), now=NOW + timedelta(days=30)) == 0
    after = Metadata.from_file(str(begun.repository / "metadata" / "timestamp.json"))
    assert after.signed.version == before.signed.version + 1
    assert after.signed.expires - before.signed.expires == timedelta(days=30)
    begun.publish()


def test_a_changed_target_is_not_published(begun: Site, capsys: pytest.CaptureFixture[str]) -> None:
    (target,) = (begun.repository / "targets").iterdir()
    target.write_bytes(target.read_bytes() + b" ")
    assert begun.run("publish", begun.folder / "out") == 1
    assert "nothing is published" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["online-keys", "commander=x"], "expected ROLE=FILE"),
        (["online-keys", "command=missing.pem"], "cannot be read"),
        (["delegate", "root", "--delegate-key", "x", "--path", "*"], "cannot be delegated to"),
        (["sign", "models"], "cannot be read"),
    ],
)
def test_mistakes_are_named(begun: Site, words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert begun.run(words[0], *words[1:]) == 1
    assert message in capsys.readouterr().err


def test_keys_are_private_and_never_replaced(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert site.key("root-1").stat().st_mode & 0o777 == 0o600
    assert main(["key", str(site.key("root-1"))]) == 1
    assert "never replaced" in capsys.readouterr().err
    open_key = site.folder / "open.key"
    shutil.copy(site.key("online"), open_key)
    open_key.chmod(0o644)
    site.begin()
    assert site.run("renew", "--key", open_key) == 1
    assert "chmod 600" in capsys.readouterr().err
