"""Answers and commands as signed statements: DSSE envelopes (github.com/secure-systems-lab/dsse, version 1)."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from .errors import GatewayError, RecordRefused
from .files import read_bounded
from .record import parse_json

RESULT_TYPE = "application/vnd.thermograph.result.v1+json"
COMMAND_TYPE = "application/vnd.thermograph.command.v1+json"
CONFIGURATION_TYPE = "application/vnd.thermograph.configuration.v1+json"
_KEY_BYTES_MAXIMUM = 4096
ONLINE_KEYS_BYTES_MAXIMUM = 32 * 1024
# What a device takes of a statement (Sources/Core/Trust/Envelope.swift).
PAYLOAD_BYTES_MAXIMUM = 12 * 1024


def encoding(payload: bytes, payload_type: str) -> bytes:
    """What is signed: DSSE's pre-authentication encoding."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _id(key: PublicKeyTypes) -> str:
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


class ResultKey:
    """A key that signs answers, or commands. It shows its id and nothing else."""

    def __init__(self, pem: bytes) -> None:
        try:
            key = load_pem_private_key(pem, None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise GatewayError("no private key in PEM form without a passphrase") from None
        if not isinstance(key, Ed25519PrivateKey) and not (
            isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1)
        ):
            raise GatewayError("the key is neither Ed25519 nor ECDSA P-256")
        self._key: Ed25519PrivateKey | EllipticCurvePrivateKey = key
        self.id = _id(key.public_key())

    @classmethod
    def from_file(cls, path: Path) -> ResultKey:
        """Raises GatewayError."""
        try:
            if path.stat().st_mode & 0o037:
                raise GatewayError(f"{path} is open to others: chmod 600 {path}")
            return cls(read_bounded(path, _KEY_BYTES_MAXIMUM))
        except OSError as error:
            raise GatewayError(f"{path} cannot be read ({error.strerror or error}); expected a private key in PEM") from error
        except GatewayError as error:
            raise GatewayError(f"{path}: {error}") from None

    def check_role(self, role: str, listed: bytes, where: str) -> None:
        """Raises GatewayError when the site's `online-keys.json` gives this key no such role: no device would believe it."""
        try:
            value = parse_json(listed, ONLINE_KEYS_BYTES_MAXIMUM)
        except RecordRefused as refusal:
            raise GatewayError(f"{where}: {refusal}; expected the site's online-keys.json") from None
        entries = value.get("keys")
        if value.get("schema") != "thermograph.online-keys.v1" or not isinstance(entries, list):
            raise GatewayError(f"{where}: expected the site's online-keys.json (thermograph.online-keys.v1)")
        roles: set[str] = set()
        for entry in entries:
            if not isinstance(entry, dict) or not isinstance(entry.get("key"), str):
                raise GatewayError(f"{where}: a key is no object with 'role' and 'key'")
            try:
                public = load_pem_public_key(entry["key"].encode())
            except (ValueError, UnsupportedAlgorithm):
                raise GatewayError(f"{where}: holds a key that is none in PEM form; devices refuse the whole list") from None
            if _id(public) == self.id:
                roles.add(str(entry.get("role"))[:32])
        if role not in roles:
            said = f"as {', '.join(sorted(roles))} only" if roles else "not at all"
            raise GatewayError(
                f"{where} names the key {self.id[:16]}... {said}; devices believe it no {role} before the list says so"
            )

    def __repr__(self) -> str:
        return f"ResultKey(id {self.id})"

    def envelope(self, payload: bytes, payload_type: str = RESULT_TYPE) -> bytes:
        """`payload` with one signature, as JSON. Raises GatewayError."""
        if len(payload) > PAYLOAD_BYTES_MAXIMUM:
            raise GatewayError(f"a statement of {len(payload)} bytes; expected at most {PAYLOAD_BYTES_MAXIMUM}")
        message = encoding(payload, payload_type)
        if isinstance(self._key, Ed25519PrivateKey):
            signature = self._key.sign(message)
        else:
            signature = self._key.sign(message, ECDSA(SHA256()))
        value = {
            "payloadType": payload_type,
            "payload": base64.b64encode(payload).decode(),
            "signatures": [{"keyid": self.id, "sig": base64.b64encode(signature).decode()}],
        }
        return json.dumps(value, separators=(",", ":")).encode()
