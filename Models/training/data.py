"""Data sets of synthetic captures, split by synthetic patient."""

import hashlib
import pathlib
import pickle

import numpy as np

from thermograms.generator import FAULTS, VIEWS, Batch

HERE = pathlib.Path(__file__).resolve().parent
CACHE = HERE.parent.parent / "out" / "models-cache"
IDENTITY = "thermograms-synthetic-1"


def cached(function):
    """Keeps a data set on disk under a name that changes with the generator, its parameters and the arguments."""
    def wrapper(*arguments):
        source = b"".join((HERE / name).read_bytes() for name in (
            "data.py", "thermograms/generator.py", "thermograms/pennes.py", "thermograms/parameters.json"))
        key = hashlib.sha256(source + repr((function.__name__, arguments)).encode()).hexdigest()[:24]
        path = CACHE / f"{function.__name__}-{key}.pickle"
        if not path.exists():
            CACHE.mkdir(parents=True, exist_ok=True)
            path.write_bytes(pickle.dumps(function(*arguments)))
        return pickle.loads(path.read_bytes())
    return wrapper


class Captures:
    """celsius float32 [n, 24, 32]; lesion bool [n]; patient int [n]; and what was drawn."""

    def __init__(self, patients, seed, captures=1, lesions=0.5, view="frontal"):
        celsius, rows = [], []
        for start in range(0, patients, 1000):
            batch = Batch(min(1000, patients - start), seed + start, view=view, lesions=lesions)
            for k in range(captures):
                again = batch.celsius if k == 0 else batch.through_sensor(batch.scene).astype(np.float32)
                celsius.append(again)
                rows.append(np.stack([start + np.arange(batch.n), batch.has_lesion, batch.lesion_peak,
                                      batch.vascular_peak, batch.diameter, batch.lesion_side]))
        table = np.concatenate(rows, axis=1)
        self.celsius = np.concatenate(celsius)
        self.patient = table[0].astype(int)
        self.lesion = table[1].astype(bool)
        self.peak, self.vascular, self.diameter, self.side = table[2:]


SEEDS = {"train": 100_000, "validation": 200_000, "test": 300_000}


@cached
def screening(split, patients, captures=1):
    return Captures(patients, SEEDS[split], captures)


def roughened(batch, rng):
    """What a real room and camera add: another background, more noise, raw bad pixels, or no sensor noise at all."""
    n = batch.n
    clean = rng.uniform(size=n) < 0.3
    keeps = batch.fault not in ("motion", "cold-lens")  # these faults live in the sensor
    frames = np.where((clean & keeps)[:, None, None], batch.scene, batch.celsius)
    body = batch.body.reshape(n, 24, 2, 32, 2).mean(axis=(2, 4)) > 0.5
    gap = np.minimum(3, np.maximum(batch.mean - batch.background - 2, 0))
    shift = rng.uniform(-3, 1, n) * (rng.uniform(size=n) < 0.5)
    shift = np.where(shift > 0, shift * gap, shift)
    if batch.fault != "no-torso":
        frames = frames + np.where(body, 0, shift[:, None, None])
    frames = frames + rng.standard_normal(frames.shape) * (
        rng.uniform(0, 0.4, n) * (rng.uniform(size=n) < 0.4))[:, None, None]
    for k in range(4):
        hit = rng.uniform(size=n) < 0.1
        r, c, value = rng.integers(0, 24, n), rng.integers(0, 32, n), rng.uniform(-10, 80, n)
        each = np.nonzero(hit)[0]
        frames[each, r[each], c[each]] = value[each]
    return frames.astype(np.float32)


@cached
def faulty(split, count):
    """(celsius, fault index, view index): about `count` a fault, more of the good and the frontal ones."""
    celsius, faults, views = [], [], []
    rng = np.random.default_rng(SEEDS[split] + 9)
    for v, view in enumerate(VIEWS):
        for f, fault in enumerate(FAULTS):
            if fault == "no-torso" and view != "frontal":
                continue
            n = max(count * (3 if fault == "good" else 1) * (2 if view == "frontal" else 1) // 6, 1)
            batch = Batch(n, SEEDS[split] + 7, view=view, fault=fault, lesions=0.2)
            celsius.append(roughened(batch, rng))
            faults.append(np.full(n, f))
            views.append(np.full(n, v))
    return np.concatenate(celsius), np.concatenate(faults), np.concatenate(views)
