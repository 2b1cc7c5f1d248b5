"""Makes models from nothing: `python make_models.py NAME...` or `all`. Prints every figure that the cards quote."""

import json
import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OMP_NUM_THREADS", "2")

import numpy as np

import data
import evaluation
import hosvd
import preprocessing
import quantisation
import shipping
from counters import simulator
from quantisation import real
from thermograms.generator import FAULTS, VIEWS

THREADS = int(os.environ.get("TRAINING_THREADS", "2"))
VERSION = "1.0.0"
TRAINING_CAPTURES = 24000
BEGAN = time.time()
OUT = data.CACHE
CLEAN = [{"step": "suppress-outliers", "limit": 250}, {"step": "mask-body"},
         {"step": "subtract-mean", "region": "body"}]
# A body of which 4 x 4 pixels lie within 0.2 degC is covered, or no body: nothing is said of it.
STRUCTURE = {"step": "require-structure", "size": 4, "range": 20}
FOLD = [*CLEAN[:2], STRUCTURE, {"step": "erode-body"}, CLEAN[2], {"step": "fold-left-right"}, {"step": "quantise", "divisor": 5, "zero_point": 0}]
# Where the body hardly stands out, Otsu's threshold cuts it in two.
DEFAULT_FOLD = [FOLD[0], {"step": "mask-body", "method": "minimum-error"}, *FOLD[2:]]
WHOLE = [{"step": "suppress-outliers", "limit": 1000}, {"step": "mask-body"},
         {"step": "subtract-mean", "region": "body"}]
KALVA_CHAINS = {
    "z-score": [CLEAN[0], {"step": "z-score", "unit": 32, "region": "frame"}],
    "min-max": [CLEAN[0], {"step": "min-max", "levels": 256, "region": "frame"}],
    "mean subtraction": [CLEAN[0], {"step": "subtract-mean", "region": "frame"}],
    "histogram equalisation": [CLEAN[0], {"step": "min-max", "levels": 256, "region": "frame"},
                               {"step": "equalise-histogram", "levels": 256}],
}
KALVA_END = {"z-score": (1, 0), "min-max": (1, -128), "mean subtraction": (10, 0),
             "histogram equalisation": (1, -128)}


def kalva_chain(name):
    divisor, zero = KALVA_END[name]
    return [*KALVA_CHAINS[name], {"step": "quantise", "divisor": divisor, "zero_point": zero}]


def prepare():
    import keras
    import tensorflow as tf
    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    keras.utils.set_random_seed(11)
    return keras


def train(model, x, y, validation, loss, epochs, rate=1e-3, batch=64):
    """Trains and keeps the epoch whose validation loss was smallest."""
    import keras
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, epochs * len(x) // batch)), loss)
    keep = keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True)
    log = model.fit(x, y, batch_size=batch, epochs=epochs, validation_data=validation, verbose=2, callbacks=[keep])
    return [float(v) for v in log.history["val_loss"]]


def shuffled(q):
    """The representative inputs of a set that is kept class by class: all classes among the first ones."""
    return q[np.random.default_rng(9).permutation(len(q))]


def limit(captures, count):
    """Keeps the first `count` captures."""
    for name, values in vars(captures).items():
        setattr(captures, name, values[:count])


def by_shape(reference, results, shapes):
    """The outputs in the order of `shapes`; the converter may have changed it."""
    found = [tuple(int(v) for v in d["shape"][1:]) for d in reference.outputs]
    return [results[found.index(shape)] for shape in shapes], [found.index(shape) for shape in shapes]


def size_of(model, content):
    import architectures
    return {"parameters": int(model.count_params()), "macs": int(architectures.multiply_accumulates(model)),
            "tflite_bytes": len(content)}


