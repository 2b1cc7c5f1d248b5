"""Captures for the quality network: the good class (about two thirds as the statistics, the rest wider on purpose) and
what must be refused. Each function takes a generator of random numbers and returns what the sensor reads, float32
[n, 24, 32] degC."""

import numpy as np
from scipy import ndimage

from . import torso
from .generator import PARAMETERS, VIEWS, Batch
from .torso import COLUMNS, ROWS, People, Session, col, smooth_field

LABELS = ("good", "no-torso", "two-people", "pose", "off-centre", "too-far", "too-near", "motion", "covered",
          "hot-object", "cold-lens", "defect")
ROW, COLUMN = (x.astype(np.float32) for x in np.mgrid[0:ROWS, 0:COLUMNS])


def seed_of(rng):
    return int(rng.integers(1 << 31))


def sensor(rng, frames, clean=0.3):
    """What the camera adds: noise of its rate and averaging, corners, fixed pattern, offset, interpolated and raw bad
    pixels; nothing at all in a share of `clean`."""
    n, p = len(frames), PARAMETERS["sensor"]
    radius = ((ROW - 11.5) ** 2 + (COLUMN - 15.5) ** 2) / (11.5 ** 2 + 15.5 ** 2)
    averaged = np.exp(rng.uniform(*np.log(p["frames_averaged"]), n))
    netd = p["netd_kelvin_per_root_hertz"] * np.sqrt(rng.choice(p["rate_hertz"], n) / averaged)
    noisy = rng.uniform(size=n) >= clean
    noise = rng.standard_normal(frames.shape) * (1 + (p["corner_factor"] - 1) * radius) * col(netd)
    noise = noise + rng.standard_normal(frames.shape) * col(rng.uniform(*p["fixed_pattern_sd"], n))
    noise = noise + rng.standard_normal(frames.shape) * col(rng.uniform(0, 0.35, n) * (rng.uniform(size=n) < 0.2))
    offset = rng.standard_normal(n) * rng.uniform(*p["offset_sd"], n)
    seen = frames + noise * col(noisy) + col(offset)
    each = np.arange(n)
    for _ in range(3):
        r, c = rng.integers(1, ROWS - 1, n), rng.integers(1, COLUMNS - 1, n)
        mean = (seen[each, r - 1, c] + seen[each, r + 1, c] + seen[each, r, c - 1] + seen[each, r, c + 1]) / 4
        seen[each, r, c] = np.where(rng.uniform(size=n) < 0.3, mean, seen[each, r, c])
        hit = np.nonzero(rng.uniform(size=n) < 0.04)[0]
        seen[hit, rng.integers(0, ROWS, len(hit)), rng.integers(0, COLUMNS, len(hit))] = rng.uniform(-10, 80, len(hit))
    return seen.astype(np.float32)


def other_room(rng, frames, coverage, share=0.5):
    """A share of the scenes before another background: warmer or colder, with a gradient and furniture."""
    n = len(frames)
    drop = rng.uniform(-3.5, 3.5, n) + smooth_level(rng, n)
    gap = np.array([f[m > 0.9].mean() - f[m < 0.1].mean() if (m > 0.9).any() and (m < 0.1).any() else 5.0
                    for f, m in zip(frames, coverage)])
    shift = np.minimum(drop, np.maximum(gap - 2.2, 0))
    slope = rng.normal(0, 0.08, (2, n))
    plane = col(slope[0]) * (ROW - 12) + col(slope[1]) * (COLUMN - 16)
    box = (np.abs(ROW - col(rng.uniform(0, 24, n))) < col(rng.uniform(1, 14, n))) & (
        np.abs(COLUMN - col(rng.choice([-1, 33], n) + rng.normal(0, 3, n))) < col(rng.uniform(1, 6, n)))
    box = box * col(rng.uniform(-1.5, 2.0, n) * (rng.uniform(size=n) < 0.3))
    chosen = col(rng.uniform(size=n) < share)
    return frames + (1 - coverage) * chosen * (col(shift) + plane + box + smooth_field(rng, n, 3) * col(rng.uniform(0, 0.4, n)))


def smooth_level(rng, n):
    return rng.normal(0, 0.3, n)


