"""Draws synthetic thermograms. Everything is in batches and from one seed.

The torso is an elliptic cylinder seen under a yaw angle: each pixel of the silhouette has an angle around the body, in
which the anatomy is written, so that the five views are the same body turned. Left is the patient's left, at positive
angles; in a frontal view it lies in the right half of the frame.
"""

import functools
import json
import pathlib

import numpy as np
from scipy import ndimage, special

from . import pennes

ROWS, COLUMNS, FINE = 24, 32, 2
VIEWS = ("frontal", "left-oblique", "right-oblique", "left-lateral", "right-lateral")
FAULTS = ("good", "no-torso", "off-centre", "too-far", "too-near", "motion", "covered", "hot-object", "cold-lens")
QUANTILES = np.array([0, 0.05, 0.5, 0.95, 1])
PARAMETERS = json.loads((pathlib.Path(__file__).parent / "parameters.json").read_text())


@functools.cache
def lesion_table():
    p = PARAMETERS["lesion"]
    return pennes.table(p, p["table_size"], seed=20)


def col(x):
    return np.asarray(x)[:, None, None]


class Batch:
    """`n` scenes of one view and one fault; `celsius` is what the sensor reads, `scene` the truth before it."""

    def __init__(self, n, seed, view="frontal", fault="good", lesions=0.0, sensor=True):
        self.n, self.view, self.fault = n, view, fault
        self.rng = np.random.default_rng([seed, VIEWS.index(view), FAULTS.index(fault)])
        self.draw_geometry()
        self.draw_temperatures()
        self.draw_lesions(lesions)
        fine = self.with_fault_in_scene(self.compose())
        self.scene = fine.reshape(n, ROWS, FINE, COLUMNS, FINE).mean(axis=(2, 4))
        self.celsius = (self.through_sensor(self.scene) if sensor else self.scene).astype(np.float32)

    def uniform(self, group, name, shape=None):
        low, high = PARAMETERS[group][name]
        return self.rng.uniform(low, high, self.n if shape is None else shape)

    def marginal(self, group, name, u=None):
        u = self.rng.uniform(size=self.n) if u is None else u
        return np.interp(u, QUANTILES, PARAMETERS[group][name])

    # Geometry -------------------------------------------------------------------------------------------------------

    def draw_geometry(self):
        n, p = self.n, PARAMETERS["views"]
        jitter = p["yaw_jitter_degrees"]
        self.yaw = np.radians(p[self.view]["yaw_degrees"] + self.rng.uniform(-jitter, jitter, n))
        share = self.marginal("geometry", "body_share")
        self.middle = self.marginal("geometry", "midline_column")
        scale = np.ones(n)
        if self.fault == "too-far":
            scale = np.sqrt(self.uniform("faults", "far_body_share") / share)
        elif self.fault == "too-near":
            scale = self.uniform("faults", "near_scale")
        elif self.fault == "off-centre":
            self.middle = self.middle + self.rng.choice([-1, 1], n) * self.uniform("faults", "off_centre_columns")
        self.scale = scale
        rows = (np.arange(ROWS * FINE) + 0.5) / FINE - 0.5
        columns = (np.arange(COLUMNS * FINE) + 0.5) / FINE - 0.5
        # Rows from the frame's middle, in the coordinates of a body at the usual distance.
        self.row = ((rows - 11.5)[None, :, None] / col(scale)) + 11.5
        shoulder = self.uniform("geometry", "shoulder_row")
        neck = self.uniform("geometry", "neck_share")
        waist = self.uniform("geometry", "waist")
        arms = self.uniform("geometry", "arms")
        profile = 1 - col(waist) * np.clip((self.row - 12) / 12, 0, 1.5) ** 2
        profile = profile + col(arms) * np.exp(-((self.row - col(shoulder) - 2) / 4) ** 2)
        slope = special.expit((self.row - col(shoulder)) / 0.8)
        profile = col(neck) + (profile - col(neck)) * slope
        if self.fault == "too-far":  # the legs of the trunk end in the frame
            profile = profile * (self.row > -14) * (self.row < 40)
        usual = np.clip(profile[:, ::FINE].mean(axis=(1, 2)), 0.5, 1.2) if self.fault != "too-far" else 1.0
        self.half_width = share * COLUMNS / 2 / usual * scale
        depth = self.uniform("geometry", "depth_to_width")
        turn = np.sqrt(np.cos(self.yaw) ** 2 + (depth * np.sin(self.yaw)) ** 2)
        lean = self.uniform("geometry", "lean_columns_per_row")
        offset = columns[None, None, :] - col(self.middle) - col(lean) * (self.row - 11.5) * col(scale)
        breast_row = self.uniform("geometry", "breast_row")
        bulge = self.uniform("geometry", "breast_protrusion")
        self.breast_row = breast_row
        self.breast_angle = np.radians(self.uniform("geometry", "breast_angle_degrees"))
        self.breast_radius = self.uniform("geometry", "breast_radius")
        width = col(self.half_width * turn) * profile
        # In a turned view the near breast stands out of the silhouette, on the side to which the body faces.
        side = -np.sign(col(self.yaw)) * (np.abs(col(self.yaw)) > 0.4)
        stand = col(bulge) * np.abs(np.sin(col(self.yaw))) * np.exp(
            -((self.row - col(breast_row)) / col(self.breast_radius)) ** 2)
        reach = width * np.where(offset * side > 0, 1 + stand, 1)
        self.body = np.abs(offset) < reach
        self.relative = np.clip(offset / np.maximum(reach, 0.5), -1, 1)
        self.angle = np.arcsin(self.relative) + col(self.yaw)
        self.pitch = self.uniform("geometry", "torso_width_mm") / (2 * self.half_width)  # mm a pixel

    # Temperatures ---------------------------------------------------------------------------------------------------

    def draw_temperatures(self):
        rho, tau = (PARAMETERS["temperature"][f"mean_{name}_correlation"] for name in ("contrast", "sd"))
        a, b, c = self.rng.standard_normal((3, self.n))
        self.mean = self.marginal("temperature", "body_mean", special.ndtr(a))
        contrast = self.marginal(
            "temperature", "body_minus_background", special.ndtr(rho * a + np.sqrt(1 - rho ** 2) * b))
        self.body_sd = self.marginal("temperature", "body_sd", special.ndtr(tau * a + np.sqrt(1 - tau ** 2) * c))
        self.background = self.mean - contrast

    def blob(self, angle, row, radius):
        """Gaussian about an angle and a row; `radius` in pixels."""
        distance = (self.angle - angle) * col(self.half_width)
        return np.exp(-((distance ** 2 + (self.row - row) ** 2 * col(self.scale) ** 2) / (2 * radius ** 2)))

    def field(self, length):
        """White noise blurred to unit sd with a correlation length in pixels, one draw a scene."""
        noise = self.rng.standard_normal((self.n, ROWS, COLUMNS))
        fields = np.stack([ndimage.gaussian_filter(x, s, mode="wrap") for x, s in zip(noise, length)])
        fields /= fields.std(axis=(1, 2), keepdims=True)
        return fields.repeat(FINE, axis=1).repeat(FINE, axis=2)

    def anatomy(self):
        """The part that is alike on both sides."""
        draw = lambda name: col(self.uniform("anatomy", name))
        angle, row, radius = col(self.breast_angle), col(self.breast_row), col(self.breast_radius * self.scale)
        both = lambda a, r, s: self.blob(a, r, s) + self.blob(-a, r, s)
        pattern = draw("sternum") * self.blob(0, row - 4, radius * 1.1)
        pattern += draw("neck_and_axilla") * (both(col(self.breast_angle) * 2.3, row - 6, radius * 0.9)
                                              + self.blob(0, row - 13, radius * 1.2))
        pattern += draw("inframammary_fold") * both(angle * 0.9, row + radius / col(self.scale), radius * 0.55)
        pattern += draw("breast") * both(angle, row, radius * 0.8)
        pattern += draw("nipple") * both(angle * 1.1, row, radius * 0.22)
        pattern += draw("waist") * np.clip((self.row - 14) / 10, 0, 1.5)
        pattern -= draw("limb_cooling") * np.abs(self.relative) ** 4
        return pattern

    def vessels(self):
        """Thin warm curves, drawn for each side on its own."""
        pattern = np.zeros_like(self.angle)
        low, high = PARAMETERS["vessels"]["count_each_side"]
        for side in (-1, 1):
            count = self.rng.integers(low, high + 1, self.n)
            for k in range(high):
                warm = self.uniform("vessels", "warming") * (count > k)
                width = col(self.uniform("vessels", "width"))
                start = self.rng.uniform(0.1, 0.9, self.n) * side
                bend, sweep = self.rng.uniform(-0.6, 0.6, (2, self.n))
                top = self.breast_row + self.rng.uniform(-7, 1, self.n)
                length = self.rng.uniform(3, 9, self.n)
                t = (self.row - col(top)) / col(length)
                path = col(start) + col(bend) * t + col(sweep) * t ** 2
                distance = (self.angle - path) * col(self.half_width)
                pattern += col(warm) * np.exp(-(distance / width) ** 2 / 2) * (t > 0) * (t < 1)
        return pattern

    def asymmetry(self):
        """What differs between the sides, with the drawn mean and sd of left minus right. Zero-mean over the body."""
        share = col(self.uniform("asymmetry", "fine_share"))
        coarse = self.field(self.uniform("asymmetry", "coarse_length"))
        fine = self.field(self.uniform("asymmetry", "fine_length"))
        field = coarse * np.sqrt(1 - share) + fine * np.sqrt(share) + 0.35 * self.vessels()
        # The odd part about the body's own midline; in a turned view about the sternum.
        mirrored = self.mirror(field)
        odd, even = (field - mirrored) / 2, (field + mirrored) / 2
        weight = self.body
        count = np.maximum(weight.sum(axis=(1, 2), keepdims=True), 1)
        spread = np.sqrt((odd ** 2 * weight).sum(axis=(1, 2), keepdims=True) / count)
        target = col(self.marginal("asymmetry", "difference_sd")) / 2
        lean = col(self.marginal("asymmetry", "mean_difference")) / 2
        ramp = np.tanh(self.angle / 0.08)
        ramp_mean = 1.0
        # The image's left half is the first of the pair, so a positive mean difference warms it.
        return odd / np.maximum(spread, 1e-3) * target - ramp * lean / ramp_mean, even

    def mirror(self, field):
        """The field with left and right exchanged about each scene's midline."""
        shift = np.rint((2 * (self.middle - (COLUMNS - 1) / 2)) * FINE).astype(int)
        index = (COLUMNS * FINE - 1 - np.arange(COLUMNS * FINE))[None, :] + shift[:, None]
        index = np.mod(index, COLUMNS * FINE)
        return np.take_along_axis(field, np.broadcast_to(index[:, None, :], field.shape), axis=2)

    def draw_lesions(self, share):
        n, table = self.n, lesion_table() if share > 0 else None
        self.has_lesion = self.rng.uniform(size=n) < share
        self.lesion_side = self.rng.choice([-1, 1], n)  # 1 is the patient's left
        self.lesion_peak = np.zeros(n)
        self.vascular_peak = np.zeros(n)
        self.diameter = np.zeros(n)
        self.lesion_half = np.ones(n)
        if table is None:
            return
        pick = table[self.rng.integers(0, len(table), n)]
        self.diameter = np.where(self.has_lesion, pick[:, 1], 0)
        self.lesion_peak = np.where(self.has_lesion, pick[:, 4], 0)
        self.lesion_half = pick[:, 5]
        vascular = self.rng.uniform(size=n) < PARAMETERS["lesion"]["vascular_share"]
        self.vascular_peak = np.where(self.has_lesion & vascular, self.marginal("lesion", "vascular_peak"), 0)

    def lesion(self):
        turn, reach = self.rng.uniform(0, 2 * np.pi, self.n), self.breast_radius * np.sqrt(
            self.rng.uniform(0, 0.7, self.n))
        angle = self.lesion_side * self.breast_angle + reach * np.cos(turn) / self.half_width
        row = self.breast_row + reach * np.sin(turn)
        radius = self.lesion_half / self.pitch / np.sqrt(2 * np.log(2))
        self.lesion_row = row
        warm = col(self.lesion_peak) * self.blob(col(angle), col(row), np.maximum(col(radius), 0.4))
        drift = self.rng.normal(0, 1.0, (2, self.n))
        spread = col(self.uniform("lesion", "vascular_length"))
        warm += col(self.vascular_peak) * self.blob(
            col(angle + drift[0] / self.half_width), col(row + drift[1]), spread)
        return warm

    def compose(self):
        odd, even = self.asymmetry()
        weight, count = self.body, np.maximum(self.body.sum(axis=(1, 2), keepdims=True), 1)
        mean = lambda x: (x * weight).sum(axis=(1, 2), keepdims=True) / count
        odd = odd - mean(odd)
        pattern = self.anatomy() + col(self.uniform("anatomy", "low_frequency")) * even
        pattern = pattern - mean(pattern)
        total = col(self.body_sd)
        left = np.maximum(total ** 2 - mean(odd ** 2), (0.45 * total) ** 2)
        pattern = pattern * np.sqrt(left / np.maximum(mean(pattern ** 2), 1e-6)) + odd
        body = col(self.mean) + pattern + (self.lesion() if self.has_lesion.any() else 0)
        room = self.field(np.full(self.n, 5.0)) * col(self.uniform("temperature", "background_sd"))
        return np.where(self.body, body, col(self.background) + room)

    # Faults ---------------------------------------------------------------------------------------------------------

    def with_fault_in_scene(self, fine):
        n, rng = self.n, self.rng
        row, column = np.mgrid[0:ROWS * FINE, 0:COLUMNS * FINE] / FINE
        if self.fault == "no-torso":
            room = col(self.background) + self.field(rng.uniform(1, 6, n)) * col(rng.uniform(0.05, 1.5, n))
            for _ in range(2):  # furniture, a warm wall, a hand or a face that is no torso
                r, c = rng.uniform(0, ROWS, n), rng.uniform(0, COLUMNS, n)
                h, w = rng.uniform(1, 7, (2, n))
                box = (np.abs(row - col(r)) < col(h)) & (np.abs(column - col(c)) < col(w))
                ellipse = ((row - col(r)) / col(h)) ** 2 + ((column - col(c)) / col(w)) ** 2 < 1
                shape = np.where(col(rng.uniform(size=n) < 0.5), box, ellipse)
                room = room + shape * col(rng.uniform(-2, 9, n) * (rng.uniform(size=n) < 0.6))
            return room
        if self.fault == "covered":
            return self.covered(fine)
        if self.fault == "hot-object":
            r, c = rng.uniform(1, ROWS - 1, n), rng.uniform(1, COLUMNS - 1, n)
            h, w = rng.uniform(1.0, 4, (2, n))
            shape = ((row - col(r)) / col(h)) ** 2 + ((column - col(c)) / col(w)) ** 2 < 1
            return np.where(shape, np.maximum(col(self.uniform("faults", "hot_object_celsius")), fine + 4), fine)
        return fine

    def covered(self, fine):
        """A garment over the breasts, or both breasts without any structure of their own."""
        n, rng = self.n, self.rng
        angle, row, radius = col(self.breast_angle), col(self.breast_row), col(self.breast_radius)
        weight = self.body
        mean = (fine * weight).sum(axis=(1, 2), keepdims=True) / weight.sum(axis=(1, 2), keepdims=True)
        cool = self.uniform("faults", "cover_cooling")
        texture = self.field(rng.uniform(1, 4, n)) * col(rng.uniform(0.05, 0.5, n))
        garment = mean - col(cool) + 0.25 * (fine - mean) + texture
        low, high = row - radius * col(rng.uniform(0.8, 1.6, n)), row + radius * col(rng.uniform(0.9, 4, n))
        band = self.body & (self.row > low) & (self.row < high)
        dressed = np.where(band, garment, fine)
        # Structureless: ellipses, boxes or one band at the chest's mean.
        grow = col(rng.uniform(0.8, 1.5, n))
        across = np.abs(np.abs(self.angle) - angle) * col(self.half_width)
        down = np.abs(self.row - row)
        ellipse = (across / (radius * grow)) ** 2 + (down / (radius * grow)) ** 2 < 1
        box = (across < radius * grow) & (down < radius * grow)
        strip = down < radius * grow
        kind = col(rng.integers(0, 3, n))
        shape = self.body & np.where(kind == 0, ellipse, np.where(kind == 1, box, strip))
        outside = weight & ~shape
        chest = (fine * outside).sum(axis=(1, 2), keepdims=True) / np.maximum(
            outside.sum(axis=(1, 2), keepdims=True), 1)
        blank = np.where(shape, chest, fine)
        return np.where(col(rng.uniform(size=n) < 0.5), dressed, blank)

    # Sensor ---------------------------------------------------------------------------------------------------------

    def through_sensor(self, scene):
        n, rng, p = self.n, self.rng, PARAMETERS["sensor"]
        blur = self.uniform("sensor", "blur")
        seen = np.stack([ndimage.gaussian_filter(x, s, mode="nearest") for x, s in zip(scene, blur)])
        row, column = np.mgrid[0:ROWS, 0:COLUMNS]
        if self.fault == "motion":
            seen = self.moved(seen, (row + column) % 2 == 1)
        radius = ((row - 11.5) ** 2 + (column - 15.5) ** 2) / (11.5 ** 2 + 15.5 ** 2)
        if self.fault == "cold-lens":
            drop = self.uniform("faults", "cold_lens_drop")
            seen = seen - col(drop) * (0.25 + radius * col(rng.uniform(0.7, 1.3, n)))
        rate = rng.choice(p["rate_hertz"], n)
        frames = np.exp(rng.uniform(*np.log(p["frames_averaged"]), n))
        netd = p["netd_kelvin_per_root_hertz"] * np.sqrt(rate / frames)
        noise = rng.standard_normal(seen.shape) * (1 + (p["corner_factor"] - 1) * radius) * col(netd)
        fixed = rng.standard_normal(seen.shape) * col(self.uniform("sensor", "fixed_pattern_sd"))
        offset = rng.standard_normal(n) * self.uniform("sensor", "offset_sd")
        seen = seen + noise + fixed + col(offset)
        low, high = p["bad_pixels"]
        count = rng.integers(low, high + 1, n)
        for k in range(high):  # the driver interpolates them from their neighbours
            r, c = rng.integers(1, ROWS - 1, n), rng.integers(1, COLUMNS - 1, n)
            each = np.arange(n)
            mean = (seen[each, r - 1, c] + seen[each, r + 1, c] + seen[each, r, c - 1] + seen[each, r, c + 1]) / 4
            seen[each, r, c] = np.where(count > k, mean, seen[each, r, c])
        return seen

    def moved(self, seen, odd):
        """The second sub-page of the chess pattern sees the body elsewhere; the average of several pairs smears."""
        result = np.empty_like(seen)
        for i in range(self.n):
            across = self.rng.uniform(*PARAMETERS["faults"]["motion_columns"]) * self.rng.choice([-1, 1])
            down = self.rng.uniform(-1.5, 1.5)
            later = ndimage.shift(seen[i], (down, across), order=1, mode="nearest")
            smear = self.rng.uniform(0, 0.35)
            first = seen[i] * (1 - smear) + later * smear
            second = later * (1 - smear) + seen[i] * smear
            result[i] = np.where(odd, second, first)
        return result
