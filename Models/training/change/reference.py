"""Registered change, pixel by pixel, against three or more sessions of the same person and view.

The definition in Python that the device's code follows step by step. Everything is float64; iteration counts, kernel
sizes and constants are fixed, so the work is bounded: each step below is a constant number of operations a pixel and a
baseline. Frames are 24 x 32 degC, row 0 at the top; a pixel's position is its centre, at integers.

 1. body      mask by Otsu (preprocessing.body_mask), its core without the pixels beside the outline
 2. align     for each baseline, a similarity (down, across, log scale, angle) and a smooth part of 3 x 4 control points,
              robust Gauss-Newton on two blurred pictures
 3. resample  each baseline at the current frame's pixels, Catmull-Rom
 4. compare   current minus the baselines' mean, through a difference of two Gaussians: smooth changes of the whole skin
              cancel, a spot of the size of SPOT answers
 5. spread    variance of that answer from a model (noise of the pixels, what is left of the misalignment) and from the
              baselines among each other
 6. judge     largest |answer| / spread against LIMITS, which keep false change a session at or below FALSE
"""

import dataclasses
import json
import pathlib

import numpy as np

import preprocessing

ROWS, COLUMNS = 24, 32
LEAST, MOST = 3, 8  # baselines
SPOT = 1.3  # px, the Gaussian spot that the answer is scaled to
NARROW, WIDE, REACH = 1.0, 2.8, 8  # px: sigmas of the two Gaussians, and their half width
COARSE, FINE = (2.0, 8), (1.0, 8)  # (sigma of the blur in px, iterations) of the two rounds of the similarity
SMOOTH_ITERATIONS, SMOOTH_RIDGE, SMOOTH_BOUND = 3, 150.0, 0.75  # ridge in degC^2 / px^2, bound in px
BOUNDS = np.array([6.0, 6.0, 0.25, 0.30])  # px, px, log scale, radians
CONTROL = (3, 4)
WHITE = 0.10  # degC, noise of a pixel when nothing better is known
SHIFT = 0.10  # px, what is left of the misalignment
SHARP = 0.12  # share of the sharp structures that resampling changes
PRIOR = 8.0  # degrees of freedom of the model beside the baselines' own
OWN = 3.0  # degrees of freedom that a baseline beyond the first adds
SCALE = 1.25  # from the median of the ratio to about its mean
FALSE = 0.05  # of false change a session, at most
# Thresholds by the number of baselines, set on the calibration split by change/simulate.py.
LIMITS_FILE = pathlib.Path(__file__).parent / "limits.json"
ROW, COLUMN = np.mgrid[0:ROWS, 0:COLUMNS].astype(np.float64)


def kernel(sigma, reach):
    t = np.arange(-reach, reach + 1)
    k = np.exp(-t * t / (2 * sigma * sigma))
    return k


def convolve(x, k):
    """Separable, zero beyond the frame, kernel as it is (no normalisation)."""
    reach = len(k) // 2
    p = np.pad(x, ((reach, reach), (0, 0)))
    rows = sum(k[i] * p[i:i + ROWS] for i in range(len(k)))
    p = np.pad(rows, ((0, 0), (reach, reach)))
    return sum(k[i] * p[:, i:i + COLUMNS] for i in range(len(k)))


def blurred(x, sigma):
    """Gaussian blur that the frame's border does not darken."""
    k = kernel(sigma, int(np.ceil(3 * sigma)))
    return convolve(x, k) / convolve(np.ones_like(x), k)


def gradient(x):
    """Central differences, one-sided at the border: (down, across)."""
    return np.gradient(x, axis=0), np.gradient(x, axis=1)


def bilinear(x, row, column):
    row, column = np.clip(row, 0, ROWS - 1), np.clip(column, 0, COLUMNS - 1)
    i, j = np.minimum(row.astype(int), ROWS - 2), np.minimum(column.astype(int), COLUMNS - 2)
    a, b = row - i, column - j
    return (x[i, j] * (1 - a) * (1 - b) + x[i + 1, j] * a * (1 - b) + x[i, j + 1] * (1 - a) * b + x[i + 1, j + 1] * a * b)


def catmull_rom(x, row, column):
    """Bicubic, a = -1/2; taps beyond the frame are the nearest pixel's."""
    i, j = np.floor(row).astype(int), np.floor(column).astype(int)
    weights = lambda t: (((-0.5 * t + 1) * t - 0.5) * t, (1.5 * t - 2.5) * t * t + 1, ((-1.5 * t + 2) * t + 0.5) * t,
                         (0.5 * t - 0.5) * t * t)
    down, across = weights(row - i), weights(column - j)
    total = np.zeros(row.shape)
    for m in range(4):
        r = np.clip(i + m - 1, 0, ROWS - 1)
        line = sum(across[k] * x[r, np.clip(j + k - 1, 0, COLUMNS - 1)] for k in range(4))
        total += down[m] * line
    return total


