"""Answers and commands as signed statements: DSSE envelopes (github.com/secure-systems-lab/dsse, version 1)."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from .errors import GatewayError
from .source import read_bounded

RESULT_TYPE = "application/vnd.thermograph.result.v1+json"
COMMAND_TYPE = "application/vnd.thermograph.command.v1+json"
CONFIGURATION_TYPE = "application/vnd.thermograph.configuration.v1+json"
_KEY_BYTES_MAXIMUM = 4096
# What a device takes of a statement (Sources/Core/Trust/Envelope.swift).
PAYLOAD_BYTES_MAXIMUM = 12 * 1024


def encoding(payload: bytes, payload_type: str) -> bytes:
    """What is signed: DSSE's pre-authentication encoding."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


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
        der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.id = hashlib.sha256(der).hexdigest()

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
