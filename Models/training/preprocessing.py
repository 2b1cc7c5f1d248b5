"""The device's preprocessing chain in integers, for batches.

Each step is the definition in Sources/Core/Screening/PreprocessingStep.swift written a second time; the golden
inputs of every model are computed here and compared there, byte for byte.
"""

import numpy as np

ROWS, COLUMNS = 24, 32
BIN, BINS = 10, 250


class Featureless(ValueError):
    """All pixels are equal."""


class Structureless(ValueError):
    """A part of the body is flatter than any skin."""


def rounded(numerator, denominator):
    """numerator / denominator to the nearest integer, a half away from zero; the denominator is above 0."""
    numerator = np.asarray(numerator, dtype=np.int64)
    magnitude = (2 * np.abs(numerator) + denominator) // (2 * denominator)
    return np.where(numerator < 0, -magnitude, magnitude)


def centikelvin(celsius):
    """float32 degC -> int64 centikelvin."""
    value = np.asarray(celsius, dtype=np.float32).astype(np.float64) * 100 + 27315
    result = np.where(value < 0, np.ceil(value - 0.5), np.floor(value + 0.5)).astype(np.int64)
    if not np.isfinite(value).all() or result.min() < 0 or result.max() > 65535:
        raise ValueError("a pixel without a temperature in 0...65535 centikelvin")
    return result


def square_root(value):
    root = np.floor(np.sqrt(value.astype(np.float64))).astype(np.int64)
    root = np.where(root * root > value, root - 1, root)
    return np.where((root + 1) * (root + 1) <= value, root + 1, root)


