"""The default screening model: `python detector.py fit` trains, quantises, sets the threshold by conformal prediction on
the calibration split and ships the model; `python detector.py judge` measures it once on the test split and writes
metrics.json. The threshold is kept in version control before the second step.

What it looks for is a warm spot of the skin's surface, 2 to 6 cm across, on the breasts. It is trained on the same body
with and without a spot: what bodies have by nature cannot help it, and adding a spot must not lower its score.
"""

import json
import sys
import time

import numpy as np

import data
import evaluation
import fitting
import preprocessing
import quantisation
import shipping
from quantisation import real

NAME, VERSION, EPOCHS, BATCH = "screening-fold", "2.0.0", 13, 48
# From which epoch on a score that falls with a spot costs how much.
STAGES = ((0, 0.4), (9, 3.0))
CHAIN = [{"step": "suppress-outliers", "limit": 250}, {"step": "mask-body", "method": "minimum-error"},
         {"step": "require-structure", "size": 4, "range": 20}, {"step": "erode-body"},
         {"step": "subtract-mean", "region": "body"}, {"step": "fill-background", "value": 0},
         {"step": "quantise", "divisor": 5, "zero_point": 0}]
PLAIN = preprocessing.unguarded(CHAIN)
POPULATION = f"{data.IDENTITY}: drawn bodies, half of them with a warm spot of 0.5 to 5 degC; no people"
ALPHA = 0.005  # healthy captures above the threshold, at most
FLOOR = -7.0  # log odds below which places are not told apart
HEIGHTS, CENTIMETRES = (0.5, 5.0), (1.8, 6.0)


def spotted(rng, torsos, at, heights=HEIGHTS, centimetres=CENTIMETRES, sigma=None):
    """(frames with a spot, row, column, height) of the torsos `at`; what the sensor adds is the same as without it."""
    row, column = data.place(rng, torsos.zone[at])
    height = rng.uniform(*heights, len(at))
    width = data.sigma_of(rng.uniform(*centimetres, len(at)), torsos.half[at]) if sigma is None else sigma
    return torsos.celsius[at] + data.spot(row, column, height, width), row, column, height