def disturbed(celsius, kind, seed=4):
    """30 % perturbations: `noise` of 0.3 sd of the body on all pixels, `pixels`: 30 % of them with noise of 1 sd."""
    rng = np.random.default_rng(seed)
    mask, _ = preprocessing.body_mask(preprocessing.centikelvin(celsius))
    sd = np.array([c[m].std() for c, m in zip(celsius, mask)])[:, None, None]
    noise = rng.standard_normal(celsius.shape) * sd
    if kind == "noise":
        return (celsius + 0.3 * noise).astype(np.float32)
    return (celsius + noise * (rng.uniform(size=celsius.shape) < 0.3)).astype(np.float32)


def make_screening(name, build, chain, epochs, purpose, train_count, test_count=3000, rate=1e-3):
    """One score on frontal thermograms, trained on rough captures and measured on plain ones; `test_count` captures of
    the test set, because the reference kernels are slow on wide networks."""
    keras = prepare()
    sets = {s: data.screening(s, n, k) for s, n, k in (("validation", 2000, 1), ("test", 1500, 2))}
    limit(sets["test"], test_count)
    limit(sets["validation"], min(2000, test_count))
    shipped, chain = chain, preprocessing.unguarded(chain)
    withheld = float(preprocessing.withheld(shipped, sets["test"].celsius[:1000]).mean()) if shipped != chain else 0.0
    celsius, target = (v[:train_count] for v in data.screening_rough("train", TRAINING_CAPTURES))
    q = {s: preprocessing.apply(chain, v.celsius) for s, v in sets.items()}
    q["train"] = preprocessing.apply(chain, celsius)
    model = build()
    two = isinstance(model.outputs, list) and len(model.outputs) == 1 and model.outputs[0].shape[-1] == 2
    features = len(model.outputs) == 2
    shaped = lambda y: np.stack([1 - y, y], axis=-1) if two else y.astype(np.float32)
    trained = keras.Model(model.input, model.outputs[0]) if features else model
    start = time.time()
    history = train(trained, real(q["train"]), shaped(target),
                    (real(q["validation"]), shaped(sets["validation"].lesion.astype(np.float32))),
                    "categorical_crossentropy" if two else "binary_crossentropy", epochs, rate)
    seconds = time.time() - start
    content = quantisation.convert(model, q["train"])
    reference = quantisation.Reference(content)
    shapes = [(2,)] if two else [(1,)]
    if features:
        shapes.append((6, 4, 12))

    def run(inputs):
        results, order = by_shape(reference, reference(inputs), shapes)
        return results, order

    (validation, order), (test, _) = run(q["validation"]), run(q["test"])
    element = 1 if two else 0
    raw = {"validation": validation[0][:, element], "test": test[0][:, element]}
    truth = {s: v.lesion for s, v in sets.items()}
    table = evaluation.platt(raw["validation"], truth["validation"])
    lower, upper = evaluation.thresholds(raw["validation"], truth["validation"])
    figures, intervals, reliability = evaluation.binary(
        raw["test"], table, lower, upper, truth["test"], sets["test"].patient)
    floats = trained.predict(real(q["test"]), verbose=0, batch_size=256)[:, element]
    float_raw = np.clip(np.rint(floats * 256 - 128), -128, 127)
    band = lambda r: evaluation.band(r, lower, upper)
    flips = float((band(float_raw) != band(raw["test"])).mean())
    robustness = {}
    some = slice(0, 1000)
    first = sets["test"].celsius[some]
    for kind in ("noise", "pixels"):
        again = run(preprocessing.apply(chain, disturbed(first, kind)))[0][0][:, element]
        robustness[kind] = {"AUC": float(evaluation.auc(again, truth["test"][some])),
                            "same_outcome": float((band(again) == band(raw["test"][some])).mean())}
    detail = {}
    visible = sets["test"].peak + sets["test"].vascular
    for low, high in ((0, 0.3), (0.3, 1), (1, 2), (2, 3), (3, 9)):
        mask = truth["test"] & (visible >= low) & (visible < high)
        if mask.sum():
            detail[f"{low}-{high}"] = {"captures": int(mask.sum()),
                                       "AUC": float(evaluation.auc(np.r_[raw["test"][mask], raw["test"][~truth["test"]]],
                                                    np.r_[np.ones(mask.sum(), bool),
                                                          np.zeros((~truth["test"]).sum(), bool)])),
                                       "above": float((band(raw["test"][mask]) == 2).mean())}
    outputs = [("classes", ["none", "lesion"]) if two else ("score", ["lesion"])]
    if features:
        outputs.append(("features", [f"f{i}" for i in range(288)]))
    ordered = [None] * len(outputs)
    for position, o in zip(order, outputs):
        ordered[position] = o
    decision = {"output": order[0], "element": element, "calibration": {"ppm": table},
                "thresholds": {"lower": lower, "upper": upper}}
    chosen = np.r_[np.nonzero(~truth["test"])[0][:4], np.nonzero(truth["test"])[0][:4]]
    extra = {}
    metrics = {"model": name, "version": VERSION, "kind": "screening", **size_of(model, content), "figures": figures,
               "intervals": intervals, "withheld": withheld, "int8_float_flips": flips, "robustness": robustness,
               "by_warming": detail, "thresholds": {"lower": lower, "upper": upper},
               "reliability": [[float(v) for v in r] for r in reliability],
               "training": {"captures": len(q["train"]), "epochs": len(history), "validation_loss": min(history)}}
    if features:
        zero = quantisation.Reference.tensor(reference.outputs[order[1]], "features")["zero_point"]
        sample = run(q["train"][:4000][target[:4000] != 0.5])[0][1]
        bases = hosvd.integer_bases(sample, zero, target[:4000][target[:4000] != 0.5] == 1)
        spread = hosvd.residuals(test[1], zero, bases)
        says = spread[:, 1] < spread[:, 0]
        network = raw["test"] >= evaluation.balanced(raw["validation"], truth["validation"])
        agree = says == network
        metrics["hosvd"] = {
            "accuracy": float((says == truth["test"]).mean()),
            "network_accuracy": float((network == truth["test"]).mean()),
            "AUC": float(evaluation.auc(spread[:, 0] - spread[:, 1], truth["test"])),
            "agreement_with_network": float(agree.mean()),
            "accuracy_where_they_agree": float((says == truth["test"])[agree].mean())}
        extra = {"subspaces": {"output": order[1], "unit": hosvd.UNIT, "labels": ["none", "lesion"]}, "bases": bases,
                 "residuals": hosvd.residuals(run(preprocessing.apply(chain, sets["test"].celsius[chosen]))[0][1],
                                              zero, bases)}
    shipping.ship(name, content, purpose=purpose, version=VERSION, outputs=ordered, training_data=data.IDENTITY,
                  frames=sets["test"].celsius[chosen], chain=shipped, views=["frontal"], decision=decision, **extra)
    np.savez(OUT / f"{name}-test.npz", raw=raw["test"], truth=truth["test"], patient=sets["test"].patient,
             above=raw["test"] >= evaluation.balanced(raw["validation"], truth["validation"]))
    return finish(name, metrics, seconds)


