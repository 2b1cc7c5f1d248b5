"""The network over windows of the device's counters (`sharma-dualpath`): `python make_sentinel.py fit` trains, quantises, calibrates
and ships it; `refine` goes on from the last fit's weights, `resume` from those of the shipped model. `sentinel_days.py` sets the decision
over time on other devices, `judge_sentinel.py` measures on devices that did neither (the decision is in version control by then)."""

import json
import sys
import time

import numpy as np

import comparison
import evaluation
import fitting
import integers
import quantisation
import shipping
from counters import attacks, decision, simulator
from quantisation import real

NAME, VERSION, DATA = "sharma-dualpath", "1.4.0", "counters-synthetic-4"
# Seeds of devices; a seed is a device, and no device is in two of them. 5000-5199, 6000-6099 and 7000-7059 judged version 1.1.0, 15000-15199
# and 16000-16099 version 1.2.0, 25000-25199 the windows and delays of version 1.3.0 (26000-26099 were kept for its days and never judged); what
# was learned from them is in this one: they judge no more.
SEEDS = {"train": range(1000, 1200), "mine": range(30_000, 34_000), "choose": range(2000, 2040), "calibrate": range(3000, 3080), "operate": range(4000, 4120),
         "test": range(27_000, 27_200), "days": range(28_000, 28_100), "folds": range(17_000, 17_060)}
EACH, EPOCHS, MINED, SMOOTHED = 600, (13, 8), 6000, 0.01
SHAPES = [(len(attacks.HEALTH),), (len(attacks.CYBER),)]
CHANNELS = [dict(zip(("name", "unit", "transform", "gain", "offset"), c)) | {"missing": m} for c, m in zip(simulator.CHANNELS, simulator.MISSING_Q)]


def training_windows(seeds, each, draw=1):
    """A mixture: of the test's kind; with missing values and more of what is seldom; with faults as small as the bars ask for; and days in
    which downloads, configurations and wrong keys come thirty times as often, so that the network meets them at all."""
    kinds = [(0.3, {"onset": 0.3}), (0.25, {"rare": 0.6, "dropped": 0.3, "onset": 0.5, "idle": 0.2}), (0.3, {"weak": True, "dropped": 0.1, "onset": 0.5, "idle": 0.4}),
             (0.15, {"rare": 0.8, "attacked": 0.4, "onset": 0.4, "seldom": 30})]
    parts = [attacks.windows(seeds, round(each * share), draw + k, days=2, **how) for k, (share, how) in enumerate(kinds)]
    return [np.concatenate(column) for column in zip(*parts)]


def network():
    import architectures
    return architectures.sharma_dualpath(simulator.STEPS, len(simulator.CHANNELS), len(attacks.HEALTH), len(attacks.CYBER))


