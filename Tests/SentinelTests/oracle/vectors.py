"""What the tests of the sentinel hold the device's code against: windows encoded and decisions taken by the training scripts.

Run from Models/training with its packages: `python ../../Tests/SentinelTests/oracle/vectors.py`."""

import json
import pathlib
import sys

import numpy as np

sys.path.insert(0, ".")
from counters import decision, simulator  # noqa: E402

FOLDER = pathlib.Path(__file__).parent.parent / "Fixtures"


def windows(rng: np.random.Generator) -> list[dict[str, list[int]]]:
    """Counters of every size, from nothing to beyond what a step can hold, with values missing here and there and whole channels."""
    found = []
    for index in range(6):
        size = rng.integers(0, 25, (32, 16))
        values = (rng.uniform(0, 2, (32, 16)) * 2.0**size).astype(np.int64)
        values[:, 15] = 2200 + rng.integers(-300, 300, 32)
        values[rng.uniform(size=(32, 16)) < 0.15 * index] = -1
        if index > 2:
            values[:, rng.integers(0, 16, 2)] = -1
            values[: int(rng.integers(1, 30)), 15] = -1
        values = np.minimum(values, 1 << 24)
        encoded = simulator.encode(values[None])[0]
        found.append({"values": values.ravel().tolist(), "encoded": encoded.ravel().tolist()})
    return found


def table(rng: np.random.Generator) -> list[int]:
    """A made-up calibration: it never falls, and reaches both ends."""
    return sorted([0, 1, 1_000_000] + rng.integers(0, 1_000_001, 253).tolist())


def runs(rng: np.random.Generator) -> list[dict[str, object]]:
    found = []
    for slack, clip, threshold, release, delta in [(64, 512, 2000, 3, 100), (0, 65536, 1, 1, 0), (300, 900, 20000, 12, 1000), (1500, 2000, 4000, 6, 250)]:
        heads = [{"output": i, "element": 0, "calibration": {"ppm": table(rng)}, "slack_q8": slack, "clip_q8": clip, "threshold_q8": threshold} for i in (0, 1)]
        figures = {"rule": "cusum", "health": heads[0], "cyber": heads[1], "delta_per_mille": delta, "release_windows": release}
        machine = decision.Decision(figures)
        # Long stretches of one mind, so that both heads speak, fall silent and speak together.
        level = np.repeat(rng.integers(-128, 128, (20, 2)), 10, axis=0)
        raw = np.clip(level + rng.integers(-30, 31, level.shape), -128, 127)
        states = [machine.step(int(h), int(c)) for h, c in raw]
        rows = [[int(h), int(c), s["health_q8"], s["cyber_q8"], s["p_health_ppm"], s["p_cyber_ppm"], s["state"]] for (h, c), s in zip(raw, states)]
        found.append({"decision": figures, "rows": rows})
    return found


def main() -> None:
    rng = np.random.default_rng(20261130)
    missing = simulator.MISSING_Q
    channels = [{"name": n, "unit": u, "transform": t, "gain": g, "offset": o, "missing": m} for (n, u, t, g, o), m in zip(simulator.CHANNELS, missing)]
    document = {"channels": channels, "windows": windows(rng), "runs": runs(rng)}
    (FOLDER / "vectors.json").write_text(json.dumps(document, separators=(",", ":")) + "\n")
    states = [row[-1] for run in document["runs"] for row in run["rows"]]
    print({state: states.count(state) for state in sorted(set(states))})


if __name__ == "__main__":
    main()
