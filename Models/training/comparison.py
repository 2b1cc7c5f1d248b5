"""The published architectures, made to be run and measured beside the default models: `python comparison.py fit NAME`,
then `python comparison.py judge NAME`; NAME is one of NAMES. A fit resumes from its last epoch."""

import json
import os
import sys
import time

import numpy as np

import data
import detector
import evaluation
import fitting
import hosvd
import preprocessing
import quality
import quantisation
import shipping
from quantisation import real
from thermograms.generator import VIEWS
from thermograms.scenes import LABELS

BATCH = 32
VERSIONS = {"salvi-cnn": "2.0.0", "kalva-resnet": "2.1.0", "bagheri-hosvd": "2.0.0", "digiscope-cnn": "2.1.0"}
CLEAN = [{"step": "suppress-outliers", "limit": 250}, {"step": "mask-body"}, {"step": "subtract-mean", "region": "body"}]
STRUCTURE = {"step": "require-structure", "size": 4, "range": 20}
FOLD = [*CLEAN[:2], STRUCTURE, {"step": "erode-body"}, CLEAN[2], {"step": "fold-left-right"}, {"step": "quantise", "divisor": 5, "zero_point": 0}]
FILLED = [*CLEAN, {"step": "fill-background", "value": -500}]
KALVA_CHAINS = {
    "z-score": [CLEAN[0], {"step": "z-score", "unit": 32, "region": "frame"}],
    "min-max": [CLEAN[0], {"step": "min-max", "levels": 256, "region": "frame"}],
    "mean subtraction": [CLEAN[0], {"step": "subtract-mean", "region": "frame"}],
    "histogram equalisation": [CLEAN[0], {"step": "min-max", "levels": 256, "region": "frame"},
                               {"step": "equalise-histogram", "levels": 256}],
}
KALVA_END = {"z-score": (1, 0), "min-max": (1, -128), "mean subtraction": (10, 0), "histogram equalisation": (1, -128)}


def kalva_chain(name):
    divisor, zero = KALVA_END[name]
    return [*KALVA_CHAINS[name], {"step": "quantise", "divisor": divisor, "zero_point": zero}]


def wide(rows):
    return [*FILLED, {"step": "resize", "rows": rows, "columns": rows}, {"step": "replicate-channels", "count": 3},
            {"step": "quantise", "divisor": 5, "zero_point": 0}]


# name: (builder, chain, epochs, captures an epoch, learning rate)
SCREENING = {
    "salvi-cnn": ("salvi_cnn", wide(32), 10, 4000, 1e-3),
    "kalva-resnet": ("kalva_resnet", kalva_chain(os.environ.get("KALVA_PREPROCESSING", "z-score")), 18, 3200, 1e-3),
    "bagheri-hosvd": ("bagheri_features", FOLD, 10, 6000, 1e-3),
}
# Epochs of the first cosine; a second one, four fifths as long and half as high, fills the rest.
FIRST = 10
NAMES = [*SCREENING, "digiscope-cnn"]
POPULATION = f"{data.IDENTITY}: drawn bodies, half of them with a warm spot of 0.5 to 6 degC; no people"
TRIAL = 700  # bodies of the trial on which all screening models are compared


def trial(split):
    """(celsius, truth, height, body): the same bodies without and with a spot, alike for every model."""
    torsos = data.Torsos(split, 1000 if split != "choose" else None)
    at = np.arange(min(TRIAL, len(torsos)))
    ill, _, _, height = detector.spotted(np.random.default_rng([51, data.SPLITS[split]]), torsos, at, (0.5, 6.0))
    return (np.concatenate([torsos.celsius[at], ill]).astype(np.float32), np.r_[np.zeros(len(at), bool), np.ones(len(at), bool)],
            np.r_[np.zeros(len(at)), height], np.r_[at, at])


