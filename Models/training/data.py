"""Data sets of synthetic captures. The splits differ in seed and so in body: `train` fits, `choose` stops the fit,
`calibrate` sets thresholds, `test` is looked at once, when everything is frozen.

`python data.py` draws all of them into the cache, each part once, so that an interrupted run goes on where it was.
"""

import hashlib
import pathlib
import sys

import numpy as np

from thermograms import scenes
from thermograms.generator import VIEWS
from thermograms.torso import COLUMNS, ROWS, col

HERE = pathlib.Path(__file__).resolve().parent
CACHE = HERE.parent.parent / "out" / "models-cache"
IDENTITY = "thermograms-synthetic-2"
SPLITS = {"train": 1_000_000, "choose": 2_000_000, "calibrate": 3_000_000, "test": 4_000_000}
SOURCES = ("data.py", "thermograms/torso.py", "thermograms/scenes.py", "thermograms/generator.py",
           "thermograms/pennes.py", "thermograms/parameters.json", "thermograms/statistics.json")


def cached(name, make):
    """The arrays of `make()`, kept under a name that changes with the generator's files."""
    source = b"".join((HERE / s).read_bytes() for s in SOURCES)
    path = CACHE / f"{name}-{hashlib.sha256(source).hexdigest()[:16]}.npz"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part.npz")
        np.savez(part, **make())
        part.replace(path)
    with np.load(path) as stored:
        return dict(stored)


# Captures for the quality network ------------------------------------------------------------------------------------

FRONTAL = {"good": 4500, "no-torso": 3600, "two-people": 1300, "pose": 1600, "off-centre": 800, "too-far": 800,
           "too-near": 800, "motion": 900, "covered": 3000, "hot-object": 800, "cold-lens": 800, "defect": 1300}
TURNED = {"good": 900, **dict.fromkeys(scenes.TURNABLE, 70), "covered": 160}
SHARE = {"train": 1.0, "choose": 0.1, "calibrate": 0.2, "test": 0.2}


def captures(split):
    """celsius [n, 24, 32], label [n] of `scenes.LABELS`, view [n] of `VIEWS` (-1: none can be told)."""
    parts = []
    for view in VIEWS:
        for label, count in (FRONTAL if view == "frontal" else TURNED).items():
            seed = SPLITS[split] + 10_000
            n = max(int(count * SHARE[split]), 10)
            made = cached(f"captures-{split}-{view}-{label}",
                          lambda: {"celsius": scenes.draw(label, view, n, seed)})["celsius"]
            k = len(made)
            told = label not in ("no-torso", "two-people", "pose", "too-near")
            parts.append((made, np.full(k, scenes.LABELS.index(label)), np.full(k, VIEWS.index(view) if told else -1)))
    return tuple(np.concatenate(x) for x in zip(*parts))


# Torsos for the detectors --------------------------------------------------------------------------------------------

TORSOS = {"train": 7000, "choose": 500, "calibrate": 3000, "test": 2500}
PIECE = 500


def _torsos(split, start):
    """Clean frontal captures of the good class, where a finding may lie (the breasts), the trunk's half width."""
    rng = np.random.default_rng([SPLITS[split], start, 3])
    frames, zones, halves, kinds = [], [], [], []
    for kind, share in (("inside", 0.68), ("wider", 0.24), ("hanging", 0.08)):
        n = int(round(PIECE * share))
        people, session = scenes.bodies(rng, n, kind)
        clean = people.render("frontal", session, scenes.seed_of(rng), blur=(0.3, 0.6))
        frames.append(scenes.other_room(rng, clean, people.coverage, 0.3))
        row, column = session.back(scenes.ROW[None], scenes.COLUMN[None])
        u = (column - col(people.middle)) / col(people.half)
        below = row - people.fold_line(u)
        zones.append((below < -0.5) & (below > -9) & (np.abs(u) > 0.12) & (np.abs(u) < 0.92) & (people.coverage > 0.99))
        halves.append(people.half * session.scale)
        kinds.append(np.full(n, kind == "inside"))
    frames = np.concatenate(frames).astype(np.float32)
    noise = scenes.sensor(rng, frames, clean=0.35) - frames
    return {"clean": frames, "noise": noise.astype(np.float16), "zone": np.concatenate(zones),
            "half": np.concatenate(halves).astype(np.float32), "inside": np.concatenate(kinds)}


class Torsos:
    """clean [n, 24, 32] degC, noise (what the sensor adds), zone bool [n, 24, 32], half [n] pixels, inside bool [n]."""

    def __init__(self, split, count=None):
        count = count or TORSOS[split]
        parts = [cached(f"torsos-{split}-{s}", lambda s=s: _torsos(split, s)) for s in range(0, count, PIECE)]
        for name in parts[0]:
            setattr(self, name, np.concatenate([p[name] for p in parts])[:count])
        self.noise = self.noise.astype(np.float32)
        usable = self.zone.any(axis=(1, 2))
        for name in parts[0]:
            setattr(self, name, getattr(self, name)[usable])

    @property
    def celsius(self):
        return self.clean + self.noise

    def __len__(self):
        return len(self.clean)


def place(rng, zone):
    """One pixel of each zone, [n], [n]; with a part of a pixel."""
    keys = rng.uniform(size=zone.shape) * zone
    at = keys.reshape(len(zone), -1).argmax(axis=1)
    return at // COLUMNS + rng.uniform(-0.5, 0.5, len(zone)), at % COLUMNS + rng.uniform(-0.5, 0.5, len(zone))


def spot(row, column, height, sigma):
    """float32 [n, 24, 32]: Gaussian warm spots."""
    r, c = np.mgrid[0:ROWS, 0:COLUMNS].astype(np.float32)
    distance = (r - col(row)) ** 2 + (c - col(column)) ** 2
    return (col(height) * np.exp(-distance / col(2 * np.broadcast_to(sigma, np.shape(row)) ** 2))).astype(np.float32)


# A spot of this many centimetres across, at half its height, on a trunk 34 cm wide.
def sigma_of(centimetres, half):
    return centimetres / (34.0 / (2 * half)) / 2.3548


if __name__ == "__main__":
    for kind in sys.argv[1:] or ("captures", "torsos"):
        for split in SPLITS:
            print(kind, split, len(captures(split)[0]) if kind == "captures" else len(Torsos(split)), flush=True)
