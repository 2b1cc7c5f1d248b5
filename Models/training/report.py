"""Writes Models/REPORT.md and its plots from every model's metrics.json and the test scores kept by make_models.py."""

import json
import os
import platform
import subprocess

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


THERMOGRAPH = os.environ.get("THERMOGRAPH", str(shipping.MODELS.parent / ".build" / "release" / "thermograph"))


def processor():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def latency(metrics):
    """Microseconds a sample on the device's own engine, measured now when its binary is built, else as last time."""
    path = PLOTS / "latency.json"
    if os.access(THERMOGRAPH, os.X_OK):
        found = {}
        for name in metrics:
            folder = shipping.MODELS / name
            answer = subprocess.run(
                [THERMOGRAPH, "infer", "--model", folder / "model.tflite", "--input", folder / "golden" / "input.npy",
                 "--runs", "200", "--json"], check=True, capture_output=True, text=True)
            answer = json.loads(answer.stdout)
            found[name] = {k: answer[k] for k in ("median_us", "min_us", "kernels")}
        path.write_text(json.dumps({"processor": processor(), "models": found}, indent=1) + "\n")
    return json.loads(path.read_text()) if path.exists() else None


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


HEADS = ("fault", "view", "classes", "health", "cyber")


def summary(m):
    """(what it reaches on synthetic test data, share of outcomes that int8 changes)."""
    if m["kind"] == "screening":
        f, i = m["figures"], m["intervals"]["AUC"]
        return f"AUC {f['AUC']:.3f} ({i[0]:.3f}-{i[1]:.3f})", f"{m['int8_float_flips']:.2%}"
    heads = [k for k in HEADS if k in m]
    flips = m["int8_float_flips"]
    return ("accuracy " + ", ".join(f"{k} {m[k]['accuracy']:.3f}" for k in heads),
            ", ".join(f"{flips[k] if isinstance(flips, dict) else flips:.2%}" for k in heads))


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


def table(metrics, times):
    lines = ["| model | parameters | MACs | bytes | on synthetic test data | int8 against float | least, median us | fit s, made in s |",
             "|---|---|---|---|---|---|---|---|"]
    for name, m in metrics.items():
        us = f"{times['models'][name]['min_us']:.1f}, {times['models'][name]['median_us']:.1f}" if times and name in times["models"] else "not measured"
        result, flips = summary(m)
        lines.append(f"| {name} | {m['parameters']} | {m['macs']} | {m['tflite_bytes']} | {result} | {flips} | {us} "
                     f"| {m['training']['fit_seconds']}, {m['training']['all_seconds']} |")
    return lines


def calibration_table(metrics):
    """Calibration and robustness, a row a score or a head."""
    lines = ["| model | Brier | ECE (15 bins) | MCE | as it is | under the 30 % perturbations |", "|---|---|---|---|---|---|"]
    for name, m in metrics.items():
        if m["kind"] == "screening":
            f = m["figures"]
            rows = [(name, f, f"AUC {f['AUC']:.3f}", [
                f"{kind}: AUC {r['AUC']:.3f}, same outcome {r['same_outcome']:.1%}" for kind, r in m["robustness"].items()])]
        else:
            rows = [(f"{name}: {head}", m[head], f"accuracy {m[head]['accuracy']:.3f}", [
                f"{kind}: accuracy {value:.3f}" for kind, value in m["robustness"].get(head, {}).items()])
                for head in HEADS if head in m]
        lines += [f"| {title} | {f['Brier']:.3f} | {f['ECE']:.3f} | {f['MCE']:.3f} | {plain} | {'; '.join(rough) or 'not measured'} |"
                  for title, f, plain, rough in rows]
    return lines


def choice(metrics):
    """Why the default screening model is the default, in figures."""
    screening = {n: m for n, m in metrics.items() if m["kind"] == "screening"}
    default = screening.pop(DEFAULT)
    best = max(screening.values(), key=lambda m: m["figures"]["AUC"])
    f, b = default["figures"], best["figures"]
    return [
        f"`{DEFAULT}` is the default. Its AUC is {f['AUC']:.3f}; the best of the other architectures, `{best['model']}`, "
        f"has {b['AUC']:.3f}. It takes {default['macs'] / 1e6:.2f} million multiply-accumulates against "
        f"{best['macs'] / 1e6:.2f}; its outcome changes under noise of 30 % in "
        f"{1 - default['robustness']['noise']['same_outcome']:.1%} of captures against "
        f"{1 - best['robustness']['noise']['same_outcome']:.1%}; it flags {f['healthy_flagged']:.1%} of the healthy and "
        f"{f['sensitivity']:.1%} of the lesions (`{best['model']}`: {b['healthy_flagged']:.1%} and "
        f"{b['sensitivity']:.1%}). Above all a thermogram and its mirror image give it the same tensor, which the device "
        "asks of its default; among these only `bagheri-hosvd` shares that."]


