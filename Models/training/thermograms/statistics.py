"""The generator's healthy frontal thermograms against aggregate statistics of real ones.

Definitions: the body is what the device's own mask finds (Otsu); the midline is its mean column; left minus right is
the first minus the second pixel of each pair about that line, both in the body, left being the left of the frame;
3 x 3 is the mean of nine such differences that all exist. Clean scenes are used, before the sensor's noise: the real
frames came from cameras of higher resolution, reduced to 24 x 32.
"""

import numpy as np
from scipy import ndimage

import preprocessing

from .generator import PARAMETERS, Batch

PERCENTILES = (0, 5, 50, 95, 100)
REAL = {
    "body minus background, degC": (4.9, 6.0, 8.4, 11.1, 12.6),
    "body share of the frame": (0.47, 0.59, 0.74, 0.84, 0.87),
    "body midline column": (13.5, 14.0, 15.5, 16.5, 17.5),
    "body mean, degC": (28.1, 29.3, 31.2, 33.2, 34.1),
    "body p99, degC": (31.1, 31.5, 34.2, 35.8, 36.4),
    "sd within the body, degC": (0.85, 0.99, 1.27, 1.65, 1.92),
    "ambient, degC": (18.4, 20.7, 22.5, 24.9, 27.1),
    "signed mean left-right difference, degC": (-2.05, -0.84, -0.18, 0.46, 1.41),
}
REAL_SINGLE = {
    "mean |L-R|, degC": 0.72,
    "sd of L-R, degC": 0.87,
    "p95 of |L-R|, degC": 1.86,
    "largest 3x3 difference, median, degC": 1.66,
    "largest 3x3 difference, p90, degC": 2.67,
    "largest 3x3 difference, p95, degC": 2.97,
}
# How far the generator may be from the real value: (at p5, p50 and p95 of a distribution; ends are not held, because
# they are single frames), in the row's own unit.
TOLERANCE = {
    "body minus background, degC": 0.6,
    "body share of the frame": 0.06,
    "body midline column": 0.7,
    "body mean, degC": 0.5,
    "body p99, degC": 1.0,
    "sd within the body, degC": 0.2,
    "ambient, degC": 0.7,
    "signed mean left-right difference, degC": 0.25,
}
TOLERANCE_SINGLE = 0.10  # of the real value
SEEDS = (1, 2, 3, 4, 5)


def measure(celsius):
    """One row a statistic, one column a frame."""
    kelvin = preprocessing.centikelvin(celsius)
    mask, midline = preprocessing.body_mask(kelvin)
    left, right, both, take = preprocessing.pairs(mask, midline)
    difference = take(celsius.astype(np.float64), left) - take(celsius.astype(np.float64), right)
    frames = {name: [] for name in REAL}
    single = {"mean |L-R|": [], "sd": [], "all": [], "largest": []}
    for i in range(len(celsius)):
        body, rest = celsius[i][mask[i]], celsius[i][~mask[i]]
        d = difference[i][both[i]]
        frames["body minus background, degC"].append(body.mean() - rest.mean())
        frames["body share of the frame"].append(mask[i].mean())
        frames["body midline column"].append(np.nonzero(mask[i])[1].mean())
        frames["body mean, degC"].append(body.mean())
        frames["body p99, degC"].append(np.percentile(body, 99))
        frames["sd within the body, degC"].append(body.std())
        frames["ambient, degC"].append(rest.mean())
        frames["signed mean left-right difference, degC"].append(d.mean())
        single["mean |L-R|"].append(np.abs(d).mean())
        single["sd"].append(d.std())
        single["all"].append(np.percentile(np.abs(d), 95))
        single["largest"].append(largest(difference[i], both[i]))
    return frames, single


def largest(difference, both):
    whole = ndimage.uniform_filter(both.astype(float), 3, mode="constant") > 0.999
    mean = ndimage.uniform_filter(np.where(both, difference, 0), 3, mode="constant")
    return float(np.abs(mean[whole]).max()) if whole.any() else 0.0


def table(count=500, seeds=SEEDS):
    """[(name, real, generated)], each a tuple of numbers: `count` scenes a seed, statistics averaged over the seeds."""
    made = [_values(count, seed) for seed in seeds]
    average = {name: tuple(float(x) for x in np.mean([m[name] for m in made], axis=0)) for name in made[0]}
    real = {**REAL, **{name: (value,) for name, value in REAL_SINGLE.items()}}
    return [(name, real[name], average[name]) for name in real]


def spread(count=500, seeds=SEEDS):
    """{name: sd of the middle value between seeds}."""
    made = [_values(count, seed) for seed in seeds]
    return {name: float(np.std([m[name][len(m[name]) // 2] for m in made], ddof=1)) for name in made[0]}


def _values(count, seed):
    frames, single = measure(Batch(count, seed, sensor=False).celsius)
    values = {name: tuple(np.percentile(frames[name], PERCENTILES)) for name in REAL}
    largest_all = single["largest"]
    return values | {
        "mean |L-R|, degC": (np.mean(single["mean |L-R|"]),),
        "sd of L-R, degC": (np.mean(single["sd"]),),
        "p95 of |L-R|, degC": (np.mean(single["all"]),),
        "largest 3x3 difference, median, degC": (np.median(largest_all),),
        "largest 3x3 difference, p90, degC": (np.percentile(largest_all, 90),),
        "largest 3x3 difference, p95, degC": (np.percentile(largest_all, 95),),
    }


def drift(rows):
    """The statistics that have left their tolerance, as sentences."""
    faults = []
    for name, real, made in rows:
        if len(real) == 1:
            if abs(made[0] - real[0]) > TOLERANCE_SINGLE * real[0]:
                faults.append(f"{name}: {made[0]:.2f}; expected {real[0]:.2f} within {TOLERANCE_SINGLE:.0%}")
            continue
        for k in (1, 2, 3):
            if abs(made[k] - real[k]) > TOLERANCE[name]:
                faults.append(
                    f"{name}: p{PERCENTILES[k]} is {made[k]:.2f}; expected {real[k]:.2f} +- {TOLERANCE[name]}")
    return faults


def lines(rows):
    text = ["| statistic | real p0/p5/p50/p95/p100 | generated |", "|---|---|---|"]
    for name, real, made in rows:
        text.append("| {} | {} | {} |".format(
            name.replace("|", "\\|"), " / ".join(f"{x:.2f}" for x in real), " / ".join(f"{x:.2f}" for x in made)))
    return text
