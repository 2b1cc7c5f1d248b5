"""The decision over time, as the device takes it, in integers: the reference that the device's code is tested against.

A head's raw int8 of `normal` becomes a probability by a table, and log-odds (base 2, Q8) of an anomaly; a CUSUM (Page 1954) of them speaks above its
threshold; what both heads say together follows the rule of Sharma et al."""

import numpy as np

from counters.simulator import log2_q8

PPM = 1_000_000


def calibration(raw, normal):
    """A never-falling table of 256 parts per million, P(normal) by the raw int8 of `normal`: a logistic fit on ln p and ln(1 - p)
    apart (beta calibration, Kull et al. 2017), both slopes at least 0, with Platt's smoothed targets."""
    from scipy.optimize import minimize
    parts = lambda r: (np.log((r + 128.5) / 256), -np.log((127.5 - r) / 256))
    a, b = parts(raw.astype(float))
    positives, negatives = normal.sum(), (~normal).sum()
    target = np.where(normal, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    score = lambda w, a, b: w[0] ** 2 * a + w[1] ** 2 * b + w[2]
    loss = lambda w: np.mean(np.logaddexp(0, score(w, a, b)) - target * score(w, a, b))
    w = minimize(loss, [1.0, 1.0, 0.0], method="BFGS").x
    every = 1 / (1 + np.exp(-score(w, *parts(np.arange(-128, 128).astype(float)))))
    return [int(round(min(max(p, 1e-6), 1 - 1e-6) * PPM)) for p in every]


def log_odds_q8(ppm, clip_q8):
    """256 log2((1 - P(normal)) / P(normal)) of every entry by the device's own logarithm, clipped."""
    p = np.asarray(ppm, np.int64)
    return [int(v) for v in np.clip(log2_q8(PPM - p) - log2_q8(p), -clip_q8, clip_q8)]


class Head:
    """One head's CUSUM; `step` takes the raw int8 of `normal`."""

    def __init__(self, figures, release_windows):
        self.figures, self.release = figures, release_windows
        self.log_odds = log_odds_q8(figures["calibration"]["ppm"], figures["clip_q8"])
        self.sum_q8, self.quiet, self.speaking = 0, 0, False

    def step(self, raw):
        f = self.figures
        self.sum_q8 = min(2 * f["threshold_q8"], max(0, self.sum_q8 + self.log_odds[raw + 128] - f["slack_q8"]))
        if self.sum_q8 > f["threshold_q8"]:
            self.speaking, self.quiet = True, 0
        elif self.speaking:
            self.quiet += 1
            self.speaking = self.quiet < self.release
        return self.speaking


class Decision:
    """Both heads and the rule; `step(health raw, cyber raw)` gives what the device knows after this window."""

    def __init__(self, figures):
        self.figures = figures
        self.health, self.cyber = (Head(figures[k], figures["release_windows"]) for k in ("health", "cyber"))

    def step(self, health_raw, cyber_raw):
        speaks = self.health.step(health_raw), self.cyber.step(cyber_raw)
        p_health, p_cyber = (PPM - self.figures[k]["calibration"]["ppm"][raw + 128] for k, raw in (("health", health_raw), ("cyber", cyber_raw)))
        delta = 1000 * self.figures["delta_per_mille"]
        state = "normal"
        if speaks[0] and p_health > p_cyber + delta:
            state = "health"
        elif speaks[1] and p_cyber > p_health + delta:
            state = "cyber"
        elif any(speaks):
            state = "uncertain"
        return {"health_q8": self.health.sum_q8, "cyber_q8": self.cyber.sum_q8, "p_health_ppm": p_health, "p_cyber_ppm": p_cyber, "state": state}


def sums(raw, table, slack, threshold):
    """The CUSUM of one head over [T, n] raw values, for arrays of slacks and thresholds [g] at once: int64 [T, g, n] would be large, so
    only what is asked is kept: (first step above [g, n] or -1, episodes of speaking [g, n]); an episode ends at 0."""
    e = np.asarray(table, np.int64)[raw.astype(int) + 128]
    g, n = len(threshold), raw.shape[1]
    slack, threshold = np.asarray(slack)[:, None], np.asarray(threshold)[:, None]
    s, speaking = np.zeros((g, n), np.int64), np.zeros((g, n), bool)
    first, episodes = np.full((g, n), -1), np.zeros((g, n), int)
    lowest = int(slack.min())
    moving = (e > lowest).any(axis=1)
    for t in range(len(e)):
        if not moving[t] and not s.any():
            continue
        s = np.minimum(2 * threshold, np.maximum(0, s + e[t] - slack))
        above = s > threshold
        began = above & ~speaking
        episodes += began
        first = np.where(began & (first < 0), t, first)
        speaking = (speaking | above) & (s > 0)
    return first, episodes


def episodes(raw, table, slack, thresholds):
    """Episodes of speaking [g, n] as `sums` counts them, over days in which nearly nothing happens: only the stretches are walked through in
    which the sum without its cap is above 0 and somewhere above the least threshold; with its cap it is never larger."""
    e, thresholds = np.asarray(table, np.int64), np.asarray(thresholds, np.int64)[:, None]
    found, stretches, owners = np.zeros((len(thresholds), raw.shape[1]), int), [], []
    for n in range(raw.shape[1]):
        steps = e[raw[:, n].astype(int) + 128] - slack
        total = np.cumsum(steps)
        free = total - np.minimum.accumulate(np.minimum(total, 0))
        edges = np.flatnonzero(np.diff(np.r_[False, free > 0, False]))
        for begin, end in zip(edges[::2], edges[1::2]):
            if free[begin:end].max() > thresholds.min():
                stretches.append(steps[begin:end])
                owners.append(n)
    if not stretches:
        return found
    order = sorted(range(len(stretches)), key=lambda k: -len(stretches[k]))
    lengths, owners = np.array([len(stretches[k]) for k in order]), np.array([owners[k] for k in order])
    laid = np.zeros((lengths[0], len(order)), np.int64)
    for column, k in enumerate(order):
        laid[:len(stretches[k]), column] = stretches[k]
    s, speaking = np.zeros((len(thresholds), len(order)), np.int64), np.zeros((len(thresholds), len(order)), bool)
    for t in range(lengths[0]):
        k = int((lengths > t).sum())
        s[:, :k] = np.minimum(2 * thresholds, np.maximum(0, s[:, :k] + laid[t, :k]))
        above = s[:, :k] > thresholds
        np.add.at(found, (slice(None), owners[:k]), above & ~speaking[:, :k])
        speaking[:, :k] = (speaking[:, :k] | above) & (s[:, :k] > 0)
    return found


def states(health_raw, cyber_raw, figures):
    """`Decision` over [T, n] raw values at once: int8 [T, n] of 0 normal, 1 health, 2 cyber, 3 uncertain."""
    heads, release, delta = [], figures["release_windows"], 1000 * figures["delta_per_mille"]
    for name, raw in (("health", health_raw), ("cyber", cyber_raw)):
        f = figures[name]
        index = raw.astype(int) + 128
        e = np.array(log_odds_q8(f["calibration"]["ppm"], f["clip_q8"]))[index]
        heads.append((e - f["slack_q8"], PPM - np.array(f["calibration"]["ppm"])[index], f["threshold_q8"]))
    n = health_raw.shape[1]
    result = np.zeros(health_raw.shape, np.int8)
    s, quiet, speaking = np.zeros((2, n), np.int64), np.zeros((2, n), int), np.zeros((2, n), bool)
    limit = np.array([heads[0][2], heads[1][2]])[:, None]
    moves = np.stack([heads[0][0], heads[1][0]])
    p = np.stack([heads[0][1], heads[1][1]])
    rising = (moves > 0).any(axis=(0, 2))
    for t in range(len(health_raw)):
        if not rising[t] and not s.any() and not speaking.any():
            continue
        s = np.minimum(2 * limit, np.maximum(0, s + moves[:, t]))
        above = s > limit
        quiet = np.where(above, 0, quiet + 1)
        speaking = above | (speaking & (quiet < release))
        health, cyber = p[0, t] > p[1, t] + delta, p[1, t] > p[0, t] + delta
        result[t] = np.where(speaking[0] & health, 1, np.where(speaking[1] & cyber, 2, np.where(speaking.any(axis=0), 3, 0)))
    return result


def alerts(state):
    """What the device tells, each column's count: each kind once until all is normal again, and `uncertain` only where nothing was
    told yet."""
    counts = np.zeros(state.shape[1], int)
    for n in range(state.shape[1]):
        told = set()
        for now in state[np.flatnonzero(np.diff(state[:, n], prepend=0)), n]:
            if now == 0:
                told = set()
            elif now not in told and not (now == 3 and told):
                told.add(now)
                counts[n] += 1
    return counts
