"""Data sets of synthetic captures, split by synthetic patient."""

import hashlib
import pathlib
import pickle

import numpy as np

from thermograms.generator import COLUMNS, FAULTS, FINE, ROWS, VIEWS, Batch

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


def coarse(fine):
    """Means over the sensor's pixels of a fine map [n, 48 or so, 64 or so]."""
    fine = np.broadcast_to(fine, (len(fine), ROWS * FINE, COLUMNS * FINE))
    return fine.reshape(len(fine), ROWS, FINE, COLUMNS, FINE).mean(axis=(2, 4))


def blanked(batch, celsius, rng):
    """`celsius` with the breasts replaced by one temperature: ellipses, boxes, a band, or everything below the chest;
    at the mean of the rest of the body, of the whole body, or of what is replaced."""
    n = batch.n
    column = lambda x: np.asarray(x)[:, None, None]
    body = coarse(batch.body.astype(float)) > 0.5
    radius = column(batch.breast_radius * batch.scale * rng.uniform(0.8, 1.6, n))
    across = np.abs(np.abs(coarse(batch.angle)) - column(batch.breast_angle)) * column(batch.half_width)
    down = (coarse(batch.row) - column(batch.breast_row)) * column(batch.scale)
    kind = rng.integers(0, 7, n)
    shape = np.select([column(kind) < 3, column(kind) < 5, column(kind) < 6],
                      [across ** 2 + down ** 2 < radius ** 2, (across < radius) & (np.abs(down) < radius),
                       np.abs(down) < radius], down > -radius) & body
    mean = lambda where: (celsius * where).sum(axis=(1, 2)) / np.maximum(where.sum(axis=(1, 2)), 1)
    level = np.choose(rng.integers(0, 3, n), [mean(body & ~shape), mean(body), mean(shape)])
    return np.where(shape, column(level), celsius)


def roughened(batch, rng, blank=None):
    """What a real room and camera add: another background, more noise, raw bad pixels, or no sensor noise at all.
    The breasts of the frames in `blank` (bool [n]) are blanked before the noise."""
    n = batch.n
    clean = rng.uniform(size=n) < 0.3
    keeps = batch.fault not in ("motion", "cold-lens")  # these faults live in the sensor
    frames = np.where((clean & keeps)[:, None, None], batch.scene, batch.celsius)
    body = coarse(batch.body.astype(float)) > 0.5
    # Never so warm that the body no longer stands out.
    gap = np.maximum(batch.mean - batch.background - 1.5, 0)
    shift = np.minimum(rng.uniform(-3.5, 3.5, n) * (rng.uniform(size=n) < 0.5), gap)
    if batch.fault != "no-torso":
        frames = frames + np.where(body, 0, shift[:, None, None])
    if blank is not None:
        frames = np.where(blank[:, None, None], blanked(batch, frames, rng), frames)
    frames = frames + rng.standard_normal(frames.shape) * (
        rng.uniform(0, 0.4, n) * (rng.uniform(size=n) < 0.4))[:, None, None]
    for _ in range(4):
        hit = rng.uniform(size=n) < 0.1
        r, c, value = rng.integers(0, 24, n), rng.integers(0, 32, n), rng.uniform(-10, 80, n)
        each = np.nonzero(hit)[0]
        frames[each, r[each], c[each]] = value[each]
    return frames.astype(np.float32)


# The share of training captures whose breasts are blanked: their target is one half, so that a network which cannot see
# the breasts learns to say nothing.
BLANK_SHARE = 0.15


@cached
def screening_rough(split, count):
    """(celsius, target in 0, 0.5 and 1) for training: frontal captures, half with a lesion, as rooms and cameras make
    them; some blanked, half of them mirrored."""
    celsius, target = [], []
    rng = np.random.default_rng(SEEDS[split] + 3)
    for start in range(0, count, 1000):
        batch = Batch(min(1000, count - start), SEEDS[split] + 50_000 + start, lesions=0.5)
        blank = rng.uniform(size=batch.n) < BLANK_SHARE
        frames = roughened(batch, rng, blank)
        celsius.append(np.where((rng.uniform(size=batch.n) < 0.5)[:, None, None], frames[:, :, ::-1], frames))
        target.append(np.where(blank, 0.5, batch.has_lesion))
    return np.concatenate(celsius), np.concatenate(target).astype(np.float32)


@cached
def faulty(split, count):
    """(celsius, fault index, view index): about `count` a fault, more of the good and the frontal ones; as many again of
    the covered ones, blanked after the sensor."""
    celsius, faults, views = [], [], []
    rng = np.random.default_rng(SEEDS[split] + 9)

    def add(batch, fault, view, blank=None):
        celsius.append(roughened(batch, rng, blank))
        faults.append(np.full(batch.n, fault))
        views.append(np.full(batch.n, view))

    for v, view in enumerate(VIEWS):
        for f, fault in enumerate(FAULTS):
            if fault == "no-torso" and view != "frontal":
                continue
            n = max(count * (3 if fault == "good" else 1) * (2 if view == "frontal" else 1) // 6, 2)
            seed = SEEDS[split] + 7
            if fault == "covered":
                add(Batch(n, seed + 1, view=view, lesions=0.2), f, v, np.ones(n, bool))
            add(Batch(n, seed, view=view, fault=fault, lesions=0.2), f, v)
    return np.concatenate(celsius), np.concatenate(faults), np.concatenate(views)