def finish(name, metrics, seconds):
    metrics["training"]["fit_seconds"] = round(seconds)
    metrics["training"]["all_seconds"] = round(time.time() - BEGAN)
    print(json.dumps({k: v for k, v in metrics.items() if k != "reliability"}), flush=True)
    (shipping.MODELS / name / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n")
    print(f"{name}: trained in {seconds:.0f} s", flush=True)
    return metrics


def classes(raw, truth, labels):
    """Accuracy, recall a class and the confusion matrix (rows: truth)."""
    predicted = raw.argmax(axis=1)
    matrix = np.zeros((len(labels), len(labels)), int)
    np.add.at(matrix, (truth, predicted), 1)
    return {"captures": int(len(truth)), "accuracy": float((predicted == truth).mean()),
            "recall": {l: float(matrix[i, i] / max(matrix[i].sum(), 1)) for i, l in enumerate(labels)},
            "labels": labels, "confusion": matrix.tolist()}


def probability_figures(raw, truth):
    """Brier, ECE and MCE of the first choice, from the int8 probabilities as they are."""
    p = (raw.astype(float) + 128) / 256
    right = raw.argmax(axis=1) == truth
    ece, mce, _ = evaluation.calibration_errors(p.max(axis=1), right)
    one_hot = np.eye(raw.shape[1])[truth]
    return {"Brier": float(((p - one_hot) ** 2).sum(axis=1).mean()), "ECE": ece, "MCE": mce}


def disturbed_accuracy(celsius, chain, truth, output):
    """Accuracy of the first choice under both 30 % perturbations; `output(q)` gives the int8 scores."""
    return {kind: float((output(preprocessing.apply(chain, disturbed(celsius, kind))).argmax(axis=1) == truth).mean())
            for kind in ("noise", "pixels")}


def float_flips(model, q, results):
    outputs = model.predict(real(q), verbose=0, batch_size=256)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    return [float((o.argmax(axis=1) != r.argmax(axis=1)).mean()) for o, r in zip(outputs, results)]


def make_quality():
    prepare()
    import architectures
    chain = [*WHOLE, {"step": "quantise", "divisor": 8, "zero_point": 0}]
    sets = {s: data.faulty(s, n) for s, n in (("train", 2000), ("validation", 300), ("test", 400))}
    q = {s: preprocessing.apply(chain, v[0]) for s, v in sets.items()}
    model = architectures.quality(len(FAULTS), len(VIEWS))
    start = time.time()
    targets = lambda s: [sets[s][1], sets[s][2]]
    history = train(model, real(q["train"]), targets("train"), (real(q["validation"]), targets("validation")),
                    ["sparse_categorical_crossentropy"] * 2, 14)
    seconds = time.time() - start
    content = quantisation.convert(model, shuffled(q["train"]))
    reference = quantisation.Reference(content)
    shapes = [(len(FAULTS),), (len(VIEWS),)]
    (validation, order), (test, _) = (by_shape(reference, reference(q[s]), shapes) for s in ("validation", "test"))
    # The device judges the mirror image too and takes the mean.
    mirrored = {s: by_shape(reference, reference(preprocessing.apply(chain, sets[s][0][:, :, ::-1])), shapes)[0][0]
                for s in ("validation", "test")}
    good = {s: (v[:, 0].astype(int) + mirrored[s][:, 0] + 256) / 2 for s, v in (
        ("validation", validation[0]), ("test", test[0]))}
    minimum = int(np.percentile(good["validation"][sets["validation"][1] == 0], 1, method="lower"))
    accepted = good["test"] >= minimum
    fault = sets["test"][1]
    torso = fault != FAULTS.index("no-torso")
    some = np.random.default_rng(5).permutation(len(fault))[:1000]
    robustness = disturbed_accuracy(
        sets["test"][0][some], chain, fault[some], lambda x: by_shape(reference, reference(x), shapes)[0][0])
    metrics = {
        "model": "quality", "version": VERSION, "kind": "quality", **size_of(model, content), "minimum": minimum,
        "fault": {**classes(test[0], fault, list(FAULTS)), **probability_figures(test[0], fault)},
        "view": {**classes(test[1][torso], sets["test"][2][torso], list(VIEWS)),
                 **probability_figures(test[1][torso], sets["test"][2][torso])},
        "robustness": {"fault": robustness},
        "accepted": {l: float(accepted[fault == i].mean()) for i, l in enumerate(FAULTS)},
        "int8_float_flips": dict(zip(("fault", "view"), float_flips(model, q["test"], test))),
        "training": {"captures": int(len(q["train"])), "epochs": len(history), "validation_loss": min(history)}}
    names = [("fault", list(FAULTS)), ("view", list(VIEWS))]
    ordered = [names[order.index(k)] for k in range(2)]
    chosen = [int(np.nonzero(fault == i)[0][0]) for i in range(len(FAULTS))]
    shipping.ship("quality", content, purpose="quality", version=VERSION, outputs=ordered,
                  training_data=data.IDENTITY, frames=sets["test"][0][chosen], chain=chain, views=list(VIEWS),
                  acceptance={"output": order[0], "accepted": ["good"], "minimum": minimum})
    return finish("quality", metrics, seconds)


def make_digiscope():
    prepare()
    import architectures
    chain = [*WHOLE, {"step": "fill-background", "value": -1500}, {"step": "resize", "rows": 28, "columns": 28},
             {"step": "replicate-channels", "count": 3}, {"step": "quantise", "divisor": 12, "zero_point": 0}]
    labels = [*VIEWS, "no-torso", "unusable"]

    def target(faults, views):
        return np.where(faults == 0, views, np.where(faults == FAULTS.index("no-torso"), 5, 6))

    sets = {s: data.faulty(s, n) for s, n in (("train", 2000), ("validation", 300), ("test", 400))}
    q = {s: preprocessing.apply(chain, v[0]) for s, v in sets.items()}
    y = {s: target(v[1], v[2]) for s, v in sets.items()}
    model = architectures.digiscope_cnn()
    keep = np.random.default_rng(1).permutation(len(q["train"]))[:12000]
    start = time.time()
    history = train(model, real(q["train"][keep]), y["train"][keep], (real(q["validation"]), y["validation"]),
                    "sparse_categorical_crossentropy", 6)
    seconds = time.time() - start
    content = quantisation.convert(model, shuffled(q["train"]))
    pick = np.random.default_rng(2).permutation(len(q["test"]))[:1500]
    sets["test"] = tuple(v[pick] for v in sets["test"])
    q["test"], y["test"] = q["test"][pick], y["test"][pick]
    reference = quantisation.Reference(content)
    test = reference(q["test"])[0]
    robustness = disturbed_accuracy(
        sets["test"][0][:1000], chain, y["test"][:1000], lambda x: reference(x)[0])
    metrics = {"model": "digiscope-cnn", "version": VERSION, "kind": "classes", **size_of(model, content),
               "classes": {**classes(test, y["test"], labels), **probability_figures(test, y["test"])},
               "int8_float_flips": float_flips(model, q["test"], [test])[0],
               "robustness": {"classes": robustness},
               "training": {"captures": len(keep), "epochs": len(history), "validation_loss": min(history)}}
    chosen = [int(np.nonzero(y["test"] == i)[0][0]) for i in range(7)]
    shipping.ship("digiscope-cnn", content, purpose="comparison", version=VERSION, outputs=[("class", labels)],
                  training_data=data.IDENTITY, frames=sets["test"][0][chosen], chain=chain, views=list(VIEWS))
    return finish("digiscope-cnn", metrics, seconds)


def make_sharma():
    prepare()
    import architectures
    sets = {s: simulator.windows(n, seed) for s, n, seed in (
        ("train", 16000, 1), ("validation", 2000, 2), ("test", 3000, 3))}
    q = {s: simulator.encode(v[0]) for s, v in sets.items()}
    model = architectures.sharma_dualpath(
        simulator.STEPS, len(simulator.CHANNELS), len(simulator.HEALTH), len(simulator.CYBER))
    start = time.time()
    targets = lambda s: [sets[s][1], sets[s][2]]
    history = train(model, real(q["train"]), targets("train"), (real(q["validation"]), targets("validation")),
                    ["sparse_categorical_crossentropy"] * 2, 6)
    seconds = time.time() - start
    content = quantisation.convert(model, q["train"])
    reference = quantisation.Reference(content)
    test, order = by_shape(reference, reference(q["test"]), [(len(simulator.HEALTH),), (len(simulator.CYBER),)])
    health, cyber = sets["test"][1:]
    anomaly = lambda raw: -raw[:, 0].astype(int)
    rng = np.random.default_rng(6)
    counted = np.array([c[2] == "log2" for c in simulator.CHANNELS])
    values = sets["test"][0] * (1 + 0.3 * counted * rng.uniform(-1, 1, sets["test"][0].shape))
    again, _ = by_shape(reference, reference(simulator.encode(np.rint(values).astype(np.int64))),
                        [(len(simulator.HEALTH),), (len(simulator.CYBER),)])
    robustness = {"health": {"counters": float((again[0].argmax(axis=1) == sets["test"][1]).mean())},
                  "cyber": {"counters": float((again[1].argmax(axis=1) == sets["test"][2]).mean())}}
    metrics = {"model": "sharma-dualpath", "version": VERSION, "kind": "sentinel", **size_of(model, content),
               "health": {**classes(test[0], health, simulator.HEALTH), **probability_figures(test[0], health),
                          "anomaly_AUC": float(evaluation.auc(anomaly(test[0]), health > 0)),
                          "false_alarms": float((test[0][health == 0].argmax(axis=1) > 0).mean())},
               "cyber": {**classes(test[1], cyber, simulator.CYBER), **probability_figures(test[1], cyber),
                         "anomaly_AUC": float(evaluation.auc(anomaly(test[1]), cyber > 0)),
                         "false_alarms": float((test[1][cyber == 0].argmax(axis=1) > 0).mean())},
               "int8_float_flips": dict(zip(("health", "cyber"), float_flips(model, q["test"], test))),
               "robustness": robustness,
               "training": {"windows": len(q["train"]), "epochs": len(history), "validation_loss": min(history)}}
    names = [("health", simulator.HEALTH), ("cyber", simulator.CYBER)]
    channels = [dict(zip(("name", "unit", "transform", "gain", "offset"), c)) for c in simulator.CHANNELS]
    chosen = [int(np.nonzero(cyber == i)[0][0]) for i in range(len(simulator.CYBER))]
    chosen += [int(np.nonzero(health == i)[0][0]) for i in range(1, len(simulator.HEALTH))]
    shipping.ship("sharma-dualpath", content, purpose="sentinel", version=VERSION,
                  outputs=[names[order.index(k)] for k in range(2)], training_data="counters-synthetic-1",
                  q=q["test"][chosen], counters=sets["test"][0][chosen], channels=channels)
    return finish("sharma-dualpath", metrics, seconds)


def screening_makers():
    import architectures as a
    whole = [*CLEAN, {"step": "fill-background", "value": -500}]
    salvi = [*whole, {"step": "resize", "rows": 32, "columns": 32}, {"step": "replicate-channels", "count": 3},
             {"step": "quantise", "divisor": 5, "zero_point": 0}]
    return {
        "screening-fold": lambda: make_screening(
            "screening-fold", a.screening_fold, DEFAULT_FOLD, 10, "screening", TRAINING_CAPTURES),
        "salvi-cnn": lambda: make_screening("salvi-cnn", a.salvi_cnn, salvi, 4, "comparison", 8000, 1000),
        "kalva-resnet": lambda: make_screening(
            "kalva-resnet", a.kalva_resnet, kalva_chain(os.environ.get("KALVA_PREPROCESSING", "z-score")), 4,
            "comparison", 8000, 1000),
        "bagheri-hosvd": lambda: make_screening("bagheri-hosvd", a.bagheri_features, FOLD, 6, "comparison", 16000),
    }


MAKERS = {"quality": make_quality, "digiscope-cnn": make_digiscope, "sharma-dualpath": make_sharma}
NAMES = ["screening-fold", "quality", "salvi-cnn", "kalva-resnet", "sharma-dualpath", "digiscope-cnn", "bagheri-hosvd"]

if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    wanted = sys.argv[1:] or ["all"]
    for name in NAMES if wanted == ["all"] else wanted:
        if name not in NAMES:
            sys.exit(f"{name}: no such model; expected one of {', '.join(NAMES)}")
        BEGAN = time.time()
        MAKERS[name]() if name in MAKERS else screening_makers()[name]()
