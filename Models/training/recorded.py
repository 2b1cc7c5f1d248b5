"""Counters recorded from the running program (`Scripts/test-sentinel`) beside the drawn ones. `counters/recorded/check` may be looked at to
tell whether the generator is right; `counters/recorded/judge` was never used for tuning and decides: `python recorded.py judge` runs the
network and the decision over it. `python recorded.py` prints the table; `check()` gives what has drifted."""

import json
import pathlib
import sys

import numpy as np

from counters import simulator

FOLDER = pathlib.Path(__file__).resolve().parent / "counters" / "recorded"
DEVICES = range(8000, 8060)
# The channel in which each attack must be seen, and how a step of it is summed up.
SEEN_IN = {"connection-flood": ("network.connections", "network.bytes_in"), "malformed-commands": ("command.malformed",), "spoofed-commands": ("command.bad_signature",),
           "replay": ("command.replayed",), "brute-force": ("login.failed",), "overheating": ("device.temperature",), "noisy": ("sensor.noise", "sensor.bus_errors"), "stuck": ("sensor.noise",), "drift": ("environment.ambient",)}
# What was recorded on a bench and is not so in the field: (channel, measure): (reason, least and most that is taken all the same).
EXCUSED = {
    ("network.publish_latency", "share above 0"): ("the broker is on loopback and often takes less than a millisecond, which counts as 0", 0.3, 1.0),
    ("network.reconnects", "share above 0"): ("the broker is on loopback and never lost", 0.0, 0.6),
    ("device.cpu", "missing share"): ("the simulated board has no processor's clock", 1.0, 1.0),
    ("sensor.noise", "share above 0"): ("the first step has no movement between two sub-pages yet", 0.95, 1.0),
}


def read(path):
    """(int64 [T, 16] with MISSING, labels [T]); the channels must be those of the model, in its order."""
    head, *lines = path.read_text().splitlines()
    head = json.loads(head)
    names = [name for name, *_ in simulator.CHANNELS]
    if head["schema"] != "thermograph.counters.v1" or head["channels"] != names:
        raise ValueError(f"{path}: schema {head['schema']} with channels {head['channels']}; expected thermograph.counters.v1 with {names}")
    steps = [json.loads(line) for line in lines]
    values = np.array([[simulator.MISSING if v is None else v for v in step["values"]] for step in steps], np.int64)
    return values, np.array([step.get("label") or "normal" for step in steps])


def statistics(x):
    """{channel: (missing share, median, 95 % quantile, share above 0)} of counters [T, 16]; figures of what is not missing."""
    rows = {}
    for c, (name, *_) in enumerate(simulator.CHANNELS):
        values = x[:, c]
        has = values[values >= 0]
        rows[name] = (float((values < 0).mean()), *((float(np.median(has)), float(np.quantile(has, 0.95)), float((has > 0).mean())) if len(has) else (None,) * 3))
    return rows


MEASURES = ("missing share", "median", "95 %", "share above 0")


def table(part="check"):
    """[(channel, measure, recorded, generated least, generated most, inside)]: the recorded normal steps against the range of drawn devices."""
    calm = [x[labels == "normal"] for x, labels in map(read, sorted((FOLDER / part).glob("normal-*.jsonl")))]
    seen = statistics(np.concatenate(calm))
    drawn = [statistics(simulator.Device(seed, 1).values) for seed in DEVICES]
    rows = []
    for name in seen:
        for k, measure in enumerate(MEASURES):
            values = [d[name][k] for d in drawn if d[name][k] is not None]
            if seen[name][k] is None or not values:
                continue
            low, high = min(values), max(values)
            rows.append((name, measure, seen[name][k], low, high, low <= seen[name][k] <= high))
    return rows


def check():
    """A line for each statistic of the recorded normal use that no drawn device has, and for each attack that its channels do not show."""
    faults = []
    for name, measure, value, low, high, inside in table():
        if (name, measure) in EXCUSED:
            _, low, high = EXCUSED[(name, measure)]
            inside = low <= value <= high
        if not inside:
            faults.append(f"recorded {name}, {measure}: {value:.4g}; the generator's devices have {low:.4g} to {high:.4g}")
    for path in sorted(FOLDER.glob("*/*.jsonl")):
        x, labels = read(path)
        for label in set(labels) - {"normal"}:
            calm, ill = x[labels == "normal"], x[labels == label]
            if not any(ill[:, simulator.INDEX[c]].max() > calm[:, simulator.INDEX[c]].max() for c in SEEN_IN[label]) and label not in ("stuck", "drift"):
                faults.append(f"{path.name}: {label} shows in none of {', '.join(SEEN_IN[label])}")
    return faults


def judge(part="judge"):
    """The network and the decision over recorded counters, as the device runs them: [(file, label, alerts before, first alert after, state)]."""
    import judge_sentinel
    import sentinel_days
    from counters import decision
    network, decided = sentinel_days.reference(), judge_sentinel.kept_decision()
    rows = []
    for path in sorted((FOLDER / part).glob("*.jsonl")):
        x, labels = read(path)
        raw = sentinel_days.stream_raws(network, x[None])
        state = decision.states(raw[:, :, 0], raw[:, :, 1], decided)[:, 0]
        named = labels[simulator.STEPS - 1:]
        label = next((v for v in named if v != "normal"), None)
        begin = int((named != "normal").argmax()) if label else len(state)
        before, after = state[:begin], state[begin:]
        first = int((after != 0).argmax()) + 1 if (after != 0).any() else None
        rows.append({"file": path.name, "label": label, "calm_windows": int(len(before)), "alerts_before": int((np.diff(np.r_[0, before != 0]) > 0).sum()), "told_after_steps": first,
                     "told_as": ("normal", "health", "cyber", "uncertain")[int(after[first - 1])] if first else None})
    return rows


def report():
    """What metrics.json keeps of both parts."""
    head = json.loads(sorted((FOLDER / "judge").glob("*.jsonl"))[0].read_text().splitlines()[0])
    return {"table": [list(row) for row in table()], "outside": check(), "judged": judge(), "step_seconds": head["step_seconds"], "devices": len(DEVICES),
            "excused": {f"{name}, {measure}": reason for (name, measure), (reason, *_) in EXCUSED.items()}}


if __name__ == "__main__":
    if sys.argv[1:] == ["judge"]:
        for row in judge():
            print(json.dumps(row))
    else:
        for name, measure, value, low, high, inside in table():
            print(f"{name:26} {measure:14} {value:10.4g}  {low:10.4g} to {high:10.4g}  {'' if inside else 'OUTSIDE'}")
