"""The plots of REPORT.md, McNemar's counts (report/mcnemar.json) and the latencies (report/latency.json): everything of the
report that needs more than the models' metrics.json."""

import json
import os
import platform
import subprocess

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

import comparison
import evaluation
import fitting
import preprocessing
import quantisation
import report
import shipping
from thermograms.generator import VIEWS
from thermograms.torso import People, Session

PLOTS = shipping.MODELS / "report"


def sheet():
    """Four bodies from five views and on another day, as the generator draws them before the sensor."""
    people = People(4, 5)
    columns = [(v, people.render(v, seed=1)) for v in VIEWS]
    columns.append(("frontal, another day", people.render(session=Session.draw(np.random.default_rng(3), 4), seed=2)))
    figure, axes = plt.subplots(4, len(columns), figsize=(12, 6.4))
    for c, (title, frames) in enumerate(columns):
        for r, frame in enumerate(frames):
            axes[r, c].imshow(frame, cmap="inferno", vmin=20, vmax=36)
            axes[r, c].set_axis_off()
        axes[0, c].set_title(title, fontsize=8)
    figure.suptitle("synthetic bodies, 20-36 degC", fontsize=8)
    figure.savefig(PLOTS / "thermograms.png", dpi=70, bbox_inches="tight")
    plt.close(figure)


def trials(metrics):
    """{model: (raw scores of the common trial, bool above the balanced threshold)} and the truth."""
    celsius, truth, _, _ = comparison.trial("test")
    held, held_truth, _, _ = comparison.trial("calibrate")
    found = {}
    for name, m in metrics.items():
        if m["kind"] != "screening" or m.get("task") != "spots":
            continue
        folder = shipping.MODELS / name
        manifest = json.loads((folder / "manifest.json").read_text())
        reference = quantisation.Reference((folder / "model.tflite").read_bytes())
        d, chain = manifest["decision"], preprocessing.unguarded(manifest["preprocessing"])
        run = lambda x: reference(preprocessing.apply(chain, x))[d["output"]][:, d["element"]].astype(int)
        balanced = m["thresholds"].get("balanced")
        if balanced is None:
            balanced = int(evaluation.balanced(run(held), held_truth))
        raw = run(celsius)
        found[name] = (raw, raw >= balanced)
    return found, truth


def mcnemar(found, truth):
    rows, names = [], list(found)
    for i, a in enumerate(names):
        for b in names[i + 1:]:
            first, second, p = evaluation.mcnemar(found[a][1] == truth, found[b][1] == truth)
            rows.append({"a": a, "b": b, "only_a_right": first, "only_b_right": second, "p": p})
    # Each model's own rows stand in its metrics too.
    for name in names:
        path = shipping.MODELS / name / "metrics.json"
        own = json.loads(path.read_text())
        own["mcnemar"] = [r for r in rows if name in (r["a"], r["b"])]
        path.write_text(json.dumps(own, indent=1) + "\n")
    areas = {n: float(evaluation.auc(raw, truth)) for n, (raw, _) in found.items()}
    (PLOTS / "mcnemar.json").write_text(json.dumps({"captures": len(truth), "AUC": areas, "pairs": rows}, indent=1) + "\n")


def curves(metrics, found, truth):
    figure, axes = plt.subplots(1, 3, figsize=(13, 4.2))
    for name, (raw, _) in found.items():
        levels = np.arange(-128, 129)
        axes[0].plot([(raw[~truth] >= q).mean() for q in levels], [(raw[truth] >= q).mean() for q in levels], label=name)
    for name, m in metrics.items():
        if m["kind"] == "screening" and name in found:
            rows = np.array(m["reliability"])
            axes[1].plot(rows[:, 0], rows[:, 1], "o-", markersize=3, label=name)
        rows = m.get("curve")
        if rows:
            key = next(k for k in ("AUC", "health_AUC", "fault_accuracy", "accuracy") if k in rows[0])
            line, = axes[2].plot([r["epoch"] for r in rows], [r[key] for r in rows], label=f"{name}: {key}")
            if f"train_{key}" in rows[0]:
                axes[2].plot([r["epoch"] for r in rows], [r[f"train_{key}"] for r in rows], ":", color=line.get_color())
    for axis, x, y in ((axes[0], "healthy flagged", "spots flagged"), (axes[1], "calibrated probability", "share with a spot"),
                       (axes[2], "epoch", "on `choose`; dotted: on the training data")):
        axis.set_xlabel(x)
        axis.set_ylabel(y)
        axis.legend(fontsize=6)
    figure.savefig(PLOTS / "curves.png", dpi=70, bbox_inches="tight")
    plt.close(figure)


def confusions(metrics):
    heads = [(f"{n}: {k}", m[k]) for n, m in metrics.items() for k in report.HEADS if k in m]
    figure, axes = plt.subplots(1, len(heads), figsize=(4 * len(heads), 4.4))
    for axis, (title, h) in zip(np.atleast_1d(axes), heads):
        matrix = np.array(h["confusion"], float)
        axis.imshow(matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1)
        axis.set_title(title, fontsize=8)
        axis.set_xticks(range(len(h["labels"])), h["labels"], rotation=90, fontsize=6)
        axis.set_yticks(range(len(h["labels"])), h["labels"], fontsize=6)
    figure.savefig(PLOTS / "confusion.png", dpi=60, bbox_inches="tight")
    plt.close(figure)


THERMOGRAPH = os.environ.get("THERMOGRAPH", str(shipping.MODELS.parent / ".build" / "release" / "thermograph"))


def processor():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def latency(metrics):
    """Microseconds a sample on the device's own engine, measured now when its binary is built, else as last time."""
    path = PLOTS / "latency.json"
    if not os.access(THERMOGRAPH, os.X_OK):
        return
    found = {}
    for name in metrics:
        folder = shipping.MODELS / name
        answer = subprocess.run(
            [THERMOGRAPH, "infer", "--model", folder / "model.tflite", "--input", folder / "golden" / "input.npy",
             "--runs", "200", "--json"], check=True, capture_output=True, text=True)
        answer = json.loads(answer.stdout)
        found[name] = {k: answer[k] for k in ("median_us", "min_us", "kernels")}
    path.write_text(json.dumps({"processor": processor(), "models": found}, indent=1) + "\n")


def costs(metrics, times):
    """Latency and size of each model, side by side."""
    names = [n for n in metrics if n in times["models"]]
    figure, axes = plt.subplots(1, 2, figsize=(9, 3))
    axes[0].barh(names, [times["models"][n]["min_us"] for n in names])
    axes[0].set_xlabel("least microseconds a sample")
    axes[1].barh(names, [metrics[n]["tflite_bytes"] / 1024 for n in names])
    axes[1].set_xlabel("KiB")
    axes[1].set_yticklabels([])
    for axis in axes:
        axis.invert_yaxis()
        axis.tick_params(labelsize=7)
    figure.savefig(PLOTS / "costs.png", dpi=70, bbox_inches="tight")
    plt.close(figure)


def main():
    fitting.prepare()
    PLOTS.mkdir(exist_ok=True)
    metrics = report.metrics()
    latency(metrics)
    sheet()
    found, truth = trials(metrics)
    mcnemar(found, truth)
    curves(metrics, found, truth)
    confusions(metrics)
    if (PLOTS / "latency.json").exists():
        costs(metrics, json.loads((PLOTS / "latency.json").read_text()))


if __name__ == "__main__":
    main()
