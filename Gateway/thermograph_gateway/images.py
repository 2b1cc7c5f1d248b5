"""Masters and pictures: bounded decoding, and false colours in one fixed window."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from .errors import ImageRefused

SIDE_PIXELS_MAXIMUM = 2048
IMAGE_BYTES_MAXIMUM = 8 << 20
WINDOW_LIMITS_CELSIUS = (-20.0, 100.0)
# The device's inferno: eleven colours of matplotlib's map (CC0), linear between them (Sources/.../Palette.swift).
INFERNO = (
    (0, 0, 4), (22, 11, 57), (66, 10, 104), (106, 23, 110), (147, 38, 103), (188, 55, 84),
    (221, 81, 58), (243, 120, 25), (252, 165, 10), (246, 215, 70), (252, 255, 164),
)  # fmt: skip
NO_VALUE = (128, 128, 128)
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Window:
    """Temperatures of the first and the last colour, degC."""

    low: float = 27.0
    high: float = 37.0

    def __post_init__(self) -> None:
        least, most = WINDOW_LIMITS_CELSIUS
        if not (least <= self.low < self.high <= most):
            raise ImageRefused(
                f"a window from {self.low:g} to {self.high:g} degC; expected {least:g} <= low < high <= {most:g}"
            )


@dataclass(frozen=True)
class Master:
    """A thermogram: centikelvin, rows from the top, 0 where there is no value."""

    centikelvin: npt.NDArray[np.uint16]

    @property
    def rows(self) -> int:
        return int(self.centikelvin.shape[0])

    @property
    def columns(self) -> int:
        return int(self.centikelvin.shape[1])

    def celsius(self, row: int, column: int) -> float | None:
        """Temperature of one pixel; None outside and where there is no value."""
        if not (0 <= row < self.rows and 0 <= column < self.columns):
            return None
        value = int(self.centikelvin[row, column])
        return None if value == 0 else round(value / 100 - 273.15, 2)


def _open(data: bytes, name: str) -> Pillow.Image:
    """Opens a PNG only after its header said a size that can be held. Raises ImageRefused."""
    if len(data) > IMAGE_BYTES_MAXIMUM:
        raise ImageRefused(f"{name}: {len(data)} bytes; expected at most {IMAGE_BYTES_MAXIMUM}")
    if data[:8] != _SIGNATURE or data[12:16] != b"IHDR" or len(data) < 33:
        raise ImageRefused(f"{name}: no PNG")
    width, height = struct.unpack(">II", data[16:24])
    if not (1 <= width <= SIDE_PIXELS_MAXIMUM and 1 <= height <= SIDE_PIXELS_MAXIMUM):
        raise ImageRefused(f"{name}: {width} x {height} pixels; expected 1 to {SIDE_PIXELS_MAXIMUM} a side")
    try:
        picture = Pillow.open(io.BytesIO(data), formats=["PNG"])
        picture.load()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Pillow.DecompressionBombError) as error:
        raise ImageRefused(f"{name}: a damaged PNG ({type(error).__name__})") from error
    return picture


def read_master(data: bytes, name: str = "master.png") -> Master:
    """A 16-bit grey PNG as a thermogram of any size. Raises ImageRefused."""
    picture = _open(data, name)
    if not picture.mode.startswith("I"):
        raise ImageRefused(f"{name}: mode {picture.mode}; expected 16-bit grey")
    return Master(np.asarray(picture).astype(np.uint16))


def read_colours(data: bytes, name: str) -> npt.NDArray[np.uint8]:
    """A PNG as RGB, shape [rows, columns, 3]. Raises ImageRefused."""
    picture = _open(data, name)
    if picture.mode not in ("RGB", "RGBA", "P", "L", "1"):
        # Sixteen bits cut to eight would show other values than there are.
        raise ImageRefused(f"{name}: mode {picture.mode}; expected a picture of 8 bits")
    return np.asarray(picture.convert("RGB"), dtype=np.uint8)


def _table() -> npt.NDArray[np.float64]:
    stops = np.linspace(0, 1, len(INFERNO))
    positions = np.linspace(0, 1, 256)
    channels = [np.interp(positions, stops, [colour[channel] for colour in INFERNO]) for channel in range(3)]
    return np.stack(channels, axis=1)


_TABLE = np.floor(_table() + 0.5).astype(np.uint8)


def false_colours(master: Master, window: Window) -> npt.NDArray[np.uint8]:
    """Pixel by pixel in inferno, shape [rows, columns, 3]; grey where there is no value. Never scaled to the frame."""
    celsius = master.centikelvin.astype(np.float64) / 100 - 273.15
    fraction = np.clip((celsius - window.low) / (window.high - window.low), 0, 1)
    colours = _TABLE[np.floor(fraction * 255 + 0.5).astype(np.intp)]
    colours[master.centikelvin == 0] = NO_VALUE
    return colours


def png(pixels: npt.NDArray[np.uint8], scale: int = 1) -> bytes:
    """RGB samples as PNG, each pixel `scale` x `scale`."""
    enlarged = np.repeat(np.repeat(pixels, scale, axis=0), scale, axis=1)
    stream = io.BytesIO()
    Pillow.fromarray(enlarged, "RGB").save(stream, format="PNG", compress_level=6)
    return stream.getvalue()


def scale_picture(window: Window, width: int = 256, height: int = 12) -> bytes:
    """The colours from the window's low to its high end, left to right."""
    del window  # the same colours for every window; its ends are written beside the picture
    row = _TABLE[np.linspace(0, 255, width).astype(np.intp)]
    return png(np.repeat(row[np.newaxis], height, axis=0))
