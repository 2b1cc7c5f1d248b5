"""Sessions of one person in simulation, and what the comparison makes of them: `python -m change.simulate limits` sets the
thresholds on the calibration split; `judge` measures on the test split. Both print what they do; run from training/."""

import json
import pathlib
import sys
import time

import numpy as np

import evaluation
from change import reference
from thermograms.torso import People, Session, col, smooth_field

SEEDS = {"develop": 510_000, "calibrate": 520_000, "test": 530_000, "device": 550_000}


class Years:
    """`n` people, `count` sessions each: celsius [count, n, 24, 32]; zone bool [n, 24, 32] in the last session's frame."""

    def __init__(self, n, seed, count, field, spread=1.0, offset=0.8, white=0.1, other_sensor=False):
        rng = np.random.default_rng([seed, 9])
        people = People(n, seed, spread=spread, marker=0.5)
        frames = []
        for k in range(count):
            self.session = Session.draw(rng, n, 1.0, 0.04, 2.0, 0)
            self.session.warmth = smooth_field(rng, n, 4.0) * col(np.broadcast_to(field, n))
            # The clean body of this day: what the optics do is the camera's and stays.
            clean = people.render("frontal", self.session, seed=seed + k, blur=(0.42, 0.42))
            seen = clean + rng.normal(0, offset, n)[:, None, None] + rng.normal(0, white, clean.shape)
            frames.append(seen)
        if other_sensor:  # the last session comes from another camera: other pixels, another level
            pattern = rng.normal(0, 0.1, frames[-1].shape)
            frames[-1] = frames[-1] + rng.uniform(-1, 1, n)[:, None, None] + pattern
        self.celsius = np.stack(frames).astype(np.float32)
        row, column = self.session.back(np.mgrid[0:24, 0:32][0][None].astype(np.float32), np.mgrid[0:24, 0:32][1][None].astype(np.float32))
        u = (column - col(people.middle)) / col(people.half)
        below = row - people.fold_line(u)
        self.zone = (below < -0.5) & (below > -9) & (np.abs(u) > 0.12) & (np.abs(u) < 0.92) & (people.coverage > 0.99)


def spotted(frame, zone, rng, height, sigma=1.3):
    at = np.argwhere(zone)
    if not len(at):
        return frame, (0.0, 0.0)
    r, c = at[rng.integers(len(at))] + rng.uniform(-0.5, 0.5, 2)
    row, column = np.mgrid[0:24, 0:32]
    return (frame + height * np.exp(-((row - r) ** 2 + (column - c) ** 2) / (2 * sigma ** 2))).astype(np.float32), (r, c)


def scores(years, baselines, height, seed, threshold=None):
    """(score without, score with a spot of `height`, distance of the peak from it, height found, minimum detectable)."""
    rng = np.random.default_rng(seed)
    rows = []
    for k in range(years.celsius.shape[1]):
        history, last = years.celsius[-1 - baselines:-1, k], years.celsius[-1, k]
        plain = reference.compare(last, history, threshold=threshold)
        warm, (r, c) = spotted(last, years.zone[k], rng, height)
        ill = reference.compare(warm, history, threshold=threshold)
        rows.append((plain.largest, ill.largest, np.hypot(ill.row - r, ill.column - c),
                     ill.height[ill.row, ill.column], plain.minimum_detectable, plain.assessed.sum()))
    return np.array(rows, float)


def figures(rows):
    truth = np.r_[np.zeros(len(rows), bool), np.ones(len(rows), bool)]
    limit = np.quantile(rows[:, 0], 0.9)
    return {"AUC": float(evaluation.auc(np.r_[rows[:, 0], rows[:, 1]], truth)),
            "sensitivity_at_90": float((rows[:, 1] > limit).mean()),
            "at_the_spot": float(((rows[:, 1] > limit) & (rows[:, 2] <= 2.5)).mean())}


def develop():
    for field, height in ((0.2, 1.5), (0.4, 2.0)):
        start = time.time()
        years = Years(120, SEEDS["develop"], 4, field)
        rows = scores(years, 3, height, 1, threshold=5.0)
        print(field, height, figures(rows), "score p50 p90 p95 p99", np.percentile(rows[:, 0], [50, 90, 95, 99]).round(2),
              "MDC", np.median(rows[:, 4]).round(2), "assessed", np.median(rows[:, 5]), f"{(time.time() - start) / 240 * 1000:.0f} ms", flush=True)


