"""Writes Models/REPORT.md and its plots from every model's metrics.json and the test scores kept by make_models.py."""

import json


import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

import data
import evaluation
import shipping
from thermograms import statistics
from thermograms.generator import VIEWS, Batch

PLOTS = shipping.MODELS / "report"
ORDER = ["screening-fold", "salvi-cnn", "kalva-resnet", "bagheri-hosvd", "quality", "digiscope-cnn", "sharma-dualpath"]


def sheet():
    """Five views, healthy above and with a visible lesion below, as the sensor sees them."""
    figure, axes = plt.subplots(4, 5, figsize=(10, 6.4))
    for c, view in enumerate(VIEWS):
        frames = [*Batch(2, 5, view=view).celsius, *Batch(2, 6, view=view, lesions=1.0).celsius]
        for r, frame in enumerate(frames):
            axes[r, c].imshow(frame, cmap="inferno", vmin=20, vmax=37)
            axes[r, c].set_axis_off()
        axes[0, c].set_title(view, fontsize=8)
    figure.suptitle("synthetic thermograms: rows 1-2 healthy, rows 3-4 with a lesion; 20-37 degC", fontsize=8)
    figure.savefig(PLOTS / "thermograms.png", dpi=70, bbox_inches="tight")
    plt.close(figure)


def curves(metrics):
    figure, (roc, reliability) = plt.subplots(1, 2, figsize=(9, 4.2))
    for name, m in metrics.items():
        path = data.CACHE / f"{name}-test.npz"
        if m["kind"] != "screening" or not path.exists():
            continue
        scores = np.load(path)
        levels = np.arange(-128, 129)
        roc.plot([(scores["raw"][~scores["truth"]] >= q).mean() for q in levels],
                 [(scores["raw"][scores["truth"]] >= q).mean() for q in levels], label=name)
        rows = np.array(m["reliability"])
        reliability.plot(rows[:, 0], rows[:, 1], "o-", markersize=3, label=name)
    for axis, x, y in ((roc, "healthy flagged", "lesions flagged"),
                       (reliability, "calibrated probability", "share with a lesion")):
        axis.plot([0, 1], [0, 1], "k:", linewidth=0.8)
        axis.set_xlabel(x)
        axis.set_ylabel(y)
        axis.legend(fontsize=7)
    figure.savefig(PLOTS / "curves.png", dpi=70, bbox_inches="tight")
    plt.close(figure)


def confusions(metrics):
    heads = [(f"{n}: {k}", m[k]) for n, m in metrics.items()
             for k in ("fault", "view", "classes", "health", "cyber") if k in m]
    figure, axes = plt.subplots(1, len(heads), figsize=(4 * len(heads), 4.4))
    for axis, (title, h) in zip(np.atleast_1d(axes), heads):
        matrix = np.array(h["confusion"], float)
        axis.imshow(matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1)
        axis.set_title(title, fontsize=8)
        axis.set_xticks(range(len(h["labels"])), h["labels"], rotation=90, fontsize=6)
        axis.set_yticks(range(len(h["labels"])), h["labels"], fontsize=6)
    figure.savefig(PLOTS / "confusion.png", dpi=60, bbox_inches="tight")
    plt.close(figure)


def summary(m):
    if m["kind"] == "screening":
        f, i = m["figures"], m["intervals"]["AUC"]
        return f"AUC {f['AUC']:.3f} ({i[0]:.3f}-{i[1]:.3f})", f"{f['ECE']:.3f}", f"{m['int8_float_flips']:.2%}"
    if m["kind"] == "classes":
        return f"accuracy {m['classes']['accuracy']:.3f}", f"{m['classes']['ECE']:.3f}", f"{m['int8_float_flips']:.2%}"
    a, b = [k for k in ("fault", "view", "health", "cyber") if k in m]
    return (f"accuracy {a} {m[a]['accuracy']:.3f}, {b} {m[b]['accuracy']:.3f}",
            f"{m[a]['ECE']:.3f}, {m[b]['ECE']:.3f}",
            f"{m['int8_float_flips'][a]:.2%}, {m['int8_float_flips'][b]:.2%}")


def comparison(metrics):
    """McNemar between the screening architectures on the captures that all of them were tested on."""
    names = [n for n, m in metrics.items() if m["kind"] == "screening" and (data.CACHE / f"{n}-test.npz").exists()]
    right = {}
    for name in names:
        scores = np.load(data.CACHE / f"{name}-test.npz")
        right[name] = (scores["above"] == scores["truth"])[:1000]
    lines = ["| a | b | only a right | only b right | p |", "|---|---|---|---|---|"]
    for i, a in enumerate(names):
        for b in names[i + 1:]:
            first, second, p = evaluation.mcnemar(right[a], right[b])
            lines.append(f"| {a} | {b} | {first} | {second} | {p:.3f} |")
    return lines


def main():
    PLOTS.mkdir(exist_ok=True)
    metrics = {n: json.loads((shipping.MODELS / n / "metrics.json").read_text()) for n in ORDER
               if (shipping.MODELS / n / "metrics.json").exists()}
    rows = statistics.table(2000, seed=2)
    sheet()
    curves(metrics)
    confusions(metrics)
    text = [
        "# The models, measured", "",
        "All figures are on synthetic data and say nothing about patients: no usable public set of labelled breast "
        "thermograms exists. Made by `Models/training/report.py` from each model's `metrics.json`.", "",
        "| model | parameters | MACs | bytes | on synthetic test data | ECE | int8 against float |",
        "|---|---|---|---|---|---|---|"]
    for name, m in metrics.items():
        text.append(f"| {name} | {m['parameters']} | {m['macs']} | {m['tflite_bytes']} | "
                    + " | ".join(summary(m)) + " |")
    text += [
        "", "Latency on the device's own engine: `thermograph infer --model Models/NAME/model.tflite --runs 200`.", "",
        "## Why the screening figures are low",
        "Lesions warm the surface by hundredths to tenths of a degree, vessels by more in a share of cases, while healthy "
        "sides differ by 0.87 degC (sd) in patches of the same size. A generator whose healthy thermograms were more "
        "symmetric than real ones would give far better figures, and a model that flags nearly every real healthy "
        "person. The cards give the AUC by warming.", "",
        "![ROC and reliability](report/curves.png)", "",
        "## Screening architectures against each other (McNemar, at the threshold with the best balance)",
        *comparison(metrics), "", "## Classes", "![confusion](report/confusion.png)", "",
        "## The generator beside real thermograms",
        "Clean healthy frontal scenes, 2000, against aggregate statistics of real frontal thermograms at 24 x 32. The "
        "definitions are in `training/thermograms/statistics.py`.", "", *statistics.lines(rows), "",
        "Outside the tolerances: " + ("; ".join(statistics.drift(rows)) or "none") + ".", "",
        "![sheet](report/thermograms.png)", "",
        "## Published numbers that cannot be reproduced",
        "The architectures named after published papers are run here as architectures. Their published accuracies "
        "(about 92 % and more on breast thermograms) come from labelled sets that have no licence and whose labels are "
        "confounded with the year of acquisition: a network that sees no breasts scores the same 0.917 AUC. They were "
        "not reproduced and no figure of them is claimed. The seven lesion classes, the attack records and the feature "
        "sets of the papers are not available either; views, faults and a simulator of the device's own counters stand "
        "in for them."]
    (shipping.MODELS / "REPORT.md").write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