def by_shape(reference, results, shapes):
    """The outputs in the order of `shapes`; the converter may have changed it."""
    found = [tuple(int(v) for v in d["shape"][1:]) for d in reference.outputs]
    return [results[found.index(shape)] for shape in shapes], [found.index(shape) for shape in shapes]


def binary_figures(score, truth, height):
    above = score >= 0.5
    strong = ~truth | (height >= 3)
    return {"AUC": float(evaluation.auc(score, truth)), "AUC_from_3": float(evaluation.auc(score[strong], truth[strong])),
            "accuracy": float((above == truth).mean()), "precision": float((truth & above).sum() / max(above.sum(), 1)),
            "recall": float(above[truth].mean())}


def fit_screening(name):
    keras = fitting.prepare()
    import tensorflow as tf

    import architectures
    began = time.time()
    builder, shipped, epochs, count, rate = SCREENING[name]
    chain = preprocessing.unguarded(shipped)
    torsos = data.Torsos("train")
    model = getattr(architectures, builder)()
    outputs = model.outputs if isinstance(model.outputs, list) else [model.outputs]
    two = len(outputs) == 1 and outputs[0].shape[-1] == 2
    features = len(outputs) == 2
    trained = keras.Model(model.input, outputs[0]) if features else model
    steps = count // BATCH
    optimiser = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecayRestarts(rate, FIRST * steps, t_mul=0.8, m_mul=0.5, alpha=0.02))
    optimiser.build(trained.trainable_variables)

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            p = trained(x, training=True)
            p = tf.clip_by_value(p[:, 1] if two else p[:, 0], 1e-6, 1 - 1e-6)
            loss = -tf.reduce_mean(y * tf.math.log(p) + (1 - y) * tf.math.log(1 - p))
        grads = tape.gradient(loss, trained.trainable_variables)
        optimiser.apply_gradients(zip(grads, trained.trainable_variables))
        return loss, p

    def train_epoch(epoch):
        rng = np.random.default_rng([13, epoch])
        at = rng.permutation(len(torsos))[:count]
        other = rng.permutation(len(torsos))[:count]
        base = torsos.clean[at] + torsos.noise[other]
        row, column = data.place(rng, torsos.zone[at])
        on = rng.uniform(size=len(at)) < 0.5
        height = rng.uniform(0.5, 6.0, len(at)) * on
        frames = base + data.spot(row, column, height, data.sigma_of(rng.uniform(*detector.CENTIMETRES, len(at)), torsos.half[at]))
        frames = np.where((rng.uniform(size=len(at)) < 0.5)[:, None, None], frames[:, :, ::-1], frames)
        q = preprocessing.apply(chain, frames.astype(np.float32))
        total, seen = 0.0, []
        for k in range(steps):
            part = slice(k * BATCH, (k + 1) * BATCH)
            loss, p = step(real(q[part]), on[part].astype(np.float32))
            total += float(loss)
            seen.append(p.numpy())
        seen = np.concatenate(seen)
        return {"loss": total / steps, **{f"train_{k}": v for k, v in binary_figures(seen, on[:len(seen)], height[:len(seen)]).items()}}

    celsius, truth, height, _ = trial("choose")
    held = real(preprocessing.apply(chain, celsius))

    def measure():
        p = trained.predict(held, verbose=0, batch_size=128)
        return binary_figures(p[:, 1] if two else p[:, 0], truth, height)

    # The weights of the whole model are kept: the features share those of the score.
    # Behind the first cosine the rate rises again, and the figures fall for a while.
    curve, best = fitting.run(name, model, optimiser, epochs, train_epoch, measure, "AUC", patience=4 if epochs <= FIRST else epochs)
    sample = preprocessing.apply(chain, np.concatenate([torsos.celsius[:250], detector.spotted(
        np.random.default_rng(3), torsos, np.arange(250, 500))[0]]).astype(np.float32))
    content = quantisation.convert(model, sample[np.random.default_rng(9).permutation(len(sample))])
    reference = quantisation.Reference(content)
    shapes = [(2,) if two else (1,)] + ([(6, 4, 12)] if features else [])
    celsius, truth, _, body = trial("calibrate")
    results, order = by_shape(reference, reference(preprocessing.apply(chain, celsius)), shapes)
    raw = results[0][:, 1 if two else 0]
    upper = detector.conformal(raw[~truth], detector.ALPHA)
    table = evaluation.platt(raw, truth)
    ordered = [None] * len(shapes)
    labels = [("classes", ["none", "spot"]) if two else ("score", ["spot"]), ("features", [f"f{i}" for i in range(288)])]
    for position, output in zip(order, labels):
        ordered[position] = output
    extra = {}
    chosen = np.r_[0:4, len(truth) - 4:len(truth)]
    if features:
        zero = quantisation.Reference.tensor(reference.outputs[order[1]], "features")["zero_point"]
        bases = hosvd.integer_bases(results[1], zero, truth)
        extra = {"subspaces": {"output": order[1], "unit": hosvd.UNIT, "labels": ["none", "spot"]}, "bases": bases,
                 "residuals": hosvd.residuals(results[1][chosen], zero, bases)}
    shipping.ship(name, content, purpose="comparison", version=VERSIONS[name], outputs=ordered, training_data=data.IDENTITY,
                  frames=celsius[chosen], chain=shipped, views=["frontal"],
                  decision={"output": order[0], "element": 1 if two else 0, "calibration": {"ppm": table},
                            "population": {"description": POPULATION, "prevalence": 0.5},
                            "thresholds": {"lower": -128, "upper": upper}}, **extra)
    keep(name, model, content, curve, best, count * len(curve), time.time() - began,
         {"balanced": int(evaluation.balanced(raw, truth))})