RISK = 0.035  # of a false change a session on the calibration split; the promise is reference.FALSE
COUNTS = {3: 300, 4: 200, 5: 160, 6: 160, 7: 160, 8: 160}
FIELDS = (0.1, 0.4)


def null(years, baselines):
    return [reference.compare(years.celsius[-1, k], years.celsius[-1 - baselines:-1, k], threshold=9.0).largest
            for k in range(years.celsius.shape[1])]


def limits():
    """Writes limits.json: by the number of baselines, the conformal quantile of the largest score without a change."""
    threshold, kept = {}, {}
    for n, count in COUNTS.items():
        field = np.random.default_rng(n).uniform(*FIELDS, count)
        scores_ = np.sort(null(Years(count, SEEDS["calibrate"] + 100 * n, n + 1, field), n))
        rank = int(np.ceil((count + 1) * (1 - RISK)))
        threshold[n], kept[n] = float(scores_[min(rank, count) - 1]), [float(x) for x in np.percentile(scores_, [50, 90, 95, 99])]
        print(n, threshold[n], kept[n], flush=True)
    # More sessions never need a higher threshold; each row is noisy, so the running mean of three is taken first.
    order = sorted(threshold)
    smooth = [np.mean([threshold[m] for m in order if abs(m - n) <= 1]) for n in order]
    smooth = np.maximum.accumulate(smooth[::-1])[::-1]
    reference.LIMITS_FILE.write_text(json.dumps({
        "risk": RISK, "sessions": COUNTS, "field_sd": FIELDS, "split": "calibrate",
        "threshold": {str(n): round(float(t), 3) for n, t in zip(order, smooth)}}, indent=1) + "\n")


