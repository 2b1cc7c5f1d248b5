"""The higher-order SVD classifier (Savas and Elden 2007) on int8 features, in integers on the device.

Per class, the training tensor (rows x columns x channels x samples) is compressed by the bases of its first three
modes, and the leading directions of its sample mode span the class. A capture goes to the class with the smaller
residual of its projection.
"""

import numpy as np

import preprocessing

UNIT = 4096  # the integer bases are round(4096 b)


def basis(tensor, ranks, count):
    """float [samples, rows, columns, channels] -> orthonormal [count, rows * columns * channels]."""
    x = tensor.astype(np.float64)
    modes = []
    for mode, rank in zip((1, 2, 3), ranks):
        unfolded = np.moveaxis(x, mode, 0).reshape(x.shape[mode], -1)
        values, vectors = np.linalg.eigh(unfolded @ unfolded.T)
        modes.append(vectors[:, ::-1][:, :rank])
    core = np.einsum("nijk,ia,jb,kc->nabc", x, *modes, optimize=True).reshape(len(x), -1)
    values, vectors = np.linalg.eigh(core.T @ core)
    leading = vectors[:, ::-1][:, :count].T.reshape(count, *ranks)
    return np.einsum("nabc,ia,jb,kc->nijk", leading, *modes, optimize=True).reshape(count, -1)


def integer_bases(features, zero_point, truth, ranks=(6, 4, 12), count=8):
    x = features.astype(np.int64) - zero_point
    return np.stack([np.rint(basis(x[truth == c], ranks, count) * UNIT).astype(np.int32) for c in (False, True)])


def residuals(features, zero_point, bases):
    """int64 [n, classes]: parts per million of the energy outside each class's subspace."""
    x = features.astype(np.int64).reshape(len(features), -1) - zero_point
    energy = np.maximum((x * x).sum(axis=1), 1)
    inside = [(x @ b.astype(np.int64).T) ** 2 for b in bases]
    return np.stack([1_000_000 - preprocessing.rounded(
        preprocessing.rounded(p.sum(axis=1), UNIT * UNIT) * 1_000_000, energy) for p in inside], axis=1)
