"""A signed repository of TUF 1.0 in a folder: the site's key list, or the vendor's models (Docs/keys.md).

DIR/metadata and DIR/targets are what is signed; `publish` checks all of it and copies it to where devices get it from.
Keys are private keys in PEM, mode 0600. Give with --key those that are at hand: whatever lacks a signature is named, and
`sign` adds one on the machine where the next key lies.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.exceptions import RepositoryError, UnsignedMetadataError
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization.json import JSONSerializer
from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet
from tuf.ngclient.config import EnvelopeType

ONLINE_KEYS = "online-keys.json"
# What a device takes (Sources/Core/Trust/Metadata).
BUNDLE_BYTES_MAXIMUM = 64 * 1024
KEY_ROLES = ("command", "configuration", "result", "receipt", "witness")
KEYS_A_ROLE = 16
# Signed, and never copied: what lies in a prepared folder may be secret, and travels with it.
SIGNED_ONLY = "provisioning/"
# Long, because a clinic may be months without a line.
DAYS = {"root": 730, "targets": 365, "delegated": 365, "snapshot": 90, "timestamp": 90}
_KEY_BYTES_MAXIMUM = 4096
_ROLES = ("root", "timestamp", "snapshot", "targets")


class Fault(Exception):
    """What is wrong, for a person."""


def read_key(path: Path) -> SSlibKey | CryptoSigner:
    """A private key as a signer, a public one as a key. Raises Fault."""
    try:
        content = path.read_bytes()[: _KEY_BYTES_MAXIMUM + 1]
    except OSError as error:
        raise Fault(f"{path}: cannot be read ({error.strerror}); expected a key in PEM") from error
    if len(content) > _KEY_BYTES_MAXIMUM:
        raise Fault(f"{path}: more than {_KEY_BYTES_MAXIMUM} bytes; expected a key in PEM")
    try:
        if b"PRIVATE KEY" not in content:
            public = load_pem_public_key(content)
            if isinstance(public, Ed25519PublicKey) or (
                isinstance(public, EllipticCurvePublicKey) and isinstance(public.curve, SECP256R1)
            ):
                return SSlibKey.from_crypto(public)
            raise Fault(f"{path}: neither an Ed25519 nor a P-256 key")
        private = load_pem_private_key(content, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Fault(f"{path}: no key in PEM without a passphrase") from None
    if path.stat().st_mode & 0o077:
        raise Fault(f"{path}: open to others; chmod 600 {path}")
    if not isinstance(private, Ed25519PrivateKey):
        raise Fault(f"{path}: not an Ed25519 private key; make one with: repository key {path.name}")
    return CryptoSigner(private, SSlibKey.from_crypto(private.public_key()))


def public_half(key: SSlibKey | CryptoSigner) -> SSlibKey:
    return key.public_key if isinstance(key, CryptoSigner) else key


def public_pem(path: Path) -> str:
    """The public half of a key file, as the key list holds it. Raises Fault."""
    key = public_half(read_key(path))
    value = str(key.keyval["public"])
    if key.keytype == "ed25519":
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(value))
        return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return value


def make_key(path: Path) -> str:
    """Makes a private key that was not there before; returns the public half in PEM. Raises Fault."""
    private = Ed25519PrivateKey.generate()
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        raise Fault(f"{path}: is there already; a key is never replaced") from None
    with os.fdopen(handle, "wb") as file:
        file.write(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


class Repository:
    """The newest files of a folder, and what is done to them."""

    def __init__(self, folder: Path, keys: Sequence[SSlibKey | CryptoSigner], now: datetime) -> None:
        self.folder = folder
        self.keys = keys
        self.now = now.replace(microsecond=0)
        self.changed: dict[str, Metadata[Any]] = {}

    # Files

    def versions(self, role: str) -> list[int]:
        files = (self.folder / "metadata").glob(f"*.{role}.json")
        return sorted(int(path.name.split(".")[0]) for path in files if path.name.split(".")[0].isdigit())

    def path(self, role: str, version: int) -> Path:
        name = "timestamp.json" if role == "timestamp" else f"{version}.{role}.json"
        return self.folder / "metadata" / name

    def load(self, role: str) -> Metadata[Any]:
        """The newest file of a role. Raises Fault."""
        if role in self.changed:
            return self.changed[role]
        versions = self.versions(role) if role != "timestamp" else [0]
        path = self.path(role, versions[-1]) if versions else self.path(role, 1)
        try:
            return Metadata.from_bytes(path.read_bytes())
        except OSError as error:
            raise Fault(f"{path}: cannot be read ({error.strerror}); make a repository with: repository init") from error
        except RepositoryError as error:
            raise Fault(f"{path}: {error}") from error

    def root(self) -> Root:
        return cast(Root, self.load("root").signed)

    def targets(self) -> Targets:
        return cast(Targets, self.load("targets").signed)

    def delegated(self) -> list[str]:
        delegations = self.targets().delegations
        return list(delegations.roles or {}) if delegations else []

    # Changes

    def edit(self, role: str, change: Callable[[Any], None] = lambda signed: None) -> None:
        """The next version of a role, changed, unsigned until `save`."""
        metadata = self.load(role)
        days = DAYS.get(role, DAYS["delegated"])
        if role not in self.changed:
            metadata.signed.version += 1
            metadata.signatures.clear()
        metadata.signed.expires = self.now + timedelta(days=days)
        change(metadata.signed)
        self.changed[role] = metadata

    def refresh(self) -> None:
        """Snapshot and timestamp that name everything else, when a key for them is at hand."""
        if not (self._signs("snapshot") or self._signs("timestamp")):
            return

        def name_all(snapshot: Snapshot) -> None:
            for role in ["targets", *self.delegated()]:
                if role == "targets" or self.versions(role):
                    snapshot.meta[f"{role}.json"] = MetaFile(self.load(role).signed.version)

        self.edit("snapshot", name_all)
        version = self.load("snapshot").signed.version
        self.edit("timestamp", lambda timestamp: setattr(timestamp, "snapshot_meta", MetaFile(version)))

    def _signs(self, role: str) -> bool:
        wanted = set(self.root().roles[role].keyids)
        return any(public_half(key).keyid in wanted for key in self.keys if isinstance(key, CryptoSigner))

    def sign(self, role: str, metadata: Metadata[Any]) -> None:
        """Signs with every key at hand that may, and so that an old root vouches for a new one."""
        wanted = self.keyids(role)
        for key in self.keys:
            if isinstance(key, CryptoSigner) and key.public_key.keyid in wanted:
                metadata.sign(key, append=True)

    def keyids(self, role: str) -> set[str]:
        if role == "root":
            ids = set(self.root().roles["root"].keyids)
            version = self.root().version
            if version > 1 and self.path("root", version - 1).exists():
                before = Metadata.from_bytes(self.path("root", version - 1).read_bytes())
                ids |= set(before.signed.roles["root"].keyids)
            return ids
        if role in _ROLES:
            return set(self.root().roles[role].keyids)
        delegations = self.targets().delegations
        if delegations is None or delegations.roles is None or role not in delegations.roles:
            raise Fault(f"nobody has delegated to '{role}'; repository delegate")
        return set(delegations.roles[role].keyids)

    def save(self) -> None:
        (self.folder / "metadata").mkdir(parents=True, exist_ok=True)
        for role, metadata in self.changed.items():
            self.sign(role, metadata)
            write(self.path(role, metadata.signed.version), metadata.to_bytes(JSONSerializer()))

    def add_target(self, role: str, name: str, content: bytes) -> None:
        """A target, under its hash as devices look for it."""
        if not name or any(level in ("", ".", "..") for level in name.split("/")) or len(name) > 200:
            raise Fault(f"'{name[:80]}' cannot name a target; expected a path without empty levels, '.' and '..'")
        target = TargetFile.from_data(name, content, ["sha256"])
        self.edit(role, lambda targets: targets.targets.update({name: target}))
        for path in [] if name.startswith(SIGNED_ONLY) else target.get_prefixed_paths():
            write(self.folder / "targets" / path, content)

    # What lacks

    def lacking(self) -> list[str]:
        """Whatever has fewer signatures than its threshold, a sentence each."""
        found: list[str] = []
        root = self.load("root")
        checks: list[tuple[str, Metadata[Any], Any]] = [("root", root, root.signed)]
        if root.signed.version > 1:
            before = Metadata.from_bytes(self.path("root", root.signed.version - 1).read_bytes())
            checks.append(("root", root, before.signed))
        checks += [(role, self.load(role), root.signed) for role in _ROLES[1:]]
        checks += [(role, self.load(role), self.targets()) for role in self.delegated() if self.versions(role)]
        for role, metadata, delegator in checks:
            try:
                delegator.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
            except UnsignedMetadataError:
                result = delegator.get_verification_result(role, metadata.signed_bytes, metadata.signatures)
                found.append(
                    f"{role} version {metadata.signed.version}: signed by {len(result.signed)} of the"
                    f" {result.threshold} keys that must; repository sign {self.folder} {role} --key ..."
                )
        return found

    def check(self) -> None:
        """Reads everything as a device will. Raises Fault."""
        if lacking := self.lacking():
            raise Fault("nothing is published:\n  " + "\n  ".join(lacking))
        try:
            trusted = TrustedMetadataSet(self.path("root", self.versions("root")[0]).read_bytes(), EnvelopeType.METADATA)
            for version in self.versions("root")[1:]:
                trusted.update_root(self.path("root", version).read_bytes())
            trusted.update_timestamp(self.path("timestamp", 0).read_bytes())
            trusted.update_snapshot(self.path("snapshot", trusted.timestamp.snapshot_meta.version).read_bytes())
            for role, delegator in [("targets", "root"), *((role, "targets") for role in self.delegated())]:
                meta = trusted.snapshot.meta.get(f"{role}.json")
                if meta is None and role != "targets":
                    continue
                if meta is None:
                    raise Fault("the snapshot names no targets.json; repository renew")
                targets = trusted.update_delegated_targets(self.path(role, meta.version).read_bytes(), role, delegator)
                for target in stored(targets):
                    target.verify_length_and_hashes((self.folder / "targets" / target.get_prefixed_paths()[0]).read_bytes())
        except (RepositoryError, OSError) as error:
            raise Fault(f"nothing is published: {error}") from error

    def published(self) -> list[str]:
        """Names of the metadata files that devices need: all roots, and what the newest snapshot names."""
        snapshot = cast(Snapshot, self.load("snapshot").signed)
        names = [f"{version}.root.json" for version in self.versions("root")]
        names += ["timestamp.json", f"{snapshot.version}.snapshot.json"]
        return names + [f"{meta.version}.{name}" for name, meta in sorted(snapshot.meta.items())]


def stored(targets: Targets) -> list[TargetFile]:
    """The targets whose content lies in the repository."""
    return [target for name, target in targets.targets.items() if not name.startswith(SIGNED_ONLY)]


def write(path: Path, content: bytes) -> None:
    """Replaces a file as a whole, on the disk when this returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    with open(temporary, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


# The commands


def init(options: argparse.Namespace, repository: Repository) -> None:
    """Each role's keys: --root-key for the root, --key for all others unless they have their own."""
    if repository.versions("root"):
        raise Fault(f"{repository.folder}: is a repository already")
    root = Root(expires=repository.now + timedelta(days=DAYS["root"]))
    root_keys = [read_key(path) for path in options.root_key]
    online = [read_key(path) for path in options.online_key]
    targets = [read_key(path) for path in options.targets_key]
    for role, keys, threshold in [
        ("root", root_keys, options.root_threshold), ("targets", targets, options.targets_threshold),
        ("snapshot", online, 1), ("timestamp", online, 1),
    ]:  # fmt: skip
        distinct = {public_half(key).keyid for key in keys}
        if not 1 <= threshold <= len(distinct):
            raise Fault(f"{role}: {threshold} of {len(distinct)} keys must sign; expected 1 to as many as there are")
        for key in keys:
            root.add_key(public_half(key), role)
        root.roles[role].threshold = threshold
    later = repository.now + timedelta(days=DAYS["snapshot"])
    repository.keys = [*root_keys, *online, *targets]
    repository.changed = {
        "root": Metadata(root),
        "targets": Metadata(Targets(expires=repository.now + timedelta(days=DAYS["targets"]))),
        "snapshot": Metadata(Snapshot(expires=later)), "timestamp": Metadata(Timestamp(expires=later)),
    }  # fmt: skip
    repository.save()


def online_keys(options: argparse.Namespace, repository: Repository) -> None:
    """Signs the whole list anew: ROLE=FILE, each a public key in PEM; one that is no longer given is no longer believed."""
    keys: list[dict[str, str]] = []
    for word in options.keys:
        role, separator, file = word.partition("=")
        if not separator or role not in KEY_ROLES:
            raise Fault(f"'{word[:80]}'; expected ROLE=FILE with a role of {', '.join(KEY_ROLES)}")
        if sum(1 for key in keys if key["role"] == role) >= KEYS_A_ROLE:
            raise Fault(f"more than {KEYS_A_ROLE} {role} keys")
        keys.append({"role": role, "key": public_pem(Path(file))})
    content = json.dumps({"schema": "thermograph.online-keys.v1", "keys": keys}, indent=2).encode() + b"\n"
    repository.add_target("targets", ONLINE_KEYS, content)
    repository.refresh()
    repository.save()


def add_model(options: argparse.Namespace, repository: Repository) -> None:
    """Every file of a model's folder as models/NAME/FILE, signed by the role that models are delegated to."""
    files = sorted(path for path in options.model.iterdir() if path.is_file() and not path.is_symlink())
    if not files:
        raise Fault(f"{options.model}: has no files; expected a model's folder")
    name = options.name or options.model.name
    for path in files:
        repository.add_target(options.role, f"models/{name}/{path.name}", path.read_bytes())
    repository.refresh()
    repository.save()


def add_file(options: argparse.Namespace, repository: Repository) -> None:
    """One file under a name; below provisioning/ only its hash is kept."""
    repository.add_target(options.role, options.name, options.file.read_bytes())
    repository.refresh()
    repository.save()


def delegate(options: argparse.Namespace, repository: Repository) -> None:
    """Lets other keys sign for some paths, and nothing else."""
    if options.role in _ROLES or not options.role.isidentifier():
        raise Fault(f"'{options.role[:80]}' cannot be delegated to; expected a name such as models")
    keys = {public_half(key).keyid: public_half(key) for key in map(read_key, options.delegate_key)}
    if not 1 <= options.threshold <= len(keys):
        raise Fault(f"{options.threshold} of {len(keys)} keys must sign; expected 1 to as many as there are")

    def change(targets: Targets) -> None:
        delegations = targets.delegations or Delegations(keys={}, roles={})
        roles = dict(delegations.roles or {})
        roles[options.role] = DelegatedRole(options.role, sorted(keys), options.threshold, True, paths=options.path)
        used = {keyid for role in roles.values() for keyid in role.keyids}
        known = {**delegations.keys, **keys}
        targets.delegations = Delegations({keyid: known[keyid] for keyid in used}, roles)

    repository.edit("targets", change)
    if not repository.versions(options.role):
        expires = repository.now + timedelta(days=DAYS["delegated"])
        repository.changed[options.role] = Metadata(Targets(expires=expires))
    repository.refresh()
    repository.save()


def rotate(options: argparse.Namespace, repository: Repository) -> None:
    """Another key in the place of one, or beside the others, in a role of the root. The old and the new keys sign."""
    added = [public_half(read_key(path)) for path in options.add]
    removed = [public_half(read_key(path)) for path in options.remove]

    def change(root: Root) -> None:
        for key in removed:
            if key.keyid not in root.roles[options.role].keyids:
                raise Fault(f"one of --remove is no key of {options.role}")
            root.revoke_key(key.keyid, options.role)
        for key in added:
            root.add_key(key, options.role)
        if options.threshold is not None:
            root.roles[options.role].threshold = options.threshold
        if not 1 <= root.roles[options.role].threshold <= len(root.roles[options.role].keyids):
            raise Fault(f"{options.role} would have fewer keys than must sign; add one, or say --threshold")

    repository.edit("root", change)
    if options.role in ("snapshot", "timestamp"):
        repository.refresh()
    if options.role == "targets":
        repository.edit("targets")
        repository.refresh()
    repository.save()


def renew(options: argparse.Namespace, repository: Repository) -> None:
    """Later ends for these roles, and a snapshot and timestamp that name everything."""
    for role in options.roles:
        if role not in ("snapshot", "timestamp"):
            repository.edit(role)
    repository.refresh()
    repository.save()


def sign(options: argparse.Namespace, repository: Repository) -> None:
    """One more signature of a role's newest file; nothing in it is changed."""
    metadata = repository.load(options.role)
    before = len(metadata.signatures)
    repository.sign(options.role, metadata)
    if len(metadata.signatures) == before:
        raise Fault(f"none of the keys signs {options.role}, or they have signed already")
    write(repository.path(options.role, metadata.signed.version), metadata.to_bytes(JSONSerializer()))


def publish(options: argparse.Namespace, repository: Repository) -> None:
    """OUT/metadata and OUT/targets for a stick, and OUT/trust.json, what the far side sends on dn/trust. The vendor's has no
    targets: models come in parts."""
    repository.check()
    out: Path = options.out
    metadata = {name: (repository.folder / "metadata" / name).read_bytes() for name in repository.published()}
    for name, content in metadata.items():
        write(out / "metadata" / name, content)
    files: dict[str, bytes] = {}
    for role in ["targets", *(role for role in repository.delegated() if repository.versions(role))]:
        for target in stored(cast(Targets, repository.load(role).signed)):
            path = target.get_prefixed_paths()[0]
            files[path] = (repository.folder / "targets" / path).read_bytes()
            write(out / "targets" / path, files[path])
    newest = repository.path("root", repository.root().version).read_bytes()
    write(out / f"{options.kind}-root.json", newest)
    bundle = {
        "schema": "thermograph.trust.v1", "root": options.kind,
        "metadata": {name: base64.b64encode(content).decode() for name, content in metadata.items()},
        "targets": {
            name: base64.b64encode(content).decode() for name, content in files.items() if options.kind == "site"
        },
    }  # fmt: skip
    content = json.dumps(bundle, separators=(",", ":")).encode()
    if len(content) > BUNDLE_BYTES_MAXIMUM:
        raise Fault(f"trust.json has {len(content)} bytes; expected at most {BUNDLE_BYTES_MAXIMUM}: fewer targets")
    write(out / "trust.json", content)


def show(_: argparse.Namespace, repository: Repository) -> None:
    """Versions, ends, and what lacks a signature."""
    for role in [*_ROLES, *repository.delegated()]:
        signed = cast(Signed, repository.load(role).signed)
        print(f"{role:12} version {signed.version}, until {signed.expires:%Y-%m-%d}")
    for sentence in repository.lacking():
        print(f"lacking: {sentence}")


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="repository", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = top.add_subparsers(dest="command", required=True)

    def command(name: str, help_text: str, keys: bool = True) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=help_text)
        made.add_argument("folder", type=Path, metavar="DIR", help="the repository")
        if keys:
            made.add_argument("--key", type=Path, action="append", default=[], help="a private key at hand; several times")
        return made

    key = commands.add_parser("key", help="makes a private key of mode 0600 and prints its public half")
    key.add_argument("file", type=Path)
    making = command("init", "begins a repository", keys=False)
    making.add_argument("--root-key", type=Path, action="append", required=True, help="private, or public to be signed later")
    making.add_argument("--root-threshold", type=int, default=2)
    making.add_argument("--targets-key", type=Path, action="append", required=True)
    making.add_argument("--targets-threshold", type=int, default=1)
    making.add_argument("--online-key", type=Path, action="append", required=True, help="of snapshot and timestamp")
    listing = command("online-keys", "signs the site's key list")
    listing.add_argument("keys", nargs="+", metavar="ROLE=FILE")
    model = command("add-model", "signs a model's folder")
    model.add_argument("model", type=Path)
    model.add_argument("--name", help="the folder's own name if not given")
    model.add_argument("--role", default="targets", help="the delegated role that signs models")
    adding = command("add-file", "signs one file, e.g. provisioning/unit-3/thermograph.toml")
    adding.add_argument("name")
    adding.add_argument("file", type=Path)
    adding.add_argument("--role", default="targets")
    delegating = command("delegate", "lets other keys sign for some paths")
    delegating.add_argument("role")
    delegating.add_argument("--delegate-key", type=Path, action="append", required=True, help="public or private")
    delegating.add_argument("--threshold", type=int, default=2)
    delegating.add_argument("--path", action="append", required=True, help="a pattern such as models/*/*")
    rotating = command("rotate", "adds or removes a key of a role of the root")
    rotating.add_argument("role", choices=_ROLES)
    rotating.add_argument("--add", type=Path, action="append", default=[])
    rotating.add_argument("--remove", type=Path, action="append", default=[])
    rotating.add_argument("--threshold", type=int)
    renewing = command("renew", "later ends; names in snapshot and timestamp what is newest")
    renewing.add_argument("roles", nargs="*", metavar="ROLE")
    signing = command("sign", "adds a signature to a role's newest file")
    signing.add_argument("role")
    publishing = command("publish", "checks everything and copies it to where devices get it from", keys=False)
    publishing.add_argument("out", type=Path, metavar="OUT")
    publishing.add_argument("--kind", choices=("site", "vendor"), default="site")
    command("show", "versions, ends, and what lacks a signature", keys=False)
    return top


COMMANDS: dict[str, Callable[[argparse.Namespace, Repository], None]] = {
    "init": init, "online-keys": online_keys, "add-model": add_model, "add-file": add_file, "delegate": delegate,
    "rotate": rotate, "renew": renew, "sign": sign, "publish": publish, "show": show,
}  # fmt: skip


def main(words: Sequence[str] | None = None, now: datetime | None = None) -> int:
    options = parser().parse_args(words)
    try:
        if options.command == "key":
            print(make_key(options.file), end="")
            return 0
        keys = [read_key(path) for path in getattr(options, "key", [])]
        repository = Repository(options.folder, keys, now or datetime.now(UTC))
        COMMANDS[options.command](options, repository)
        if options.command not in ("publish", "show"):
            for sentence in repository.lacking():
                print(f"note: {sentence}", file=sys.stderr)
    except (Fault, OSError, RepositoryError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
