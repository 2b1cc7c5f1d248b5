"""Writes each model's card.md from its manifest.json and metrics.json, so that a card holds no number that the
training did not print; with --check only compares. Needs nothing but Python."""

import json
import pathlib
import sys

MODELS = pathlib.Path(__file__).resolve().parent.parent

WHAT = {
    "screening-fold": "The device's screening model: the thermogram is folded about the body's midline, so a thermogram "
                      "and its mirror image give the same score.",
    "quality": "Whether a capture can be assessed: eight faults against `good`, and which of five views it shows.",
    "salvi-cnn": "Convolution-pool stacks and a dense head at 32 x 32 x 3.",
    "kalva-resnet": "Conv64-pool-Conv64-pool, two residual blocks y = x + F(x), global average, 512, 256, two classes; "
                    "batch norm folded.",
    "sharma-dualpath": "1-D convolutions (k = 3, LeakyReLU) over windows of the device's own counters: a head for the "
                       "sensing's health, a head for attacks.",
    "digiscope-cnn": "Conv16-Conv32-pool-Conv32-Conv64-pool-64-32-7 at 28 x 28 x 3. Its seven classes are five views, "
                     "no torso and unusable, and stand for the lesion classes of the published architecture.",
    "bagheri-hosvd": "Convolutional features and, beside the network, a classifier by higher-order SVD: the class whose "
                     "subspace leaves the smaller residual. Disagreement with the network means uncertain.",
}


def percent(x):
    return f"{100 * x:.1f} %"


def screening(m):
    f, i = m["figures"], m["intervals"]
    span = lambda name: f"{f[name]:.3f} ({i[name][0]:.3f}-{i[name][1]:.3f})"
    lines = [
        f"Synthetic test set: {f['captures']} captures of {f['patients']} synthetic patients, half with a lesion; "
        "intervals are 95 %, bootstrap over patients. Calibrated probabilities hold at that share of one half and in no "
        "population.", "",
        "| figure | value |", "|---|---|",
        f"| AUC | {span('AUC')} |",
        f"| sensitivity (above the upper threshold) | {span('sensitivity')} |",
        f"| specificity | {span('specificity')} |",
        f"| healthy flagged | {percent(f['healthy_flagged'])} |",
        f"| lesions below the lower threshold | {percent(f['missed_below'])} |",
        f"| uncertain | {percent(f['uncertain'])} |",
        f"| withheld because a part of the body is flatter than skin | {percent(m['withheld'])} |",
        f"| Brier, ECE (15 bins), MCE | {f['Brier']:.3f}, {f['ECE']:.3f}, {f['MCE']:.3f} |",
        f"| outcome changes from float to int8 | {percent(m['int8_float_flips'])} |",
    ]
    for kind, text in (("noise", "noise of 30 % of the body's sd"), ("pixels", "30 % of the pixels with noise of 1 sd")):
        r = m["robustness"][kind]
        lines.append(f"| {text}: AUC, same outcome | {r['AUC']:.3f}, {percent(r['same_outcome'])} |")
    lower, upper = m["thresholds"]["lower"], m["thresholds"]["upper"]
    lines += ["", "Above is spoken "
              + ("never" if upper == 127 else f"from raw {upper} on")
              + (", below never" if lower == -128 else f", below up to raw {lower}")
              + ": each only where it is surely (99 %) twice as frequent among those it speaks of as among the others, and "
              "flags at most 1 % of the healthy or misses at most 10 % of the lesions, on the validation set."]
    lines += ["", "By the warming at the surface (tumour and vessels, degC), against all healthy:", "",
              "| warming | captures | AUC | above the threshold |", "|---|---|---|---|"]
    lines += [f"| {k} | {v['captures']} | {v['AUC']:.3f} | {percent(v['above'])} |" for k, v in m["by_warming"].items()]
    if "hosvd" in m:
        h = m["hosvd"]
        lines += ["", f"Higher-order SVD: accuracy {percent(h['accuracy'])} (network {percent(h['network_accuracy'])}), "
                  f"AUC {h['AUC']:.3f}; it agrees with the network on {percent(h['agreement_with_network'])}, and where "
                  f"they agree the accuracy is {percent(h['accuracy_where_they_agree'])}."]
    return lines


DISTURBED = {"noise": "noise of 30 % of the body's sd on all pixels", "pixels": "noise of 1 sd on 30 % of the pixels",
             "counters": "every counter changed by up to 30 %"}


def head(title, h, flips, robustness, extra=()):
    lines = ["", f"**{title}**: accuracy {percent(h['accuracy'])} on {h['captures']} synthetic samples; Brier "
             f"{h['Brier']:.3f}, ECE {h['ECE']:.3f} (15 bins), MCE {h['MCE']:.3f}; first choice changes from float to "
             f"int8 in {percent(flips)}.",
             *[f"Accuracy with {DISTURBED[kind]}: {percent(value)}." for kind, value in robustness.items()], *extra, "", "| class | recall |", "|---|---|"]
    return lines + [f"| {k} | {percent(v)} |" for k, v in h["recall"].items()]


def figures(m):
    if m["kind"] == "screening":
        return screening(m)
    if m["kind"] == "classes":
        return head("Classes", m["classes"], m["int8_float_flips"], m["robustness"]["classes"])
    if m["kind"] == "quality":
        lines = head("Faults", m["fault"], m["int8_float_flips"]["fault"], m["robustness"]["fault"]) + head(
            "Views", m["view"], m["int8_float_flips"]["view"], {})
        lines += ["", f"A capture is accepted from {m['minimum']}/256 for `good` on; accepted shares by what the "
                  "capture really was:", "", "| capture | accepted |", "|---|---|"]
        return lines + [f"| {k} | {percent(v)} |" for k, v in m["accepted"].items()]
    lines = []
    for name in ("health", "cyber"):
        h = m[name]
        lines += head(name.capitalize(), h, m["int8_float_flips"][name], m["robustness"][name], [
            f"Any anomaly against normal: AUC {h['anomaly_AUC']:.3f}, false alarms {percent(h['false_alarms'])} of "
            "normal windows."])
    return lines


def card(name):
    folder = MODELS / name
    m, manifest = (json.loads((folder / f).read_text()) for f in ("metrics.json", "manifest.json"))
    lines = [
        f"# {name} {m['version']}", WHAT[name], "",
        "**Demonstration. Trained on synthetic data; not validated on patients; research use only; does not replace "
        "mammography.**", "",
        f"{m['parameters']} parameters, {m['macs']} multiply-accumulates, {m['tflite_bytes']} bytes; int8 in and out, "
        "weights per channel. Training data: "
        f"`{manifest['training_data']['id']}` (synthetic), {next(iter(m['training'].values()))} samples, "
        f"{m['training']['epochs']} epochs, made in {m['training']['all_seconds']} s on two shared cores. Licence: {manifest['licence']}.", "",
        "## Measured", *figures(m), "",
        "Every number here is printed by `Models/training/make_models.py` and kept in `metrics.json`. None of them says "
        "anything about patients."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    stale = []
    for folder in sorted(path.parent for path in MODELS.glob("*/metrics.json")):
        path, text = folder / "card.md", card(folder.name)
        if sys.argv[1:] != ["--check"]:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            stale.append(f"{path}: not what its metrics.json and manifest.json say; run Models/training/cards.py")
    if stale:
        sys.exit("\n".join(stale))
