"""Writes Models/REPORT.md from every model's metrics.json, report/*.json, report/statistics.md and change/metrics.json; with
--check only compares. Needs nothing but Python."""

import json
import pathlib
import sys

MODELS = pathlib.Path(__file__).resolve().parent.parent
ORDER = ["screening-fold", "salvi-cnn", "kalva-resnet", "bagheri-hosvd", "quality", "digiscope-cnn", "sharma-dualpath"]
HEADS = ("fault", "view", "classes", "health", "cyber")
DEFAULT = "screening-fold"


def metrics():
    return {n: json.loads((MODELS / n / "metrics.json").read_text()) for n in ORDER if (MODELS / n / "metrics.json").exists()}


def kept(name):
    path = MODELS / name
    return json.loads(path.read_text()) if path.exists() else None


def percent(x):
    return f"{100 * x:.1f} %"


def flips(m):
    f = m["int8_float_flips"]
    return ", ".join(f"{k.replace('_', ' ')} {v:.2%}" for k, v in f.items()) if isinstance(f, dict) else f"{f:.2%}"


def summary(m):
    if m["kind"] == "screening":
        f, i = m["figures"], m["intervals"]["AUC"]
        return f"AUC {f['AUC']:.3f} ({i[0]:.3f}-{i[1]:.3f})"
    return "accuracy " + ", ".join(f"{k} {m[k]['accuracy']:.3f}" for k in HEADS if k in m)


def table(every, times):
    lines = ["| model | trained on | parameters | MACs | bytes | on synthetic test data | int8 against float: decisions that change | least, median us | made in s |",
             "|---|---|---|---|---|---|---|---|---|"]
    for name, m in every.items():
        us = f"{times['models'][name]['min_us']:.1f}, {times['models'][name]['median_us']:.1f}" if times and name in times["models"] else "not measured"
        source = json.loads((MODELS / name / "manifest.json").read_text())["training_data"]["id"]
        lines.append(f"| {name} | {source} | {m['parameters']} | {m['macs']} | {m['tflite_bytes']} | {summary(m)} | {flips(m)} | {us} | {m['training']['all_seconds']} |")
    return lines


def calibration(every):
    lines = ["| model | Brier | ECE (15 bins) | MCE | under perturbation |", "|---|---|---|---|---|"]
    for name, m in every.items():
        if m["kind"] == "screening":
            rough = [f"{kind}: " + (f"AUC {r['AUC']:.3f}, " if "AUC" in r else "") + f"same outcome {percent(r['same_outcome'])}" for kind, r in m["robustness"].items()]
            rows = [(name, m["figures"], rough)]
        else:
            rows = [(f"{name}: {h}", m[h], [f"{k}: accuracy {v:.3f}" for k, v in m.get("robustness", {}).get(h, {}).items()]) for h in HEADS if h in m]
        lines += [f"| {t} | {f['Brier']:.3f} | {f['ECE']:.3f} | {f['MCE']:.3f} | {'; '.join(r) or 'not measured'} |" for t, f, r in rows]
    return lines


def default_section(m):
    if m.get("task") != "spots":
        return []
    b, c = m["bar"], m["conformal"]
    low, high = m["curve"][0], max(m["curve"], key=lambda r: r["AUC"])
    lines = ["## The default screening model and its limit",
             f"`{DEFAULT}` looks for a warm spot by its local contrast; the same body with and without a spot was shown to it, so it cannot lean on what else differs between "
             f"bodies. Spots of sigma 1.3 px (about 5 cm) of +3 degC: sensitivity {percent(b['at_90_specificity'])} at 90 % specificity, AUC {b['AUC']:.3f}; adding one lowers the score of "
             f"{percent(b['falls'])} of the bodies. The shipped threshold is conformal at {percent(c['alpha'])}: {c['test_flagged']} of {c['test_captures']} test captures without a spot were flagged. "
             f"On `choose` the AUC over all spots rose from {low['AUC']:.3f} to {high['AUC']:.3f} by epoch {int(high['epoch'])}.", "",
             "| spot | AUC | found at 90 % specificity | flagged | flagged at the spot |", "|---|---|---|---|---|"]
    return lines + [f"| {k} | {v['AUC']:.3f} | {percent(v['at_90_specificity'])} | {percent(v['flagged'])} | {percent(v['flagged_at_the_spot'])} |"
                    for k, v in m["free_response"].items()] + [""]


