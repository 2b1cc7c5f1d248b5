"""The generator's clean frontal scenes of the good class's inner part against aggregate statistics of real ones: prints
the table, writes it to Models/report/statistics.md, and ends with status 1 when the overall distance or one line has
left its bar. Needs numpy and scipy only."""

import pathlib
import sys

import numpy as np

from thermograms import compare, torso

SEEDS, COUNT = (11, 12, 13), 300
OVERALL, LINE = 0.35, 0.7
HERE = pathlib.Path(__file__).resolve().parent


def table():
    """([(name, real p5 p50 p95, generated p5 p50 p95, z, outside, W)], overall W), averaged over the seeds. Every body
    has the marker here, because nearly every real one has: the good class draws it on half of them."""
    made = [compare.compare(torso.People(COUNT, seed, marker=0.96).render(seed=seed), torso.STATISTICS) for seed in SEEDS]
    rows = []
    for lines in zip(*[rows for rows, _ in made]):
        mean = lambda k: np.mean([line[k] for line in lines], axis=0)
        rows.append((lines[0][0], lines[0][1], mean(2), float(mean(3)), float(mean(4)), float(mean(5))))
    return rows, float(np.mean([overall for _, overall in made]))


def main():
    rows, overall = table()
    faults = [f"{name}: W {w:.2f}; expected at most {LINE}" for name, *_, w in rows if w > LINE]
    if overall > OVERALL:
        faults.append(f"overall W {overall:.3f}; expected at most {OVERALL}")
    text = ["# The generator beside real thermograms", "",
            f"Clean frontal scenes, {COUNT} from each of the seeds {', '.join(map(str, SEEDS))}, against aggregate statistics of "
            "69 real frontal thermograms at 24 x 32 (definitions: `training/thermograms/compare.py`). W is the mean distance of "
            "seven quantiles in real sd; `out` the share outside the real p5-p95 (0.10 is ideal). Written by "
            "`make models-statistics`.", "",
            f"Overall W: **{overall:.3f}** (bar {OVERALL}; 35 real frames against 34 others score 0.34). Largest line: "
            f"{max(r[-1] for r in rows if np.isfinite(r[-1])):.2f} (bar {LINE}).", "",
            "| statistic | real p5 / p50 / p95 | generated p5 / p50 / p95 | z | out | W |", "|---|---|---|---|---|---|"]
    for name, real, given, z, out, w in rows:
        figures = lambda q: " / ".join(f"{x:.2f}" for x in q)
        text.append(f"| {name.replace('|', chr(92) + '|')} | {figures(real)} | {figures(given)} | {z:.2f} | {out:.2f} | {w:.2f} |")
    text += ["", "Beyond the bars: " + ("; ".join(faults) or "none") + "."]
    (HERE.parent / "report").mkdir(exist_ok=True)
    (HERE.parent / "report" / "statistics.md").write_text("\n".join(text) + "\n")
    print("\n".join(text))
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