@dataclasses.dataclass
class Body:
    celsius: np.ndarray
    mask: np.ndarray
    core: np.ndarray
    picture: np.ndarray  # what is aligned: minus the core's mean, within +-2.5 degC, the room at -3 degC


def body(celsius):
    x = np.asarray(celsius, np.float32)
    mask = preprocessing.body_mask(preprocessing.centikelvin(x[None]))[0]
    core = preprocessing.erode(mask)[0]
    x = x.astype(np.float64)
    picture = np.where(mask[0], np.clip(x - x[core].mean(), -2.5, 2.5), -3.0)
    return Body(x, mask[0], core, picture)


def median(x):
    return float(np.median(x))


def target(p, control=None):
    """Where the current frame's pixels lie in the baseline: similarity about the frame's middle, then the smooth part."""
    down, across, log_scale, angle = p
    r, c = ROW - 11.5, COLUMN - 15.5
    cos, sin = np.exp(log_scale) * np.cos(angle), np.exp(log_scale) * np.sin(angle)
    row, column = cos * r - sin * c + 11.5 + down, sin * r + cos * c + 15.5 + across
    if control is not None:
        field = np.tensordot(HATS, control, axes=(0, 0))
        row, column = row + field[..., 0], column + field[..., 1]
    return row, column


def hats():
    """The bilinear hats of the control points, [12, 24, 32]; they add up to one everywhere."""
    def line(count, size):
        at = np.arange(size) / (size - 1) * (count - 1)
        return np.maximum(1 - np.abs(at[None, :] - np.arange(count)[:, None]), 0)
    return np.einsum("ir,jc->ijrc", line(CONTROL[0], ROWS), line(CONTROL[1], COLUMNS)).reshape(-1, ROWS, COLUMNS)


HATS = hats()


def weights(difference, inside):
    """Huber weights about the median, scale from the median deviation, at least 0.15 degC."""
    centre = median(difference[inside])
    scale = max(1.4826 * median(np.abs(difference[inside] - centre)), 0.15)
    size = np.abs(difference - centre) / (1.5 * scale)
    return centre, np.where(inside, 1 / np.maximum(size, 1), 0)


def align(fixed, moving):
    """(p [4], control [12, 2]) that lay the baseline `moving` on the current frame `fixed`."""
    p = np.zeros(4)
    r, c = ROW - 11.5, COLUMN - 15.5
    for sigma, iterations in (COARSE, FINE):
        still, other = blurred(fixed.picture, sigma), blurred(moving.picture, sigma)
        down, across = gradient(other)
        for _ in range(iterations):
            row, column = target(p)
            inside = (row >= 0) & (row <= ROWS - 1) & (column >= 0) & (column <= COLUMNS - 1)
            if inside.sum() < 200:
                break
            difference = still - bilinear(other, row, column)
            centre, w = weights(difference, inside)
            gr, gc = bilinear(down, row, column), bilinear(across, row, column)
            cos, sin = np.exp(p[2]) * np.cos(p[3]), np.exp(p[2]) * np.sin(p[3])
            jacobian = np.stack([gr, gc, gr * (cos * r - sin * c) + gc * (sin * r + cos * c),
                                 gr * (-sin * r - cos * c) + gc * (cos * r - sin * c)], axis=-1)[inside]
            wj = jacobian * w[inside][:, None]
            step = np.linalg.solve(jacobian.T @ wj + np.diag([1e-6, 1e-6, 1e-3, 1e-3]), wj.T @ (difference - centre)[inside])
            p = np.clip(p + step, -BOUNDS, BOUNDS)
    control = np.zeros((len(HATS), 2))
    still, other = blurred(fixed.picture, FINE[0]), blurred(moving.picture, FINE[0])
    down, across = gradient(other)
    for _ in range(SMOOTH_ITERATIONS):
        row, column = target(p, control)
        inside = (row >= 0) & (row <= ROWS - 1) & (column >= 0) & (column <= COLUMNS - 1)
        if inside.sum() < 200:
            break
        difference = still - bilinear(other, row, column)
        centre, w = weights(difference, inside)
        gr, gc = bilinear(down, row, column), bilinear(across, row, column)
        jacobian = np.concatenate([HATS * gr, HATS * gc])[:, inside].T
        wj = jacobian * w[inside][:, None]
        flat = control.T.ravel()
        step = np.linalg.solve(jacobian.T @ wj + SMOOTH_RIDGE * np.eye(len(flat)),
                               wj.T @ (difference - centre)[inside] - SMOOTH_RIDGE * flat)
        control = np.clip(flat + step, -SMOOTH_BOUND, SMOOTH_BOUND).reshape(2, -1).T
    return p, control


def resample(moving, p, control):
    """(celsius, valid): the baseline at the current frame's pixels; valid where its core is."""
    row, column = target(p, control)
    inside = (row >= 0) & (row <= ROWS - 1) & (column >= 0) & (column <= COLUMNS - 1)
    core = bilinear(moving.core.astype(np.float64), row, column) > 0.999
    return catmull_rom(moving.celsius, row, column), inside & core