def fit():
    keras = fitting.prepare()
    import tensorflow as tf

    import architectures
    began = time.time()
    torsos, chosen = data.Torsos("train"), data.Torsos("choose")
    everything = torsos.celsius
    model = architectures.screening_spot()
    steps = len(torsos) // BATCH
    optimiser = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, EPOCHS * steps, alpha=0.02))
    optimiser.build(model.trainable_variables)
    cells = np.stack(np.mgrid[0:12, 0:16], axis=-1).astype(np.float32) * 2 + 0.5

    @tf.function
    def step(plain, warm, near, far, weight, pressure):
        with tf.GradientTape() as tape:
            maps = model(tf.concat([plain, warm], axis=0), training=True)[..., 0]
            n = tf.shape(plain)[0]
            healthy, ill = maps[:n], maps[n:]
            flat = tf.reshape(healthy, [n, -1])
            hard = tf.nn.top_k(flat, 6).values
            negative = tf.reduce_mean(tf.nn.softplus(hard)) + 2.0 * tf.reduce_mean(tf.nn.softplus(flat))
            beside = tf.reduce_mean(tf.nn.softplus(ill) * far)
            peak = tf.reduce_max(ill - 1e4 * (1 - near), axis=[1, 2])
            positive = tf.reduce_sum(weight * tf.nn.softplus(-peak)) / tf.cast(n, tf.float32)
            rise = tf.reduce_max(ill, axis=[1, 2]) - tf.reduce_max(flat, axis=1)
            rank = tf.reduce_mean(tf.nn.softplus(-3.0 * rise))
            loss = negative + beside + positive + pressure * rank
        grads = tape.gradient(loss, model.trainable_variables)
        optimiser.apply_gradients(zip(grads, model.trainable_variables))
        return loss

    def train_epoch(epoch):
        rng = np.random.default_rng([7, epoch])
        order, total = rng.permutation(len(torsos)), 0.0
        other = rng.permutation(len(torsos))
        for k in range(steps):
            at = order[k * BATCH:(k + 1) * BATCH]
            row, column = data.place(rng, torsos.zone[at])
            height = rng.uniform(*HEIGHTS, len(at))
            width = data.sigma_of(rng.uniform(*CENTIMETRES, len(at)), torsos.half[at])
            base = torsos.clean[at] + torsos.noise[other[at]]
            pair = np.stack([base, base + data.spot(row, column, height, width)])
            flip = rng.uniform(size=len(at)) < 0.5
            pair = np.where(flip[None, :, None, None], pair[..., ::-1], pair)
            column = np.where(flip, 31 - column, column)
            q = preprocessing.apply(PLAIN, pair.reshape(-1, 24, 32)).reshape(2, len(at), 24, 32, 1)
            d = np.hypot(cells[None, ..., 0] - row[:, None, None], cells[None, ..., 1] - column[:, None, None])
            near, far = (d < 2.3).astype(np.float32), (d > 5).astype(np.float32)
            total += float(step(real(q[0]), real(q[1]), near, far, np.clip(height / 2.5, 0.1, 1).astype(np.float32),
                                tf.constant(next(w for first, w in reversed(STAGES) if epoch >= first))))
        return {"loss": total / steps}

    fixed = np.random.default_rng(21)
    index = np.arange(len(chosen))
    ill, _, _, height = spotted(fixed, chosen, index)
    held = [real(preprocessing.apply(PLAIN, x)) for x in (chosen.celsius, ill)]

    def measure():
        top = [model.predict(x, verbose=0, batch_size=256).max(axis=(1, 2, 3)) for x in held]
        truth = np.r_[np.zeros(len(index), bool), np.ones(len(index), bool)]
        score = np.r_[top[0], top[1]]
        limit = np.quantile(top[0], 0.9)
        above = score > limit
        auc, falls = float(evaluation.auc(score, truth)), float((top[1] < top[0] - 1e-6).mean())
        return {"AUC": auc, "sensitivity_at_90": float((top[1] > limit).mean()),
                "accuracy": float((above == truth).mean()), "precision": float((truth & above).sum() / max(above.sum(), 1)),
                "falls": falls, "worth": auc - falls}

    curve, best = fitting.run(NAME, model, optimiser, EPOCHS, train_epoch, measure, "worth")
    # The sigmoid is laid so that the healthy captures spread over the lower half of int8 and the threshold above it.
    top = model.predict(held[0], verbose=0, batch_size=256).max(axis=(1, 2, 3))
    middle, high = np.quantile(top, [0.5, 0.97])
    slope = float(2.2 / max(high - middle, 0.3))
    offset = float(-1.2 - slope * middle)
    floor = float(min(FLOOR, np.quantile(top, 0.002) - 0.3))
    plain = architectures.screening_spot_plain(model, floor, slope, offset)
    sample = preprocessing.apply(PLAIN, np.concatenate([everything[:200], spotted(fixed, torsos, np.arange(200, 400))[0]]))
    content = quantisation.convert(plain, sample[np.random.default_rng(9).permutation(len(sample))])
    plain.save_weights(fitting.FOLDER / NAME / "plain.weights.h5")
    ship(content, plain, curve, best, len(torsos), time.time() - began, {"floor": floor, "slope": slope, "offset": offset})


def conformal(scores, alpha):
    """The raw value from which a capture is flagged: above the ceil((n + 1)(1 - alpha))-th smallest of n healthy scores, so
    that a new healthy capture of the same kind is flagged with a probability of at most alpha."""
    k = int(np.ceil((len(scores) + 1) * (1 - alpha)))
    return int(np.sort(scores)[k - 1]) + 1 if k <= len(scores) else 127


