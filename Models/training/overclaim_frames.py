"""Writes the frames of the overclaim tests (Tests/ScreeningTests/Fixtures/overclaim): synthetic frontal captures that no
training, threshold or test set has seen, two thirds of them as the statistics say and a third wider, and frontal captures of each
fault in the order that the tests name."""

import numpy as np

import data
import shipping
from thermograms import scenes
from thermograms.torso import col

SEED = 8_400_000
HEALTHY, ILL = 100, 50
FAULTS = ("no-torso", "off-centre", "too-far", "too-near", "motion", "covered", "hot-object", "cold-lens")
FAULTY = 12  # captures of each fault
FOLDER = shipping.MODELS.parent / "Tests" / "ScreeningTests" / "Fixtures" / "overclaim"


def torsos(n, seed, ill):
    """(celsius, breasts [n, 4]: row, column at the image's left and right, radius; body in percent) of `n` captures."""
    rng = np.random.default_rng(seed)
    frames, breasts, covers = [], [], []
    for kind, count in (("inside", 2 * n // 3), ("wider", n - 2 * n // 3)):
        people, session = scenes.bodies(rng, count, kind)
        # The tests make the room 3 degC warmer: a body must still stand out of it by the gate's 2.
        people.value["body minus ambient"] = np.maximum(people.value["body minus ambient"], 6.0)
        clean = people.render("frontal", session, scenes.seed_of(rng))
        row, column = session.back(scenes.ROW[None], scenes.COLUMN[None])
        places = []
        for side in (-1, 1):
            u = side * people.nipple_u[0]
            line = people.apex + people.drop * np.abs(u) ** people.power - 4
            at = ((row - col(line)) ** 2 + (column - col(people.middle + u * people.half)) ** 2).reshape(count, -1).argmin(axis=1)
            places.append((at // 32, at % 32))
        radius = np.clip(people.half * session.scale * 0.38, 3.0, 5.2)
        breasts.append(np.stack([(places[0][0] + places[1][0]) / 2, places[0][1], places[1][1], radius], axis=1))
        covers.append(people.coverage)
        if ill:
            side = rng.integers(0, 2, count)
            r, c = (np.where(side == 0, places[0][k], places[1][k]) + rng.uniform(-2, 2, count) for k in (0, 1))
            clean = clean + data.spot(r, c, rng.uniform(2.5, 6, count), data.sigma_of(rng.uniform(3, 6, count), people.half * session.scale))
        frames.append(scenes.sensor(rng, clean, clean=0.3))
    return np.concatenate(frames), np.concatenate(breasts).astype(np.float32), np.concatenate(covers)


def main():
    parts = [torsos(HEALTHY, SEED, False), torsos(ILL, SEED + 1, True)]
    FOLDER.mkdir(parents=True, exist_ok=True)
    save = lambda name, values: np.save(FOLDER / f"{name}.npy", np.ascontiguousarray(values))
    save("frames", np.concatenate([p[0] for p in parts]).astype(np.float32))
    save("breasts", np.concatenate([p[1] for p in parts]))
    save("body", np.rint(100 * np.concatenate([p[2] for p in parts])).astype(np.int8))  # percent
    save("faults", np.concatenate([scenes.draw(f, "frontal", 24, SEED + 2)[:FAULTY] for f in FAULTS]))
    save("lesion", np.r_[np.zeros(HEALTHY), np.ones(ILL)].astype(np.int8))


if __name__ == "__main__":
    main()
