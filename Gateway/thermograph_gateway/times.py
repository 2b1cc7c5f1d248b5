"""How long captures took: T_total = T_edge + T_queue + T_cloud + T_response, as devices measured them (Docs/results.md).

Nothing is worked out here: each term comes from the device, which subtracts no clock of one machine from another's. A term that
no clock proves is unknown, and is counted as that.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any

from .catalogue import Catalogue
from .ledger import Connection
from .source import DeviceMessage

KIND = "times"
SCHEMA = "thermograph.times.v1"
TERMS = ("total", "edge", "queue", "cloud", "response")
TERM_WORDS = {
    "total": "total: last frame to receipt, or to the reader's answer",
    "edge": "edge: last frame to the record stored on the device",
    "queue": "queue: waiting for a line, and on it",
    "cloud": "cloud: the far side, by its own clock",
    "response": "response: the reader, and the way back",
}
DAYS = 30
MILLISECONDS_MAXIMUM = 10 * 366 * 86_400_000
# Rounding of five terms to whole milliseconds.
SUM_TOLERANCE = 5
# Of one device in a day: a clinic that comes back after a month has fewer. More are not kept.
DEVICE_DAY_MAXIMUM = 1000
_CAPTURE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def read_times(content: Mapping[str, object]) -> tuple[str, dict[str, int | None]] | None:
    """The capture and its terms in ms; None when they are not what a device that measures may say."""
    capture = content.get("capture_id")
    if content.get("kind", KIND) != KIND or not isinstance(capture, str) or not _CAPTURE.fullmatch(capture):
        return None
    terms: dict[str, int | None] = {}
    for term in TERMS:
        value = content.get(f"{term}_ms")
        if value is not None and (type(value) is not int or not 0 <= value <= MILLISECONDS_MAXIMUM):
            return None
        terms[term] = value if isinstance(value, int) else None
    known = [value for value in terms.values() if value is not None]
    if not known:
        return capture, terms
    total, parts = terms["total"], [terms[term] for term in TERMS[1:]]
    said = [value for value in parts if value is not None]
    if total is not None and sum(said) > total + SUM_TOLERANCE:
        return None
    if total is not None and len(said) == len(parts) and abs(total - sum(said)) > SUM_TOLERANCE:
        return None
    return capture, terms


def take_times(connection: Connection, messages: Sequence[DeviceMessage]) -> int:
    """Writes down what devices measured; how many. What a reader's answer closes takes longer than what the receipt closed,
    and takes its place, whatever came first."""
    taken = 0
    room: dict[tuple[str, str], int] = {}
    for message in messages:
        if message.kind != "event" or message.content.get("schema") != SCHEMA:
            continue
        found = read_times(message.content)
        if found is None:
            continue
        place = (message.site, message.device)
        if place not in room:
            since = _text(_time(message.received_at) - timedelta(days=1))
            count = connection.execute(
                "SELECT count(*) FROM times WHERE site = ? AND device = ? AND received_at > ?", (*place, since)
            ).fetchone()[0]
            room[place] = DEVICE_DAY_MAXIMUM - int(count)
        if room[place] <= 0:
            continue
        room[place] -= 1
        capture, terms = found
        columns = [f"{term}_ms" for term in TERMS]
        taken += connection.execute(
            f"INSERT INTO times (site, device, capture_id, received_at, {', '.join(columns)})"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (site, device, capture_id) DO UPDATE SET "
            + ", ".join(f"{column} = excluded.{column}" for column in ["received_at", *columns])
            + " WHERE excluded.total_ms IS NULL OR times.total_ms IS NULL OR excluded.total_ms >= times.total_ms",
            (*place, capture, message.received_at, *(terms[term] for term in TERMS)),
        ).rowcount
    return taken


@dataclass(frozen=True)
class Distribution:
    """One term over captures: milliseconds by nearest rank; None where nothing is known."""

    term: str
    values: tuple[int, ...]
    unknown: int

    @property
    def words(self) -> str:
        return TERM_WORDS[self.term]

    def quantile(self, share: float) -> int | None:
        """Nearest rank: the smallest value that at least `share` of all known ones do not exceed."""
        if not self.values:
            return None
        return self.values[max(0, math.ceil(share * len(self.values)) - 1)]

    @property
    def median(self) -> int | None:
        return self.quantile(0.5)

    @property
    def p95(self) -> int | None:
        return self.quantile(0.95)


def distributions(catalogue: Catalogue, site: str = "", days: int = DAYS) -> list[Distribution]:
    """Each term over the captures that are here and of whose times the far side heard in the last `days`."""
    since = _text(_time(catalogue.ledger.now_text()) - timedelta(days=days))
    rows = catalogue.ledger.connection.execute(
        "SELECT t.total_ms, t.edge_ms, t.queue_ms, t.cloud_ms, t.response_ms FROM times t"
        " JOIN capture c ON c.capture_id = t.capture_id AND c.site = t.site AND c.device = t.device"
        " WHERE c.withdrawn = 0 AND t.received_at > ? AND (? = '' OR t.site = ?)",
        (since, site, site),
    ).fetchall()
    found = []
    for term in TERMS:
        values = [row[f"{term}_ms"] for row in rows]
        known = sorted(value for value in values if value is not None)
        found.append(Distribution(term, tuple(known), len(values) - len(known)))
    return found


def duration(milliseconds: int | None) -> str:
    """As people say it, to two or three figures."""
    if milliseconds is None:
        return "unknown"
    for size, unit, least in ((86_400_000, "days", 2 * 86_400_000), (3_600_000, "h", 2 * 3_600_000), (60_000, "min", 120_000),
                              (1000, "s", 1000)):  # fmt: skip
        if milliseconds >= least:
            return f"{milliseconds / size:.1f} {unit}"
    return f"{milliseconds} ms"


# From 1 ms to 1000 days, five places a decade.
_DECADES = 11
_BINS_A_DECADE = 5
_MARKS = (
    (1, "1 ms"),
    (1000, "1 s"),
    (60_000, "1 min"),
    (3_600_000, "1 h"),
    (86_400_000, "1 day"),
    (30 * 86_400_000, "30 days"),
)


def picture(distribution: Distribution, width: int = 560, height: int = 120) -> str:
    """How often which time: bars over a logarithmic axis, median and p95 as lines, unknown as a bar of its own."""
    left, bottom, top, aside = 10, 22, 8, 70
    inner, base = width - left - aside, height - bottom

    def x(milliseconds: float) -> float:
        share = math.log10(max(1.0, milliseconds)) / _DECADES
        return left + min(1.0, share) * inner

    bins = Counter(min(int(math.log10(max(1, v)) * _BINS_A_DECADE), _DECADES * _BINS_A_DECADE - 1) for v in distribution.values)
    most = max([*bins.values(), distribution.unknown, 1])
    title = (
        f"{distribution.words}: median {duration(distribution.median)}, 95 of 100 within {duration(distribution.p95)}, "
        f"{len(distribution.values)} known, {distribution.unknown} unknown"
    )
    parts = [
        f'<svg class="plot" role="img" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">',
        f"<title>{escape(title)}</title>",
    ]
    for milliseconds, words in _MARKS:
        at = x(milliseconds)
        parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{top}" y2="{base}"/>')
        anchor = "start" if milliseconds == 1 else "middle"
        parts.append(f'<text x="{at:.1f}" y="{height - 6}" text-anchor="{anchor}">{words}</text>')
    step = inner / (_DECADES * _BINS_A_DECADE)
    for index, count in sorted(bins.items()):
        tall = (base - top) * count / most
        at, wide = left + index * step, step * 0.9
        parts.append(f'<rect class="bar" x="{at:.1f}" y="{base - tall:.1f}" width="{wide:.1f}" height="{tall:.1f}"/>')
    for value, kind in ((distribution.median, "median"), (distribution.p95, "p95")):
        if value is not None:
            parts.append(f'<line class="{kind}" x1="{x(value):.1f}" x2="{x(value):.1f}" y1="{top}" y2="{base}"/>')
    tall = (base - top) * distribution.unknown / most
    parts.append(f'<rect class="unknown" x="{width - 50}" y="{base - tall:.1f}" width="24" height="{tall:.1f}"/>')
    parts.append(f'<text x="{width - 38}" y="{height - 6}" text-anchor="middle">unknown</text>')
    parts.append("</svg>")
    return "".join(parts)


def as_json(found: Sequence[Distribution], days: int = DAYS) -> str:
    """For programs; milliseconds, null where nothing is known."""
    terms: dict[str, Any] = {
        one.term: {"known": len(one.values), "unknown": one.unknown, "median_ms": one.median, "p95_ms": one.p95}
        for one in found
    }
    return json.dumps({"schema": "thermograph.distribution.v1", "days": days, "terms": terms}, indent=2)


def as_prometheus(found: Sequence[Distribution], days: int = DAYS) -> str:
    """Text form of Prometheus, in seconds; a quantile that nothing is known of is left out."""
    lines = [
        f"# HELP thermograph_time_seconds Time of captures over {days} days by term, as devices measured it.",
        "# TYPE thermograph_time_seconds gauge",
    ]
    for one in found:
        for share in (0.5, 0.95):
            value = one.quantile(share)
            if value is not None:
                lines.append(f'thermograph_time_seconds{{term="{one.term}",quantile="{share}"}} {value / 1000:.3f}')
    for name, words in (("known", "Captures whose term is known."), ("unknown", "Captures whose term no clock proves.")):
        lines += [f"# HELP thermograph_time_{name} {words}", f"# TYPE thermograph_time_{name} gauge"]
        lines += [
            f'thermograph_time_{name}{{term="{one.term}"}} {len(one.values) if name == "known" else one.unknown}'
            for one in found
        ]
    return "\n".join(lines) + "\n"


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