def keep(name, model, content, curve, best, count, seconds, more=None):
    import architectures
    (fitting.FOLDER / name / "fit.json").write_text(json.dumps({
        "parameters": int(model.count_params()), "macs": int(architectures.multiply_accumulates(model)), "tflite_bytes": len(content),
        "captures": count, "epochs": len(curve), "best_epoch": best["epoch"], "seconds": round(seconds), "curve": curve, **(more or {})}))


WARMING = ((0.5, 1), (1, 2), (2, 3), (3, 4), (4, 6))


def judge_screening(name):
    keras = fitting.prepare()
    import architectures
    folder = shipping.MODELS / name
    manifest = json.loads((folder / "manifest.json").read_text())
    made = json.loads((fitting.FOLDER / name / "fit.json").read_text())
    chain = preprocessing.unguarded(manifest["preprocessing"])
    reference = quantisation.Reference((folder / "model.tflite").read_bytes())
    d = manifest["decision"]
    upper, element = d["thresholds"]["upper"], d["element"]
    run = lambda x: reference(preprocessing.apply(chain, x))
    celsius, truth, height, body = trial("test")
    results = run(celsius)
    raw = results[d["output"]][:, element].astype(int)
    figures, intervals, reliability = evaluation.binary(raw, d["calibration"]["ppm"], -128, upper, truth, body)
    model = getattr(architectures, SCREENING[name][0])()
    model.load_weights(fitting.FOLDER / name / "best.weights.h5")
    f = model.predict(real(preprocessing.apply(chain, celsius)), verbose=0, batch_size=128)
    f = (f[0] if isinstance(f, list) else f)[:, element]
    float_raw = np.clip(np.rint(f * 256 - 128), -128, 127)
    flips = {"above": float(((float_raw >= upper) != (raw >= upper)).mean()),
             "balanced": float(((float_raw >= made["balanced"]) != (raw >= made["balanced"])).mean())}
    some = np.r_[0:250, len(truth) - 250:len(truth)]
    robust, margins = {}, {"plain": evaluation.margins(evaluation.two_classes(raw), truth)}
    for kind in ("noise", "pixels"):
        again = run(evaluation.disturbed(celsius[some], kind))[d["output"]][:, element].astype(int)
        margins[kind] = evaluation.margins(evaluation.two_classes(again), truth[some], evaluation.two_classes(raw[some]))
        robust[kind] = {"AUC": float(evaluation.auc(again, truth[some])), "same_outcome": float(((again >= upper) == (raw[some] >= upper)).mean())}
    detail = {}
    for low, high in WARMING:
        m = truth & (height >= low) & (height < high)
        detail[f"{low:g}-{high:g}"] = {"captures": int(m.sum()), "AUC": float(evaluation.auc(
            np.r_[raw[m], raw[~truth]], np.r_[np.ones(m.sum(), bool), np.zeros((~truth).sum(), bool)])), "above": float((raw[m] >= upper).mean())}
    balanced = raw >= made["balanced"]
    table = lambda m: [[int((~m & ~truth).sum()), int((m & ~truth).sum())], [int((~m & truth).sum()), int((m & truth).sum())]]
    metrics = {"model": name, "version": VERSIONS[name], "kind": "screening", "task": "spots", **{k: made[k] for k in ("parameters", "macs", "tflite_bytes")},
               "figures": figures, "intervals": intervals, "withheld": 0.0, "int8_float_flips": flips["above"],
               "int8_float_flips_balanced": flips["balanced"], "robustness": robust, "margins": margins, "by_warming": detail,
               "thresholds": {"lower": -128, "upper": upper, "balanced": made["balanced"]},
               "confusion_balanced": table(balanced), "reliability": [[float(v) for v in r] for r in reliability],
               "by_session": evaluation.by_session(raw, d["calibration"]["ppm"], truth, body),
               "curve": made["curve"], "training": {"captures": made["captures"], "epochs": made["epochs"],
                                                    "best_epoch": made["best_epoch"], "fit_seconds": made["seconds"], "all_seconds": made["seconds"]}}
    if "subspaces" in manifest:
        o = manifest["subspaces"]["output"]
        zero = manifest["outputs"][o]["tensor"]["zero_point"]
        spread = hosvd.residuals(results[o], zero, np.load(folder / "bases.npy"))
        says = spread[:, 1] < spread[:, 0]
        agree = says == balanced
        metrics["hosvd"] = {"accuracy": float((says == truth).mean()), "network_accuracy": float((balanced == truth).mean()),
                            "AUC": float(evaluation.auc(spread[:, 0] - spread[:, 1], truth)), "agreement_with_network": float(agree.mean()),
                            "accuracy_where_they_agree": float((says == truth)[agree].mean())}
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n")
    print(json.dumps({k: v for k, v in metrics.items() if k not in ("curve", "reliability")}, indent=1))


