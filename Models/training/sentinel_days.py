"""Days of counters through the network and the decision over time. `python sentinel_days.py operate` sets the operating point on
devices of its own and writes it into the manifest; `judge` counts alerts and delays on others and prints what it found."""

import hashlib
import json
import sys

import numpy as np

import data
import make_sentinel
import shipping
from counters import attacks, decision, simulator

FOLDER = shipping.MODELS / make_sentinel.NAME
# Of 90 days a device may raise one false alert; the operating point is set on half of that, both heads together: (health, cyber).
ALLOWED, SPLITS = 1 / 90, ((1 / 4, 1 / 4), (1 / 8, 3 / 8), (3 / 8, 1 / 8))
RELEASE, DELTA = 30, 100
CLIPS, SLACKS = (768, 1024, 1536, 2048), (0, 256, 512, 768, 1024)
THRESHOLDS = sorted({int(v) for v in np.geomspace(500, 60_000, 34)})


def reference():
    return make_sentinel.reference((FOLDER / "model.tflite").read_bytes())


STRIDE, FINE, SURE = 8, 2, 120


def day_raws(network, seed, days, stride=STRIDE):
    """int8 [windows, 2]: what both heads say of normal over the days of one device. Every `stride`th window is judged, and every one within so many steps of a window of which a head was not sure (raw below SURE); the others count as their neighbour. What makes an alert
    stays in the window for 32 steps and is met so; `judge_sentinel.py every` judges every window of some devices and compares. Kept on disk."""
    source = open(simulator.__file__, "rb").read()
    digest = hashlib.sha256(network.content + source).hexdigest()[:12]
    path = data.CACHE / "days" / f"{digest}-{seed}-{days}-{stride}.npy"
    if path.exists():
        return np.load(path)
    x = simulator.Device(seed, days).values
    plain, count = simulator.plain(x), len(x) - simulator.STEPS + 1
    raw = np.zeros((count, 2), np.int8)
    at = np.arange(0, count, stride)
    raw[at] = judged(network, plain, x, at)
    unsure = at[(raw[at] < SURE).any(axis=1)]
    near = np.zeros(count, bool)
    for k in range(-stride, stride + 1):
        near[np.clip(unsure + k, 0, count - 1)] = True
    near[at] = False
    raw = raw[np.arange(count) // stride * stride]
    if near.any():
        raw[near] = judged(network, plain, x, np.nonzero(near)[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path.with_suffix(".part.npy"), raw)
    path.with_suffix(".part.npy").replace(path)
    return raw


def judged(network, plain, x, at, chunk=40_000):
    """int8 [n, 2] of the windows that begin at these steps."""
    parts = []
    for k in range(0, len(at), chunk):
        health, cyber = make_sentinel.raws(network, simulator.encode_at(plain, x, at[k:k + chunk]))
        parts.append(np.stack([health[:, 0], cyber[:, 0]], axis=1))
    return np.concatenate(parts)


def stream_raws(network, x):
    """int8 [windows, n, 2] of counters [n, T, 16]."""
    q = np.concatenate([part for one in x for part in simulator.encode_days(one)])
    health, cyber = make_sentinel.raws(network, q)
    return np.stack([health[:, 0], cyber[:, 0]], axis=1).reshape(len(x), -1, 2).transpose(1, 0, 2)


def normal_days(network, seeds, days):
    return np.stack([day_raws(network, seed, days) for seed in seeds], axis=1)


def operate(days=20):
    """The lowest threshold of each head that stays within its share of the allowed alerts; of slacks and clips the pair with which the
    least is told too late, all rows of the head together; and of the splits of the allowed alerts the one with which both heads' are least.
    Where as much is told in time, the fewest alerts count, then the shortest delay."""
    network = reference()
    made = json.loads((data.CACHE / "fits" / make_sentinel.NAME / "made.json").read_text())
    seeds = make_sentinel.SEEDS["operate"]
    raw = normal_days(network, seeds, days)
    base = attacks.calm(seeds, 2, 41)
    rows = {row: stream_raws(network, attacks.attacked(base, row, 41)) for row in attacks.ROWS}
    heads, best = ("health", "cyber"), {}
    for k, name in enumerate(heads):
        allowed = {split[k]: ALLOWED * split[k] * days * len(seeds) for split in SPLITS}
        for share, found in operated(name, raw[:, :, k], {row: r[:, :, k] for row, r in rows.items()}, made["tables"][name], allowed).items():
            best[name, share] = found
            print(name, share, "allowed", allowed[share], found, flush=True)
    able = [split for split in SPLITS if all((name, share) in best for name, share in zip(heads, split))]
    if not able:
        raise SystemExit(f"no threshold up to {THRESHOLDS[-1]} keeps to half of {ALLOWED * days * len(seeds):.1f} alerts in {days} days of {len(seeds)} devices")
    chosen = min(able, key=lambda split: [round(sum(best[name, share][0][k] for name, share in zip(heads, split)), 4) for k in range(3)])
    print("chosen", chosen, flush=True)
    figures = {"rule": "cusum", "delta_per_mille": DELTA, "release_windows": RELEASE}
    for k, (name, share) in enumerate(zip(heads, chosen)):
        _, clip, slack, threshold = best[name, share]
        figures[name] = {"output": made["order"][k], "element": 0, "calibration": {"ppm": made["tables"][name]}, "slack_q8": slack, "clip_q8": clip, "threshold_q8": threshold}
    return figures


def operated(name, raw, rows, table, allowed):
    """{share: ((told too late, alerts, mean steps until told), clip, slack, threshold)} of one head, for every share of `allowed` that a
    threshold keeps to. One window alone, however sure, is never above it."""
    best = {}
    for clip in CLIPS:
        e = decision.log_odds_q8(table, clip)
        for slack in SLACKS:
            counts = decision.episodes(raw, e, slack, THRESHOLDS).sum(axis=1)
            for share, most in allowed.items():
                fit = [i for i in range(len(THRESHOLDS)) if THRESHOLDS[i] >= clip - slack and (counts[i:] <= most).all()]
                if not fit:
                    continue
                threshold, each, steps = THRESHOLDS[fit[0]], {}, []
                for row, (head, _, _, within) in attacks.ROWS.items():
                    if head == name:
                        first, _ = decision.sums(rows[row], e, [slack], [threshold])
                        each[row] = round(float(((first[0] < 0) | (first[0] > within)).mean()), 4)
                        steps.append(float(first[0][first[0] >= 0].mean()))
                worth = (round(sum(each.values()), 4), int(counts[fit[0]]), round(float(np.mean(steps)), 2))
                print(name, share, clip, slack, threshold, "late, alerts, steps", worth, each, flush=True)
                if share not in best or worth < best[share][0]:
                    best[share] = (worth, clip, slack, threshold)
    return best


CASES = {"normal use": (0, 0, {}), "a flood of connections": (0, 1, {"flood": "socket", "rate": 500}), "a flood of a topic": (0, 1, {"flood": "topic", "rate": 2000}),
         "replayed commands": (0, 4, {"rate": 1}), "refused tags": (0, 6, {"rate": 2}), "a drifting camera": (1, 0, {"slope": 50 / 60}), "a stuck camera": (3, 0, {}),
         "a stuck camera while commands are malformed": (3, 2, {"rate": 2}), "an overheated board under a flood": (4, 1, {"flood": "socket", "rate": 500, "slope": 50})}


def cases(network, figures):
    """Test vectors for another implementation: counters, what the reference kernels say of every window, and the states. The last two begin
    at the int8 values, so that the caps, the release and every branch of the rule are walked through."""
    made = []
    able = [seed for seed in make_sentinel.SEEDS["choose"] if not set(attacks.NEEDED.values()) & set(simulator.Device(seed, 1).habits.lacks)]
    for k, (name, (health, cyber, fixed)) in enumerate(CASES.items()):
        seed = able[k]
        x = simulator.Device(seed, 1).values[2000:2000 + (140 if fixed.get("rate") else 100)]
        n = 1
        attack = attacks.Attack(x[None], np.full(n, health), np.full(n, cyber), np.full(n, 40), np.full(n, 45), np.random.default_rng([45, k]), **fixed)
        values = attack.values[0]
        if k == 3:
            values[35:37] = simulator.MISSING  # a restart
        q = np.concatenate(list(simulator.encode_days(values)))
        raw = [make_sentinel.raws(network, q[i:i + 60]) for i in range(0, len(q), 60)]
        pairs = np.concatenate([np.stack([h[:, 0], c[:, 0]], axis=1) for h, c in raw]).tolist()
        made.append({"name": name, "values": [[None if v < 0 else int(v) for v in step] for step in values.tolist()], "encoded_last": q[-1].tolist(), **walked(figures, pairs)})
    rng = np.random.default_rng(46)
    for name, share in (("int8 values at random", 0.5), ("int8 values that change seldom", 0.05)):
        pairs, now = [], np.array([127, 127])
        for _ in range(600):
            changed = rng.uniform(size=2) < share
            now = np.where(changed, np.where(rng.uniform(size=2) < 0.5, rng.integers(-128, 128, 2), rng.choice([-128, 127], 2)), now)
            pairs.append(now.tolist())
        made.append({"name": name, **walked(figures, pairs)})
    return made


def walked(figures, pairs):
    machine = decision.Decision(figures)
    return {"raw": pairs, "states": [machine.step(*pair) for pair in pairs]}


def written(made):
    """JSON with a line a step."""
    lines = json.dumps(made, indent=1)
    import re
    return re.sub(r"\[\s+([-\d,\s]|null)*?\]|\{\s+\"health_q8\"[^{}]*\}", lambda m: re.sub(r"\s+", " ", m.group(0)), lines) + "\n"


def manifest():
    """Puts the kept decision into the manifest; nothing is computed."""
    path = FOLDER / "manifest.json"
    made = json.loads(path.read_text())
    golden = made.pop("golden")
    made["decision"] = json.loads((FOLDER / "golden" / "decision.json").read_text())["decision"]
    path.write_text(shipping.written({**made, "golden": golden}))


if __name__ == "__main__":
    if sys.argv[1:] == ["manifest"]:
        manifest()
        sys.exit()
    figures = operate()
    network = reference()
    made = {"decision": figures, "cases": cases(network, figures)}
    seen = {state["state"] for case in made["cases"] for state in case["states"]}
    if seen != {"normal", "health", "cyber", "uncertain"}:
        raise SystemExit(f"the test vectors walk through {sorted(seen)} only")
    (FOLDER / "golden" / "decision.json").write_text(written(made))
    manifest()
