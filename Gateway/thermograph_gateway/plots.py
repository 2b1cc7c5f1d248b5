"""Points over time as an SVG picture and as numbers for a page of paper. Values come from records; none is worked out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape


@dataclass(frozen=True)
class Point:
    """One value of one capture; `error` is one standard error, 0 when none is known."""

    utc_nanoseconds: int
    value: float
    error: float = 0.0
    certain_time: bool = True


@dataclass(frozen=True)
class Placed:
    """A point on a canvas with its origin at the lower left."""

    x: float
    y: float
    low: float
    high: float
    certain_time: bool


def bounds(points: Sequence[Point]) -> float:
    """The axis runs from minus to plus this many degC: 0 is always in the middle."""
    return max(1.0, *(abs(point.value) + point.error for point in points)) * 1.1 if points else 1.0


def place(points: Sequence[Point], width: float, height: float) -> list[Placed]:
    """Time from left to right over the whole width, value from bottom to top around 0."""
    if not points:
        return []
    most = bounds(points)
    first = min(point.utc_nanoseconds for point in points)
    span = max(point.utc_nanoseconds for point in points) - first

    def y(value: float) -> float:
        return round(height / 2 + value / most * height / 2, 2)

    return [
        Placed(
            round(width / 2 if span == 0 else (point.utc_nanoseconds - first) / span * width, 2),
            y(point.value),
            y(point.value - point.error),
            y(point.value + point.error),
            point.certain_time,
        )
        for point in points
    ]


def day(utc_nanoseconds: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=utc_nanoseconds // 1000)).strftime("%Y-%m-%d")


def svg(points: Sequence[Point], title: str, width: int = 560, height: int = 160) -> str:
    """A picture with a title that a screen reader tells; hollow points have an uncertain date."""
    left, bottom, top = 56, 24, 10
    most = bounds(points)
    inner_width, inner_height = width - left - 16, height - bottom - top
    parts = [
        f'<svg class="plot" role="img" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">',
        f"<title>{escape(title)}</title>",
    ]
    for value in (-most, 0.0, most):
        y = top + inner_height / 2 - value / most * inner_height / 2
        parts.append(f'<line class="grid" x1="{left}" x2="{width - 8}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{value:+.1f}</text>')
    for placed in place(points, inner_width, inner_height):
        x, base = left + 4 + placed.x, top + inner_height
        if placed.low != placed.high:
            parts.append(
                f'<line class="error" x1="{x:.1f}" x2="{x:.1f}" y1="{base - placed.low:.1f}" y2="{base - placed.high:.1f}"/>'
            )
        kind = "sure" if placed.certain_time else "unsure"
        parts.append(f'<circle class="{kind}" cx="{x:.1f}" cy="{base - placed.y:.1f}" r="4"/>')
    if points:
        first, last = min(p.utc_nanoseconds for p in points), max(p.utc_nanoseconds for p in points)
        parts.append(f'<text x="{left}" y="{height - 6}">{day(first)}</text>')
        if last != first:
            parts.append(f'<text x="{width - 8}" y="{height - 6}" text-anchor="end">{day(last)}</text>')
    parts.append("</svg>")
    return "".join(parts)
