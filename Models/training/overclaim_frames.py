"""Writes the frames of the overclaim tests (Tests/ScreeningTests/Fixtures/overclaim): synthetic frontal captures that no
training, validation or test set has seen, and frontal captures of each fault, `FAULTS[1:]` in their order."""

import numpy as np

import data
import shipping
from thermograms.generator import FAULTS, Batch

SEED = 400_000
HEALTHY, ILL = 100, 50
FAULTY = 12  # captures of each fault
FOLDER = shipping.MODELS.parent / "Tests" / "ScreeningTests" / "Fixtures" / "overclaim"


def breasts(batch):
    """float32 [n, 4]: row, column of the breast at the image's left and right, radius; pixels of the sensor."""
    angle, row = data.coarse(batch.angle), data.coarse(batch.row)
    rows = np.abs(row[:, :, 0] - batch.breast_row[:, None]).argmin(axis=1)
    line = angle[np.arange(batch.n), rows]
    columns = [np.abs(line - side * batch.breast_angle[:, None]).argmin(axis=1) for side in (-1, 1)]
    return np.stack([rows, *columns, batch.breast_radius], axis=1).astype(np.float32)


def main():
    batches = [Batch(HEALTHY, SEED), Batch(ILL, SEED + 1, lesions=1.0)]
    FOLDER.mkdir(parents=True, exist_ok=True)
    save = lambda name, parts: np.save(FOLDER / f"{name}.npy", np.concatenate(parts))
    save("frames", [b.celsius for b in batches])
    save("breasts", [breasts(b) for b in batches])
    save("body", [np.rint(100 * data.coarse(b.body.astype(float))).astype(np.int8) for b in batches])  # percent
    save("faults", [Batch(FAULTY, SEED + 2, fault=fault).celsius for fault in FAULTS[1:]])
    save("lesion", [b.has_lesion.astype(np.int8) for b in batches])


if __name__ == "__main__":
    main()
