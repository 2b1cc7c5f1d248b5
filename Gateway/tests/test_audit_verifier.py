"""The independent verifier against somebody who holds the device and its keys: what others keep tells."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from thermograph_gateway import audit_verifier

LOGS = 100


def text(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def envelope(payload: dict[str, Any], kind: str, key: Ed25519PrivateKey) -> bytes:
    media, body = f"application/vnd.thermograph.{kind}+json", text(payload)
    signature = key.sign(b"DSSEv1 %d %s %d %s" % (len(media), media.encode(), len(body), body))
    encoded = base64.b64encode(body).decode()
    return text({"payloadType": media, "payload": encoded, "signatures": [{"sig": base64.b64encode(signature).decode()}]})


class Log:
    """A device's log as files, and what others keep of it."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - drawn logs, no secrets
        self.key, self.witness_key = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
        self.log = f"{seed:08x}-0000-4000-8000-000000000000"
        self.pruned = 0
        self.entries: list[dict[str, Any]] = []
        seconds = 0
        for index in range(self.random.randint(20, 60)):
            seconds += self.random.randint(1, 5000)
            self.entries.append(
                {
                    "schema": "thermograph.audit.v1",
                    "index": index,
                    "kind": "session-end",
                    "utc_ns": (1_764_500_000 + seconds) * 10**9,
                    "boot": f"boot-{index // 10}",
                    "monotonic_ns": seconds * 10**9,
                    "synchronised": True,
                    "what": {"n": self.random.randint(0, 10**6)},
                }
            )
        heads = self.heads()
        self.anchors: list[tuple[int, bytes, str, bool]] = [
            (size, head, f"record {size}", False) for size, head in enumerate(heads) if size % 5 == 0
        ]
        self.cosigned = len(self.entries) // 2
        self.anchors.append((self.cosigned, heads[self.cosigned], "receipt", True))

    @property
    def origin(self) -> bytes:
        der = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return text(
            {
                "schema": "thermograph.audit-origin.v1",
                "site": "clinic-7",
                "device": "unit-3",
                "log": self.log,
                "key": base64.b64encode(der).decode(),
            }
        )

    def heads(self) -> list[bytes]:
        heads = [hashlib.sha256(b"thermograph audit origin v1\0" + self.origin).digest()]
        for entry in self.entries:
            heads.append(hashlib.sha256(b"thermograph audit entry v1\0" + heads[-1] + text(entry)).digest())
        return heads

    def write(self, folder: Path) -> Path:
        heads = self.heads()
        folder.mkdir(exist_ok=True)
        head = {"size": len(self.entries), "head": heads[-1].hex()}
        (folder / "origin.json").write_bytes(self.origin)
        (folder / "base.json").write_bytes(text({"size": self.pruned, "head": heads[self.pruned].hex()}))
        (folder / "entries.jsonl").write_bytes(b"".join(text(entry) + b"\n" for entry in self.entries[self.pruned :]))
        signed = {"schema": "thermograph.audit-head.v1", "log": self.log, **head}
        (folder / "head.json").write_bytes(envelope(signed, "audit-head.v1", self.key))
        return folder

    def renumber(self) -> None:
        for index, entry in enumerate(self.entries):
            entry["index"] = index

    def found(self, folder: Path, key: Ed25519PrivateKey | None = None) -> list[str]:
        verifier_key = (key or self.key).public_key()
        return list(audit_verifier.findings(self.write(folder), verifier_key, self.anchors))


def forged(entry: dict[str, Any]) -> dict[str, Any]:
    return {**entry, "what": {"forged": True}}


def tail_cut(log: Log, victim: int) -> None:
    del log.entries[victim:]


def reordered(log: Log, victim: int) -> None:
    log.entries[victim - 1 : victim + 1] = log.entries[victim], log.entries[victim - 1]
    log.renumber()


def inserted(log: Log, victim: int) -> None:
    log.entries.insert(victim, forged(log.entries[victim]))
    log.renumber()


def removed(log: Log, victim: int) -> None:
    del log.entries[victim]
    log.renumber()


def rewritten(log: Log, victim: int) -> None:
    log.entries[victim] = forged(log.entries[victim])


def forked(log: Log, victim: int) -> None:
    log.entries[victim:] = [forged(entry) for entry in log.entries[victim:]] + [forged(log.entries[-1]) for _ in range(9)]
    log.renumber()


def cloned_card(log: Log, victim: int) -> None:
    """Two devices write on from one card: each log is sound by itself, and their records are not of one log."""
    size = len(log.entries) // 5 * 5
    own = log.entries
    log.entries = own[:victim] + [forged(entry) for entry in own[victim:]]
    log.anchors.append((size, log.heads()[size], "the other card's record", False))
    log.entries = own


