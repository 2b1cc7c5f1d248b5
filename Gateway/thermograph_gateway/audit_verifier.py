"""Judges a device's audit log by files alone; shares no code with the device, see Docs/audit.md.

FOLDER is what `thermograph audit export` wrote. The verifier key is the file that enrolment put beside request.csr; never
take it from FOLDER. ANCHORS has a line for each head that somebody else kept, {"size": 17, "head": "...", "source": "..."};
WITNESS holds signed receipts (*.json). Exit status: 0 sound, 1 findings, 2 cannot judge.
"""

import argparse
import base64
import binascii
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

ENTRY, ORIGIN = b"thermograph audit entry v1\0", b"thermograph audit origin v1\0"
NAMES = ["schema", "index", "kind", "utc_ns", "boot", "monotonic_ns", "synchronised", "what"]
TYPES = [str, int, str, int, str, int, bool, dict]
MOST_ENTRY, MOST_LOG, TOLERANCE_NS = 4096, 80 << 20, 2_000_000_000
BAD = (ValueError, KeyError, TypeError, OSError, RecursionError)
Anchor = tuple[int, bytes, str, bool]  # size, digest, where it was found, whether it is a cosignature


def obj(text: bytes) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) != len(pairs):
            raise ValueError("a member stands there twice")
        return dict(pairs)

    return dict(json.loads(text.decode(), object_pairs_hook=once))


def head_of(value: dict[str, Any]) -> tuple[int, bytes]:
    size, digest = value["size"], binascii.unhexlify(value["head"])
    if type(size) is not int or not 0 <= size < 1 << 63 or len(digest) != 32:
        raise ValueError("no head")
    return size, digest


def read(path: Path, most: int = 96 << 10) -> bytes:
    if path.is_symlink() or not path.is_file() or path.stat().st_size > most:
        raise ValueError(f"{path}: no regular file of at most {most} bytes")
    return path.read_bytes()


def opened(envelope: bytes, kind: str, key: Any) -> dict[str, Any]:
    """The payload of a DSSE envelope that `key` signed."""
    outer, media = obj(envelope), f"application/vnd.thermograph.{kind}+json"
    payload = base64.b64decode(outer["payload"], validate=True)
    message = b"DSSEv1 %d %s %d %s" % (len(media), media.encode(), len(payload), payload)
    for signature in outer["signatures"][:16] if outer["payloadType"] == media else []:
        how = () if isinstance(key, ed25519.Ed25519PublicKey) else (ec.ECDSA(SHA256()),)
        try:
            key.verify(base64.b64decode(signature["sig"], validate=True), message, *how)
            return obj(payload)
        except InvalidSignature:
            continue
    raise ValueError(f"not signed as {kind} by the key that was given")


def clock_fault(last: dict[str, Any], entry: dict[str, Any]) -> str | None:
    elapsed = entry["monotonic_ns"] - last["monotonic_ns"]
    moved = abs(entry["utc_ns"] - last["utc_ns"] - elapsed) > TOLERANCE_NS + elapsed // 1000
    if last["boot"] != entry["boot"]:
        return None
    if elapsed < 0:
        return "older than the entry before it, in the same run of the system"
    said = entry["kind"] == "clock-step" or entry["synchronised"] != last["synchronised"]
    return "the clock moved, and no entry says so" if moved and not said else None


def findings(folder: Path, key: Any, anchors: list[Anchor]) -> Iterator[str]:
    origin_text = read(folder / "origin.json")
    origin, (size, digest) = obj(origin_text), head_of(obj(read(folder / "base.json")))
    lines = read(folder / "entries.jsonl", MOST_LOG).split(b"\n")
    if base64.b64decode(origin["key"]) != key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo):
        yield "origin.json names another key than the one that was given: another device's log, or a replaced key"
    if size == 0 and digest != hashlib.sha256(ORIGIN + origin_text).digest():
        yield "base.json is not the beginning of the log of origin.json"
    if size > max((anchor[0] for anchor in anchors if anchor[3]), default=0):
        yield f"the first {size} entries are missing, and no cosignature covers them"
    if lines.pop() != b"":
        yield "entries.jsonl: its last line is not complete"
    heads, last = {size: digest}, None
    for line in lines:
        try:
            entry = obj(line)
            if list(entry) != NAMES or [type(value) for value in entry.values()] != TYPES or len(line) > MOST_ENTRY:
                raise ValueError("of another form")
            if entry["schema"] != "thermograph.audit.v1" or entry["index"] != size:
                yield f"entry {size}: says that it is entry {entry['index']} of {entry['schema']}"
            if last and (fault := clock_fault(last, entry)):
                yield f"entry {size}: {fault}"
            last = entry
        except BAD as error:
            yield f"entry {size}: not readable: {error}"
        size, digest = size + 1, hashlib.sha256(ENTRY + digest + line).digest()
        heads[size] = digest
    try:
        signed = opened(read(folder / "head.json"), "audit-head.v1", key)
        if signed["log"] != origin["log"] or head_of(signed) != (size, digest):
            yield "head.json, which the device signed, is not the head of these entries"
    except BAD as error:
        yield f"head.json is not believed: {error}"
    seen: dict[int, Anchor] = {}
    for anchor in sorted(anchors):
        if seen.setdefault(anchor[0], anchor)[1] != anchor[1]:
            yield f"{anchor[2]} and {seen[anchor[0]][2]} know other first {anchor[0]} entries: a card was copied"
        if anchor[0] > size:
            yield f"{anchor[2]} knows {anchor[0]} entries, the log has {size}: its end was cut off"
        elif heads.get(anchor[0], anchor[1]) != anchor[1]:
            yield f"{anchor[2]} knows other first {anchor[0]} entries than the log has: it was changed afterwards"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    for name in ("--vkey", "--anchors", "--witness", "--witness-key"):
        parser.add_argument(name, type=Path, required=name == "--vkey")
    given = parser.parse_args()
    try:
        kept = [obj(line) for line in read(given.anchors, MOST_LOG).splitlines()] if given.anchors else []
        anchors: list[Anchor] = [(*head_of(value), str(value.get("source", "an anchor")), False) for value in kept]
        for path in sorted(given.witness.glob("*.json"))[:100_000] if given.witness else []:
            receipt = opened(read(path), "receipt.v2", load_pem_public_key(read(given.witness_key)))
            if "cosignature" in receipt:
                anchors.append((*head_of(receipt["cosignature"]), path.name, True))
        found = list(findings(given.folder, load_pem_public_key(read(given.vkey)), anchors))
    except BAD as error:
        print(f"cannot judge: {error}", file=sys.stderr)
        return 2
    print("\n".join(found) if found else f"sound; {len(anchors)} heads that others kept agree with it")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