def train(keras, model, x, health, cyber, epochs, rate, validation=None, curve=None):
    q = simulator.encode(x)
    order = np.random.default_rng(len(q)).permutation(len(q))
    q, health, cyber = q[order], health[order], cyber[order]
    schedule = keras.optimizers.schedules.CosineDecay(rate, epochs * len(q) // 64)
    # Smoothed, so that the logits stay small and their int8 fine: without it a step of int8 is one whole unit of log-odds.
    model.compile(keras.optimizers.Adam(schedule), [keras.losses.CategoricalCrossentropy(label_smoothing=SMOOTHED) for _ in SHAPES])

    def look(epoch, logs):
        row = {"epoch": len(curve), "loss": float(logs["loss"])}
        for name, p, truth in zip(("health", "cyber"), model.predict(real(simulator.encode(validation[0])), verbose=0, batch_size=512), validation[1:3]):
            row |= {f"{name}_{k}": v for k, v in evaluation.several(np.asarray(p), truth).items()}
        curve.append(row)
        print({k: round(v, 4) for k, v in row.items()}, flush=True)

    callbacks = [keras.callbacks.LambdaCallback(on_epoch_end=look)] if validation is not None else []
    model.fit(real(q), [keras.utils.to_categorical(t, n) for t, (n,) in zip((health, cyber), SHAPES)], batch_size=64, epochs=epochs, verbose=0, callbacks=callbacks)


def seldom_met():
    """Devices of training that two hundred hardly hold: cameras that are heard now and then only, loud ones that are heard again after a
    restart, and some of every kind."""
    habits = {seed: simulator.habits(seed)[1] for seed in SEEDS["mine"]}
    idle = [seed for seed, h in habits.items() if h.camera_idle > 0][:320]
    loud = [seed for seed, h in habits.items() if h.noise > 18 and h.restarts_a_day > 0.08 and not h.camera_idle][:160]
    others = [seed for seed in habits if seed not in {*idle, *loud}][:200]
    return interleaved(idle, loud, others)


def interleaved(*groups):
    """All of them, so that every part of the list holds each group in its share."""
    placed = [((k + 0.5) / len(group), seed) for group in groups for k, seed in enumerate(group)]
    return [seed for _, seed in sorted(placed)]


def mined(model, seeds, most, days=4, sure=0.7):
    """Windows of normal days that the network takes for something: they go back into training as what they are. In every second device
    what is seldom comes ten times as often."""
    kept = []
    for number, seed in enumerate(seeds):
        x = simulator.Device(seed, days, seldom=10 if number % 2 else 1).values
        for k, q in enumerate(simulator.encode_days(x)):
            start = k * 20_000
            strange = np.zeros(len(q), bool)
            at = np.arange(0, len(q), 4)
            for p in model.predict(real(q[at]), verbose=0, batch_size=2048):
                strange[at] |= np.asarray(p)[:, 0] < sure
            kept += [x[start + i:start + i + simulator.STEPS] for i in np.nonzero(strange)[0]]
    if not kept:
        return np.zeros((0, simulator.STEPS, len(simulator.CHANNELS)), np.int64)
    index = np.random.default_rng(3).permutation(len(kept))[:most]
    print("mined", len(kept), "kept", len(index), flush=True)
    return np.stack([kept[i] for i in index])


def fitted(keras, model, seeds, each, epochs, validation=None, mine=40, draw=1, rate=1.5e-3):
    """(curve, training windows): fitted on drawn windows, then on with what it wrongly took for an anomaly in normal days."""
    curve = []
    x, health, cyber, _ = training_windows(seeds, each, draw)
    train(keras, model, x, health, cyber, epochs[0], rate, validation, curve)
    model.save_weights(fitting.FOLDER / NAME / "half.weights.h5")
    hard = mined(model, list(seeds)[:mine], MINED)
    x, health, cyber = np.concatenate([x, hard]), np.r_[health, np.zeros(len(hard), int)], np.r_[cyber, np.zeros(len(hard), int)]
    train(keras, model, x, health, cyber, epochs[1], rate / 2, validation, curve)
    return curve, x


def fit(start=None, draw=1, rate=1.5e-3):
    """From nothing, or from where `start` sets the network."""
    keras = fitting.prepare()
    began = time.time()
    (fitting.FOLDER / NAME).mkdir(parents=True, exist_ok=True)
    model = network()
    if start:
        start(model)
    curve, x = fitted(keras, model, SEEDS["train"], EACH, EPOCHS, attacks.windows(SEEDS["choose"], 60, 3, days=2), draw=draw, rate=rate)
    finish(model, curve, x, began)


def refine(rounds=3, epochs=4, draw=81):
    """Goes on from the last fit's weights: on newly drawn windows, more of devices that are seldom met, and what the network wrongly takes
    for an anomaly in their normal days, looked for anew in each round."""
    keras = fitting.prepare()
    began = time.time()
    made = json.loads((fitting.FOLDER / NAME / "made.json").read_text())
    model = network()
    model.load_weights(fitting.FOLDER / NAME / "best.weights.h5")
    seeds, choose = seldom_met(), attacks.windows(SEEDS["choose"], 60, 3, days=2)
    windows = made["windows"]
    for k in range(rounds):
        some = seeds[k::rounds]
        hard = np.repeat(mined(model, some, 2 * MINED, days=1, sure=0.9), 2, axis=0)
        drawn = [training_windows(SEEDS["train"], EACH * 2 // 3, draw + 10 * k), attacks.windows(some, 60, draw + 4 + 10 * k, days=1, onset=0.4),
                 attacks.windows(some, 40, draw + 5 + 10 * k, days=1, onset=0.5, weak=True), [hard, np.zeros(len(hard), int), np.zeros(len(hard), int)]]
        x, health, cyber = (np.concatenate([part[i] for part in drawn]) for i in range(3))
        train(keras, model, x, health, cyber, epochs, 7e-4 / (k + 1), choose, made["curve"])
        windows += len(x)
    finish(model, made["curve"], x, began - made["seconds"], windows - len(x))


def resume():
    """Goes on from the shipped model's weights, as int8 has them."""
    fit(lambda model: shipped(model, (shipping.MODELS / NAME / "model.tflite").read_bytes()), draw=41, rate=1.2e-3)


def shipped(model, content):
    """Sets the weights to those of a .tflite of this network."""
    net = quantisation.Reference(content).interpreter
    scales = {t["index"]: t["quantization_parameters"]["scales"].astype(np.float64) for t in net.get_tensor_details()}
    found = []
    for operation in net._get_ops_details():
        if operation["op_name"] in ("CONV_2D", "FULLY_CONNECTED"):
            _, weights, bias = (int(i) for i in operation["inputs"])
            kernel = net.get_tensor(weights) * scales[weights].reshape(-1, *[1] * (net.get_tensor(weights).ndim - 1))
            kernel = kernel[:, 0].transpose(1, 2, 0) if kernel.ndim == 4 else kernel.T
            found.append((kernel, net.get_tensor(bias) * scales[bias]))
    layers = [layer for layer in model.layers if layer.weights]
    wide, heads = [f for f in found if f[0].shape[-1] == 128], {f[0].shape[-1]: k for k, f in enumerate(found) if f[0].ndim == 2 and f[0].shape[0] == 128}
    order = [f for f in found if f[0].ndim == 3]  # both paths, as the concatenation has them
    for count in (len(attacks.HEALTH), len(attacks.CYBER)):
        order += [found[heads[count] - 1], found[heads[count]]]
    if len(wide) != 2 or len(order) != len(layers):
        raise ValueError("the shipped model has other layers; expected those of architectures.sharma_dualpath")
    # Keras lists layers breadth first: each takes the next of its shape.
    for layer in layers:
        k = next(i for i, f in enumerate(order) if f[0].shape == tuple(layer.kernel.shape))
        layer.set_weights([v.astype(np.float32) for v in order.pop(k)])


def finish(model, curve, x, began, before=0):
    """Keeps, quantises, calibrates and ships the network; `x` represents what it is given."""
    folder = fitting.FOLDER / NAME
    folder.mkdir(parents=True, exist_ok=True)
    model.save_weights(folder / "best.weights.h5")
    seconds = time.time() - began
    content = quantisation.convert(model, simulator.encode(x[np.random.default_rng(8).permutation(len(x))[:2000]]))
    network = reference(content)
    tables = calibrate(network)
    (folder / "model.tflite").write_bytes(content)
    _, order = comparison.by_shape(network, [None, None], SHAPES)
    made = {"parameters": int(model.count_params()), "macs": macs(model), "bytes": len(content), "curve": curve, "seconds": round(seconds),
            "windows": before + len(x), "epochs": len(curve), "tables": tables, "order": order}
    (folder / "made.json").write_text(json.dumps(made, indent=1))
    ship(content, order)
    print("seconds", round(time.time() - began))


def ship(content, order):
    """The model's folder without a decision; the golden windows miss no value and hold every class. No device that judges is drawn for them."""
    x, health, cyber, _ = attacks.windows(SEEDS["choose"], 90, 6, days=1)
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


def reference(content):
    """The reference kernels, and their arithmetic for many windows at once where both say the same of two thousand windows."""
    kernels = quantisation.Reference(content)
    some = [attacks.windows(SEEDS["choose"], 25, 4, days=1, dropped=share)[0] for share in (0.0, 0.5)]
    kernels.many = integers.checked(kernels, simulator.encode(np.concatenate(some)))
    return kernels


def raws(reference, q):
    """int8 [n, 5] and [n, 7]."""
    return comparison.by_shape(reference, reference(q), SHAPES)[0]


def calibrate(reference):
    """Tables of 256 entries, parts per million, from the raw int8 of `normal`; on devices that did not train. Half of the windows are any
    that an attack touches, half are those that it covers at least by half."""
    parts = [attacks.windows(SEEDS["calibrate"], 250, 5 + k, days=1, settled=settled) for k, settled in enumerate((False, True))]
    x, health, cyber, _ = (np.concatenate(column) for column in zip(*parts))
    outputs = raws(reference, simulator.encode(x))
    return {name: decision.calibration(raw[:, 0], truth == 0) for name, raw, truth in zip(("health", "cyber"), outputs, (health, cyber))}


if __name__ == "__main__":
    {"fit": fit, "refine": refine, "resume": resume}[sys.argv[1]]()