def suppress_outliers(x, limit):
    n, rows, columns = x.shape
    missing = 1 << 40
    padded = np.full((n, rows + 2, columns + 2), missing, dtype=np.int64)
    padded[:, 1:-1, 1:-1] = x
    neighbours = np.stack(
        [padded[:, 1 + r:1 + r + rows, 1 + c:1 + c + columns]
         for r in (-1, 0, 1) for c in (-1, 0, 1) if r or c], axis=-1)
    neighbours.sort(axis=-1)
    count = (neighbours < missing).sum(axis=-1)
    lower = np.take_along_axis(neighbours, ((count - 1) // 2)[..., None], axis=-1)[..., 0]
    upper = np.take_along_axis(neighbours, (count // 2)[..., None], axis=-1)[..., 0]
    median = rounded(lower + upper, 2)
    return np.where(np.abs(x - median) > limit, median, x)


def logarithm(value):
    """The natural logarithm as the device computes it: exponent and a series of the significand, in doubles."""
    fraction, exponent = np.frexp(value)
    significand, exponent = 2 * fraction, exponent - 1
    ratio = (significand - 1) / (significand + 1)
    square = ratio * ratio
    power, series = ratio, 0.0
    for odd in range(1, 14, 2):
        series = series + power / odd
        power = power * square
    return exponent * 0.6931471805599453 + 2 * series


def minimum_error(histogram, otsu):
    """Per row the last bin of the lower class by Kittler and Illingworth, no higher than Otsu's; Otsu's where no
    threshold leaves both classes 24 pixels."""
    bins = np.arange(BINS)
    sums = [np.cumsum(histogram * bins ** k, axis=1) for k in range(3)]

    def cost(count, first, second):
        safe = np.maximum(count, 1).astype(np.float64)
        mean = first / safe
        variance = np.maximum(second / safe - mean * mean, 4.0)
        share = safe / sums[0][:, -1:]
        return share * logarithm(variance / (share * share))

    total = cost(*sums) + cost(*[s[:, -1:] - s for s in sums])
    allowed = (sums[0] >= 24) & (sums[0][:, -1:] - sums[0] >= 24) & (bins <= otsu[:, None])
    return np.where(allowed.any(axis=1), np.where(allowed, total, np.inf).argmin(axis=1), otsu)


def body_mask(x, method="otsu"):
    """(mask [n, rows, columns], twice the midline's column [n])."""
    n, rows, columns = x.shape
    flat = x.reshape(n, -1)
    bins = np.minimum((flat - flat.min(axis=1, keepdims=True)) // BIN, BINS - 1)
    histogram = np.zeros((n, BINS), dtype=np.int64)
    np.add.at(histogram, (np.arange(n)[:, None], bins), 1)
    total, sums = rows * columns, bins.sum(axis=1, keepdims=True)
    lower = histogram.cumsum(axis=1)[:, :-1]
    lower_sum = (histogram * np.arange(BINS)).cumsum(axis=1)[:, :-1]
    difference = total * lower_sum - lower * sums
    weight = lower * (total - lower)
    variance = np.where(weight > 0, difference * difference // np.maximum(weight, 1), 0)
    if (variance.max(axis=1) <= 0).any():
        raise Featureless("all pixels are equal")
    threshold = variance.argmax(axis=1)
    if method == "minimum-error":
        threshold = minimum_error(histogram, threshold)
    mask = (bins > threshold[:, None]).reshape(n, rows, columns)
    offset = (mask * (2 * np.arange(columns) - (columns - 1))).sum(axis=(1, 2))
    count = mask.sum(axis=(1, 2))
    return mask, columns - 1 + rounded(offset, count)


def erode(mask):
    """Without the pixels that have a neighbour outside of the body; what lies beyond the frame counts as body."""
    padded = np.pad(mask, ((0, 0), (1, 1), (1, 1)), constant_values=True)
    kept = mask & padded[:, :-2, 1:-1] & padded[:, 2:, 1:-1] & padded[:, 1:-1, :-2] & padded[:, 1:-1, 2:]
    if not kept.any(axis=(1, 2)).all():
        raise Featureless("nothing of the body is left")
    return kept


def flattest(x, mask, size):
    """The smallest range of `size` x `size` pixels that all belong to the body, one a frame; 1 << 40 without such."""
    windows = lambda a: np.lib.stride_tricks.sliding_window_view(a, (size, size), axis=(1, 2))
    spread = windows(x).max(axis=(3, 4)) - windows(x).min(axis=(3, 4))
    return np.where(windows(mask).all(axis=(3, 4)), spread, 1 << 40).min(axis=(1, 2))


def pairs(mask, midline):
    """Indices of the left and right pixel at each distance, and where both belong to the body."""
    n, rows, columns = mask.shape
    distance = np.arange(columns // 2)
    left = (midline // 2)[:, None] - distance
    right = ((midline + 1) // 2)[:, None] + distance
    inside = (left >= 0) & (right < columns)
    left, right = np.clip(left, 0, columns - 1), np.clip(right, 0, columns - 1)
    take = lambda x, at: np.take_along_axis(x, np.broadcast_to(at[:, None, :], (n, rows, columns // 2)), axis=2)
    both = inside[:, None, :] & take(mask, left) & take(mask, right)
    return left, right, both, take


def fold(x, mask, midline):
    left, right, both, take = pairs(mask, midline)
    l, r = take(x, left), take(x, right)
    mean = np.where(both, rounded(l + r, 2), 0)
    difference = np.where(both, l - r, 0)
    count = np.maximum(both.sum(axis=(1, 2)), 1)
    centre = rounded(difference.sum(axis=(1, 2)), count)[:, None, None]
    centred = np.where(both, np.abs(difference - centre), 0)
    return np.stack([mean, np.abs(difference), centred], axis=-1)


def resize(x, rows, columns):
    def taps(count, new):
        position = np.clip((2 * np.arange(new) + 1) * count - new, 0, (count - 1) * 2 * new)
        low, weight = position // (2 * new), position % (2 * new)
        return low, np.minimum(low + 1, count - 1), 2 * new - weight, weight
    vl, vh, vlw, vhw = taps(x.shape[1], rows)
    hl, hh, hlw, hhw = taps(x.shape[2], columns)
    tail = (None,) * (x.ndim - 3)
    hlw, hhw = hlw[(None, None, slice(None)) + tail], hhw[(None, None, slice(None)) + tail]
    vlw, vhw = vlw[(None, slice(None), None) + tail], vhw[(None, slice(None), None) + tail]
    upper = x[:, vl][:, :, hl] * hlw + x[:, vl][:, :, hh] * hhw
    lower = x[:, vh][:, :, hl] * hlw + x[:, vh][:, :, hh] * hhw
    return rounded(upper * vlw + lower * vhw, 4 * rows * columns)


def _region(x, mask, region):
    """(values, weights) for sums over the frame or the body."""
    return np.ones(x.shape, bool) if region == "frame" else mask


def _step(x, mask, midline, step):
    kind = step["step"]
    if kind == "suppress-outliers":
        return suppress_outliers(x, step["limit"]), mask, midline
    if kind == "mask-body":
        return (x, *body_mask(x, step.get("method", "otsu")))
    if kind == "fill-background":
        return np.where(mask, x, step["value"]), mask, midline
    if kind == "erode-body":
        return x, erode(mask), midline
    if kind == "require-structure":
        if (flattest(x, mask, step["size"]) < step["range"]).any():
            raise Structureless(f"{step['size']} x {step['size']} pixels of the body within {step['range']} centikelvin")
        return x, mask, midline
    if kind == "subtract-mean":
        where = _region(x, mask, step["region"])
        mean = rounded((x * where).sum(axis=(1, 2)), where.sum(axis=(1, 2)))
        return x - mean[:, None, None], mask, midline
    if kind == "min-max":
        where = _region(x, mask, step["region"])
        low = np.where(where, x, 1 << 40).min(axis=(1, 2), keepdims=True)
        high = np.where(where, x, -(1 << 40)).max(axis=(1, 2), keepdims=True)
        if (high <= low).any():
            raise Featureless("all pixels are equal")
        return rounded((x - low) * (step["levels"] - 1), high - low), mask, midline
    if kind == "z-score":
        where = _region(x, mask, step["region"])
        count = where.sum(axis=(1, 2))
        total = (x * where).sum(axis=(1, 2))
        deviation = square_root(count * (x * x * where).sum(axis=(1, 2)) - total * total)
        if (deviation <= 0).any():
            raise Featureless("all pixels are equal")
        scaled = count[:, None, None] * x - total[:, None, None]
        return rounded(scaled * step["unit"], deviation[:, None, None]), mask, midline
    if kind == "equalise-histogram":
        levels, n = step["levels"], len(x)
        histogram = np.zeros((n, levels), dtype=np.int64)
        flat = x.reshape(n, -1)
        np.add.at(histogram, (np.arange(n)[:, None], flat), 1)
        table = rounded(histogram.cumsum(axis=1) * (levels - 1), flat.shape[1])
        return np.take_along_axis(table, flat, axis=1).reshape(x.shape), mask, midline
    if kind == "resize":
        return resize(x, step["rows"], step["columns"]), None, midline
    if kind == "fold-left-right":
        return fold(x, mask, midline), None, midline
    if kind == "replicate-channels":
        return np.repeat(x[..., None], step["count"], axis=-1), mask, midline
    if kind == "quantise":
        q = np.clip(rounded(x, step["divisor"]) + step["zero_point"], -128, 127).astype(np.int8)
        return q if q.ndim == 4 else q[..., None], mask, midline
    raise ValueError(f"unknown step {kind}")


def unguarded(steps):
    """The chain without the step that withholds: for training, and for counting what it withholds."""
    return [step for step in steps if step["step"] != "require-structure"]


def withheld(steps, celsius):
    """bool [n]: what `require-structure` refuses."""
    result = np.zeros(len(celsius), bool)
    for i, frame in enumerate(celsius):
        try:
            apply(steps, frame[None])
        except Structureless:
            result[i] = True
    return result


def apply(steps, celsius):
    """float32 degC [n, 24, 32] -> int8 [n, rows, columns, channels]."""
    outputs = []
    for start in range(0, len(celsius), 512):
        x, mask, midline = centikelvin(celsius[start:start + 512]), None, None
        for step in steps:
            x, mask, midline = _step(x, mask, midline, step)
        outputs.append(x)
    return np.concatenate(outputs)
