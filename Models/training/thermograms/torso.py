"""Torsos drawn from the aggregate statistics of real frontal thermograms (`statistics.json`; README.md has the recipe).

`People` draws `n` bodies once: silhouette, arms, gaps beside the neck, fold, the field of temperatures on the body's own
grid, sharp structures, marker. `render` sees the same bodies from one of five views, after a repositioning and on a day
of their own, so that views and sessions of one person agree. Everything is in batches and from one seed.

Coordinates: row 0 at the top, column 0 at the left of the frame (the patient's right), in pixels of the 24 x 32 frame,
pixel centres at integers. Temperatures are degC. Left is the patient's left: at positive angles around the body.
"""

import dataclasses
import functools
import json
import pathlib

import numpy as np
from scipy import ndimage, special

from .generator import PARAMETERS, VIEWS

ROWS, COLUMNS, FINE = 24, 32, 3
ABOVE, BELOW, GRID = 22, 8, 24  # the body grid of compare.py: cells above and below the fold line, columns
STATISTICS = json.loads((pathlib.Path(__file__).parent / "statistics.json").read_text())
LEVELS = np.array(STATISTICS["joint"]["quantile levels, %"]) / 100
TEXTURE = 2  # cells of the sharp structures' map in a pixel
MARGIN = 10  # pixels of that map beyond the frame
EDGE = 30.7
TYPICAL = 0.48  # degC, the usual height of the sharp structures


def col(x):
    return np.asarray(x, np.float32)[:, None, None]


@functools.cache
def copula():
    """(names, square root of the correlation, quantiles [variables, levels])."""
    joint = STATISTICS["joint"]
    names = joint["variables"]
    k = len(names)
    matrix = np.eye(k)
    matrix[np.triu_indices(k, 1)] = joint["correlation of normal scores, upper triangle by rows"]
    matrix = np.triu(matrix) + np.triu(matrix, 1).T
    values, vectors = np.linalg.eigh(matrix)
    root = vectors * np.sqrt(np.maximum(values, 0.002))
    root /= np.sqrt((root ** 2).sum(axis=1, keepdims=True))
    return names, root, np.array([joint["quantiles"][n] for n in names])


def smooth_field(rng, n, length, rows=ROWS, columns=COLUMNS):
    """float32 [n, rows, columns] of unit sd: white noise after a Gaussian of `length` pixels, without wrapping."""
    pad = int(np.ceil(3 * length))
    noise = rng.standard_normal((n, rows + 2 * pad, columns + 2 * pad), dtype=np.float32)
    noise = ndimage.gaussian_filter(noise, (0, length, length), mode="wrap")[:, pad:pad + rows, pad:pad + columns]
    return noise * np.float32(2 * np.sqrt(np.pi) * length)


def sample(maps, row, column):
    """Bilinear values of maps [n, r, c] at `row`, `column` [n, ...]; beyond the border the nearest cell counts."""
    n, r, c = maps.shape
    row, column = np.clip(row, 0, r - 1.001), np.clip(column, 0, c - 1.001)
    i, j = row.astype(np.int32), column.astype(np.int32)
    a, b = (row - i).astype(np.float32), (column - j).astype(np.float32)
    flat = np.ascontiguousarray(maps).ravel()
    base = i * np.int32(c) + j + (np.arange(n, dtype=np.int32) * np.int32(r * c)).reshape(-1, *[1] * (row.ndim - 1))
    take = lambda k: flat.take(base + np.int32(k))
    return (take(0) * (1 - b) + take(1) * b) * (1 - a) + (take(c) * (1 - b) + take(c + 1) * b) * a