DIGISCOPE = wide(28)
# Chosen on `choose`: 7 epochs without it 2.4 % of the first choices changed from float to int8, 28 epochs with it 0.7 %.
LOGIT_PENALTY = 0.01
DIGISCOPE_LABELS = [*VIEWS, "no-torso", "unusable"]


def digiscope_set(split, most):
    celsius, label, view = data.captures(split)
    y = np.where(label == 0, view, np.where(label == LABELS.index("no-torso"), 5, 6))
    pick = np.random.default_rng(2).permutation(len(y))[:most]
    return celsius[pick], y[pick]


def fit_digiscope():
    keras = fitting.prepare()
    import tensorflow as tf

    import architectures
    began = time.time()
    name, epochs, count = "digiscope-cnn", 28, 4000
    celsius, y = digiscope_set("train", 14000)
    q = preprocessing.apply(DIGISCOPE, celsius)
    held, truth = digiscope_set("choose", 1200)
    held = real(preprocessing.apply(DIGISCOPE, held))
    model = architectures.digiscope_cnn()
    steps = count // BATCH
    optimiser = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1.2e-3, epochs * steps, alpha=0.02))
    optimiser.build(model.trainable_variables)

    last = model.layers[-1]
    both = keras.Model(model.input, [model.layers[-2].output, model.output])

    @tf.function
    def step(x, t):
        with tf.GradientTape() as tape:
            h, p = both(x, training=True)
            logits = tf.matmul(h, last.kernel) + last.bias
            # One int8 scale holds all logits: where they spread wide, two classes fall onto one step and tie.
            loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(t, p)) + LOGIT_PENALTY * tf.reduce_mean(logits * logits)
        optimiser.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
        return loss, tf.argmax(p, axis=1)

    def train_epoch(epoch):
        at = np.random.default_rng([17, epoch]).permutation(len(q))[:count]
        total, right = 0.0, 0
        for k in range(steps):
            part = at[k * BATCH:(k + 1) * BATCH]
            loss, p = step(real(q[part]), y[part])
            total, right = total + float(loss), right + int((p.numpy() == y[part]).sum())
        return {"loss": total / steps, "train_accuracy": right / (steps * BATCH)}

    def measure():
        return evaluation.several(model.predict(held, verbose=0, batch_size=128), truth)

    curve, best = fitting.run(name, model, optimiser, epochs, train_epoch, measure, "accuracy")
    content = quantisation.convert(model, q[np.random.default_rng(9).permutation(len(q))])
    test, y = digiscope_set("calibrate", 1500)
    chosen = [int(np.nonzero(y == i)[0][0]) for i in range(7)]
    shipping.ship(name, content, purpose="comparison", version=VERSIONS[name], outputs=[("class", DIGISCOPE_LABELS)],
                  training_data=data.IDENTITY, frames=test[chosen], chain=DIGISCOPE, views=list(VIEWS))
    keep(name, model, content, curve, best, count * len(curve), time.time() - began)