def bodies(rng, n, kind=None):
    """(people, session) of the good class: `inside` as the statistics say, `wider` and `hanging` on purpose beyond."""
    kind = kind or "inside"
    if kind == "inside":
        return People(n, seed_of(rng), marker=0.5), Session.draw(rng, n, 0.4, 0.02, 1.0, 0.15)
    poses = ("hanging",) if kind == "hanging" else ("raised", "raised", "hanging")
    people = People(n, seed_of(rng), spread=rng.choice([1.0, 1.25]), marker=0.35, poses=poses)
    warmth = smooth_field(rng, n, 5.0) * col(rng.uniform(0.1, 0.7, n))
    # Regions that differ between protocols and ages: a cooler upper chest, warmer breasts, an even skin.
    tilt = col(rng.normal(0, 0.05, n)) * (ROW - 12)
    session = Session(rng.normal(0, 1.0, n), rng.normal(0, 0.9, n), np.exp(rng.uniform(np.log(0.74), np.log(1.12), n)),
                      np.radians(rng.normal(0, 3.5, n)), np.zeros(n), (warmth + tilt).astype(np.float32))
    people.value["body mean"] = people.value["body mean"] + rng.uniform(-1.2, 2.5, n)
    people.value["body minus ambient"] = np.maximum(people.value["body minus ambient"] + rng.uniform(-1.5, 2.5, n), 3.5)
    return people, session


def spots(rng, n, share, people, low=0.5, high=5.0):
    """A function for `render`: a warm spot in a share of the people, so that no class depends on one."""
    on = rng.uniform(size=n) < share
    height, width = rng.uniform(low, high, n) * on, rng.uniform(0.6, 2.0, n)
    u = rng.uniform(-0.85, 0.85, n)
    centre = people.middle + u * people.half
    row = people.apex + people.drop * np.abs(u) ** people.power - rng.uniform(0.5, 9, n)
    return lambda r, c: col(height) * np.exp(-((r - col(row)) ** 2 + (c - col(centre)) ** 2) / col(2 * width ** 2))


def scenes(rng, n, kind="inside", view="frontal", change=None, finding=0.2):
    """(clean frames, coverage) of one kind of the good class."""
    if kind == "cylinder":
        batch = Batch(n, seed_of(rng), view=view, lesions=finding, sensor=False)
        body = np.broadcast_to(batch.body, (n, ROWS * 2, COLUMNS * 2)).astype(np.float32)
        return batch.scene.astype(np.float32), body.reshape(n, ROWS, 2, COLUMNS, 2).mean(axis=(2, 4))
    people, session = bodies(rng, n, kind)
    if change is not None:
        change(session, people)
    add = spots(rng, n, finding, people)
    frames = people.render(view, session, seed_of(rng), blur=(0.3, 0.6), add=add)
    return frames, people.coverage


MIXTURE = (("inside", 0.62), ("wider", 0.22), ("hanging", 0.08), ("cylinder", 0.08))


def mixed(rng, n, view="frontal", change=None, kinds=MIXTURE, room=0.4):
    """(clean frames, coverage) of all kinds, about `n`, in random order."""
    if n > 320:  # batches that fit the processor's cache
        parts = [mixed(rng, min(256, n - s), view, change, kinds, room) for s in range(0, n, 256)]
        return tuple(np.concatenate(x) for x in zip(*parts))
    parts = []
    for kind, share in kinds:
        k = int(round(n * share))
        if k:
            frames, coverage = scenes(rng, k, kind, view, None if kind == "cylinder" else change)
            parts.append((other_room(rng, frames, coverage, room), coverage))
    order = rng.permutation(sum(len(f) for f, _ in parts))
    return np.concatenate([f for f, _ in parts])[order], np.concatenate([c for _, c in parts])[order]


BODY_KINDS = (("inside", 0.65), ("wider", 0.25), ("hanging", 0.1))


# What must be refused ------------------------------------------------------------------------------------------------

