"""Figures for cards: discrimination, calibration, their bootstrap intervals, and comparisons."""

import numpy as np


def auc(score, truth):
    """Area under the ROC curve, ties counted half."""
    order = np.argsort(score, kind="stable")
    ranks = np.empty(len(score))
    values, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    last = counts.cumsum()
    ranks = ((last - counts + 1 + last) / 2)[inverse]
    positives = truth.sum()
    negatives = len(truth) - positives
    return (ranks[truth].sum() - positives * (positives + 1) / 2) / (positives * negatives)


def calibration_errors(probability, truth, bins=15):
    """(ECE, MCE, rows of (mean probability, share, count)) over equal-width bins."""
    index = np.minimum((probability * bins).astype(int), bins - 1)
    rows = [(probability[index == b].mean(), truth[index == b].mean(), int((index == b).sum()))
            for b in range(bins) if (index == b).any()]
    gaps = np.array([abs(p - t) for p, t, _ in rows])
    counts = np.array([n for *_, n in rows])
    return float((gaps * counts).sum() / counts.sum()), float(gaps.max()), rows


def platt(raw, truth):
    """A never-falling 256-entry table in parts per million: Platt's logistic fit on the log-odds of the int8 score,
    with his smoothed targets; two numbers, so that a small validation set cannot bend it."""
    from scipy.optimize import minimize
    log_odds = lambda r: np.log((r + 128.5) / (127.5 - r))
    z = log_odds(raw.astype(float))
    positives, negatives = truth.sum(), (~truth).sum()
    target = np.where(truth, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    loss = lambda w: np.mean(np.logaddexp(0, w[0] * z + w[1]) - target * (w[0] * z + w[1]))
    slope, offset = minimize(loss, [1.0, 0.0], method="BFGS").x
    if slope <= 0:
        raise ValueError("the score does not rise with the truth: nothing to calibrate")
    every = 1 / (1 + np.exp(-(slope * log_odds(np.arange(-128, 128)) + offset)))
    return [int(round(p * 1_000_000)) for p in every]


def balanced(raw, truth):
    """The raw threshold with the largest sensitivity plus specificity."""
    return max(range(-127, 128), key=lambda q: (raw[truth] >= q).mean() + (raw[~truth] < q).mean())


def surely_more(first, second, ratio):
    """Whether the share of `first` (bool) is at least `ratio` times that of `second`: the lower end of the 99 % interval
    of the quotient (Katz 1978) is."""
    a, b = first.sum(), max(second.sum(), 0.5)
    if a == 0:
        return False
    error = np.sqrt(max(1 / a - 1 / len(first) + 1 / b - 1 / len(second), 0))
    return bool((a / len(first)) / (b / len(second)) * np.exp(-2.58 * error) >= ratio)


def thresholds(raw, truth, false_positive=0.01, false_negative=0.10, ratio=2.0):
    """(lower, upper): above flags at most `false_positive` of the healthy, below misses at most `false_negative` of the
    ill, and either is spoken only where it is surely `ratio` times as frequent among those it speaks of as among the
    others. A side that never gets there is left out (-128 and 127)."""
    healthy, ill = raw[~truth], raw[truth]
    above = [q for q in range(-127, 127) if (healthy >= q).mean() <= false_positive
             and surely_more(ill >= q, healthy >= q, ratio)]
    upper = min(above, default=127)
    below = [q for q in range(-127, upper) if (ill <= q).mean() <= false_negative
             and surely_more(healthy <= q, ill <= q, ratio)]
    return int(max(below, default=-128)), int(upper)


def band(raw, lower, upper):
    """0 below, 1 uncertain, 2 above; as DecisionThresholds.band of the device."""
    return np.where((raw <= lower) & (lower > -128), 0, np.where((raw >= upper) & (upper < 127), 2, 1))


def by_session(raw, table, truth, body):
    """Reliability with one capture of each body, as a device would see it in one session each: of every second body the capture
    with a spot, of the others the one without, so that the prevalence is about the one that the probability is said of."""
    ill = {b for b in body[truth]}
    ids = np.unique(body)
    with_both = [b for b in ids if b in ill]
    chosen = set(with_both[::2]) if len(ill) == len(ids) else ill
    healthy = [b for b in ids if b not in chosen][:len(chosen)]
    keep = np.array([(t and b in chosen) or (not t and b in set(healthy)) for t, b in zip(truth, body)])
    p, t = np.array(table)[raw[keep].astype(int) + 128] / 1e6, truth[keep]
    ece, mce, rows = calibration_errors(p, t)
    return {"sessions": int(keep.sum()), "prevalence": float(t.mean()), "Brier": float(((p - t) ** 2).mean()), "ECE": ece, "MCE": mce,
            "reliability": [[float(v) for v in r] for r in rows]}


def bootstrap(patients, figure, draws=400, seed=3):
    """95 % interval of `figure(indices)` with whole patients redrawn."""
    rng = np.random.default_rng(seed)
    ids, inverse = np.unique(patients, return_inverse=True)
    groups = [np.nonzero(inverse == i)[0] for i in range(len(ids))]
    values = []
    for _ in range(draws):
        index = np.concatenate([groups[i] for i in rng.integers(0, len(ids), len(ids))])
        values.append(figure(index))
    return tuple(float(x) for x in np.percentile(values, [2.5, 97.5]))


def mcnemar(right_a, right_b):
    """(b, c, exact two-sided p) of the cases where just one of two models is right."""
    from scipy.stats import binom
    b, c = int((right_a & ~right_b).sum()), int((~right_a & right_b).sum())
    p = 1.0 if b + c == 0 else min(1.0, 2 * binom.cdf(min(b, c), b + c, 0.5))
    return b, c, float(p)


def binary(raw, table, lower, upper, truth, patients):
    """The figures of a screening model, by name."""
    probability = np.array(table)[raw.astype(int) + 128] / 1e6
    ece, mce, rows = calibration_errors(probability, truth)
    above, below = band(raw, lower, upper) == 2, band(raw, lower, upper) == 0
    share = lambda hits, of: lambda i: float(hits[i][of[i]].mean())
    figures = {
        "patients": int(len(np.unique(patients))), "captures": int(len(raw)),
        "AUC": float(auc(raw, truth)), "Brier": float(((probability - truth) ** 2).mean()), "ECE": ece, "MCE": mce,
        "sensitivity": float(above[truth].mean()), "specificity": float((~above)[~truth].mean()),
        "healthy_flagged": float(above[~truth].mean()), "missed_below": float(below[truth].mean()),
        "uncertain": float((~above & ~below).mean()),
    }
    intervals = {
        "AUC": bootstrap(patients, lambda i: auc(raw[i], truth[i])),
        "sensitivity": bootstrap(patients, share(above, truth)),
        "specificity": bootstrap(patients, share(~above, ~truth)),
    }
    return figures, intervals, rows


def disturbed(celsius, kind, seed=4):
    """30 % perturbations: `noise` of 0.3 sd of the body on all pixels, `pixels`: 30 % of them with noise of 1 sd."""
    import preprocessing
    rng = np.random.default_rng(seed)
    mask, _ = preprocessing.body_mask(preprocessing.centikelvin(celsius))
    sd = np.array([c[m].std() for c, m in zip(celsius, mask)])[:, None, None]
    noise = rng.standard_normal(celsius.shape) * sd
    if kind == "noise":
        return (celsius + 0.3 * noise).astype(np.float32)
    return (celsius + noise * (rng.uniform(size=celsius.shape) < 0.3)).astype(np.float32)


def several(p, truth):
    """Of probabilities [n, classes]: accuracy, and the means over the classes of precision, recall and AUC (each class against
    the rest)."""
    chosen, classes = p.argmax(axis=1), range(p.shape[1])
    hits = [(chosen == k) & (truth == k) for k in classes]
    return {"accuracy": float((chosen == truth).mean()),
            "precision": float(np.mean([h.sum() / max((chosen == k).sum(), 1) for k, h in zip(classes, hits)])),
            "recall": float(np.mean([h.sum() / max((truth == k).sum(), 1) for k, h in zip(classes, hits)])),
            "AUC": float(np.mean([auc(p[:, k], truth == k) for k in classes if 0 < (truth == k).sum() < len(truth)]))}


def two_classes(raw):
    """Probabilities [n, 2] of raw int8 scores of the second class."""
    p = (np.asarray(raw, float) + 128) / 256
    return np.stack([1 - p, p], axis=1)


def margins(p, truth, before=None):
    """Classification margins: the true class's probability less the largest other one. Share above 0 (right) and above 0.1,
    mean and 5 % quantile; with `before` (the same captures undisturbed) the share of right ones that stay right, and the mean
    fall of the margin."""
    def margin(q):
        own = q[np.arange(len(q)), np.asarray(truth).astype(int)]
        rest = q.copy()
        rest[np.arange(len(q)), np.asarray(truth).astype(int)] = -1
        return own - rest.max(axis=1)
    m = margin(p)
    result = {"captures": int(len(m)), "above_0": float((m > 0).mean()), "above_0.1": float((m > 0.1).mean()), "mean": float(m.mean()),
              "quantile_5": float(np.quantile(m, 0.05))}
    if before is not None:
        was = margin(before)
        result |= {"stay_above_0": float((m > 0)[was > 0].mean()), "mean_fall": float((was - m).mean())}
    return result
