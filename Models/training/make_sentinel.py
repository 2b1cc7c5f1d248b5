"""The network over windows of the device's counters (`sharma-dualpath`): `python make_sentinel.py fit` trains, quantises, calibrates
and ships it; `operate` sets the decision over time on other devices; `judge` measures on devices that did neither (the decision is
in version control by then); `folds` repeats fit and measurement five times, each fifth of the devices judging once."""

import json
import sys
import time

import numpy as np

import comparison
import evaluation
import fitting
import quantisation
import shipping
from counters import attacks, decision, simulator
from quantisation import real

NAME, VERSION, DATA = "sharma-dualpath", "1.1.0", "counters-synthetic-2"
# Seeds of devices; a seed is a device, and no device is in two of them.
SEEDS = {"train": range(1000, 1200), "choose": range(2000, 2040), "calibrate": range(3000, 3080), "operate": range(4000, 4012),
         "test": range(5000, 5200), "days": range(6000, 6100), "folds": range(7000, 7060)}
EACH, EPOCHS, MINED = 300, (6, 4), 6000
SHAPES = [(len(attacks.HEALTH),), (len(attacks.CYBER),)]
CHANNELS = [dict(zip(("name", "unit", "transform", "gain", "offset"), c)) | {"missing": m} for c, m in zip(simulator.CHANNELS, simulator.MISSING_Q)]


