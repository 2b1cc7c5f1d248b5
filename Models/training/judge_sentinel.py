"""What `sharma-dualpath` is worth, on devices that took no part in it: `python judge_sentinel.py windows` (calibration, classes,
perturbation, ablation, other classifiers), `days` (alerts and delays), `folds` (five-fold by device). Each writes its part into
`out/models-cache/sentinel`; `write` puts them together as metrics.json."""

import json
import sys
import time

import numpy as np

import data
import evaluation
import fitting
import make_sentinel
import quality
import quantisation
import sentinel_days
import shipping
from counters import attacks, decision, simulator
from quantisation import real

PARTS = data.CACHE / "sentinel"
HEADS = ("health", "cyber")
LEAST = 30  # windows that a bin must hold to count for MCE


def probabilities(raw, table):
    """[n, classes]: P(normal) by its table, the rest shared among the other classes as the network does."""
    p = (raw.astype(float) + 128) / 256
    normal = np.array(table)[raw[:, 0].astype(int) + 128] / 1e6
    others = p[:, 1:] + 1e-4
    return np.concatenate([normal[:, None], others / others.sum(axis=1, keepdims=True) * (1 - normal)[:, None]], axis=1)


def calibrated(p, truth):
    """Brier (summed over the classes), ECE and MCE of the first choice in 15 bins; MCE over bins of at least LEAST windows."""
    right, top = p.argmax(axis=1) == truth, p.max(axis=1)
    ece, worst, rows = evaluation.calibration_errors(top, right)
    kept = [abs(said - was) for said, was, n in rows if n >= LEAST]
    return {"Brier": float(((p - np.eye(p.shape[1])[truth]) ** 2).sum(axis=1).mean()), "ECE": ece, "MCE": float(max(kept)), "MCE_any_bin": worst,
            "bins": [[float(v) for v in row] for row in rows]}


def figures(raw, table, truth, device, names, intervals=True):
    p = probabilities(raw, table)
    found = {**quality.classes(raw, truth, names), **calibrated(p, truth), "accuracy_calibrated": float((p.argmax(axis=1) == truth).mean()),
             "anomaly_AUC": float(evaluation.auc(-raw[:, 0].astype(int), truth > 0)), "false_alarms": float((p[truth == 0].argmax(axis=1) > 0).mean())}
    if intervals:
        found["intervals"] = {k: evaluation.bootstrap(device, lambda i, k=k: calibrated(p[i], truth[i])[k], draws=200) for k in ("Brier", "ECE", "MCE")}
        found["intervals"]["accuracy"] = evaluation.bootstrap(device, lambda i: float((raw[i].argmax(axis=1) == truth[i]).mean()), draws=200)
    return found


def disturbed(x, kind, seed=6):
    """30 % perturbations of counters: `counters` changes every value by up to 30 %, `missing` takes 30 % of the values away, `both` does both."""
    rng = np.random.default_rng(seed)
    counted = np.array([c[2] == "log2" for c in simulator.CHANNELS])
    y = np.where(x >= 0, np.rint(x * (1 + 0.3 * counted * rng.uniform(-1, 1, x.shape))), x) if kind != "missing" else x
    return np.where(rng.uniform(size=x.shape) < 0.3, simulator.MISSING, y).astype(np.int64) if kind != "counters" else y.astype(np.int64)


def without(q, channels):
    """Windows of which these channels say what a missing value says."""
    q = q.copy()
    for c in channels:
        q[:, :, c] = simulator.MISSING_Q[c]
    return q