def shapes(rng, n, count, warm):
    """Sums of soft ellipses, boxes and bars."""
    total = np.zeros((n, ROWS, COLUMNS), np.float32)
    for _ in range(count):
        r, c = rng.uniform(-2, ROWS + 2, n), rng.uniform(-2, COLUMNS + 2, n)
        h, w = np.exp(rng.uniform(np.log(0.8), np.log(12), (2, n)))
        turn = rng.uniform(0, np.pi, n)
        a, b = ROW - col(r), COLUMN - col(c)
        y, x = col(np.cos(turn)) * a - col(np.sin(turn)) * b, col(np.sin(turn)) * a + col(np.cos(turn)) * b
        ellipse = (y / col(h)) ** 2 + (x / col(w)) ** 2 < 1
        box = (np.abs(y) < col(h)) & (np.abs(x) < col(w))
        shape = np.where(col(rng.uniform(size=n) < 0.6), ellipse, box).astype(np.float32)
        shape = ndimage.gaussian_filter(shape, (0, 0.5, 0.5), mode="nearest")
        total = np.where(shape > 0.5, shape * col(rng.uniform(*warm, n)), total)
    return total


def room(rng, n):
    return col(rng.uniform(16, 27, n)) + smooth_field(rng, n, rng.uniform(1.5, 6)) * col(rng.uniform(0.03, 0.8, n)) + (
        col(rng.normal(0, 0.06, n)) * (ROW - 12))


def furniture(rng, n):
    return room(rng, n) + shapes(rng, n, int(rng.integers(0, 4)), (-3, 9)) * col(rng.uniform(size=n) < 0.8)


def radiators(rng, n):
    """Ribs across or along a warm panel, from luke-warm to hot; also plain panels and pipes."""
    period, phase = rng.uniform(1.6, 7, n), rng.uniform(0, 7, n)
    upright = rng.uniform(size=n) < 0.75
    along = np.where(col(upright), COLUMN, ROW) + 0 * ROW
    wave = np.cos(2 * np.pi * (along + col(phase)) / col(period))
    ribs = np.sign(wave) * np.abs(wave) ** col(rng.uniform(0.3, 1.5, n))
    depth = col(rng.uniform(0, 3.5, n))
    r, c = rng.uniform(6, 18, n), rng.uniform(9, 23, n)
    h, w = rng.uniform(3, 16, n), rng.uniform(4, 20, n)
    panel = (np.abs(ROW - col(r)) < col(h)) & (np.abs(COLUMN - col(c)) < col(w))
    tilt = col(rng.normal(0, 0.12, n)) * (ROW - 12) + col(rng.normal(0, 0.05, n)) * (COLUMN - 16)
    level = col(rng.uniform(3, 22, n)) + depth * ribs + tilt + smooth_field(rng, n, 3) * col(rng.uniform(0, 0.5, n))
    soft = ndimage.gaussian_filter(panel.astype(np.float32), (0, 0.45, 0.45), mode="nearest")
    return room(rng, n) + soft * level


def animals(rng, n):
    """Furred bodies: lumpy outline, cool coat with warm bare parts (ears, muzzle, belly, eyes), legs, head; some fill
    the frame."""
    big = rng.uniform(size=n) < 0.5
    r, c = rng.uniform(8, 16, n), rng.uniform(8, 24, n)
    h, w = np.where(big, rng.uniform(8, 18, n), rng.uniform(3, 9, n)), np.where(
        big, rng.uniform(10, 22, n), rng.uniform(5, 13, n))
    wobble = smooth_field(rng, n, 2.5) * col(rng.uniform(0.05, 0.3, n))
    distance = ((ROW - col(r)) / col(h)) ** 2 + ((COLUMN - col(c)) / col(w)) ** 2 + wobble
    body = distance < 1
    for _ in range(int(rng.integers(0, 5))):  # legs, tail
        x = col(c + rng.uniform(-0.8, 0.8, n) * w) + col(rng.normal(0, 0.2, n)) * (ROW - col(r))
        body |= (np.abs(COLUMN - x) < col(rng.uniform(0.7, 2.4, n))) & (ROW > col(r)) & (ROW < col(r + h + rng.uniform(0, 9, n)))
    hr, hc, hs = r - rng.uniform(-0.3, 1.1, n) * h, c + rng.choice([-1, 1], n) * rng.uniform(0.3, 1.0, n) * w, rng.uniform(2, 6.5, n)
    head = ((ROW - col(hr)) ** 2 + (COLUMN - col(hc)) ** 2) < col(hs ** 2)
    fur = smooth_field(rng, n, rng.uniform(0.6, 1.6)) * col(rng.uniform(0.2, 1.2, n)) + smooth_field(rng, n, 3.5) * col(
        rng.uniform(0.3, 1.6, n))
    skin = col(rng.uniform(3, 10, n)) + fur + col(rng.normal(0, 0.12, n)) * (ROW - 12)
    picture = np.where(body, skin, 0)
    picture = np.where(head, skin + col(rng.uniform(-1, 3, n)), picture)
    for _ in range(int(rng.integers(2, 6))):  # bare parts
        a, b = rng.uniform(0, 2 * np.pi, n), rng.uniform(0, 1, n)
        y, x = np.where(rng.uniform(size=n) < 0.6, hr + hs * b * np.sin(a), r + h * b * np.sin(a)), np.where(
            rng.uniform(size=n) < 0.6, hc + hs * b * np.cos(a), c + w * b * np.cos(a))
        size = rng.uniform(0.5, 2.5, n)
        picture = picture + (body | head) * col(rng.uniform(0.5, 5, n)) * np.exp(
            -((ROW - col(y)) ** 2 + (COLUMN - col(x)) ** 2) / col(2 * size ** 2))
    return room(rng, n) + ndimage.gaussian_filter(picture, (0, 0.4, 0.4), mode="nearest")


