"""The sentinel's own checks, by `make -C Models/training check-sentinel`: the reference of the decision says the same in both of its
forms, the encodings agree, no device is in two splits, the golden decisions can be made again, and the drawn counters beside the
recorded ones have not drifted. Ends with status 1 and a line a fault."""

import json
import pathlib
import sys

import numpy as np

import make_sentinel
import shipping
from counters import attacks, decision, simulator

HERE = pathlib.Path(__file__).resolve().parent
RECORDED = HERE / "counters" / "recorded"


def splits():
    names = list(make_sentinel.SEEDS)
    return [f"the splits {a} and {b} share devices; expected none" for i, a in enumerate(names) for b in names[i + 1:]
            if set(make_sentinel.SEEDS[a]) & set(make_sentinel.SEEDS[b])]


def encodings():
    faults = []
    x = simulator.Device(900, 1).values
    windows = np.lib.stride_tricks.sliding_window_view(x[:900], simulator.STEPS, axis=0).transpose(0, 2, 1)
    if not (np.concatenate(list(simulator.encode_days(x[:900], chunk=250))) == simulator.encode(windows)).all():
        faults.append("encode_days and encode differ; expected the same int8")
    none = np.full((1, simulator.STEPS, len(simulator.CHANNELS)), simulator.MISSING)
    if not (simulator.encode(none)[0] == np.array(simulator.MISSING_Q)).all():
        faults.append("a window without any value is not the channels' missing values")
    late = none.copy()
    late[0, 5:, simulator.INDEX["environment.ambient"]] = 2100 + np.arange(simulator.STEPS - 5)
    if simulator.encode(late)[0, 5, simulator.INDEX["environment.ambient"]] != 0:
        faults.append("a drift is not told from the first step that is not missing")
    return faults


def decisions():
    """Both forms on random walks, and hand-made cases whose end is known from the rule alone."""
    faults = []
    golden = shipping.MODELS / make_sentinel.NAME / "golden" / "decision.json"
    kept = json.loads(golden.read_text())
    figures = kept["decision"]
    rng = np.random.default_rng(1)
    raw = np.where(rng.uniform(size=(3000, 40, 2)) < 0.3, rng.integers(-128, 128, (3000, 40, 2)), rng.choice([-128, 127], (3000, 1, 2)))
    both = decision.states(raw[:, :, 0], raw[:, :, 1], figures)
    names = ["normal", "health", "cyber", "uncertain"]
    for n in range(raw.shape[1]):
        machine = decision.Decision(figures)
        told = [names.index(machine.step(int(h), int(c))["state"]) for h, c in raw[:, n]]
        if told != both[:, n].tolist():
            faults.append(f"column {n}: the two forms of the decision differ")
    for name, k in (("health", 0), ("cyber", 1)):
        table, thresholds = decision.log_odds_q8(figures[name]["calibration"]["ppm"], 1024), [500, 5000, 20_000]
        for slack in (0, 512):
            _, counted = decision.sums(raw[:, :, k], table, [slack] * 3, thresholds)
            if (counted != decision.episodes(raw[:, :, k], table, slack, thresholds)).any():
                faults.append(f"{name}: the two ways to count episodes differ")
    for case in kept["cases"]:
        machine = decision.Decision(figures)
        if [machine.step(*pair) for pair in case["raw"]] != case["states"]:
            faults.append(f"{golden}: {case['name']}: not what the reference says")
    machine = decision.Decision(figures)
    calm = [machine.step(127, 127) for _ in range(50)]
    if any(s["state"] != "normal" or s["health_q8"] or s["cyber_q8"] for s in calm):
        faults.append("sure normal windows do not stay normal with sums of 0")
    loud = [machine.step(127, -128) for _ in range(400)]
    if loud[-1]["state"] != "cyber" or loud[-1]["cyber_q8"] != 2 * figures["cyber"]["threshold_q8"]:
        faults.append("an attack without an end is not told as cyber with the sum at its cap")
    after = [machine.step(127, 127)["state"] for _ in range(2000)]
    if "normal" not in after or after[-1] != "normal" or after.index("normal") < figures["release_windows"] - 1:
        faults.append("an alert does not end after release_windows quiet windows")
    if [machine.step(-128, -128)["state"] for _ in range(400)][-1] != "uncertain":
        faults.append("two heads that are as sure as each other are not uncertain")
    return faults


def main():
    faults = [*splits(), *encodings(), *decisions()]
    if RECORDED.exists():
        import recorded
        faults += recorded.check()
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