class Filter:
    """The difference of two Gaussians over the valid pixels, with its answers to noise and to a spot of height 1."""

    def __init__(self, valid):
        self.v = valid.astype(np.float64)
        self.a, self.b = kernel(NARROW, REACH), kernel(WIDE, REACH)
        self.na, self.nb = np.maximum(convolve(self.v, self.a), 1e-9), np.maximum(convolve(self.v, self.b), 1e-9)
        s = kernel(SPOT, REACH)
        self.spot = convolve(self.v, self.a * s) / self.na - convolve(self.v, self.b * s) / self.nb
        self.noise = (convolve(self.v, self.a ** 2) / self.na ** 2 - 2 * convolve(self.v, self.a * self.b) / (self.na * self.nb)
                      + convolve(self.v, self.b ** 2) / self.nb ** 2)
        nominal = SPOT ** 2 / (SPOT ** 2 + NARROW ** 2) - SPOT ** 2 / (SPOT ** 2 + WIDE ** 2)
        self.assessed = valid & (self.spot > 0.6 * nominal) & (self.na > 0.55 * self.a.sum() ** 2)

    def __call__(self, x):
        masked = np.where(self.v > 0, x, 0)
        return convolve(masked, self.a) / self.na - convolve(masked, self.b) / self.nb


@dataclasses.dataclass
class Change:
    """Maps are [24, 32]; nan where nothing is assessed. `height`: the estimated height of a spot there, degC; `spread`:
    its standard deviation; `score`: |height| / spread; `limit`: height below which nothing is claimed there."""
    baselines: int
    parameters: list
    height: np.ndarray
    spread: np.ndarray
    assessed: np.ndarray
    difference: np.ndarray
    largest: float
    row: int
    column: int
    threshold: float
    minimum_detectable: float

    @property
    def changed(self):
        return self.largest > self.threshold


def limits():
    return json.loads(LIMITS_FILE.read_text()) if LIMITS_FILE.exists() else {"threshold": {str(k): 5.0 for k in range(LEAST, MOST + 1)}}


def compare(celsius, baselines, white=WHITE, threshold=None):
    """The change of `celsius` against `baselines` [n, 24, 32], oldest first; the newest MOST count. `white` is the noise of
    one pixel, degC: of the capture and the baselines together, the largest."""
    if len(baselines) < LEAST:
        return None
    kept = baselines[-MOST:]
    n = len(kept)
    current = body(celsius)
    others = [body(b) for b in kept]
    placed = [align(current, o) for o in others]
    maps, valid = zip(*[resample(o, *q) for o, q in zip(others, placed)])
    maps, valid = np.stack(maps), np.stack(valid).all(axis=0) & current.core
    f = Filter(valid)
    mean = maps.mean(axis=0)
    level = lambda x: x - x[valid].mean() if valid.any() else x
    difference = level(current.celsius - mean)
    answer = f(difference)
    pattern = f(mean)
    gr, gc = gradient(np.where(valid, pattern, 0))
    sharp = f(np.where(valid, mean - blurred(np.where(valid, mean, 0), 0.7) / np.maximum(blurred(valid.astype(float), 0.7), 1e-3), 0))
    sharp = blurred(sharp * sharp, 1.0)
    model = white ** 2 * f.noise + SHIFT ** 2 * blurred(gr * gr + gc * gc, 1.0) + SHARP ** 2 * sharp
    own = np.zeros_like(model)
    for k in range(n):
        rest = (maps.sum(axis=0) - maps[k]) / (n - 1)
        own += f(level(maps[k] - rest)) ** 2
    # Of one session against n - 1 others, to one against none: as the model is.
    own = own / n / (1 + 1 / (n - 1))
    weight = blurred(f.assessed.astype(float), 1.5)
    own = blurred(np.where(f.assessed, own, 0), 1.5) / np.maximum(weight, 1e-6)
    inside = f.assessed
    if inside.sum() < 24:
        return Change(n, placed, np.full((ROWS, COLUMNS), np.nan), np.full((ROWS, COLUMNS), np.nan), inside, difference,
                      0.0, -1, -1, float("inf"), float("inf"))
    scale = float(np.clip(median(own[inside] / model[inside]) * SCALE, 0.6, 6.0))
    freedom = OWN * (n - 1)
    variance = np.maximum((PRIOR * scale * model + freedom * own) / (PRIOR + freedom) * (1 + 1 / n), 1e-12)
    spread = np.sqrt(variance) / np.maximum(f.spot, 1e-6)
    height = answer / np.maximum(f.spot, 1e-6)
    score = np.where(inside, np.abs(height) / spread, -1)
    at = int(score.argmax())
    threshold = limits()["threshold"][str(n)] if threshold is None else threshold
    least = float(np.percentile((threshold + 1.645) * spread[inside], 95))
    blank = lambda x: np.where(inside, x, np.nan)
    return Change(n, placed, blank(height), blank(spread), inside, np.where(valid, difference, np.nan), float(score.max()),
                  at // COLUMNS, at % COLUMNS, float(threshold), least)