def hands(rng, n):
    """A palm with fingers and a forearm, near or far, from any side; fingers often cold."""
    size = np.exp(rng.uniform(np.log(2.2), np.log(8), n))
    turn, r, c = rng.uniform(0, 2 * np.pi, n), rng.uniform(6, 18, n), rng.uniform(8, 24, n)
    a, b = ROW - col(r), COLUMN - col(c)
    y = (col(np.cos(turn)) * a - col(np.sin(turn)) * b) / col(size)
    x = (col(np.sin(turn)) * a + col(np.cos(turn)) * b) / col(size)
    palm = (np.abs(x) < 0.85) & (np.abs(y) < 1)
    wrist = (np.abs(x) < col(rng.uniform(0.5, 0.75, n))) & (y > 0.8)
    level = np.zeros(y.shape, np.float32)
    cold = col(rng.uniform(-5, 1, n))
    for k in range(4):
        way, long, thick = rng.normal((k - 1.5) * 0.16, 0.07, n), rng.uniform(1.6, 2.5, n), rng.uniform(0.14, 0.23, n)
        finger = (np.abs(x - (k - 1.5) * 0.44 + (y + 1) * col(np.tan(way))) < col(thick)) & (y < -0.8) & (y > -col(long))
        level = np.where(finger, cold * np.clip((-y - 0.8) / 1.4, 0, 1), np.where(finger, level, level))
        palm = palm | finger
    side = rng.choice([-1, 1], n)
    thumb = (np.abs((y - 0.1) + 0.9 * (col(side) * x - 0.85)) < 0.32) & (col(side) * x > 0.7) & (col(side) * x < 1.7)
    body = palm | wrist | thumb
    pattern = level + smooth_field(rng, n, 2) * col(rng.uniform(0.1, 0.9, n)) + 1.2 * np.exp(-(x ** 2 + y ** 2))
    skin = col(rng.uniform(4, 12, n)) + pattern
    return room(rng, n) + ndimage.gaussian_filter(body * skin, (0, 0.4, 0.4), mode="nearest")


def faces(rng, n):
    """A head and neck with cool nose and hair, warm eyes; cups and kettles are of the same round kind."""
    r, c, h = rng.uniform(6, 16, n), rng.uniform(9, 23, n), rng.uniform(4, 13, n)
    w = h * rng.uniform(0.6, 0.85, n)
    y, x = (ROW - col(r)) / col(h), (COLUMN - col(c)) / col(w)
    head = y ** 2 + x ** 2 < 1
    neck = (np.abs(x) < col(rng.uniform(0.4, 0.7, n))) & (y > 0.6)
    shoulders = (y > col(rng.uniform(1.15, 1.7, n))) & (np.abs(x) < col(rng.uniform(1.2, 3.0, n)))
    clothed = col(rng.uniform(-5, 0.5, n))
    skin = col(rng.uniform(5, 12, n)) + 0 * y
    skin = skin - col(rng.uniform(0, 4, n)) * np.exp(-((y - 0.2) ** 2 + x ** 2) / 0.05) - col(
        rng.uniform(0, 5, n)) * (y < -0.5) + 1.5 * np.exp(-((y + 0.1) ** 2 + (np.abs(x) - 0.4) ** 2) / 0.03)
    skin = np.where(shoulders & ~head, skin + clothed, skin) + smooth_field(rng, n, 2) * col(rng.uniform(0.1, 0.6, n))
    return room(rng, n) + ndimage.gaussian_filter((head | neck | shoulders) * skin, (0, 0.4, 0.4), mode="nearest")