def quality_section(m):
    if "accepted_as_declared" not in m:
        return []
    lines = ["## What the quality network refuses", "Frontal captures of the test split; drawn by the generator, not real ones.", "",
             "| capture | accepted | of |", "|---|---|---|"]
    lines += [f"| {k} | {percent(v)} | {m['counts'][k]} |" for k, v in m["accepted"].items()]
    lines += [f"| good, {k}, declared frontal | {percent(v)} | |" for k, v in m["wrong_view_accepted_as_frontal"].items()]
    return lines + [""]


def architectures(every, pairs):
    names = [n for n, m in every.items() if m.get("task") == "spots" and "by_warming" in m]
    if not names:
        return []
    lines = ["## The published architectures", "Trained on the same bodies and spots as the default, in the time two shared cores allow. By the warming of the spot, against all healthy (AUC):", "",
             "| warming, degC | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for band in every[names[0]]["by_warming"]:
        lines.append(f"| {band} | " + " | ".join(f"{every[n]['by_warming'][band]['AUC']:.3f}" for n in names) + " |")
    lines += ["", "Learning curves (each card has the whole table; `choose` is a split of its own):", "",
              "| model | epoch | train AUC | AUC | train AUC from +3 degC | AUC from +3 degC | accuracy | precision | recall |", "|---|---|---|---|---|---|---|---|---|"]
    for n in names:
        rows = every[n].get("curve") or []
        for r in [rows[0], rows[len(rows) // 2], rows[-1]] if len(rows) > 2 else rows:
            lines.append(f"| {n} | {int(r['epoch'])} | {r['train_AUC']:.3f} | {r['AUC']:.3f} | {r['train_AUC_from_3']:.3f} | {r['AUC_from_3']:.3f} | {r['accuracy']:.3f} | {r['precision']:.3f} | {r['recall']:.3f} |")
    old = [n for n, m in every.items() if m["kind"] == "screening" and m.get("task") != "spots"]
    if old:
        lines += ["", f"Not trained anew, and still what their first, short training on `thermograms-synthetic-1` made of them: {', '.join(f'`{n}`' for n in old)}."]
    lines += ["", "On the former data, after 4 epochs on 8000 captures, `salvi-cnn` had an AUC of .551. With the same layers, visible spots and ten epochs it has the figure above: the data (warming of "
              "tenths of a degree) and the short training were at fault, not the architecture."] if "salvi-cnn" in names else []
    if pairs:
        lines += ["", f"McNemar on the {pairs['captures']} captures that all screening models were tested on, each at its threshold with the best balance on `calibrate`; exact two-sided p.", "",
                  "| a | b | only a right | only b right | p |", "|---|---|---|---|---|"]
        lines += [f"| {p['a']} | {p['b']} | {p['only_a_right']} | {p['only_b_right']} | {p['p']:.3f} |" for p in pairs["pairs"]]
        lines += ["", "AUC on these captures: " + ", ".join(f"{n} {a:.3f}" for n, a in pairs["AUC"].items()) + "."]
    return lines + [""]


def change_section(c):
    if not c:
        return []
    lines = ["## Change over time (reference in `training/change`)",
             "Registered, pixel by pixel, against three or more sessions of the same person; simulated sessions (shift 1 px, 4 %, 2 degrees, level .8 degC, white noise .1 degC, a smooth field of 4 px). Thresholds "
             "were set on other bodies. The device runs the same steps, equal to 1e-6 on the golden cases (`Docs/change.md`).", "",
             "| spot of sigma 1.3 px, smooth field sd | people | AUC | sensitivity at 90 % specificity | claimed at the threshold | false change | median minimum detectable, degC |", "|---|---|---|---|---|---|---|"]
    lines += [f"| {k} | {v['people']} | {v['AUC']:.3f} | {percent(v['sensitivity_at_90'])} | {percent(v['claimed'])} | {percent(v['false_change'])} | {v['minimum_detectable_median']:.2f} |"
              for k, v in c["bars"].items()]
    y, m, o = c["years"], c["minimum_detectable"], c["other_sensor"]
    return lines + ["", f"False change a session over simulated years: {y['false_changes']} of {y['sessions_judged']} ({percent(y['share'])}; 95 % interval {percent(y['interval'][0])}-{percent(y['interval'][1])}; the bar is 5 %). "
                    f"A spot as high as the person's own minimum detectable change, anywhere on the assessed skin, was found in {percent(m['found'])} of {m['spots']} ({percent(m['interval'][0])}-{percent(m['interval'][1])}). "
                    f"Last session by another sensor (level +-1 degC, pattern .1 degC): false change in {o['false_changes']} of {o['sessions']} ({percent(o['share'])}; {percent(o['interval'][0])}-{percent(o['interval'][1])}).", ""]


def text():
    every, times = metrics(), kept("report/latency.json")
    statistics = (MODELS / "report" / "statistics.md").read_text().splitlines()
    overall = next(line for line in statistics if line.startswith("Overall W"))
    return "\n".join([
        "# The models, measured", "",
        "**Demonstrations. Trained on synthetic data; not validated on patients; research use only; does not replace "
        "mammography.** All figures are on synthetic data and say nothing about patients: no usable public set of "
        "labelled breast thermograms exists. Made by `Models/training/report.py` from the files that the other scripts wrote; `--check` compares.", "",
        *table(every, times), "",
        "AUC with its 95 % interval (bootstrap over synthetic bodies). `thermograms-synthetic-1` is the former cylinder generator, `-2` the one drawn from real statistics: their figures cannot be "
        "compared. `made in` is beside other work."
        + (f" Latency on {times['processor']}, one thread, kernels {next(iter(times['models'].values()))['kernels']}; other work ran beside it, so the least is nearest to the truth." if times else ""), "",
        *(["![latency and size](report/costs.png)", ""] if times else []),
        *default_section(every[DEFAULT]), *quality_section(every["quality"]), *architectures(every, kept("report/mcnemar.json")),
        "![ROC, reliability and learning curves](report/curves.png)", "",
        *change_section(kept("training/change/metrics.json")),
        "## Calibration and robustness", *calibration(every), "",
        "`noise`: 30 % of the body's sd on all pixels; `pixels`: noise of 1 sd on 30 % of the pixels; `counters`: every counter changed by up to 30 %. Brier of several classes is summed over "
        "them; ECE and MCE are those of the first choice. MCE is the gap of the worst bin, and a bin may hold a single capture.", "",
        "## Classes", "![confusion](report/confusion.png)", "",
        "## The generator beside real thermograms", f"{overall} The whole table: [report/statistics.md](report/statistics.md).", "", "![sheet](report/thermograms.png)", "",
        "## Published numbers that are not reproduced",
        "The architectures named after published papers are run here as architectures; no figure of the papers is claimed.", "",
        "- `salvi-cnn`, `kalva-resnet`, `bagheri-hosvd`: accuracies of about 92 % and more on breast thermograms. The labelled sets have no licence, and their labels are confounded with the year of "
        "acquisition: a network that sees no breasts scores the same 0.917 AUC. Captures of one patient on both sides of a split inflate them further.",
        "- `digiscope-cnn`: seven lesion classes of another kind of picture. That data says nothing of thermograms; views and capture quality stand in for the classes.",
        "- `sharma-dualpath`: accuracies near 99 % on records of attacks that are not public. The windows here come from a simulator of the device's own counters; that its classes are told apart well "
        "says that the simulator draws them apart, not that a real attack would be found."]) + "\n"


if __name__ == "__main__":
    path = MODELS / "REPORT.md"
    if sys.argv[1:] != ["--check"]:
        path.write_text(text())
    elif path.read_text() != text():
        sys.exit(f"{path}: not what the models' metrics.json and report/ say; run Models/training/report.py")
