"""Writes what each step of a preprocessing chain makes of a few pictures, by the training's own code, for the device's tests
(Tests/ScreeningTests/Fixtures/chains): `python chain_vectors.py`; with --check only compares."""

import json
import sys

import numpy as np

import comparison
import preprocessing
import shipping
from thermograms import scenes

SEED = 9_400_000
FOLDER = shipping.MODELS.parent / "Tests" / "ScreeningTests" / "Fixtures" / "chains"
CLEAN = {"step": "suppress-outliers", "limit": 250}
END = lambda divisor, zero=0: {"step": "quantise", "divisor": divisor, "zero_point": zero}


def pictures():
    """Torsos, and what no torso is: extremes of the scale, two values, ties, a slope, one pixel off, noise; last an even
    picture, which a step that divides by a spread refuses."""
    rng = np.random.default_rng(SEED)
    torsos = scenes.draw("good", "frontal", 6, SEED)[:6]
    row, column = np.mgrid[0:24, 0:32]
    made = [
        np.where(column < 16, -273.15, 382.2), np.where((row + column) % 2, 31.005, 31.015), 20 + 0.01 * column + 0.3 * row,
        np.where((row == 5) & (column == 7), 31.0, 30.0), rng.uniform(-40, 120, (24, 32)), rng.choice([22.0, 29.995, 36.6], (24, 32)),
        np.full((24, 32), 30.0)]
    return np.concatenate([torsos, np.array(made)]).astype(np.float32)


def chains():
    """By name: Kalva's steps alone, over the frame and over the body, at several settings; his whole chains; with a resize."""
    found = {}
    for region in ("frame", "body"):
        before = [{"step": "mask-body"}] if region == "body" else []
        for levels in (2, 16, 256):
            found[f"min-max {levels} {region}"] = [*before, {"step": "min-max", "levels": levels, "region": region}, END(1, -128)]
        for unit in (1, 32, 100):
            found[f"z-score {unit} {region}"] = [*before, {"step": "z-score", "unit": unit, "region": region}, END(1, 3)]
        for divisor in (1, 7, 300):
            found[f"mean subtraction /{divisor} {region}"] = [*before, {"step": "subtract-mean", "region": region}, END(divisor)]
    for levels in (2, 64, 256):
        found[f"histogram equalisation {levels}"] = [
            {"step": "min-max", "levels": levels, "region": "frame"}, {"step": "equalise-histogram", "levels": levels}, END(1, -128)]
    for size in ((12, 16), (28, 28), (48, 64), (7, 61)):
        found[f"resize {size[0]} x {size[1]}"] = [
            {"step": "subtract-mean", "region": "frame"}, {"step": "resize", "rows": size[0], "columns": size[1]}, END(9)]
    for name in comparison.KALVA_CHAINS:
        found[f"Kalva: {name}"] = comparison.kalva_chain(name)
    for name in comparison.KALVA_CHAINS:
        *steps, end = comparison.kalva_chain(name)
        found[f"Kalva: {name}, resize 32 x 32 x 3"] = [
            *steps, {"step": "resize", "rows": 32, "columns": 32}, {"step": "replicate-channels", "count": 3}, end]
    return found


def main():
    frames, vectors, stale = pictures(), [], []

    def keep(name, values):
        path = FOLDER / name
        if sys.argv[1:] != ["--check"]:
            FOLDER.mkdir(parents=True, exist_ok=True)
            np.save(path, values)
        elif not path.exists() or not np.array_equal(np.load(path), values):
            stale.append(f"{path}: not what the training's chain makes; run Models/training/chain_vectors.py")

    keep("frames.npy", frames)
    for number, (name, steps) in enumerate(chains().items()):
        tensors, refused = [], []
        for at, frame in enumerate(frames):
            try:
                tensors.append(preprocessing.apply(steps, frame[None])[0])
            except preprocessing.Featureless:
                refused.append(at)
                tensors.append(None)
        shape = next(t.shape for t in tensors if t is not None)
        keep(f"{number}.npy", np.stack([np.zeros(shape, np.int8) if t is None else t for t in tensors]))
        vectors.append({"name": name, "steps": steps, "shape": list(shape), "file": f"{number}.npy", "refused": refused})
    text = json.dumps(vectors, indent=1) + "\n"
    path = FOLDER / "chains.json"
    if sys.argv[1:] != ["--check"]:
        path.write_text(text)
    elif path.read_text() != text:
        stale.append(f"{path}: run Models/training/chain_vectors.py")
    if stale:
        sys.exit("\n".join(stale))


if __name__ == "__main__":
    main()