def training_windows(seeds, each, draw=1):
    """A mixture of the test's kind and of as many with more missing values and more of what is seldom."""
    parts = [attacks.windows(seeds, each // 2, draw, dropped=0.0, days=2, onset=0.3),
             attacks.windows(seeds, each - each // 2, draw + 1, rare=0.6, dropped=0.3, days=2, onset=0.5)]
    return [np.concatenate(column) for column in zip(*parts)]


def network():
    import architectures
    return architectures.sharma_dualpath(simulator.STEPS, len(simulator.CHANNELS), len(attacks.HEALTH), len(attacks.CYBER))


def train(keras, model, x, health, cyber, epochs, rate, validation=None, curve=None):
    q = simulator.encode(x)
    order = np.random.default_rng(len(q)).permutation(len(q))
    q, health, cyber = q[order], health[order], cyber[order]
    schedule = keras.optimizers.schedules.CosineDecay(rate, epochs * len(q) // 64)
    model.compile(keras.optimizers.Adam(schedule), ["sparse_categorical_crossentropy"] * 2)

    def look(epoch, logs):
        row = {"epoch": len(curve), "loss": float(logs["loss"])}
        for name, p, truth in zip(("health", "cyber"), model.predict(real(simulator.encode(validation[0])), verbose=0, batch_size=512), validation[1:3]):
            row |= {f"{name}_{k}": v for k, v in evaluation.several(np.asarray(p), truth).items()}
        curve.append(row)
        print({k: round(v, 4) for k, v in row.items()}, flush=True)

    callbacks = [keras.callbacks.LambdaCallback(on_epoch_end=look)] if validation is not None else []
    model.fit(real(q), [health, cyber], batch_size=64, epochs=epochs, verbose=0, callbacks=callbacks)


def mined(model, seeds, most, days=4):
    """Windows of normal days that the network takes for something: they go back into training as what they are."""
    kept = []
    for seed in seeds:
        x = simulator.Device(seed, days).values
        for k, q in enumerate(simulator.encode_days(x)):
            start = k * 20_000
            strange = np.zeros(len(q), bool)
            at = np.arange(0, len(q), 4)
            for p in model.predict(real(q[at]), verbose=0, batch_size=2048):
                strange[at] |= np.asarray(p)[:, 0] < 0.7
            kept += [x[start + i:start + i + simulator.STEPS] for i in np.nonzero(strange)[0]]
    if not kept:
        return np.zeros((0, simulator.STEPS, len(simulator.CHANNELS)), np.int64)
    index = np.random.default_rng(3).permutation(len(kept))[:most]
    print("mined", len(kept), "kept", len(index), flush=True)
    return np.stack([kept[i] for i in index])


def mined_on_device(seeds, most, days=8):
    """The same with the quantised network of the last fit."""
    reference, kept = quantisation.Reference((fitting.FOLDER / NAME / "model.tflite").read_bytes()), []
    for seed in seeds:
        x = simulator.Device(seed, days).values
        at = np.arange(0, len(x) - simulator.STEPS + 1, 4)
        health, cyber = raws(reference, simulator.encode_at(simulator.plain(x), x, at))
        kept += [x[i:i + simulator.STEPS] for i in at[(health[:, 0] < 51) | (cyber[:, 0] < 51)]]
    index = np.random.default_rng(5).permutation(len(kept))[:most]
    print("mined", len(kept), "kept", len(index), flush=True)
    return np.stack([kept[i] for i in index])


def fitted(keras, seeds, each, epochs, validation=None, mine=20):
    """(model, curve, training windows): fitted on drawn windows, then on with what it wrongly took for an anomaly in normal days."""
    model, curve = network(), []
    x, health, cyber, _ = training_windows(seeds, each)
    train(keras, model, x, health, cyber, epochs[0], 1.5e-3, validation, curve)
    hard = mined(model, list(seeds)[:mine], MINED)
    x, health, cyber = np.concatenate([x, hard]), np.r_[health, np.zeros(len(hard), int)], np.r_[cyber, np.zeros(len(hard), int)]
    train(keras, model, x, health, cyber, epochs[1], 8e-4, validation, curve)
    return model, curve, x


def fit():
    keras = fitting.prepare()
    began = time.time()
    choose = attacks.windows(SEEDS["choose"], 60, 3, days=2)
    model, curve, x = fitted(keras, SEEDS["train"], EACH, EPOCHS, validation=choose)
    finish(model, curve, x, began)


def refine(devices=130, epochs=4):
    """Goes on from the last fit's weights on newly drawn windows of the same devices."""
    keras = fitting.prepare()
    began = time.time()
    made = json.loads((fitting.FOLDER / NAME / "made.json").read_text())
    model = network()
    model.load_weights(fitting.FOLDER / NAME / "best.weights.h5")
    x, health, cyber, _ = training_windows(list(SEEDS["train"])[:devices], EACH, draw=21)
    hard = mined_on_device(list(SEEDS["train"])[:40], MINED)
    x, health, cyber = np.concatenate([x, hard]), np.r_[health, np.zeros(len(hard), int)], np.r_[cyber, np.zeros(len(hard), int)]
    train(keras, model, x, health, cyber, epochs, 8e-4, attacks.windows(SEEDS["choose"], 60, 3, days=2), made["curve"])
    finish(model, made["curve"], x, began - made["seconds"], made["windows"])


def finish(model, curve, x, began, before=0):
    """Keeps, quantises, calibrates and ships the network; `x` represents what it is given."""
    folder = fitting.FOLDER / NAME
    folder.mkdir(parents=True, exist_ok=True)
    model.save_weights(folder / "best.weights.h5")
    seconds = time.time() - began
    content = quantisation.convert(model, simulator.encode(x[np.random.default_rng(8).permutation(len(x))[:2000]]))
    reference = quantisation.Reference(content)
    tables = calibrate(reference)
    (folder / "model.tflite").write_bytes(content)
    _, order = comparison.by_shape(reference, [None, None], SHAPES)
    made = {"parameters": int(model.count_params()), "macs": macs(model), "bytes": len(content), "curve": curve, "seconds": round(seconds),
            "windows": before + len(x), "epochs": len(curve), "tables": tables, "order": order}
    (folder / "made.json").write_text(json.dumps(made, indent=1))
    ship(content, order)
    print("seconds", round(time.time() - began))


def ship(content, order):
    """The model's folder without a decision; the golden windows miss no value and hold every class."""
    x, health, cyber, _ = attacks.windows(list(SEEDS["test"])[:60], 60, 6, days=1)
    full = (x >= 0).all(axis=(1, 2))
    at = lambda truth, i: int(np.nonzero((truth == i) & full)[0][0])
    chosen = [at(cyber, i) for i in range(len(attacks.CYBER))] + [at(health, i) for i in range(1, len(attacks.HEALTH))]
    names = [("health", attacks.HEALTH), ("cyber", attacks.CYBER)]
    shipping.ship(NAME, content, purpose="sentinel", version=VERSION, outputs=[names[k] for k in order_of(order)], training_data=DATA,
                  q=simulator.encode(x[chosen]), counters=x[chosen], channels=CHANNELS)


def order_of(order):
    """`order[k]` is where the converter put head k; the other way round."""
    return [order.index(k) for k in range(len(order))]


def macs(model):
    import architectures
    return int(architectures.multiply_accumulates(model))


def raws(reference, q):
    """int8 [n, 5] and [n, 7]."""
    return comparison.by_shape(reference, reference(q), SHAPES)[0]


def calibrate(reference):
    """Tables of 256 entries, parts per million, from the raw int8 of `normal`; on devices that did not train."""
    x, health, cyber, _ = attacks.windows(SEEDS["calibrate"], 200, 5, days=1)
    outputs = raws(reference, simulator.encode(x))
    return {name: decision.calibration(raw[:, 0], truth == 0) for name, raw, truth in zip(("health", "cyber"), outputs, (health, cyber))}


if __name__ == "__main__":
    {"fit": fit, "refine": refine}[sys.argv[1]]()