def cups(rng, n):
    r, c, h, w = rng.uniform(5, 19, n), rng.uniform(6, 26, n), rng.uniform(2, 11, n), rng.uniform(1.5, 12, n)
    y, x = (ROW - col(r)) / col(h), (COLUMN - col(c)) / col(w * rng.uniform(0.8, 1.1, n))
    body = (np.abs(y) < 1) & (np.abs(x) < 1 - 0.12 * y * col(rng.uniform(-1, 1, n)))
    level = col(rng.uniform(3, 35, n)) * (1 - col(rng.uniform(0, 0.5, n)) * (y < col(rng.uniform(-1, 0.6, n))))
    level = level + smooth_field(rng, n, 3) * col(rng.uniform(0, 0.6, n))
    return room(rng, n) + ndimage.gaussian_filter(body * level, (0, 0.4, 0.4), mode="nearest")


def blobs(rng, n):
    """Nothing known: smooth warm masses that fill a part of the frame as large as a body, with any texture."""
    outline = smooth_field(rng, n, rng.uniform(2.5, 7)) + col(rng.uniform(-0.6, 1.5, n))
    texture = smooth_field(rng, n, rng.uniform(0.5, 4)) * col(rng.uniform(0.1, 2.0, n)) + smooth_field(rng, n, 4) * col(
        rng.uniform(0, 1.5, n))
    level = (outline > 0) * (col(rng.uniform(3, 12, n)) + texture)
    return room(rng, n) + ndimage.gaussian_filter(level, (0, 0.4, 0.4), mode="nearest")


def rectangles(rng, n):
    """A body-sized upright shape without a body's pattern: a chair's back, a bottle, a door, a wall's warm patch."""
    half, mid = rng.uniform(7, 15, n), rng.normal(15.5, 1.5, n)
    width = col(half) * (1 + col(rng.normal(0, 0.02, n)) * (ROW - 12) + col(rng.uniform(-0.15, 0.35, n)) * np.clip((6 - ROW) / 6, 0, 1))
    body = (np.abs(COLUMN - col(mid)) < width) & (ROW > col(rng.uniform(-12, 4, n)))
    texture = smooth_field(rng, n, rng.uniform(0.5, 6)) * col(rng.uniform(0.05, 1.6, n))
    rough = rng.standard_normal(body.shape) * col(rng.uniform(0, 0.5, n))
    slope = col(rng.normal(0, 0.1, n)) * (ROW - 12)
    return room(rng, n) + ndimage.gaussian_filter(body * (col(rng.uniform(4, 11, n)) + texture + rough + slope), (0, 0.4, 0.4), mode="nearest")


def shuffled(rng, n):
    """Torsos whose halves or quarters have changed places, are transposed, or were seen from behind."""
    frames, coverage = mixed(rng, n, kinds=BODY_KINDS)
    result = frames.copy()
    for i in range(len(frames)):
        kind = rng.integers(0, 4)
        if kind == 0:
            result[i] = np.roll(frames[i], rng.integers(6, 18), axis=0)
        elif kind == 1:
            result[i] = np.roll(frames[i], rng.integers(9, 23), axis=1)
        elif kind == 2:
            result[i] = np.kron(frames[i].reshape(3, 8, 4, 8).transpose(0, 2, 1, 3).reshape(12, 8, 8)[
                rng.permutation(12)].reshape(3, 4, 8, 8).transpose(0, 2, 1, 3).reshape(24, 32), np.ones((1, 1)))
        else:  # the body's pattern taken by chance from elsewhere in it
            m = coverage[i] > 0.95
            values = frames[i][m]
            result[i][m] = ndimage.gaussian_filter(
                np.where(m, frames[i].ravel()[rng.permutation(768)].reshape(24, 32), values.mean()), 0.6)[m]
            result[i][m] += values.mean() - result[i][m].mean()
    return result.astype(np.float32)