def pruned_too_far(log: Log, victim: int) -> None:
    log.pruned = log.random.randint(log.cosigned + 1, len(log.entries))


def back_dated(log: Log, victim: int) -> None:
    """In the part that no anchor covers: the clock tells."""
    log.anchors = []
    log.entries[victim if victim % 10 else victim + 1]["utc_ns"] -= 3600 * 10**9


def entry_of_another_device(log: Log, victim: int) -> None:
    log.entries[victim] = {**Log(log.random.getrandbits(31)).entries[victim % 20], "index": victim}


def begun_anew(log: Log, victim: int) -> None:
    log.log = "ffffffff-0000-4000-8000-000000000000"


def emptied(log: Log, victim: int) -> None:
    log.entries = []


@pytest.mark.parametrize(
    "manipulate",
    [
        tail_cut,
        reordered,
        inserted,
        removed,
        rewritten,
        forked,
        cloned_card,
        pruned_too_far,
        back_dated,
        entry_of_another_device,
        begun_anew,
        emptied,
    ],
)
def test_finds_it_in_every_log(manipulate: Any, tmp_path: Path) -> None:
    for seed in range(LOGS):
        log = Log(seed)
        assert log.found(tmp_path / f"{seed}") == []
        manipulate(log, log.random.randint(1, len(log.entries) // 5 * 5 - 2))
        assert log.found(tmp_path / f"{seed}"), f"log {seed}"


def test_finds_a_replaced_key(tmp_path: Path) -> None:
    for seed in range(LOGS):
        log = Log(seed)
        enrolled, log.key = log.key, Ed25519PrivateKey.generate()
        assert log.found(tmp_path / f"{seed}", enrolled)


def test_honest_logs_are_sound(tmp_path: Path) -> None:
    for seed in range(1000, 1500):
        log = Log(seed)
        log.pruned = log.cosigned if seed % 2 else 0
        assert log.found(tmp_path / "log") == []


def run(*arguments: Path | str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, audit_verifier.__file__, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603


def test_the_program_is_given_only_files(tmp_path: Path) -> None:
    log = Log(7)
    vkey, witness_key, witness = tmp_path / "audit.pem", tmp_path / "receiver.pem", tmp_path / "receipts"
    vkey.write_bytes(log.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    witness_key.write_bytes(log.witness_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    witness.mkdir()
    heads = log.heads()
    cosignature = {"size": log.cosigned, "head": heads[log.cosigned].hex()}
    receipt = witness / "receipt.json"
    receipt.write_bytes(
        envelope({"schema": "thermograph.receipt.v2", "cosignature": cosignature}, "receipt.v2", log.witness_key)
    )
    anchors = tmp_path / "anchors.jsonl"
    anchors.write_text("".join(f'{{"size":{size},"head":"{head.hex()}"}}\n' for size, head, _, _ in log.anchors))
    folder = log.write(tmp_path / "log")
    assert run(folder, "--vkey", vkey).returncode == 0
    full = run(folder, "--vkey", vkey, "--anchors", anchors, "--witness", witness, "--witness-key", witness_key)
    assert (full.returncode, full.stderr) == (0, "")
    assert full.stdout.startswith("sound; ")
    # What is pruned behind the cosignature is sound with it, and a finding without it or with somebody else's.
    log.pruned = log.cosigned
    log.write(folder)
    assert run(folder, "--vkey", vkey).returncode == 1
    assert run(folder, "--vkey", vkey, "--witness", witness, "--witness-key", witness_key).returncode == 0
    assert run(folder, "--vkey", vkey, "--witness", witness, "--witness-key", vkey).returncode == 2


@pytest.mark.parametrize("name", ["origin.json", "base.json", "head.json", "entries.jsonl"])
def test_a_file_that_is_none_is_never_sound(name: str, tmp_path: Path) -> None:
    log = Log(3)
    vkey = tmp_path / "audit.pem"
    vkey.write_bytes(log.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    folder = log.write(tmp_path / "log")
    whole = (folder / name).read_bytes()
    deep = b"[" * 100_000
    for content in [b"", b"{}", b"[]", b"null", deep, whole[:-2], whole.replace(b'"', b"'"), b"\xff" + whole, whole + whole]:
        (folder / name).write_bytes(content)
        result = run(folder, "--vkey", vkey)
        assert result.returncode in (1, 2), content[:20]
        assert "Traceback" not in result.stderr
    (folder / name).unlink()
    assert run(folder, "--vkey", vkey).returncode in (1, 2)


def test_it_is_short_and_alone() -> None:
    lines = Path(audit_verifier.__file__).read_text().splitlines()
    assert len(lines) < 150
    assert not [line for line in lines if "import" in line and "thermograph_gateway" in line]
