"""One page a session: pictures, scale, dates, sides, gates, result and trend, as PDF with embedded fonts."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image as Pillow
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader, simpleSplit
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFError, TTFont
from reportlab.pdfgen.canvas import Canvas

from . import HEALTHY_LEFT_RIGHT, INTENDED_USE
from .catalogue import Catalogue, Entry
from .conditions import VIEW_WORDS, date_words, sides
from .errors import GatewayError, ImageRefused
from .images import Window, false_colours, scale_picture
from .plots import Point, bounds, day, place
from .record import VIEWS
from .wording import verdict_words

FONT_FOLDER = Path("/usr/share/fonts/truetype/dejavu")
_FACES = {"Body": "DejaVuSans.ttf", "Strong": "DejaVuSans-Bold.ttf"}
_WIDTH, _HEIGHT = A4
_EDGE = 16 * mm
TREND_POINTS_MAXIMUM = 60


def _fonts() -> None:
    for name, file in _FACES.items():
        if name not in pdfmetrics.getRegisteredFontNames():
            try:
                pdfmetrics.registerFont(TTFont(name, str(FONT_FOLDER / file)))
            except TTFError as error:
                raise GatewayError(f"{FONT_FOLDER / file} is missing: install the Debian package fonts-dejavu-core") from error


def trend(history: Sequence[Entry]) -> list[Point]:
    """Left-right differences of one view as the records have them."""
    return [
        Point(e.record.utc_nanoseconds, e.record.left_right[0], e.record.left_right[1], e.record.synchronised)
        for e in history
        if e.record.left_right is not None
    ][-TREND_POINTS_MAXIMUM:]


class _Page:
    """A cursor that goes down one page; what does not fit is told, never cut in silence."""

    def __init__(self, canvas: Canvas) -> None:
        self.canvas = canvas
        self.y = _HEIGHT - _EDGE
        self.left_out = 0

    def line(self, text: str, size: float = 8.5, face: str = "Body", indent: float = 0) -> None:
        width = _WIDTH - 2 * _EDGE - indent
        for part in simpleSplit(text, face, size, width)[:4]:
            if self.y - size * 1.35 < _EDGE + 12 * mm:
                self.left_out += 1
                return
            self.y -= size * 1.35
            self.canvas.setFont(face, size)
            self.canvas.drawString(_EDGE + indent, self.y, part)

    def gap(self, height: float) -> None:
        self.y -= height


def report(catalogue: Catalogue, session: Sequence[Entry], history: Sequence[Entry]) -> bytes:
    """The PDF of one session. The same captures give the same bytes. `history`: the same view over time, oldest first.

    Raises GatewayError when there is no capture or the fonts are missing.
    """
    if not session:
        raise GatewayError("a report needs a session with at least one capture")
    _fonts()
    stream = io.BytesIO()
    # reportlab's stubs take the name for a size. Without a name it would put a font in that is not embedded.
    canvas = Canvas(stream, A4, pageCompression=1, invariant=True, lang="en", initialFontName="Body")  # type: ignore[arg-type]
    first = session[0]
    canvas.setTitle(f"Thermography of {date_words(first.record.utc_nanoseconds, first.record.synchronised)}")
    canvas.setAuthor("Thermograph gateway")
    canvas.setSubject(INTENDED_USE)
    page = _Page(canvas)
    page.line("Thermography report", 16, "Strong")
    page.line(INTENDED_USE[0].upper() + INTENDED_USE[1:] + ".", 9, "Strong")
    page.gap(2 * mm)
    page.line(f"Patient {first.patient_ref}   Site {first.record.site}   Device {first.record.device}")
    page.line(f"Session {first.record.session_id}   {date_words(first.record.utc_nanoseconds, first.record.synchronised)}")
    if first.is_reassigned:
        page.line("This session was assigned to another patient than at its capture; the original record is kept.")
    page.gap(2 * mm)
    shown = sorted(session, key=lambda e: (VIEWS.index(e.record.view), -int(e.record.json.get("attempt", 1) or 1)))
    newest = list({entry.record.view: entry for entry in reversed(shown)}.values())[::-1]
    _pictures(page, catalogue, newest)
    for entry in newest:
        record = entry.record
        page.gap(1.5 * mm)
        page.line(VIEW_WORDS[record.view].capitalize(), 9.5, "Strong")
        if entry.fault:
            page.line(f"NOT AS CONFIRMED: {entry.fault}", 8.5, "Strong", 4 * mm)
        failed = record.failed_gates
        page.line(f"Quality gates: {len(record.gates) - len(failed)} of {len(record.gates)} passed", indent=4 * mm)
        for gate in failed[:6]:
            page.line(f"{gate.code}: {gate.sentence}", 8, indent=8 * mm)
        if record.left_right is not None:
            value, error = record.left_right
            page.line(f"Left minus right, measured: {value:+.2f} degC, standard error {error:.2f} degC", indent=4 * mm)
            page.line(HEALTHY_LEFT_RIGHT, 8, indent=8 * mm)
        for sentence in verdict_words(record):
            page.line(sentence, 8, indent=4 * mm)
    points = trend(history)
    if len(points) > 1:
        _plot(page, points, VIEW_WORDS[history[-1].record.view])
    canvas.setFont("Body", 7)
    if page.left_out:
        canvas.drawString(_EDGE, _EDGE + 7 * mm, f"{page.left_out} lines found no room on this page: see the reader's page.")
    canvas.drawString(_EDGE, _EDGE + 3 * mm, f"Record SHA-256 {first.record.sha256}   {first.record.schema}")
    canvas.drawString(_EDGE, _EDGE, f"Temperatures are of the skin's surface. {INTENDED_USE.capitalize()}.")
    canvas.showPage()
    canvas.save()
    return stream.getvalue()


def _pictures(page: _Page, catalogue: Catalogue, entries: Sequence[Entry]) -> None:
    columns = min(len(entries), 3)
    width = min(78 * mm, (_WIDTH - 2 * _EDGE - (columns - 1) * 6 * mm) / columns)
    height = width * 0.75
    window = Window()
    for start in range(0, len(entries), 3):
        row = entries[start : start + 3]
        top = page.y
        for index, entry in enumerate(row):
            left = _EDGE + index * (width + 6 * mm)
            canvas = page.canvas
            try:
                colours = false_colours(catalogue.master(entry.record), window)
                enlarged = colours.repeat(8, axis=0).repeat(8, axis=1)
                image = ImageReader(Pillow.fromarray(enlarged, "RGB"))
                canvas.drawImage(image, left, top - height, width, height, preserveAspectRatio=True)
            except ImageRefused as refusal:
                canvas.setFont("Body", 7)
                for offset, part in enumerate(simpleSplit(f"NOT SHOWN: {refusal}", "Body", 7, width)[:5]):
                    canvas.drawString(left, top - 12 - offset * 10, part)
            canvas.rect(left, top - height, width, height)
            at_left, at_right, note = sides(entry.record)
            canvas.setFont("Body", 7)
            canvas.drawString(left, top - height - 9, at_left)
            canvas.drawRightString(left + width, top - height - 9, at_right)
            canvas.setFont("Strong", 8)
            canvas.drawString(left, top - height - 20, VIEW_WORDS[entry.record.view])
            canvas.setFont("Body", 6)
            for offset, part in enumerate(simpleSplit(note, "Body", 6, width)[:2]):
                canvas.drawString(left, top - height - 29 - offset * 7, part)
        page.y = top - height - 42
    scale = ImageReader(io.BytesIO(scale_picture(window)))
    page.canvas.drawImage(scale, _EDGE + 16 * mm, page.y - 8, 80 * mm, 8)
    page.canvas.rect(_EDGE + 16 * mm, page.y - 8, 80 * mm, 8)
    page.canvas.setFont("Body", 7)
    page.canvas.drawString(_EDGE, page.y - 7, f"{window.low:g} degC")
    page.canvas.drawString(
        _EDGE + 98 * mm, page.y - 7, f"{window.high:g} degC   dark is cool, bright is warm; pixels as measured"
    )
    page.gap(12)


def _plot(page: _Page, points: Sequence[Point], view: str) -> None:
    height, width = 26 * mm, _WIDTH - 2 * _EDGE - 20 * mm
    page.gap(3 * mm)
    page.line(f"Left minus right over time, {view} view, from the records (degC; hollow: date uncertain)", 8.5, "Strong")
    if page.y - height < _EDGE + 16 * mm:
        page.left_out += 1
        return
    canvas, left, bottom = page.canvas, _EDGE + 14 * mm, page.y - height - 2 * mm
    most = bounds(points)
    canvas.setFont("Body", 7)
    for value in (-most, 0.0, most):
        y = bottom + height / 2 + value / most * height / 2
        canvas.setStrokeGray(0.7)
        canvas.line(left, y, left + width, y)
        canvas.drawRightString(left - 3, y - 2, f"{value:+.1f}")
    canvas.setStrokeGray(0)
    for placed in place(points, width, height):
        canvas.line(left + placed.x, bottom + placed.low, left + placed.x, bottom + placed.high)
        canvas.circle(left + placed.x, bottom + placed.y, 2, fill=1 if placed.certain_time else 0)
    canvas.drawString(left, bottom - 9, day(points[0].utc_nanoseconds))
    canvas.drawRightString(left + width, bottom - 9, day(points[-1].utc_nanoseconds))
    page.y = bottom - 12