DEFAULT = "screening-fold"


def main():
    PLOTS.mkdir(exist_ok=True)
    metrics = {n: json.loads((shipping.MODELS / n / "metrics.json").read_text()) for n in ORDER
               if (shipping.MODELS / n / "metrics.json").exists()}
    rows = statistics.table()
    times = latency(metrics)
    sheet()
    curves(metrics)
    confusions(metrics)
    if times:
        costs(metrics, times)
    text = [
        "# The models, measured", "",
        "**Demonstrations. Trained on synthetic data; not validated on patients; research use only; does not replace "
        "mammography.** All figures are on synthetic data and say nothing about patients: no usable public set of "
        "labelled breast thermograms exists. Made by `Models/training/report.py` from each model's `metrics.json`, the "
        "scores that training kept, and `thermograph infer --runs 200` on the golden inputs.", "",
        *table(metrics, times), "",
        "AUC with its 95 % interval (bootstrap over synthetic patients); outcomes (screening) or first choices (classes) "
        "that differ between int8 and float. `made in` is the whole script on two cores shared with "
        "other work: data, training, quantisation and measuring."
        + (f" Latency on {times['processor']}, one thread, kernels "
           f"{next(iter(times['models'].values()))['kernels']}; other work ran beside it, so the least is nearest to the truth." if times else ""), "",
        *(["![latency and size](report/costs.png)", ""] if times else []),
        "## Calibration and robustness", *calibration_table(metrics), "",
        "Perturbations: `noise` of 30 % of the body's sd on all pixels, `pixels` noise of 1 sd on 30 % of the pixels, "
        "`counters` every counter changed by up to 30 %. Brier of several classes is summed over them; ECE and MCE are "
        "those of the first choice. MCE is the gap of the worst bin, and a bin may hold a single capture.", "",
        "## The default screening model", *choice(metrics), "",
        "## Why the screening figures are low",
        "Lesions warm the surface by hundredths to tenths of a degree, vessels by more in a share of cases, while healthy "
        "sides differ by 0.87 degC (sd) in patches of the same size. A generator whose healthy thermograms were more "
        "symmetric than real ones would give far better figures, and a model that flags nearly every real healthy "
        "person. By the warming at the surface, against all healthy:", "",
        "| warming, degC | " + " | ".join(n for n, m in metrics.items() if m["kind"] == "screening") + " |",
        "|---|" + "---|" * sum(m["kind"] == "screening" for m in metrics.values()),
        *[f"| {band} | " + " | ".join(
            f"{m['by_warming'][band]['AUC']:.3f}" if band in m["by_warming"] else "-"
            for m in metrics.values() if m["kind"] == "screening") + " |"
          for band in metrics[DEFAULT]["by_warming"]], "",
        "A model speaks above or below a threshold only where that is surely (99 %) twice as frequent among those it speaks "
        "of as among the others. Where a low score never gets there, the outcome is above or uncertain; where neither "
        "does, it is always uncertain.", "",
        "![ROC and reliability](report/curves.png)", "",
        "## Screening architectures against each other (McNemar, at the threshold with the best balance)",
        "On the captures that all of them were tested on; exact two-sided p.", "",
        *comparison(metrics), "", "## Classes", "![confusion](report/confusion.png)", "",
        "## The generator beside real thermograms",
        f"Clean healthy frontal scenes, 500 from each of {len(statistics.SEEDS)} seeds, against aggregate statistics of "
        "real frontal thermograms at 24 x 32. The definitions are in `training/thermograms/statistics.py`.", "",
        *statistics.lines(rows), "",
        "Outside the tolerances: " + ("; ".join(statistics.drift(rows)) or "none") + ".", "",
        "![sheet](report/thermograms.png)", "",
        "## Published numbers that are not reproduced",
        "The architectures named after published papers are run here as architectures; no figure of the papers is "
        "claimed.", "",
        "- `salvi-cnn`, `kalva-resnet`, `bagheri-hosvd`: accuracies of about 92 % and more on breast thermograms. The "
        "labelled sets have no licence, and their labels are confounded with the year of acquisition: a network that sees "
        "no breasts scores the same 0.917 AUC. Captures of one patient on both sides of a split inflate them further. "
        "With patients apart and healthy asymmetry as it really is, the figures above are what is left.",
        "- `digiscope-cnn`: seven lesion classes of another kind of picture. That data says nothing of thermograms; "
        "views and capture quality stand in for the classes.",
        "- `sharma-dualpath`: accuracies near 99 % on records of attacks that are not public. The windows here come from a "
        "simulator of the device's own counters; that its classes are told apart well says that the simulator draws them "
        "apart, not that a real attack would be found."]
    (shipping.MODELS / "REPORT.md").write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