def ship(content, plain, curve, best, count, seconds, head):
    import architectures
    reference = quantisation.Reference(content)
    held = data.Torsos("calibrate")
    rng = np.random.default_rng(31)
    score = lambda x: reference(preprocessing.apply(PLAIN, x))[0][:, 0]
    healthy = score(held.celsius)
    at = np.arange(len(held))[:1500]
    ill = score(spotted(rng, held, at)[0])
    upper = conformal(healthy, ALPHA)
    raw, truth = np.r_[healthy[:1500], ill], np.r_[np.zeros(len(healthy[:1500]), bool), np.ones(len(ill), bool)]
    table = evaluation.platt(raw, truth)
    test = data.Torsos("choose")
    chosen = np.concatenate([test.celsius[:4], spotted(rng, test, np.arange(4, 8), heights=(3.0, 5.0))[0]])
    decision = {"output": 0, "element": 0, "calibration": {"ppm": table},
                "population": {"description": POPULATION, "prevalence": 0.5}, "thresholds": {"lower": -128, "upper": upper}}
    shipping.ship(NAME, content, purpose="screening", version=VERSION, outputs=[("score", ["spot"])],
                  training_data=data.IDENTITY, frames=chosen.astype(np.float32), chain=CHAIN, views=["frontal"],
                  decision=decision, statistics=trained_on())
    made = {"parameters": int(plain.count_params()), "macs": int(architectures.multiply_accumulates(plain)),
            "tflite_bytes": len(content), "captures": count, "epochs": len(curve), "best_epoch": best["epoch"],
            "seconds": round(seconds), "curve": curve, "head": head, "alpha": ALPHA, "calibration_captures": len(held)}
    (fitting.FOLDER / NAME / "fit.json").write_text(json.dumps(made))
    print("upper", upper, "flagged on calibration", float((healthy >= upper).mean()), np.percentile(healthy, [1, 50, 90, 99]))


def trained_on():
    """Of the inputs without a spot that the fit saw."""
    torsos = data.Torsos("train")
    return shipping.input_statistics(preprocessing.apply(PLAIN, torsos.celsius))


SIZES, DEGREES = (2.0, 3.0, 5.0), (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)