def judge_digiscope():
    fitting.prepare()
    import architectures
    name = "digiscope-cnn"
    folder = shipping.MODELS / name
    made = json.loads((fitting.FOLDER / name / "fit.json").read_text())
    reference = quantisation.Reference((folder / "model.tflite").read_bytes())
    celsius, y = digiscope_set("test", 1200)
    q = preprocessing.apply(DIGISCOPE, celsius)
    raw = reference(q)[0]
    model = architectures.digiscope_cnn()
    model.load_weights(fitting.FOLDER / name / "best.weights.h5")
    f = model.predict(real(q), verbose=0, batch_size=128)
    probability = (raw.astype(float) + 128) / 256
    robust, margins = {}, {"plain": evaluation.margins(probability, y)}
    for kind in ("noise", "pixels"):
        again = reference(preprocessing.apply(DIGISCOPE, evaluation.disturbed(celsius[:400], kind)))[0]
        robust[kind] = float((again.argmax(1) == y[:400]).mean())
        margins[kind] = evaluation.margins((again.astype(float) + 128) / 256, y[:400], probability[:400])
    metrics = {"model": name, "version": VERSIONS[name], "kind": "classes", **{k: made[k] for k in ("parameters", "macs", "tflite_bytes")},
               "classes": {**quality.classes(raw, y, DIGISCOPE_LABELS), **quality.probability_figures(raw, y)},
               "int8_float_flips": float((f.argmax(1) != raw.argmax(1)).mean()), "robustness": {"classes": robust}, "margins": margins, "curve": made["curve"],
               "training": {"captures": made["captures"], "epochs": made["epochs"], "best_epoch": made["best_epoch"],
                            "fit_seconds": made["seconds"], "all_seconds": made["seconds"]}}
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n")
    print(json.dumps({k: v for k, v in metrics.items() if k != "curve"}, indent=1))


def main():
    action, name = sys.argv[1:]
    if name not in NAMES:
        sys.exit(f"{name}: no such model; expected one of {', '.join(NAMES)}")
    if name == "digiscope-cnn":
        {"fit": fit_digiscope, "judge": judge_digiscope}[action]()
    else:
        {"fit": fit_screening, "judge": judge_screening}[action](name)


if __name__ == "__main__":
    main()