NO_TORSO = (furniture, radiators, radiators, animals, animals, hands, hands, faces, cups, blobs, rectangles, shuffled)


def no_torso(rng, n):
    counts = rng.multinomial(n, np.ones(len(NO_TORSO)) / len(NO_TORSO))
    return np.concatenate([make(rng, k) for make, k in zip(NO_TORSO, counts) if k])


def two_people(rng, n):
    """Two bodies beside or before each other, moved by 5 to 13 columns, one often nearer."""
    first, a = mixed(rng, n, change=lambda s, p: shift(rng, s, -rng.uniform(4, 12, len(s.across)), (0.5, 1.0)), kinds=BODY_KINDS)
    second, b = mixed(rng, n, change=lambda s, p: shift(rng, s, rng.uniform(4, 12, len(s.across)), (0.5, 1.0)), kinds=BODY_KINDS)
    m = min(len(first), len(second))
    first, a, second, b = first[:m], a[:m], second[:m], b[:m]
    return a * first + (1 - a) * (b * second + (1 - b) * (a * 0 + np.minimum(first, second)))


def shift(rng, session, across, scale):
    session.across = session.across + across
    session.scale = session.scale * rng.uniform(*scale, len(session.scale))


def pose(rng, n):
    """Upside down, lying (a quarter turn), leaning far."""
    frames, coverage = mixed(rng, n, kinds=MIXTURE)
    kind = rng.uniform(size=len(frames))
    down = frames[:, ::-1].copy()
    down = np.where(col(rng.uniform(size=len(frames)) < 0.5), down[:, :, ::-1], down)
    square = frames[:, :, 4:28]
    quarter = np.where(col(rng.uniform(size=len(frames)) < 0.5), np.rot90(square, 1, (1, 2)), np.rot90(square, 3, (1, 2)))
    edge = np.median(np.concatenate([frames[:, 12:, 0], frames[:, 12:, -1]], axis=1), axis=1)
    lying = np.repeat(col(edge), COLUMNS, axis=2).repeat(ROWS, axis=1)
    lying = lying + 0.25 * rng.standard_normal(lying.shape)
    lying[:, :, 4:28] = quarter
    wide = ndimage.zoom(quarter, (1, 1, COLUMNS / 24), order=1)
    lying = np.where(col(rng.uniform(size=len(frames)) < 0.6), wide, lying)
    k = max(n // 4, 2)
    lean = mixed(rng, k, change=lambda s, p: turn(rng, s), kinds=BODY_KINDS)[0]
    chosen = np.where(col(kind < 0.6), down, lying)
    return np.concatenate([chosen[:n - len(lean)], lean])


def turn(rng, session):
    session.turn = rng.choice([-1, 1], len(session.turn)) * np.radians(rng.uniform(22, 80, len(session.turn)))


def off_centre(rng, n, view="frontal"):
    side = rng.choice([-1, 1])
    return mixed(rng, n, view, lambda s, p: shift(rng, s, side * rng.uniform(5.5, 11, len(s.across)), (0.85, 1.05)),
                 BODY_KINDS)[0]


def rescaled(low, high):
    def change(rng):
        return lambda s, p: setattr(s, "scale", np.exp(rng.uniform(np.log(low), np.log(high), len(s.scale))))
    return change


def too_far(rng, n, view="frontal"):
    return mixed(rng, n, view, rescaled(0.28, 0.58)(rng), BODY_KINDS)[0]


def too_near(rng, n, view="frontal"):
    return mixed(rng, n, view, rescaled(1.4, 2.2)(rng), BODY_KINDS)[0]


def motion(rng, n, view="frontal"):
    """The two sub-pages of the chess pattern see different things: moved, or read at different levels."""
    frames, _ = mixed(rng, n, view)
    odd = (ROW + COLUMN) % 2 == 1
    result = np.empty_like(frames)
    for i, x in enumerate(frames):
        if rng.uniform() < 0.65:
            d = rng.uniform(1.0, 3.5) * rng.choice([-1, 1]), rng.uniform(-1.8, 1.8)
            later = ndimage.shift(x, d if rng.uniform() < 0.5 else d[::-1], order=1, mode="nearest")
            smear = rng.uniform(0, 0.3)
            result[i] = np.where(odd, later * (1 - smear) + x * smear, x * (1 - smear) + later * smear)
        else:
            result[i] = x + (odd - 0.5) * rng.choice([-1, 1]) * rng.uniform(0.7, 4)
    return result


def covered(rng, n, view="frontal"):
    """A band or brassiere over the breasts, a T-shirt, a vest, an open shirt, a towel; thin or thick, cooler or as
    warm as the skin; also breasts painted over at one temperature."""
    frames, coverage = mixed(rng, n, view)
    n = len(frames)
    body = coverage > 0.3
    count = np.maximum(body.sum(axis=(1, 2)), 1)
    mean = (frames * body).sum(axis=(1, 2)) / count
    middle = (body * COLUMN).sum(axis=(1, 2)) / count
    half = body[:, 12:].sum(axis=(1, 2)) / 24
    u = (COLUMN - col(middle)) / col(np.maximum(half, 4))
    centre, wide = rng.normal(13, 2.0, n), rng.uniform(1.8, 6.5, n)
    sag = col(rng.uniform(-1, 3, n)) * np.abs(np.abs(u) - 0.5)
    band = np.abs(ROW - col(centre) + sag) < col(wide)
    cups_ = ((np.abs(u) - 0.5) / 0.42) ** 2 + ((ROW - col(centre)) / col(rng.uniform(3, 6.5, n))) ** 2 < 1
    strap = (np.abs(np.abs(u) - col(rng.uniform(0.3, 0.6, n))) < 0.08) & (ROW < col(centre)) & col(rng.uniform(size=n) < 0.5).astype(bool)
    neck = (ROW < col(rng.uniform(0, 5, n))) & (np.abs(u) < col(rng.uniform(0.2, 0.6, n)) * (1.2 - ROW / 8))
    shirt = ~neck & (ROW > col(rng.uniform(-6, 5, n))) & (ROW < col(rng.uniform(15, 34, n)))
    sleeves = np.abs(u) < col(rng.uniform(0.95, 2.5, n))
    vest = (ROW > col(rng.uniform(2, 9, n)) - 5 * (np.abs(np.abs(u) - 0.6) < 0.22))
    open_shirt = (np.abs(u) > col(rng.uniform(0.1, 0.5, n))) & (ROW > col(rng.uniform(-6, 6, n)))
    half_only = (u * col(rng.choice([-1, 1], n)) > col(rng.uniform(-0.2, 0.15, n))) & (ROW > col(rng.uniform(0, 9, n)))
    kind = rng.choice(7, n, p=[0.28, 0.15, 0.27, 0.1, 0.06, 0.06, 0.08])
    masks = [band, cups_ | strap, shirt & sleeves, vest, open_shirt, half_only, np.where(col(rng.uniform(size=n) < 0.5), band, cups_)]
    mask = np.choose(kind[:, None, None], [np.broadcast_to(m, frames.shape) for m in masks]) & body
    cloth = ndimage.gaussian_filter(frames, (0, 1.0, 1.0), mode="nearest")
    within = lambda m: (frames * m).sum(axis=(1, 2)) / np.maximum(m.sum(axis=(1, 2)), 1)
    below = within(mask)
    kept = col(rng.uniform(0, 0.35, n) ** 1.3)
    creases = smooth_field(rng, n, rng.uniform(0.6, 1.6)) * col(rng.uniform(0.05, 0.45, n)) + smooth_field(
        rng, n, 3.5) * col(rng.uniform(0, 0.7, n))
    level = np.choose(rng.integers(0, 3, n), [below, mean, within(body & ~mask)]) - np.where(
        rng.uniform(size=n) < 0.75, rng.uniform(0.2, 4.5, n), rng.uniform(-0.4, 0.3, n))
    garment = col(level) + kept * (cloth - col(below)) + creases
    flat = kind == 6
    plain = col(np.choose(rng.integers(0, 3, n), [below, mean, within(body & ~mask)]))
    soft = ndimage.gaussian_filter(mask.astype(np.float32), (0, 0.35, 0.35), mode="nearest")
    soft = np.where(col(rng.uniform(size=n) < 0.5), soft, mask)
    return frames * (1 - soft) + soft * np.where(col(flat), plain, garment)


def hot_object(rng, n, view="frontal"):
    frames, _ = mixed(rng, n, view)
    n = len(frames)
    r, c, h, w = rng.uniform(1, 23, n), rng.uniform(1, 31, n), rng.uniform(1.0, 4, n), rng.uniform(1, 4, n)
    shape = ((ROW - col(r)) / col(h)) ** 2 + ((COLUMN - col(c)) / col(w)) ** 2 < 1
    top = np.percentile(frames.reshape(n, -1), 90, axis=1) + rng.uniform(5.5, 30, n)
    return ndimage.gaussian_filter(np.where(shape, col(top), frames), (0, 0.35, 0.35), mode="nearest")


def cold_lens(rng, n, view="frontal"):
    frames, _ = mixed(rng, n, view)
    n = len(frames)
    radius = ((ROW - col(rng.normal(11.5, 4, n))) ** 2 + (COLUMN - col(rng.normal(15.5, 5, n))) ** 2) / 372
    frames = frames - col(rng.uniform(2.5, 6, n)) * (0.25 + radius * col(rng.uniform(0.7, 1.3, n)))
    blur = rng.uniform(1.5, 3.0)
    fogged = ndimage.gaussian_filter(frames, (0, blur, blur), mode="nearest")
    return np.where(col(rng.uniform(size=n) < 0.5), fogged, frames)


def defect(rng, n, view="frontal"):
    """Rows or columns that are frozen, dead or shifted; blocks; half of an old frame; a pattern of stuck pixels."""
    frames, _ = mixed(rng, n, view)
    old = frames[rng.permutation(len(frames))]
    result = frames.copy()
    for i, x in enumerate(result):
        kind = rng.integers(0, 7)
        k = int(rng.integers(2, 9))
        r = int(rng.integers(1, ROWS - k))
        if kind == 0:
            x[r:r + k] = x[r]  # frozen rows
        elif kind == 1:
            x[r:r + k] = rng.choice([x.min() - rng.uniform(0, 4), x.mean(), x.max() + rng.uniform(0, 3)])
        elif kind == 2:
            c = int(rng.integers(1, COLUMNS - k))
            x[:, c:c + k] = x[:, c:c + 1]
        elif kind == 3:  # single rows repeated all over the frame
            for row in rng.choice(ROWS - 1, max(k, 4), replace=False):
                x[row + 1] = x[row]
        elif kind == 4:
            x[r:r + k] = np.roll(x[r:r + k], rng.integers(4, 16) * rng.choice([-1, 1]), axis=1)
        elif kind == 5:
            cut = int(rng.integers(6, 18))
            x[cut:] = old[i][cut:] + rng.uniform(1.5, 4) * rng.choice([-1, 1])
        else:
            holes = rng.uniform(size=x.shape) < rng.uniform(0.05, 0.25)
            x[holes] = rng.choice([x.min(), x.max()]) + rng.normal(0, 1.0, holes.sum())
    return result


MAKERS = {"two-people": two_people, "pose": pose, "off-centre": off_centre, "too-far": too_far, "too-near": too_near,
          "motion": motion, "covered": covered, "hot-object": hot_object, "cold-lens": cold_lens, "defect": defect}
TURNABLE = ("off-centre", "too-far", "too-near", "motion", "covered", "hot-object", "cold-lens", "defect")


def draw(label, view, n, seed):
    """float32 [about n, 24, 32] of one label and view, as the sensor reads them."""
    rng = np.random.default_rng([seed, LABELS.index(label), VIEWS.index(view)])
    if label == "good":
        frames = mixed(rng, n, view)[0]
    elif label == "no-torso":
        frames = no_torso(rng, n)
    elif view == "frontal" or label not in TURNABLE:
        frames = MAKERS[label](rng, n)
    else:
        frames = MAKERS[label](rng, n, view)
    return sensor(rng, np.asarray(frames, np.float32))