def interval(hits, of):
    """95 % Wilson interval of a share."""
    p, z = hits / of, 1.96
    middle, half = (p + z * z / (2 * of)) / (1 + z * z / of), z * np.sqrt(p * (1 - p) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    return [float(max(middle - half, 0)), float(min(middle + half, 1))]


def judge():
    fitting.prepare()
    import architectures
    folder = shipping.MODELS / NAME
    manifest = json.loads((folder / "manifest.json").read_text())
    made = json.loads((fitting.FOLDER / NAME / "fit.json").read_text())
    content = (folder / "model.tflite").read_bytes()
    upper, table = manifest["decision"]["thresholds"]["upper"], manifest["decision"]["calibration"]["ppm"]
    reference = quantisation.Reference(content)
    test = data.Torsos("test")
    score = lambda x: reference(preprocessing.apply(PLAIN, x))[0][:, 0].astype(int)
    healthy = score(test.celsius)
    limit90 = np.quantile(healthy, 0.9)
    rng = np.random.default_rng(41)
    some = np.arange(0, len(test), 4)
    trunk = architectures.screening_spot()
    trunk.load_weights(fitting.FOLDER / NAME / "best.weights.h5")
    curves, falls = {}, []
    for size in SIZES:
        for degrees in DEGREES:
            frames, row, column, _ = spotted(rng, test, some, (degrees, degrees), sigma=data.sigma_of(size, test.half[some]))
            ill = score(frames)
            maps = trunk.predict(real(preprocessing.apply(PLAIN, frames)), verbose=0, batch_size=256)[..., 0]
            at = maps.reshape(len(maps), -1).argmax(axis=1)
            found = np.hypot(at // 16 * 2 + 0.5 - row, at % 16 * 2 + 0.5 - column) <= 3
            curves[f"{size:g} cm, +{degrees:g}"] = {
                "AUC": float(evaluation.auc(np.r_[healthy, ill], np.r_[np.zeros(len(healthy), bool), np.ones(len(ill), bool)])),
                "at_90_specificity": float((ill > limit90).mean()), "flagged": float((ill >= upper).mean()),
                "flagged_at_the_spot": float(((ill >= upper) & found).mean())}
            falls.append(float((ill < healthy[some]).mean()))
    bar, row, column, _ = spotted(rng, test, some, (3, 3), sigma=1.3)
    ill = score(bar)
    bar_figures = {"spots": len(some), "AUC": float(evaluation.auc(np.r_[healthy, ill], np.r_[np.zeros(len(healthy), bool), np.ones(len(ill), bool)])),
                   "at_90_specificity": float((ill > limit90).mean()), "falls": float((ill < healthy[some]).mean())}
    steps = [score(spotted(np.random.default_rng(43), test, some, (d, d), sigma=1.3)[0]) for d in DEGREES]
    never = np.array([healthy[some], *steps])
    bar_figures["ever_falls_along_+1_to_+6"] = float((np.diff(never, axis=0) < 0).any(axis=0).mean())
    mixed, _, _, height = spotted(rng, test, some)
    ill = score(mixed)
    truth = np.r_[np.zeros(len(healthy), bool), np.ones(len(ill), bool)]
    raw = np.r_[healthy, ill]
    figures, intervals, reliability = evaluation.binary(raw, table, -128, upper, truth, np.r_[np.arange(len(healthy)), some])
    sessions = evaluation.by_session(raw, table, truth, np.r_[np.arange(len(healthy)), some])
    figures["healthy_flagged_upper"] = interval(int((healthy >= upper).sum()), len(healthy))[1]
    figures["healthy_flagged_inside"] = float((healthy >= upper)[test.inside].mean())
    plain = architectures.screening_spot_plain(trunk, **{k: made["head"][k] for k in ("floor", "slope", "offset")})
    f = plain.predict(real(preprocessing.apply(PLAIN, np.concatenate([test.celsius, mixed]))), verbose=0, batch_size=256)[:, 0]
    flips = float(((np.clip(np.rint(f * 256 - 128), -128, 127) >= upper) != (raw >= upper)).mean())
    mirror = int((score(test.celsius[:400][:, :, ::-1]) != healthy[:400]).sum())
    first, known = np.concatenate([test.celsius[:600], mixed[:300]]), np.r_[np.zeros(600, bool), np.ones(300, bool)]
    before = np.r_[healthy[:600], ill[:300]]
    base = before >= upper
    robust, margins = {}, {"plain": evaluation.margins(evaluation.two_classes(raw), truth)}
    for kind in ("noise", "pixels"):
        again = score(evaluation.disturbed(first, kind))
        margins[kind] = evaluation.margins(evaluation.two_classes(again), known, evaluation.two_classes(before))
        robust[kind] = {"same_outcome": float(((again >= upper) == base).mean()), "AUC": float(evaluation.auc(
            again, known))}
    mask, _ = preprocessing.body_mask(preprocessing.centikelvin(first))
    for shift in (-3.0, 3.0):
        robust[f"background {shift:+.0f}"] = {"same_outcome": float(((score(np.where(mask, first, first + np.float32(shift))) >= upper) == base).mean())}
    robust["offset +1.5"] = {"same_outcome": float(((score(first + np.float32(1.5)) >= upper) == base).mean())}
    withheld = preprocessing.withheld(CHAIN, test.celsius[:600])
    metrics = {
        "model": NAME, "version": VERSION, "kind": "screening", "task": "spots", **{k: made[k] for k in ("parameters", "macs", "tflite_bytes")},
        "figures": figures, "intervals": intervals, "withheld": float(withheld.mean()), "int8_float_flips": flips,
        "mirror_differences": mirror, "robustness": robust, "free_response": curves, "bar": bar_figures,
        "falls": {"mean": float(np.mean(falls)), "worst": float(np.max(falls))}, "conformal": {
            "alpha": made["alpha"], "calibration_captures": made["calibration_captures"], "test_flagged": int((healthy >= upper).sum()),
            "test_captures": len(healthy)},
        "thresholds": {"lower": -128, "upper": upper}, "reliability": [[float(v) for v in r] for r in reliability],
        "by_session": sessions, "margins": margins,
        "curve": made["curve"],
        "training": {"captures": made["captures"], "epochs": made["epochs"], "best_epoch": made["best_epoch"],
                     "fit_seconds": made["seconds"], "all_seconds": made["seconds"]}}
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n")
    np.savez(data.CACHE / f"{NAME}-test.npz", raw=raw, truth=truth, patient=np.r_[np.arange(len(healthy)), some],
             above=raw > limit90)
    print(json.dumps({k: v for k, v in metrics.items() if k not in ("curve", "reliability")}, indent=1))


if __name__ == "__main__":
    {"fit": fit, "judge": judge}[sys.argv[1]]()