def windows():
    keras = fitting.prepare()
    model = make_sentinel.network()
    model.load_weights(fitting.FOLDER / make_sentinel.NAME / "best.weights.h5")
    network = sentinel_days.reference()
    decided = kept_decision()
    # Asked for are figures of windows with one label each; those in which something has only just begun are measured beside them.
    x, *truths, device = attacks.windows(make_sentinel.SEEDS["test"], 15, 4, days=1, settled=True)
    many = attacks.windows(list(make_sentinel.SEEDS["test"])[:100], 150, 14, days=1, settled=True)
    begun = attacks.windows(list(make_sentinel.SEEDS["test"])[:100], 60, 34, days=1)
    q = simulator.encode(x)
    raws, floats = make_sentinel.raws(network, q), [np.asarray(p) for p in model.predict(real(q), verbose=0, batch_size=512)]
    large, early = (make_sentinel.raws(network, simulator.encode(w[0])) for w in (many, begun))
    again = {kind: make_sentinel.raws(network, simulator.encode(disturbed(x, kind))) for kind in ("counters", "missing", "both")}
    cut = {group: make_sentinel.raws(network, without(q, channels)) for group, channels in simulator.GROUPS.items()}
    found = {}
    for k, (name, names) in enumerate(zip(HEADS, (attacks.HEALTH, attacks.CYBER))):
        table, truth = decided[name]["calibration"]["ppm"], truths[k]
        p = probabilities(raws[k], table)
        found[name] = figures(raws[k], table, truth, device, names)
        found[name]["large"] = {**calibrated(probabilities(large[k], table), many[1 + k]), "windows": len(many[0])}
        q_begun = probabilities(early[k], table)
        found[name]["begun"] = {**calibrated(q_begun, begun[1 + k]), "windows": len(begun[0]), "accuracy": float((q_begun.argmax(axis=1) == begun[1 + k]).mean()),
                                "interval": evaluation.bootstrap(begun[3], lambda i, p=q_begun, t=begun[1 + k]: calibrated(p[i], t[i])["Brier"], draws=100)}
        found[name]["flips"] = float((floats[k].argmax(axis=1) != raws[k].argmax(axis=1)).mean())
        found[name]["flips_normal"] = float(((floats[k].argmax(axis=1) == 0) != (raws[k].argmax(axis=1) == 0)).mean())
        found[name]["robustness"] = {kind: {"accuracy": float((r[k].argmax(axis=1) == truth).mean()), **{n: v for n, v in calibrated(probabilities(r[k], table), truth).items() if n != "bins"},
                                            "false_alarms": float((r[k][truth == 0].argmax(axis=1) > 0).mean())} for kind, r in again.items()}
        found[name]["ablation"] = {group: {"accuracy": float((r[k].argmax(axis=1) == truth).mean()), "anomaly_AUC": float(evaluation.auc(-r[k][:, 0].astype(int), truth > 0)),
                                           "recall": quality.classes(r[k], truth, names)["recall"]} for group, r in cut.items()}
        found[name]["margins"] = {"plain": evaluation.margins(p, truth), "counters": evaluation.margins(probabilities(again["counters"][k], table), truth, p)}
    save("windows", found)
    print(json.dumps({n: {k: v for k, v in f.items() if k in ("Brier", "ECE", "MCE", "intervals", "accuracy", "recall", "flips", "false_alarms", "large", "begun")} for n, f in found.items()}, indent=1))
    del keras


def kept_decision():
    return json.loads((sentinel_days.FOLDER / "golden" / "decision.json").read_text())["decision"]


