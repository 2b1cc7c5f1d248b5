"""Surface warming above a tumour: the steady Pennes bioheat equation on an axisymmetric grid.

    k laplace(T) + w rho_b c_b (T_a - T) + q = 0

Layers: skin 2 mm, fat, gland, muscle at the bottom (held at the core's temperature); the surface loses heat to the
room by h (T - ambient). A sphere has its own perfusion and metabolic heat, which grows with the tumour's doubling
rate. The answer is the difference of the surface with and without the sphere, as a radial profile.
Values: Pennes (1948) for the equation; tissue values as usual in the breast literature (Gonzalez 2007; Ng and Sudharsan
2001), within the ranges of parameters.json.
"""

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.linalg import spsolve

SPACING = 2.0  # mm
RADIUS, DEPTH = 80.0, 70.0  # mm
BLOOD = 1060.0 * 3770.0  # J / (m^3 K)
SKIN, FAT, GLAND = 0, 1, 2
CONDUCTIVITY = np.array([0.45, 0.21, 0.48, 0.48])  # W/(m K): skin, fat, gland, tumour
PERFUSION = np.array([1.8e-4, 2.2e-4, 5.4e-4, 0.0])  # 1/s; the tumour's is drawn
HEAT = np.array([368.0, 400.0, 700.0, 0.0])  # W/m^3; the tumour's is drawn


def _temperature(depth, diameter, fat, ambient, perfusion, heat, with_sphere):
    nr, nz = int(RADIUS / SPACING), int(DEPTH / SPACING)
    r = (np.arange(nr) + 0.5) * SPACING
    z = (np.arange(nz) + 0.5) * SPACING
    tissue = np.where(z < 2, SKIN, np.where(z < 2 + fat, FAT, GLAND))[:, None].repeat(nr, axis=1)
    w, q, k = PERFUSION[tissue], HEAT[tissue], CONDUCTIVITY[tissue]
    if with_sphere:
        inside = (r[None, :] ** 2 + (z[:, None] - depth) ** 2) <= (diameter / 2) ** 2
        w, q, k = np.where(inside, perfusion, w), np.where(inside, heat, q), np.where(inside, CONDUCTIVITY[3], k)
    h, core, metre = 10.0, 37.0, 1e-3
    d = SPACING * metre
    index = np.arange(nr * nz).reshape(nz, nr)
    diagonal = (w * BLOOD).ravel().copy()
    right = (w * BLOOD * core + q).ravel().copy()
    rows, columns, values = [], [], []

    def couple(a, b, conductance):
        rows.extend([a, b])
        columns.extend([b, a])
        values.extend([-conductance[0], -conductance[1]])
        np.add.at(diagonal, a, conductance[0])
        np.add.at(diagonal, b, conductance[1])

    mean = 2 * k[:-1] * k[1:] / (k[:-1] + k[1:]) / d ** 2
    couple(index[:-1].ravel(), index[1:].ravel(), (mean.ravel(), mean.ravel()))
    face = (np.arange(nr - 1) + 1) * SPACING
    mean = 2 * k[:, :-1] * k[:, 1:] / (k[:, :-1] + k[:, 1:]) / d ** 2
    couple(index[:, :-1].ravel(), index[:, 1:].ravel(),
           ((mean * face / r[:-1]).ravel(), (mean * face / r[1:]).ravel()))
    surface = 1 / (1 / h + d / 2 / k[0]) / d
    diagonal[index[0]] += surface
    right[index[0]] += surface * ambient
    bottom = 2 * k[-1] / d ** 2
    diagonal[index[-1]] += bottom
    right[index[-1]] += bottom * core
    matrix = sparse.csr_matrix(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), (nr * nz, nr * nz))
    field = spsolve((matrix + sparse.diags(diagonal)).tocsc(), right).reshape(nz, nr)
    outside = field[0] - (field[0] - ambient) * surface * d * (d / 2 / k[0])
    return r, outside


def solve(depth, diameter, fat, ambient, perfusion, heat):
    """(peak degC, radius in mm at which half the peak is left)."""
    r, warm = _temperature(depth, diameter, fat, ambient, perfusion, heat, True)
    _, base = _temperature(depth, diameter, fat, ambient, perfusion, heat, False)
    profile = warm - base
    peak = float(profile[0])
    below = np.nonzero(profile < peak / 2)[0]
    return peak, float(r[below[0]]) if len(below) else RADIUS


def table(parameters, count, seed):
    """`count` lesions drawn from the parameters: an array of (depth, diameter, fat, ambient, peak, half radius)."""
    draw = np.random.default_rng(seed)
    lesions = []
    for _ in range(count):
        diameter = draw.uniform(*parameters["diameter_mm"])
        shallowest = max(parameters["depth_mm"][0], diameter / 2 + 2)
        depth = draw.uniform(shallowest, max(parameters["depth_mm"][1], shallowest))
        fat, ambient = draw.uniform(*parameters["fat_mm"]), draw.uniform(*parameters["ambient_celsius"])
        perfusion = draw.uniform(*parameters["perfusion_per_second"])
        heat = np.exp(draw.uniform(*np.log(parameters["metabolic_watt_per_cubic_metre"])))
        peak, half = solve(depth, diameter, fat, ambient, perfusion, heat)
        lesions.append((depth, diameter, fat, ambient, peak, half))
    return np.array(lesions)