def wilson(hits, of):
    p, z = hits / of, 1.96
    middle, half = (p + z * z / (2 * of)) / (1 + z * z / of), z * np.sqrt(p * (1 - p) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    return [round(float(max(middle - half, 0)), 4), round(float(min(middle + half, 1)), 4)]


def judge():
    """Writes metrics.json beside this file: the bars, false changes over simulated years, the coverage of the minimum
    detectable change, another sensor."""
    result = {"spot_sigma_px": reference.SPOT, "threshold": reference.limits()["threshold"], "split": "test", "bars": {}}
    for name, field, height in (("+1.5 degC at .2", 0.2, 1.5), ("+2 degC at .4", 0.4, 2.0), ("+1.5 degC at .4", 0.4, 1.5)):
        years = Years(200, SEEDS["test"] + int(1000 * field) + int(10 * height), 4, field)
        rows = scores(years, 3, height, 2)
        threshold = reference.limits()["threshold"]["3"]
        result["bars"][name] = {**figures(rows), "people": len(rows), "claimed": float((rows[:, 1] > threshold).mean()),
                                "false_change": float((rows[:, 0] > threshold).mean()),
                                "height_error": float(np.median(rows[rows[:, 1] > threshold, 3] - height)),
                                "minimum_detectable_median": float(np.median(rows[:, 4]))}
        print(name, result["bars"][name], flush=True)
    people, sessions = 40, 12
    field = np.random.default_rng(3).uniform(*FIELDS, people)
    years = Years(people, SEEDS["test"] + 7000, sessions, field)
    flags, hits = [], []
    rng = np.random.default_rng(5)
    for k in range(people):
        for s in range(3, sessions):
            history, last = years.celsius[max(0, s - reference.MOST):s, k], years.celsius[s, k]
            plain = reference.compare(last, history)
            flags.append(plain.changed)
            if s in (3, 5, 8, 11):
                # A spot of just the minimum detectable change, anywhere on the assessed skin.
                at = np.argwhere(plain.assessed)
                if not len(at):
                    continue
                r, c = at[rng.integers(len(at))]
                row, column = np.mgrid[0:24, 0:32]
                spot = plain.minimum_detectable * np.exp(-((row - r) ** 2 + (column - c) ** 2) / (2 * reference.SPOT ** 2))
                ill = reference.compare((last + spot).astype(np.float32), history)
                near = np.hypot(ill.row - r, ill.column - c) <= 3
                hits.append((ill.changed, near))
    flags, hits = np.array(flags), np.array(hits)
    result["years"] = {"people": people, "sessions_judged": len(flags), "false_changes": int(flags.sum()), "share": float(flags.mean()),
                       "interval": wilson(int(flags.sum()), len(flags))}
    result["minimum_detectable"] = {"spots": len(hits), "found": float(hits[:, 0].mean()), "found_there": float((hits[:, 0] & hits[:, 1]).mean()),
                                    "interval": wilson(int(hits[:, 0].sum()), len(hits))}
    print(result["years"], result["minimum_detectable"], flush=True)
    count = 160
    other = Years(count, SEEDS["test"] + 9000, 4, 0.2, other_sensor=True)
    rows = [reference.compare(other.celsius[-1, k], other.celsius[:-1, k], white=0.15) for k in range(count)]
    false = int(sum(r.changed for r in rows))
    result["other_sensor"] = {"sessions": count, "false_changes": false, "share": false / count, "interval": wilson(false, count)}
    print(result["other_sensor"], flush=True)
    (reference.LIMITS_FILE.parent / "metrics.json").write_text(json.dumps(result, indent=1) + "\n")


def golden():
    """Writes the cases that the device's code is held against: golden/frames.npy [case, session, 24, 32] float32 (nan: no
    such session), golden/cases.json and maps of height and spread."""
    folder = reference.LIMITS_FILE.parent / "golden"
    folder.mkdir(exist_ok=True)
    cases, frames, heights, spreads = [], [], [], []
    for number, (n, height, field) in enumerate(((3, 0.0, 0.2), (3, 3.0, 0.2), (4, 2.0, 0.3), (5, 0.0, 0.4), (8, 2.5, 0.2), (9, 0.0, 0.1))):
        years = Years(1, 540_000 + number, n + 1, field)
        last = years.celsius[-1, 0]
        if height:
            last, _ = spotted(last, years.zone[0], np.random.default_rng(number), height)
        history = years.celsius[:-1, 0]
        answer = reference.compare(last, history)
        stack = np.full((10, 24, 32), np.nan, np.float32)
        stack[:n], stack[-1] = history, last
        frames.append(stack)
        heights.append(answer.height)
        spreads.append(answer.spread)
        cases.append({
            "baselines": n, "counted": answer.baselines, "white": reference.WHITE, "spot": height,
            "similarity": [[float(x) for x in p] for p, _ in answer.parameters],
            "control": [[[float(x) for x in point] for point in control] for _, control in answer.parameters],
            "assessed": int(answer.assessed.sum()), "largest": answer.largest, "row": answer.row, "column": answer.column,
            "height": float(answer.height[answer.row, answer.column]), "threshold": answer.threshold,
            "changed": bool(answer.changed), "minimum_detectable": answer.minimum_detectable})
    np.save(folder / "frames.npy", np.stack(frames))
    np.save(folder / "height.npy", np.stack(heights))
    np.save(folder / "spread.npy", np.stack(spreads))
    (folder / "cases.json").write_text(json.dumps({
        "about": "frames.npy: float32 degC [case, 10, 24, 32], the first `baselines` are the earlier sessions, oldest first, the "
                 "last is the current one. height.npy, spread.npy: float64 degC, nan where nothing is assessed. Written by "
                 "`python -m change.simulate golden`; tolerance for another implementation in float64: 1e-6.",
        "cases": cases}, indent=1) + "\n")


def sessions():
    """Writes sessions.npy [people, sessions, 24, 32] float32 into a folder: years of people that played no part elsewhere, for
    the device's own code to judge (`make test-change`)."""
    folder, people = pathlib.Path(sys.argv[2]), int(sys.argv[3])
    field = np.random.default_rng(11).uniform(*FIELDS, people)
    years = Years(people, SEEDS["device"], 12, field)
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "sessions.npy", years.celsius.transpose(1, 0, 2, 3))


if __name__ == "__main__":
    {"develop": develop, "limits": limits, "judge": judge, "golden": golden, "sessions": sessions}[sys.argv[1]]()