@dataclasses.dataclass
class Session:
    """How each of `n` people stands and is on one day; arrays [n]. The frame is turned by `turn` radians, magnified
    by `scale` and moved by `down` rows and `across` columns; `warmth` is the field of that day at pixels of the
    person's own frame, degC."""

    down: np.ndarray
    across: np.ndarray
    scale: np.ndarray
    turn: np.ndarray
    room: np.ndarray
    warmth: np.ndarray | None = None

    @staticmethod
    def plain(n):
        zero = np.zeros(n)
        return Session(zero, zero, np.ones(n), zero, zero)

    @staticmethod
    def draw(rng, n, shift=1.0, magnification=0.04, degrees=2.0, field=0.2, length=4.0, room=0.8):
        """Repositioning as `shift` pixels, `magnification` and `degrees` (sd), and a smooth field of sd `field`."""
        warmth = smooth_field(rng, n, length) * np.float32(field) if field else None
        return Session(rng.normal(0, shift, n), rng.normal(0, shift, n), 1 + rng.normal(0, magnification, n),
                       np.radians(rng.normal(0, degrees, n)), rng.normal(0, room, n), warmth)

    def back(self, row, column):
        """Where the frame's `row`, `column` lie in the person's own frame."""
        r, c = row - 11.5 - col(self.down), column - 15.5 - col(self.across)
        cos, sin = col(np.cos(self.turn) / self.scale), col(np.sin(self.turn) / self.scale)
        return cos * r - sin * c + np.float32(11.5), sin * r + cos * c + np.float32(15.5)


