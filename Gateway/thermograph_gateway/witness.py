"""What receivers saw of devices' audit logs (Docs/audit.md): the last head that each device's records named, and what can
come of no honest device. Nothing is judged here: receivers raise alarms, and `audit_verifier.py` judges logs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .catalogue import Catalogue
from .errors import GatewayError
from .files import write_durably
from .source import Witnessed

ALARM_WORDS = {
    "audit-fork": "two captures name different logs of one length: the log was changed afterwards, or its card was copied",
    "audit-shrunk": "a later capture names a shorter log: its end was cut off, or an older copy of the card was put back",
    "audit-cloned": "two captures have one number: a card was copied, and both are used",
}


@dataclass(frozen=True)
class Device:
    """One outbox of a device, and with it one log."""

    seen: Witnessed

    @property
    def alarms(self) -> list[str]:
        return [ALARM_WORDS.get(code, f"{code}: an alarm that this gateway does not know") for code in self.seen.alarms]


def devices(catalogue: Catalogue) -> list[Device]:
    """Those with alarms first, then by name."""
    seen = sorted(catalogue.source.witnessed(), key=lambda one: (not one.alarms, one.site, one.device, one.outbox_id))
    return [Device(one) for one in seen]


def lines(found: Sequence[Device]) -> list[str]:
    """For a terminal."""
    told = []
    for device in found:
        seen = device.seen
        head = (
            f"{seen.size} entries, head {seen.head}, heard {seen.seen_at or 'at an unknown time'}" if seen.head else "no head"
        )
        told.append(f"{seen.site}/{seen.device}  outbox {seen.outbox_id}  {head}")
        told += [f"  ALARM {code}: {words}" for code, words in zip(seen.alarms, device.alarms, strict=True)]
    return told


def write_anchors(catalogue: Catalogue, site: str, device: str, outbox_id: str, path: Path) -> int:
    """Every head that was seen of a log, as `audit_verifier.py --anchors` reads them; how many. Raises GatewayError."""
    mine = [one for one in catalogue.source.witnessed() if (one.site, one.device) == (site, device)]
    if outbox_id:
        mine = [one for one in mine if one.outbox_id == outbox_id]
    if not mine:
        raise GatewayError(f"nothing was seen of an audit log of {site[:36]}/{device[:36]}; does its program write one?")
    if len(mine) > 1:
        raise GatewayError(
            "it has had several outboxes, each with a log of its own; name one with --outbox: "
            + ", ".join(one.outbox_id for one in mine)
        )
    heads = catalogue.source.anchors(site, device, mine[0].outbox_id)
    text = "".join(json.dumps({"size": size, "head": head, "source": source}) + "\n" for size, head, source in heads)
    write_durably(path, text.encode())
    return len(heads)