def save(name, found):
    PARTS.mkdir(parents=True, exist_ok=True)
    (PARTS / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")


def loaded(name):
    path = PARTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def poisson_interval(count, days):
    """95 % interval of alerts a 90 device-days (exact)."""
    from scipy.stats import chi2
    low = chi2.ppf(0.025, 2 * count) / 2 if count else 0.0
    return [float(low / days * 90), float(chi2.ppf(0.975, 2 * count + 2) / 2 / days * 90)]


def days(count=30):
    """The bar of thirty days of a hundred devices, every row's delay, both at once, and what is slow."""
    network, decided = sentinel_days.reference(), kept_decision()
    seeds = make_sentinel.SEEDS["days"]
    if sys.argv[2:]:
        seeds = list(seeds)[:int(sys.argv[2])]
    raw = sentinel_days.normal_days(network, seeds, count)
    state = decision.states(raw[:, :, 0], raw[:, :, 1], decided)
    # All devices once more with every second window, since more alerts showed then: this is counted.
    coarse = decision.alerts(state)
    for n in range(len(seeds)):
        raw[:, n] = sentinel_days.day_raws(network, seeds[n], count, sentinel_days.FINE)
        state[:, n] = decision.states(raw[:, n:n + 1, 0], raw[:, n:n + 1, 1], decided)[:, 0]
    each = decision.alerts(state)
    kinds = [simulator.Device(seed, 1).habits.kind for seed in seeds]
    entered = (state[1:] != 0) & (state[:-1] == 0)
    told = {name: int((entered & (state[1:] == k)).sum()) for k, name in ((1, "health"), (2, "cyber"), (3, "uncertain"))}
    found = {"devices": len(seeds), "days": count, "stride": sentinel_days.STRIDE, "fine": sentinel_days.FINE, "alerts_with_the_stride": int(coarse.sum()), "alerts": int(each.sum()), "told_first": told, "devices_with_an_alert": int((each > 0).sum()), "most_of_one_device": int(each.max()),
             "per_90_days": float(each.sum() / len(seeds) / count * 90), "interval_per_90_days": poisson_interval(int(each.sum()), len(seeds) * count),
             "by_kind": {k: {"devices": kinds.count(k), "alerts": int(each[[i for i, v in enumerate(kinds) if v == k]].sum())} for k in sorted(set(kinds))},
             "share_not_normal": float((state != 0).mean())}
    found["causes"] = causes(seeds, count, state)
    save("days", {**(loaded("days") or {}), **found})
    print(json.dumps(found, indent=1))


# What a window of normal use may hold, the likelier cause of an alert first.
CAUSES = {"cyber": ("a download", "an operator's wrong key", "a tool's mistakes", "delivered twice", "cards that are no tags", "a configuration", "a technician inside", "a restart"),
          "health": ("a restart", "a touched cable", "a technician inside")}


def causes(seeds, count, state):
    """[[told as, cause, alerts]]: what the simulator had put into the windows at whose end an alert began."""
    found = {}
    for n, seed in enumerate(seeds):
        starts = np.flatnonzero((state[1:, n] != 0) & (state[:-1, n] == 0)) + 1
        if not len(starts):
            continue
        events = simulator.Device(seed, count).events
        for t in starts:
            told = ("normal", "health", "cyber", "uncertain")[int(state[t, n])]
            held = {name for name, start, steps in events if start < t + simulator.STEPS and start + steps > t - simulator.STEPS}
            cause = next((name for name in CAUSES["health" if told == "health" else "cyber"] if name in held), "none of these")
            found[told, cause] = found.get((told, cause), 0) + 1
            print("alert", seed, int(t), told, sorted(held), flush=True)
    return [[*key, number] for key, number in sorted(found.items(), key=lambda item: -item[1])]


def every(devices=8):
    """Some of the devices with every window judged, beside every eighth: the same alerts?"""
    network, decided = sentinel_days.reference(), kept_decision()
    seeds = list(make_sentinel.SEEDS["days"])[:devices]
    told = []
    for stride in (1, sentinel_days.STRIDE):
        raw = np.stack([sentinel_days.day_raws(network, seed, 30, stride) for seed in seeds], axis=1)
        told.append(int(decision.alerts(decision.states(raw[:, :, 0], raw[:, :, 1], decided)).sum()))
    save("days", {**(loaded("days") or {}), "every": {"devices": devices, "alerts": told[0], "alerts_with_the_stride": told[1]}})
    print(told)


def rows():
    """Every row's delay, both at once, and what is slow."""
    network, decided = sentinel_days.reference(), kept_decision()
    found = {"rows": {}}
    base = attacks.calm(list(make_sentinel.SEEDS["test"])[:100], 3, 42)
    for row, (head, _, _, within) in attacks.ROWS.items():
        laid = attacks.attacked(base, row, 42)
        r = sentinel_days.stream_raws(network, laid)
        s = decision.states(r[:, :, 0], r[:, :, 1], decided)
        away = s != 0
        first = np.where(away.any(axis=0), away.argmax(axis=0), 999)
        right = s == (1 if head == "health" else 2)
        named = np.where(right.any(axis=0), right.argmax(axis=0), 999)
        found["rows"][row] = {"slices": int(s.shape[1]), "within_s": within * simulator.STEP_SECONDS, "found_within": float((first <= within).mean()), "named_right_within": float((named <= within).mean()),
                              "seconds": {k: float(np.quantile(first, v) * simulator.STEP_SECONDS) for k, v in (("median", 0.5), ("p95", 0.95), ("p99", 0.99))},
                              "never_in_600_s": float((first == 999).mean()), "parts": parts(laid, attacks.ROWS[row][1], within, first <= within)}
    found["both"] = both(network, decided)
    found["slow"] = slow(network, decided)
    save("days", {**(loaded("days") or {}), **found})
    print(json.dumps(found, indent=1))


def parts(laid, kind, within, told):
    """[[what is so of the slices, slices, told in time]]: a device that is off counts nothing, and a camera that is heard now and then only
    is judged by the few steps in which it was."""
    channel = attacks.NEEDED.get(kind)
    seen = laid[:, simulator.STEPS:simulator.STEPS + within] >= 0
    off = (~seen.any(axis=2)).mean(axis=1) > 0.5
    heard = seen[:, :, simulator.INDEX[channel]].mean(axis=1) if channel else np.ones(len(laid))
    named = {"the device is off": off, "heard in 80 % of the steps or more": ~off & (heard >= 0.8), "heard in 30 to 80 %": ~off & (heard >= 0.3) & (heard < 0.8), "heard in less than 30 %": ~off & (heard < 0.3)}
    return [[name, int(which.sum()), float(told[which].mean())] for name, which in named.items() if which.any()]


def both(network, decided):
    """An attack and a fault at once: how the last hundred seconds of ten minutes are told."""
    rng = np.random.default_rng(43)
    kept = []
    for seed in list(make_sentinel.SEEDS["test"])[:100]:
        device = simulator.Device(seed, 1)
        if "sensor.noise" not in device.habits.lacks and "environment.ambient" not in device.habits.lacks:
            at = rng.integers(0, device.count - 92, 2)
            kept.append(device.values[at[:, None] + np.arange(92)])
    x = np.concatenate(kept)
    n = len(x)
    attack = attacks.Attack(x, rng.integers(1, 5, n), rng.choice([1, 2, 3, 4, 6], n), np.full(n, 32), np.full(n, 60), rng)
    r = sentinel_days.stream_raws(network, attack.values)
    s = decision.states(r[:, :, 0], r[:, :, 1], decided)[-10:]
    return {"slices": n, **{name: float((s == k).mean()) for k, name in enumerate(("normal", "health", "cyber", "uncertain"))}}


SLOW = {"malformed commands, 1 in 10 min": ("cyber", 2, {"rate": 1 / 60}), "malformed commands, 1 in 2 min": ("cyber", 2, {"rate": 1 / 12}), "malformed commands, 1 a minute": ("cyber", 2, {"rate": 1 / 6}),
        "replayed commands, 1 a minute": ("cyber", 4, {"rate": 1 / 6}), "bad signatures, 1 a minute": ("cyber", 3, {"rate": 1 / 6}), "refused tags, 1 a minute": ("cyber", 6, {"rate": 1 / 6}),
        "refused tags, 1 in 20 s": ("cyber", 6, {"rate": 0.5}),
        "drift of 0.1 degC in 10 min": ("health", 1, {"slope": 10 / 60}), "drift of 0.25 degC in 10 min": ("health", 1, {"slope": 25 / 60}), "noise x 1.5": ("health", 2, {"times": 1.5, "errors": 0})}


def slow(network, decided, steps=2160):
    """Six hours of what is slow, on two dozen devices: what share is told at all, and after how long."""
    found = {}
    x, lacks = attacks.calm(list(make_sentinel.SEEDS["test"])[:24], 1, 44, after=steps)
    able = np.array([not {"sensor.noise", "environment.ambient"} & lack for lack in lacks])
    for name, (head, kind, fixed) in SLOW.items():
        part = x[able] if head == "health" else x
        zero, which = np.zeros(len(part), int), np.full(len(part), kind)
        attack = attacks.Attack(part, which if head == "health" else zero, which if head == "cyber" else zero, np.full(len(part), 32), np.full(len(part), steps),
                                np.random.default_rng([44, kind]), **fixed)
        r = sentinel_days.stream_raws(network, attack.values)
        away = decision.states(r[:, :, 0], r[:, :, 1], decided) != 0
        hours = away.argmax(axis=0)[away.any(axis=0)] * simulator.STEP_SECONDS / 3600
        found[name] = {"devices": len(part), "told_within_6_h": float(away.any(axis=0).mean()), "median_hours": float(np.median(hours)) if len(hours) else None}
    return found


def summary(x):
    """[n, 16 x 5] of windows of counters: what the simpler methods are given. Mean, largest, sd, last third less first third, missing share."""
    q, has = simulator.encode(x).astype(float), x >= 0
    third = simulator.STEPS // 3
    return np.concatenate([q.mean(axis=1), q.max(axis=1), q.std(axis=1), q[:, -third:].mean(axis=1) - q[:, :third].mean(axis=1), 1 - has.mean(axis=1)], axis=1)


class Thresholds:
    """A limit a class: the single summary and cut that tell this class from all others best; the class whose cut is passed furthest (in sd) wins."""

    def fit(self, features, truth):
        self.rules, self.classes_ = [], np.unique(truth)
        scale = features.std(axis=0) + 1e-9
        for k in self.classes_[1:]:
            best = (-1.0, 0, 0.0, 1)
            for f in range(features.shape[1]):
                for sign in (1, -1):
                    values = sign * features[:, f]
                    for cut in np.unique(np.quantile(values[truth == k], np.linspace(0, 0.5, 11))):
                        told = values >= cut
                        worth = told[truth == k].mean() - told[truth != k].mean()
                        if worth > best[0]:
                            best = (worth, f, cut, sign)
            self.rules.append((*best[1:], scale[best[1]]))
        return self

    def predict(self, features):
        past = np.stack([(sign * features[:, f] - cut) / scale for f, cut, sign, scale in self.rules], axis=1)
        return np.where((past >= 0).any(axis=1), self.classes_[1:][np.where(past >= 0, past, -1).argmax(axis=1)], 0)


def others():
    """The simpler methods on the same windows: trained on devices of training, judged on those of the test."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC
    from sklearn.tree import DecisionTreeClassifier
    network, decided = sentinel_days.reference(), kept_decision()
    x, *train, _ = attacks.windows(list(make_sentinel.SEEDS["train"])[:80], 120, 7, days=1, onset=0.2)
    seen, *test, device = attacks.windows(list(make_sentinel.SEEDS["test"])[:100], 40, 24, days=1)
    a, b = summary(x), summary(seen)
    methods = {"thresholds": Thresholds, "logistic regression": lambda: make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)),
               "tree": lambda: DecisionTreeClassifier(min_samples_leaf=3, random_state=1), "SVM (RBF)": lambda: make_pipeline(StandardScaler(), SVC(C=10, probability=False)),
               "forest (200 trees)": lambda: RandomForestClassifier(200, random_state=1, n_jobs=1)}
    found = {"train_windows": len(x), "test_windows": len(seen)}
    raws = make_sentinel.raws(network, simulator.encode(seen))
    for k, name in enumerate(HEADS):
        rows = {}
        network_right = probabilities(raws[k], decided[name]["calibration"]["ppm"]).argmax(axis=1) == test[k]
        answers = {"network (int8)": probabilities(raws[k], decided[name]["calibration"]["ppm"]).argmax(axis=1)}
        for method, make in methods.items():
            began = time.time()
            model = make().fit(a, train[k])
            answers[method] = model.predict(b)
            print(name, method, float((answers[method] == test[k]).mean()), round(time.time() - began, 1), flush=True)
        for method, answer in answers.items():
            right = answer == test[k]
            recall = [(answer[test[k] == c] == c).mean() for c in np.unique(test[k])]
            only_network, only_other, p = evaluation.mcnemar(network_right, right)
            rows[method] = {"accuracy": float(right.mean()), "interval": evaluation.bootstrap(device, lambda i, right=right: float(right[i].mean()), draws=200), "mean_recall": float(np.mean(recall)),
                            "false_alarms": float((answer[test[k] == 0] > 0).mean()), "missed": float((answer[test[k] > 0] == 0).mean()),
                            "only_network_right": only_network, "only_it_right": only_other, "p": p}
        found[name] = rows
    save("others", found)


def folds(each=300, epochs=12):
    """Five folds of devices, stratified by kind of device: each fifth judges a network that never saw it, calibrated on the next one. A
    shorter fit than the shipped one (fewer devices and epochs, no mining)."""
    keras = fitting.prepare()
    seeds = np.array(make_sentinel.SEEDS["folds"])
    kinds = np.array([simulator.Device(int(s), 1).habits.kind for s in seeds])
    fold = np.zeros(len(seeds), int)
    for kind in np.unique(kinds):
        at = np.nonzero(kinds == kind)[0]
        fold[at] = np.arange(len(at)) % 5
    train = make_sentinel.training_windows([int(s) for s in seeds], each * 2, 51)
    calm = attacks.windows([int(s) for s in seeds], each, 52, days=1, settled=True)
    of = dict(zip(seeds.tolist(), fold.tolist()))
    part = lambda w: np.array([of[int(d)] for d in w[3]])
    parts, rows = (part(train), part(calm)), []
    for k in range(5):
        began = time.time()
        model = make_sentinel.network()
        fits = (parts[0] != k) & (parts[0] != (k + 1) % 5)
        make_sentinel.train(keras, model, train[0][fits], train[1][fits], train[2][fits], epochs, 1e-3)
        network = quantisation.Reference(quantisation.convert(model, simulator.encode(train[0][fits][:1500])))
        # Three fifths train, one calibrates, one judges.
        set_by, judges = parts[1] == (k + 1) % 5, parts[1] == k
        q = simulator.encode(calm[0])
        row = {"fold": k, "windows": int(judges.sum()), "devices": int((fold == k).sum())}
        raw_set, raw = make_sentinel.raws(network, q[set_by]), make_sentinel.raws(network, q[judges])
        for head, (name, names) in enumerate(zip(HEADS, (attacks.HEALTH, attacks.CYBER))):
            table = decision.calibration(raw_set[head][:, 0], calm[1 + head][set_by] == 0)
            truth = calm[1 + head][judges]
            p = probabilities(raw[head], table)
            row[name] = {"accuracy": float((p.argmax(axis=1) == truth).mean()), **{n: v for n, v in calibrated(p, truth).items() if n != "bins"}}
        row["seconds"] = round(time.time() - began)
        print(json.dumps(row), flush=True)
        rows.append(row)
    t = 2.776  # Student, 4 degrees of freedom
    summary = {name: {k: {"mean": float(np.mean(v)), "interval": [float(np.mean(v) - t * np.std(v, ddof=1) / 5 ** 0.5), float(np.mean(v) + t * np.std(v, ddof=1) / 5 ** 0.5)]}
                      for k in ("accuracy", "Brier", "ECE", "MCE") for v in [[r[name][k] for r in rows]]} for name in HEADS}
    save("folds", {"folds": rows, "summary": summary, "each": each, "epochs": epochs})


def recordings():
    import recorded
    save("recorded", recorded.report())


def write():
    """metrics.json from the parts."""
    made = json.loads((fitting.FOLDER / make_sentinel.NAME / "made.json").read_text())
    found = loaded("windows")
    flat = {name: {k: v for k, v in found[name].items() if k not in ("robustness", "margins", "flips", "flips_normal")} for name in HEADS}
    metrics = {"model": make_sentinel.NAME, "version": make_sentinel.VERSION, "kind": "sentinel", "parameters": made["parameters"], "macs": made["macs"], "tflite_bytes": made["bytes"], **flat,
               "int8_float_flips": {name: found[name]["flips"] for name in HEADS}, "int8_float_flips_normal": {name: found[name]["flips_normal"] for name in HEADS},
               "robustness": {name: {kind: v["accuracy"] for kind, v in found[name]["robustness"].items()} for name in HEADS},
               "perturbed": {name: found[name]["robustness"] for name in HEADS}, "margins": {name: found[name]["margins"] for name in HEADS},
               "curve": made["curve"], "training": {"windows": made["windows"], "epochs": made["epochs"], "best_epoch": made["epochs"] - 1, "fit_seconds": made["seconds"], "all_seconds": made["seconds"]},
               **{part: loaded(part) for part in ("days", "others", "folds", "cost", "recorded", "device") if loaded(part)}}
    (sentinel_days.FOLDER / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n")


if __name__ == "__main__":
    began = time.time()
    {"windows": windows, "days": days, "rows": rows, "every": every, "others": others, "folds": folds, "recordings": recordings, "write": write}[sys.argv[1]]()
    print("seconds", round(time.time() - began))