class People:
    """`n` bodies; `spread` above 1 draws wider than the statistics. Attributes are arrays [n] or [n, ...]."""

    def __init__(self, n, seed, spread=1.0, marker=0.5, poses=("raised",)):
        self.n, self.rng = n, np.random.default_rng([seed, 77])
        rng = self.rng
        names, root, quantiles = copula()
        z = rng.standard_normal((n, len(names))) @ root.T * spread
        u = special.ndtr(z)
        self.value = {}
        for k, name in enumerate(names):
            q = quantiles[k]
            inside = np.interp(u[:, k], LEVELS, q)
            # The tails beyond 2 and 98 %: straight on, at half the slope.
            low = (q[1] - q[0]) / (LEVELS[1] - LEVELS[0]) * 0.35
            high = (q[-1] - q[-2]) / (LEVELS[-1] - LEVELS[-2]) * 0.35
            self.value[name] = inside - low * np.maximum(LEVELS[0] - u[:, k], 0) + high * np.maximum(
                u[:, k] - LEVELS[-1], 0)
        self.pose = rng.choice(len(poses), n)
        self.poses = poses
        self._silhouette()
        self._field()
        self._structures()
        self.has_marker = rng.uniform(size=n) < marker
        self.depth = rng.uniform(0.6, 0.78, n)  # of the trunk, relative to its width
        self.protrusion = rng.uniform(0.1, 0.34, n)

    # Shape ----------------------------------------------------------------------------------------------------------

    def _silhouette(self):
        """Edges on rows -10..33 of the person's frame, pixel units."""
        v, n, rng = self.value, self.n, self.rng
        left = np.stack([v[f"left edge row {r}"] for r in range(ROWS)], axis=1)
        right = np.stack([v[f"right edge row {r}"] for r in range(ROWS)], axis=1)
        out_left, out_right = left < 0.3, right > EDGE
        for e, out in ((left, out_left), (right, out_right)):
            p = np.pad(e, ((0, 0), (1, 1)), mode="edge")
            near = np.pad(out, ((0, 0), (1, 1)))
            free = ~(near[:, :-2] | near[:, 1:-1] | near[:, 2:])
            e[:] = np.where(free, (p[:, :-2] + 2 * p[:, 1:-1] + p[:, 2:]) / 4, e)
        self.middle = v["midline"]
        self.half = np.maximum(v["torso half width"], 5.0)
        # An arm that leaves the frame goes on beyond it.
        arm_left = np.where(out_left, np.minimum(-1.2 - 0.9 * (out_left[:, ::-1].cumsum(1)[:, ::-1] - 1), -0.5), left - 0.5)
        arm_right = np.where(
            out_right, np.maximum(32.2 + 0.9 * (out_right[:, ::-1].cumsum(1)[:, ::-1] - 1), 31.5), right + 0.5)
        grow = np.arange(MARGIN, 0, -1)
        top_left = arm_left[:, :1] - np.where(out_left[:, :1], 0.9, 0.4) * grow
        top_right = arm_right[:, :1] + np.where(out_right[:, :1], 0.9, 0.4) * grow
        flare = rng.uniform(-0.1, 0.25, (n, 1)) * np.arange(1, MARGIN + 1)
        self.left = np.concatenate([top_left, arm_left, arm_left[:, -1:] - flare], axis=1).astype(np.float32)
        self.right = np.concatenate([top_right, arm_right, arm_right[:, -1:] + flare], axis=1).astype(np.float32)
        self._hang()
        self.apex, self.drop = v["fold apex row"], np.maximum(v["fold drop"], 0)
        self.power = np.minimum(v["fold power"], 1.4)
        self._gaps()

    def _hang(self):
        """Those whose arms hang or stand off: shoulders slope down from the neck, arms are strips beside the trunk."""
        rng, n = self.rng, self.n
        self.arms = np.zeros(n)  # width of the strip, 0: none
        self.arm_gap = rng.uniform(-0.5, 2.5, n)
        hanging = np.array([self.poses[k] != "raised" for k in self.pose])
        if not hanging.any():
            self.hanging = hanging
            return
        row = np.arange(-MARGIN, ROWS + MARGIN)[None, :]
        neck_row = rng.uniform(-9, 3, (n, 1))
        neck = rng.uniform(0.3, 0.45, (n, 1)) * self.half[:, None]
        slope = special.expit((row - neck_row) / rng.uniform(0.6, 1.6, (n, 1)))
        low = np.array([self.left[:, MARGIN + 10:].mean(1), self.right[:, MARGIN + 10:].mean(1)])
        trunk = np.where(row < 10, 1.0, 1.0)
        left = np.where(row < 8, np.minimum(self.left, low[0][:, None] + 1.5), self.left)
        left = np.where(row < 8, np.maximum(left, low[0][:, None] - 1.0), left)
        right = np.where(row < 8, np.clip(self.right, (low[1] - 1.5)[:, None], (low[1] + 1.0)[:, None]), self.right)
        mid = self.middle[:, None]
        left = mid - neck - (mid - neck - left) * slope * trunk
        right = mid + neck + (right - mid - neck) * slope * trunk
        self.left = np.where(hanging[:, None], left, self.left).astype(np.float32)
        self.right = np.where(hanging[:, None], right, self.right).astype(np.float32)
        self.arms = np.where(hanging & (rng.uniform(size=n) < 0.75), rng.uniform(2.5, 5.0, n), 0)
        self.shoulder = neck_row[:, 0]
        self.hanging = hanging

    def _gaps(self):
        v, n, rng = self.value, self.n, self.rng
        stat = STATISTICS["silhouette"]["gaps beside the neck"]
        pick = lambda key, u: np.interp(u, np.array([5, 10, 25, 50, 75, 90, 95]) / 100, [
            stat[key][f"p{q}"] for q in (5, 10, 25, 50, 75, 90, 95)])
        self.gaps = []
        for side in ("left", "right"):
            depth, area = v[f"neck gap {side} depth"], v[f"neck gap {side} area"]
            u = rng.uniform(size=(4, n))
            inner = pick("inner side at row 0, columns from midline", u[0])
            drift_in = 0.6 * pick("drift of the inner side, columns a row", u[1])
            drift_out = pick("drift of the outer side, columns a row", u[2])
            rows = np.rint(np.maximum(depth, 0))
            present = (rows >= 1) & (area > 0.5) & ~self.hanging
            # area = sum over rows of the width: width at row 0 from it.
            width = area / np.maximum(rows, 1) + (rows - 1) / 2 * (drift_in - drift_out) * 0.75
            width = np.clip(width, 1.0, 11)
            self.gaps.append((present, inner + 0.1, drift_in, width + 0.05, drift_out, rows))

    def edge(self, which, row):
        """The edge at (fractional) rows [n, ...] of the person's frame."""
        table = self.left if which == "left" else self.right
        at = np.clip(row + MARGIN, 0, table.shape[1] - 1.001)
        i = at.astype(np.int32)
        a = (at - i).astype(np.float32)
        i = i + (np.arange(self.n, dtype=np.int32) * np.int32(table.shape[1]))[:, None, None]
        low, high = table.ravel().take(i), table.ravel().take(i + np.int32(1))
        return low * (1 - a) + high * a

    def gap_at(self, row, column):
        """bool: in a gap beside the neck."""
        result = np.zeros(row.shape, bool)
        offset = column - col(self.middle)
        for sign, (present, inner, drift_in, width, drift_out, rows) in zip((-1, 1), self.gaps):
            d = sign * offset
            t = np.maximum(row, -4)
            low = col(inner) + col(drift_in) * t
            high = col(inner + width) + col(drift_out) * t
            result |= col(present).astype(bool) & (d > low) & (d < high) & (row < col(rows) - 0.5)
        return result

    # Temperatures ---------------------------------------------------------------------------------------------------

    def _field(self):
        """The smooth field on the body grid [n, 30, 24], degC about the body's mean."""
        v, n, rng, f = self.value, self.n, self.rng, STATISTICS["field"]
        s, a = f["symmetric"], f["antisymmetric"]
        size = (ABOVE + BELOW, GRID // 2)
        scores = rng.standard_normal((n, s["kept"]))
        for k in range(10):
            scores[:, k] = v[f"symmetric score {k}"]
        vectors = np.array(s["eigenvectors"])
        symmetric = np.array(s["mean"]).ravel() + (scores * np.sqrt(s["eigenvalues"])) @ vectors
        heavy = rng.standard_normal((n, a["kept"]))
        for k in range(6):
            heavy[:, k] = v[f"absolute antisymmetric score {k}"] * rng.choice([-1, 1], n)
        anti = np.array(a["mean"]).ravel() + (heavy * np.sqrt(a["eigenvalues"])) @ np.array(a["eigenvectors"])

        def remainder(part, amplitude, factor):
            noise = ndimage.gaussian_filter(rng.standard_normal((n, size[0] + 8, size[1] + 8)), (0, 0.7, 0.7))
            noise = noise[:, 4:-4, 4:-4]
            noise = noise / noise.std() * np.array(part["remainder sd"])
            rms = np.sqrt((np.array(part["remainder sd"]) ** 2).mean())
            return noise * (np.maximum(amplitude, 0.02) / rms * factor)[:, None, None]

        symmetric = symmetric.reshape(n, *size) + remainder(s, v["symmetric remainder amplitude"], 1.25)
        anti = anti.reshape(n, *size) + remainder(a, v["antisymmetric remainder amplitude"], 0.85)
        self.grid = np.concatenate([symmetric + anti, (symmetric - anti)[:, :, ::-1]], axis=2).astype(np.float32)

    def _structures(self):
        """Sharp structures: heavy-tailed, calm nearly everywhere, half of them on both sides; unit map on a grid of
        half pixels about the midline."""
        n, rng = self.n, self.rng
        rows, columns = (ROWS + 2 * MARGIN) * TEXTURE, (COLUMNS + 2 * MARGIN) * TEXTURE
        noise = rng.standard_normal((n, rows, columns), dtype=np.float32)
        noise = ndimage.gaussian_filter(noise, (0, 0.72 * TEXTURE, 0.54 * TEXTURE), mode="wrap")
        noise /= noise.std()
        noise = np.sign(noise) * np.minimum(np.abs(noise), np.where(noise > 0, 2.6, 1.8)) ** 1.15
        noise = noise * np.exp(0.45 * smooth_field(rng, n, 2.2 * TEXTURE, rows, columns))
        mirrored = noise[:, :, ::-1]
        self.structure = (0.9 * noise + 0.42 * mirrored).astype(np.float32)
        self.structure /= np.sqrt((self.structure ** 2).mean(axis=(1, 2), keepdims=True))
        # Areolae: a cool pixel or two on each side.
        self.nipple_u = np.clip(rng.normal(0.6, 0.13, (2, n)), 0.33, 0.88)
        self.nipple_up = np.clip(rng.gamma(3.2, 1.1, n) + 1.4, 1.5, 8)
        self.nipple_depth = np.clip(rng.normal([[0.5], [-0.1]], 0.25, (2, n)), 0.0, 1.0)
        swap = rng.uniform(size=n) < 0.5
        self.nipple_depth[:, swap] = self.nipple_depth[::-1][:, swap]

    @functools.cached_property
    def back_texture(self):
        return smooth_field(self.rng, self.n, 3.0, ROWS + 2 * MARGIN, COLUMNS + 2 * MARGIN) * np.float32(0.5)

    def fold_line(self, u):
        return np.minimum(col(self.apex) + col(self.drop) * np.abs(u) ** col(self.power), 34)

    def smooth_at(self, row, column):
        """The field at points of the person's frame, by the body grid."""
        left, right = self.edge("left", row), self.edge("right", row)
        offset = column - col(self.middle)
        most = col(1.15 * self.half)
        reach = np.where(offset < 0, np.minimum(col(self.middle) - left, most), np.minimum(right - col(self.middle), most))
        u = np.clip(offset / np.maximum(reach, 1), -1, 1)
        line = np.minimum(self.fold_line(u), 30)
        k = np.where(row < line, row / np.maximum(line, 1) * ABOVE - 0.5, row - line + ABOVE - 0.5)
        return sample(self.grid, k, (u + 1) * GRID / 2 - 0.5)

    def relief_at(self, row, column):
        """(ridge of the fold, relative rms of sharp structures, areolae) at points of the person's frame."""
        u = (column - col(self.middle)) / col(self.half)
        below = row - self.fold_line(u)
        ridge = np.exp(-(below / 1.15) ** 2 / 2) * (np.abs(u) < 1.02) * np.clip(1.6 - np.abs(u), 0, 1)
        bands = np.array(STATISTICS["field"]["fine remainder, pixels"][
            "relative rms by six bands of 5 grid rows and 4 bands of |u|"], np.float32)
        k = np.where(below < 0, row / np.maximum(self.fold_line(u), 1) * ABOVE, below + ABOVE)
        rough = sample(np.broadcast_to(bands, (self.n, 6, 4)), k / 5 - 0.5, np.abs(u) * 4 - 0.5)
        # The glandular skin itself is calmer than its band as a whole.
        rough = rough * (1 - 0.3 * ((below < -1.5) & (below > -9) & (np.abs(u) > 0.3)))
        nipples = 0
        for side, sign in ((0, -1), (1, 1)):
            centre_u = sign * self.nipple_u[side]
            at = self.fold_line(np.broadcast_to(col(centre_u), (self.n, 1, 1))) - col(self.nipple_up)
            distance = (row - at) ** 2 + (column - col(self.middle + centre_u * self.half)) ** 2
            nipples = nipples - col(self.nipple_depth[side]) * np.exp(-distance / (2 * 0.75 ** 2))
        return ridge, rough, nipples

    @functools.cached_property
    def calibrated(self):
        """(offset, factor of the smooth part, ridge height, height of the sharp structures), each [n], so that the
        frontal frame meets the drawn mean, sd, fold and LoG."""
        v = self.value
        row, column = (np.broadcast_to(x.astype(np.float32), (self.n, ROWS, COLUMNS)) for x in np.mgrid[0:ROWS, 0:COLUMNS])
        body = self.frontal_body(row, column)
        smooth = self._arms_blend(self.smooth_at(row, column), row, column) - np.float32(0.015) * (row - 12)
        ridge, rough, nipples = self.relief_at(row, column)
        u = (column - col(self.middle)) / col(self.half)
        below = row - self.fold_line(u)
        inner = body & (np.abs(u) < 0.85)
        zone = lambda x, m: (x * m).sum(axis=(1, 2)) / np.maximum(m.sum(axis=(1, 2)), 1)
        on, over = inner & (np.abs(below) < 0.75), inner & (np.abs(below + 3) < 0.75)
        structure = self.structure_at(row, column) * rough
        count = np.maximum(body.sum(axis=(1, 2)), 1)
        mean = lambda x: (x * body).sum(axis=(1, 2)) / count
        target = np.maximum(v["body sd"], 0.5)
        factor, height = np.ones(self.n), np.zeros(self.n)
        log_sd = lambda x: self._log_sd(x, body)
        fine = np.zeros(self.n)
        for _ in range(4):
            height = (v["fold minus 3 rows above"] - factor * (zone(smooth, on) - zone(smooth, over))) / np.maximum(
                zone(ridge, on) - zone(ridge, over), 0.3)
            height = np.clip(height, -0.6, 4)
            base = col(factor) * smooth + col(height) * ridge + nipples
            base_log, noise_log = log_sd(base), log_sd(structure)
            wanted = 1.04 * np.maximum(v["LoG 1 sd"], 0.1)
            fine = np.sqrt(np.maximum(wanted ** 2 - base_log ** 2, (0.18 * wanted) ** 2)) / np.maximum(noise_log, 1e-3)
            fine = TYPICAL * (fine / TYPICAL) ** 0.6  # people are more alike in this than the remainder suggests
            whole = base + col(fine) * structure
            sd = np.sqrt(np.maximum(mean(whole ** 2) - mean(whole) ** 2, 1e-4))
            factor = np.clip(factor * (target / sd) ** 0.8, 0.5, 1.8)
        whole = col(factor) * smooth + col(height) * ridge + nipples + col(fine) * structure
        return v["body mean"] - mean(whole), factor, height, fine

    @staticmethod
    def _log_sd(x, body):
        """sd of LoG 1 within the body, by compare.py's definition, in batches."""
        blur = lambda y: ndimage.gaussian_filter(y, (0, 1, 1), mode="nearest")
        weight = body.astype(np.float32)
        mean = (x * weight).sum(axis=(1, 2), keepdims=True) / np.maximum(weight.sum(axis=(1, 2), keepdims=True), 1)
        g = blur(np.where(body, x - mean, 0)) / np.maximum(blur(weight), 1e-3)
        p = np.pad(g, ((0, 0), (1, 1), (1, 1)), mode="edge")
        answer = 4 * g - p[:, :-2, 1:-1] - p[:, 2:, 1:-1] - p[:, 1:-1, :-2] - p[:, 1:-1, 2:]
        core = ndimage.binary_erosion(body, np.array([[[0, 1, 0], [1, 1, 1], [0, 1, 0]]]), border_value=1)
        count = np.maximum(core.sum(axis=(1, 2)), 1)
        average = (answer * core).sum(axis=(1, 2)) / count
        return np.sqrt(np.maximum((answer ** 2 * core).sum(axis=(1, 2)) / count - average ** 2, 1e-6))

    def structure_at(self, row, column):
        return sample(self.structure, (row + MARGIN) * TEXTURE + 0.5,
                      (column - col(self.middle) + 15.5 + MARGIN) * TEXTURE + 0.5)

    def _arms_blend(self, smooth, row, column):
        u = np.abs(column - col(self.middle)) / col(self.half)
        share = np.clip((u - 1.0) / 0.2, 0, 1)
        arm = self.value["arm minus mean"] - 0.15
        return smooth * (1 - share) + col(arm) * share

    def frontal_body(self, row, column):
        inside = (column > self.edge("left", row)) & (column < self.edge("right", row))
        if self.arms.any():
            shoulder = col(self.shoulder) + 2.5
            strips = (column > self.edge("left", row) - col(self.arms + self.arm_gap)) & (
                column < self.edge("left", row) - col(self.arm_gap))
            strips |= (column < self.edge("right", row) + col(self.arms + self.arm_gap)) & (
                column > self.edge("right", row) + col(self.arm_gap))
            inside = inside | (strips & (row > shoulder) & (col(self.arms) > 0))
        return inside & ~self.gap_at(row, column)

    def skin_at(self, row, column, warmth=None):
        """Temperatures of the front at points of the person's frame."""
        offset, factor, height, fine = self.calibrated
        ridge, rough, nipples = self.relief_at(row, column)
        smooth = self._arms_blend(self.smooth_at(row, column), row, column) - np.float32(0.015) * (row - 12)
        skin = col(offset) + col(factor) * smooth + col(height) * ridge + nipples
        skin = skin + col(fine) * rough * self.structure_at(row, column)
        return skin if warmth is None else skin + sample(warmth, row, column)

    def marked(self, skin, row, column):
        """With the cold square that some protocols stick to the middle."""
        v = self.value
        half_h, half_w = np.maximum(v["marker height"], 1.5) / 2 - 0.15, np.maximum(v["marker width"], 1.5) / 2 - 0.15
        on = (np.abs(row - col(v["marker row"])) < col(half_h)) & (
            np.abs(column - col(self.middle + v["marker offset"])) < col(half_w)) & col(self.has_marker).astype(bool)
        depth = np.minimum(v["marker contrast"], -3) * 0.98
        return np.where(on, skin + col(depth), skin)

    def background(self, row, column, rng):
        v = self.value
        room = v["body mean"] - v["body minus ambient"]
        lean = v["background left minus right"]
        slope = v["background gradient down, degC a row"]
        side = np.tanh((column - col(self.middle)) / 3)
        noise = sample(smooth_field(rng, self.n, 2.0), row, column)
        sd = np.maximum(v["background sd"], 0.05)
        rest = np.sqrt(np.maximum(sd ** 2 - (lean / 2) ** 2 - (slope * 6.5) ** 2, (0.3 * sd) ** 2))
        return col(room) - col(lean) / 2 * side + col(0.8 * slope) * (row - 12) + col(rest) * noise

    # A view ---------------------------------------------------------------------------------------------------------

    def render(self, view="frontal", session=None, seed=0, blur=(0.36, 0.48), add=None, yaw=None):
        """float32 [n, 24, 32], a clean scene. `add(row, column)` gives what a finding warms, at points of the person's
        frame; `yaw` (degrees, [n]) turns the bodies otherwise than the view says."""
        n, rng = self.n, np.random.default_rng([seed, VIEWS.index(view), 5])
        session = session or Session.plain(n)
        frame = np.mgrid[0:ROWS * FINE, 0:COLUMNS * FINE].astype(np.float32)
        fine_row, fine_column = (frame + 0.5) / FINE - 0.5
        row, column = session.back(fine_row[None], fine_column[None])
        angle = np.radians(PARAMETERS["views"][view]["yaw_degrees"] + rng.uniform(-7, 7, n)) if yaw is None else np.radians(yaw)
        if view == "frontal" and yaw is None:
            body = self.frontal_body(row, column)
            skin = self.skin_at(row, column, session.warmth)
            if add is not None:
                skin = skin + add(row, column)
            skin = self.marked(skin, row, column)
        else:
            body, skin = self._turned(row, column, angle, session.warmth, add, rng)
        self.last_body = body
        pixel = [np.broadcast_to(x.astype(np.float32), (n, ROWS, COLUMNS)) for x in np.mgrid[0:ROWS, 0:COLUMNS]]
        room = self.background(*pixel, rng)
        coverage, skin = self._block(body.astype(np.float32)), self._block(skin * body) / np.maximum(
            self._block(body.astype(np.float32)), 1e-3)
        width = rng.uniform(*blur)
        # The optics blur the outline; the skin's own pattern hardly.
        shape = ndimage.gaussian_filter(coverage, (0, width, width), mode="nearest")
        filled = np.where(coverage > 0.02, skin, 0)
        weight = ndimage.gaussian_filter((coverage > 0.02).astype(np.float32), (0, 0.2, 0.2), mode="nearest")
        wide = ndimage.gaussian_filter((coverage > 0.02).astype(np.float32), (0, 1, 1), mode="nearest")
        near = ndimage.gaussian_filter(filled, (0, 0.2, 0.2), mode="nearest") / np.maximum(weight, 1e-3)
        far = ndimage.gaussian_filter(filled, (0, 1, 1), mode="nearest") / np.maximum(wide, 1e-4)
        skin = np.where(weight > 0.3, near, far)
        self.coverage = coverage
        return (shape * skin + (1 - shape) * room).astype(np.float32)

    def _block(self, x):
        return x.reshape(self.n, ROWS, FINE, COLUMNS, FINE).mean(axis=(2, 4))

    def _turned(self, row, column, yaw, warmth, add, rng):
        """The trunk as an elliptic cylinder turned by `yaw`: which point of the front each pixel shows."""
        n = self.n
        sign = np.sign(yaw)
        cos, sin = np.abs(np.cos(yaw)), np.abs(np.sin(yaw))
        axis = col(self.middle + rng.normal(0, 0.8, n))
        wide = col(1.12 * self.half)
        left = np.minimum(col(self.middle) - self.edge("left", row), wide)
        right = np.minimum(self.edge("right", row) - col(self.middle), wide)
        trunk = np.maximum((left + right) / 2, 2)
        turned = trunk * col(np.sqrt(cos ** 2 + (self.depth * sin) ** 2))
        # The breast stands out on the side to which the body faces: against the sign of the yaw.
        facing = -col(sign)
        top, low = col(self.apex - 9), col(self.apex + 0.6 * self.drop)
        t = np.clip((row - top) / np.maximum(low - top, 1), 0, 1.25)
        stand = col(self.protrusion * self.half * sin) * np.where(t < 1, t ** 1.3 * (1 - 0.25 * t), 0.75 * (1.25 - t) / 0.25)
        belly = col(rng.uniform(-0.05, 0.12, n) * self.half * sin) * np.clip((row - low) / 6, 0, 1.5)
        d = (column - axis) * facing
        reach = np.where(d > 0, turned + stand + belly, turned)
        body = np.abs(column - axis) < reach
        v = np.clip((column - axis) / np.maximum(reach, 1), -1, 1)
        lag = np.arctan2(self.depth * np.sin(yaw), np.cos(yaw))
        theta = np.arcsin(v) + col(lag)
        front = np.abs(theta) <= np.pi / 2
        across = np.sin(np.clip(theta, -np.pi / 2, np.pi / 2)) * trunk
        at = col(self.middle) + across
        skin = self.skin_at(row, at, warmth)
        if add is not None:
            skin = skin + np.where(front, add(row, at), 0)
        behind = sample(self.back_texture, row + MARGIN, column + MARGIN) + col(
            self.value["body mean"] - rng.uniform(0.0, 1.6, n))
        share = np.clip((np.abs(theta) - np.pi / 2) / 0.35, 0, 1)
        skin = skin * (1 - share) + behind * share
        skin = np.where(front, self.marked(skin, row, at), skin)
        # Raised arms, seen from the side: one goes up over the shoulder, the other to the front or the back.
        raised = col(~self.hanging).astype(bool)
        under = col(np.clip(rng.normal(3.5, 2.2, n), 0.5, 9))
        for k in range(2):
            place = axis + col(rng.normal(0, 0.35, n) * self.half)
            tilt, width = col(rng.normal(0, 1.1, n)), col(rng.uniform(2.6, 5.2, n))
            x = column - place - tilt * (row - under)
            arm = (np.abs(x) < width) & (row < under + 1.5) & raised
            cool = col(self.value["body mean"] + self.value["arm minus mean"] + rng.normal(0, 0.4, n))
            round_off = -0.5 * (x / width) ** 2
            skin = np.where(arm & ~body, cool + round_off + self.structure_at(row, column) * 0.15, skin)
            over = arm & body & (k == 0)
            skin = np.where(over, 0.6 * skin + 0.4 * (cool + round_off), skin)
            body = body | arm
        # Others hold the arm down or to the front, over the trunk.
        down = col(self.hanging & (rng.uniform(size=n) < 0.7)).astype(bool)
        place, width = axis + col(rng.normal(0, 0.25, n) * self.half), col(rng.uniform(1.8, 3.2, n))
        tilt = col(rng.normal(0, 0.25, n))
        x = column - place - tilt * (row - 10)
        arm = (np.abs(x) < width) & (row > 2) & down
        cool = col(self.value["body mean"] + rng.normal(-0.8, 0.6, n))
        skin = np.where(arm, cool - 0.5 * (x / width) ** 2, skin)
        return body | arm, skin
