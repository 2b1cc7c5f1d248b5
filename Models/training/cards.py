"""Writes each model's card.md from its manifest.json and metrics.json, so that a card holds no number that the
training did not print; with --check only compares. Needs nothing but Python."""

import json
import pathlib
import sys

import sentinel_card

MODELS = pathlib.Path(__file__).resolve().parent.parent

WHAT = {
    "screening-fold": "The device's screening model: a map of how surely a warm spot lies at each place of the breasts, from the whole frame. "
                      "Every filter has its mirror image, so a thermogram and its mirror image give the same score; the name "
                      "is that of its folding predecessor.",
    "quality": "Whether a capture can be assessed: eleven faults against `good`, and which of five views it shows.",
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
SPLITS = ("Splits differ in seed and so in body: `train` fitted the weights, `choose` picked the epoch, `calibrate` set thresholds and "
          "calibration, which were kept in version control before `test` was measured. No real thermogram was used for any of them; the generator "
          "was tuned on aggregate statistics of 69 real frontal ones.")


# Which frames were looked at when what was set: what judged and what did not.
OVERCLAIM = "the 150 frames of the overclaim tests (`overclaim_frames.py`, bodies of their own seed)"
LOOKED = {
    "screening-fold": ["Weights: `train`. Epoch and the place of the sigmoid: `choose`. Threshold, calibration, population: `calibrate`. Kept in version control, then "
                       "`test` was measured; nothing was set afterwards. What training's inputs look like (`input.statistics`) was added later, from `train`.",
                       f"{OVERCLAIM[0].upper()}{OVERCLAIM[1:]} were redrawn once after a look at them (two thirds as the statistics instead of a half, and bodies at least 6 degC above the room)."],
    "quality": ["Weights: `train`. Epoch: `choose`. Both minima: `calibrate`, by the rule (below). Kept in version control before `test` was measured.",
                "**The acceptance's rule was raised twice after `test` had been measured**, each time after a look at " + OVERCLAIM + ": from 96 % to 98 % of the good captures of "
                "`calibrate`, because noise of .4 degC turned 17 % of them away, and from 98 % to 98.8 %, because noise and warmer rooms still turned too many away. With the first raise these frames were "
                "redrawn (two thirds as the statistics instead of a half, bodies at least 6 degC above the room). So `test` was measured three times, and the overclaim frames judge this network no longer "
                "independently. The frames of `report/acceptance.json` are of new seeds, drawn and measured once, after everything was set."],
    "salvi-cnn": ["Weights: `train`. Epoch: `choose`. Threshold and calibration: `calibrate`. Kept in version control before `test` was measured; nothing was set afterwards."],
    "bagheri-hosvd": ["Weights: `train`. Epoch: `choose`. Threshold, calibration and bases: `calibrate`. Kept in version control before `test` was measured; nothing was set afterwards."],
    "kalva-resnet": ["Weights: `train`. Epoch: `choose`. Threshold and calibration: `calibrate`. Version 2.0.0 (ten epochs) was measured on `test` (AUC .710); its curve on `choose` still rose, so "
                     "2.1.0 goes on for eight more epochs. So `test` was measured twice."],
    "digiscope-cnn": ["Weights: `train`. Epochs and the penalty on the logits: `choose`. Version 2.0.0 (seven epochs) was measured on `test`: accuracy 77.3 %, and 2.25 % of the first choices changed from float "
                      "to int8, nearly all of them ties of two classes whose logits fell onto one int8 step. 2.1.0 keeps the logits close together and trains longer. So `test` was measured twice."],
}


def percent(x):
    return f"{100 * x:.1f} %"


def spots(m):
    f, i = m["figures"], m["intervals"]
    span = lambda name: f"{f[name]:.3f} ({i[name][0]:.3f}-{i[name][1]:.3f})"
    lines = [
        f"Synthetic test set: {f['captures']} captures of {f['patients']} synthetic bodies without a finding, and some of them with a warm spot "
        "added to the skin; intervals are 95 %, bootstrap over bodies. A calibrated probability holds for the mixture it was fitted on, half of the "
        "captures with a spot of 0.5 to 5 degC (6 for the comparison models), and in no population.", "",
        "| figure | value |", "|---|---|",
        f"| AUC, all spots together | {span('AUC')} |",
        f"| sensitivity at the shipped threshold, all spots | {span('sensitivity')} |",
        f"| specificity | {span('specificity')} |",
        f"| healthy flagged | {percent(f['healthy_flagged'])} |"]
    if "healthy_flagged_upper" in f:
        lines.append(f"| healthy flagged, upper end of the 95 % interval | {percent(f['healthy_flagged_upper'])} |")
    lines += [
        f"| uncertain | {percent(f['uncertain'])} |",
        f"| withheld because a part of the body is flatter than skin | {percent(m['withheld'])} |",
        f"| Brier, ECE (15 bins), MCE | {f['Brier']:.3f}, {f['ECE']:.3f}, {f['MCE']:.3f} |",
        f"| outcome changes from float to int8 | {percent(m['int8_float_flips'])} |"]
    if "mirror_differences" in m:
        lines.append(f"| mirror images with another score, of 400 | {m['mirror_differences']} |")
    for kind, r in m["robustness"].items():
        name = {"noise": "noise of 30 % of the body's sd", "pixels": "30 % of the pixels with noise of 1 sd"}.get(kind, f"{kind} degC")
        auc = f"AUC {r['AUC']:.3f}, " if "AUC" in r else ""
        lines.append(f"| {name} | {auc}same outcome {percent(r['same_outcome'])} |")
    if "conformal" in m:
        c = m["conformal"]
        lines += ["", f"**The threshold** (raw {m['thresholds']['upper']}) is conformal: above the ceil((n + 1)(1 - {c['alpha']}))-th smallest score of n = "
                  f"{c['calibration_captures']} captures without a finding that took no part in the fit. A further capture without a finding **of the same kind** is flagged "
                  f"with a probability of at most {percent(c['alpha'])}; on the test split {c['test_flagged']} of {c['test_captures']} were. The guarantee is "
                  "for the generator's bodies, not for people: real ones differ from them in ways that nobody has measured. Below a threshold it never speaks."]
    if "free_response" in m:
        b = m["bar"]
        lines += ["", f"**What it can find.** Spots of sigma 1.3 px (about 5 cm at half height on a trunk 34 cm wide) of +3 degC: AUC {b['AUC']:.3f}, sensitivity "
                  f"{percent(b['at_90_specificity'])} at 90 % specificity ({b['spots']} spots); adding one lowers the score in {percent(b['falls'])} of the bodies; from no spot to +6 degC in steps of "
                  f"one the score falls somewhere in {percent(b['ever_falls_along_+1_to_+6'])}. It claims no more than this table; "
                  "nothing is known of tumours, which warm the skin by tenths of a degree.", "",
                  "| spot (width at half height, warming) | AUC | found at 90 % specificity | flagged | flagged, and the peak within 3 px of the spot |", "|---|---|---|---|---|"]
        lines += [f"| {k} | {v['AUC']:.3f} | {percent(v['at_90_specificity'])} | {percent(v['flagged'])} | {percent(v['flagged_at_the_spot'])} |"
                  for k, v in m["free_response"].items()]
    if "by_session" in m:
        s = m["by_session"]
        lines += ["", f"**Reliability by session**: one capture of each of {s['sessions']} bodies, {percent(s['prevalence'])} of them with a spot, which is about the prevalence that the probability "
                  f"is said of: Brier {s['Brier']:.3f}, ECE {s['ECE']:.3f}, MCE {s['MCE']:.3f}. (ECE above is at the prevalence of the whole test set.)", "",
                  "| said | had a spot | sessions |", "|---|---|---|"]
        lines += [f"| {p:.3f} | {t:.3f} | {int(n)} |" for p, t, n in s["reliability"]]
    if "by_warming" in m:
        lines += ["", "By the warming (degC; spots 1.8 to 6 cm wide), against all healthy:", "",
                  "| warming | captures | AUC | above the threshold |", "|---|---|---|---|"]
        lines += [f"| {k} | {v['captures']} | {v['AUC']:.3f} | {percent(v['above'])} |" for k, v in m["by_warming"].items()]
        (tn, fp), (fn, tp) = m["confusion_balanced"]
        lines += ["", f"At the threshold with the best balance on `calibrate` (raw {m['thresholds']['balanced']}): {tn} healthy right, {fp} wrong; {tp} spots right, {fn} wrong; "
                  f"int8 against float changes {percent(m['int8_float_flips_balanced'])} of these decisions."]
    lines += margins(m.get("margins"))
    if "hosvd" in m:
        h = m["hosvd"]
        lines += ["", f"Higher-order SVD: accuracy {percent(h['accuracy'])} (network {percent(h['network_accuracy'])}), "
                  f"AUC {h['AUC']:.3f}; both agree in {percent(h['agreement_with_network'])}, and are then right in "
                  f"{percent(h['accuracy_where_they_agree'])}."]
    return lines


def margins(m, name=""):
    """The margin test: p(true class) less the largest other probability."""
    if not m:
        return []
    told = {"plain": "as they are", "noise": "noise of 30 % of the body's sd", "pixels": "30 % of the pixels with noise of 1 sd", "counters": "every counter changed by up to 30 %"}
    lines = ["", f"Margin test{name}: the true class's int8 probability less the largest other one.", "",
             "| captures | of | above 0 | above 0.1 | mean | 5 % quantile | right ones that stay right | mean fall |", "|---|---|---|---|---|---|---|---|"]
    for kind, v in m.items():
        stay = f"{percent(v['stay_above_0'])} | {v['mean_fall']:.3f}" if "stay_above_0" in v else "- | -"
        lines.append(f"| {told[kind]} | {v['captures']} | {percent(v['above_0'])} | {percent(v['above_0.1'])} | {v['mean']:.3f} | {v['quantile_5']:.3f} | {stay} |")
    return lines


DISTURBED = {"noise": "noise of 30 % of the body's sd on all pixels", "pixels": "noise of 1 sd on 30 % of the pixels",
             "counters": "every counter changed by up to 30 %", "missing": "30 % of the values missing", "both": "both of these"}


def head(name, h, flips, robustness, extra=()):
    lines = ["", f"**{name}**: accuracy {percent(h['accuracy'])} on {h['captures']} synthetic samples; Brier {h['Brier']:.3f}, "
             f"ECE {h['ECE']:.3f} (15 bins), MCE {h['MCE']:.3f}"
             + ("." if flips is None else f"; first choice changes from float to int8 in {percent(flips)}."),
             *[f"Accuracy with {DISTURBED[kind]}: {percent(value)}." for kind, value in robustness.items()], *extra, ""]
    both = "precision" in h
    lines += ["| class | recall | precision |", "|---|---|---|"] if both else ["| class | recall |", "|---|---|"]
    return lines + [f"| {k} | {percent(v)} |" + (f" {percent(h['precision'][k])} |" if both else "") for k, v in h["recall"].items()]


def quality(m):
    lines = head("Faults", m["fault"], m["int8_float_flips"]["first_fault"], {}) + head("Views", m["view"], None, {})
    lines += ["", f"A capture is accepted from {m['minimum']}/256 for `good` on, and taken for the declared view from {m['view_minimum']}/256 for that view on. Frontal captures of the test "
              "split, declared frontal, by what they really were:", "", "| capture | accepted | of |", "|---|---|---|"]
    lines += [f"| {k} | {percent(v)} | {m['counts'][k]} |" for k, v in m["accepted"].items()]
    lines += ["", "| good capture of the view | accepted when declared so | accepted when declared frontal |", "|---|---|---|"]
    lines += [f"| {k} | {percent(v)} | {percent(m['wrong_view_accepted_as_frontal'][k]) if k in m['wrong_view_accepted_as_frontal'] else '-'} |"
              for k, v in m["accepted_as_declared"].items()]
    lines += ["", "The acceptance's rule: as many good captures as keep `calibrate` at 98.8 %. It was raised twice after the test split had been measured (see Reporting), so the figures above are of a test "
              "split measured three times."]
    flips, room = m["int8_float_flips"], m["other_background_same_outcome"]
    lines += ["", f"int8 against float changes the acceptance in {percent(flips['accepted'])}, the acceptance as frontal in {percent(flips['accepted_as_frontal'])}. A background "
              f"3 degC colder or warmer leaves the acceptance of good captures as it was in {percent(room['-3'])} and {percent(room['+3'])}."]
    return lines


def former(m):
    """The figures of a screening model of the first training, on `thermograms-synthetic-1`."""
    f, i = m["figures"], m["intervals"]
    return ["The first, short training; not repeated on the newer bodies, and not to be compared with models that were.", "", "| figure | value |", "|---|---|",
            f"| AUC | {f['AUC']:.3f} ({i['AUC'][0]:.3f}-{i['AUC'][1]:.3f}) |", f"| healthy flagged | {percent(f['healthy_flagged'])} |",
            f"| Brier, ECE, MCE | {f['Brier']:.3f}, {f['ECE']:.3f}, {f['MCE']:.3f} |", f"| outcome changes from float to int8 | {percent(m['int8_float_flips'])} |"]


def figures(m):
    if m["kind"] == "screening":
        return spots(m) if m.get("task") == "spots" else former(m)
    if m["kind"] == "classes":
        return head("Classes", m["classes"], m["int8_float_flips"], m["robustness"]["classes"]) + margins(m.get("margins"))
    if m["kind"] == "quality":
        return quality(m)
    lines = []
    for name in ("health", "cyber"):
        h = m[name]
        lines += head(name.capitalize(), h, m["int8_float_flips"][name], m["robustness"][name], [
            f"Any anomaly against normal: AUC {h['anomaly_AUC']:.3f}, false alarms {percent(h['false_alarms'])} of "
            "normal windows."])
        lines += margins(m.get("margins", {}).get(name), f", {name}")
    return lines + sentinel_card.sections(m)


def learning(m):
    """The learning curve as a table; every figure but the loss is on the split `choose` unless its name says train."""
    rows = m.get("curve")
    if not rows:
        return []
    names = [k for k in rows[0] if k not in ("epoch", "minus_loss", "worth")]
    lines = ["", "## Learning curve", f"Kept: epoch {m['training']['best_epoch']}.", "", "| epoch | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    return lines + [f"| {int(r['epoch'])} | " + " | ".join(f"{r[k]:.3f}" for k in names) + " |" for r in rows]


def reporting(name, m, manifest):
    """The items of TRIPOD+AI that a synthetic model can fill."""
    if name not in LOOKED:
        return []
    what = {"screening": "a warm spot of known height, place and size, added by the generator", "quality": "the kind of scene that was drawn", "classes": "the view or the kind of scene that was drawn"}
    return ["", "## Reporting (TRIPOD+AI)", "| item | |", "|---|---|",
            f"| title, intended use | {manifest['intended_use']} |",
            f"| source of data | `{manifest['training_data']['id']}`, drawn by `Models/training/thermograms`; no participants, no dates, no centres |",
            f"| outcome | {what[m['kind']]}; known without error |",
            "| predictors | 24 x 32 surface temperatures of one frame; no age, history or room |",
            "| sample size | by the time that a fit may take, not by a calculation |", "| missing data | none; broken pixels are interpolated as on the device |",
            f"| development, evaluation | {SPLITS if m['kind'] != 'classes' else SPLITS.split('. ')[0] + '. ' + SPLITS.split('. ')[-1]} |",
            *[f"| frames looked at, and what was set then | {line} |" for line in LOOKED[name]], "| fairness | body size and distance vary; skin tone, age, illness and pregnancy are not modelled, so nothing is known of them |",
            "| performance in people | not measured |", "| limitations | the generator's side views, clothing, animals and objects are drawings; see `training/thermograms/README.md` |"]


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
        f"{m['training']['epochs']} epochs; the fit's last run took {m['training']['all_seconds']} s beside other work (one that was interrupted goes on where it was). Licence: {manifest['licence']}.", "",
        "## Measured", *([SPLITS, ""] if m.get("task") == "spots" or m["kind"] == "quality" else []), *figures(m), *learning(m), *reporting(name, m, manifest), "",
        "Every number here is printed by the scripts in `Models/training` and kept in `metrics.json`. None of them says anything about patients."]
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
