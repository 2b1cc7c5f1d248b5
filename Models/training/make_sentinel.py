"""The network over windows of the device's counters (`sharma-dualpath`): trains, quantises, measures and ships it."""

import json
import time

import numpy as np

import comparison
import evaluation
import fitting
import quality
import quantisation
import shipping
from counters import simulator
from quantisation import real


def main():
    keras = fitting.prepare()
    began = time.time()
    import architectures
    sets = {s: simulator.windows(n, seed) for s, n, seed in (
        ("train", 16000, 1), ("validation", 2000, 2), ("test", 3000, 3))}
    q = {s: simulator.encode(v[0]) for s, v in sets.items()}
    model = architectures.sharma_dualpath(
        simulator.STEPS, len(simulator.CHANNELS), len(simulator.HEALTH), len(simulator.CYBER))
    start = time.time()
    targets = lambda s: [sets[s][1], sets[s][2]]
    epochs = 6
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, epochs * len(q["train"]) // 64)),
                  ["sparse_categorical_crossentropy"] * 2)
    stop = keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True)
    curve = []

    def look(epoch, logs):
        seen = model.predict(real(q["validation"]), verbose=0, batch_size=256)
        row = {"epoch": epoch, "loss": float(logs["loss"]), "validation_loss": float(logs["val_loss"])}
        for name, p, truth in zip(("health", "cyber"), seen, targets("validation")):
            row |= {f"{name}_{k}": v for k, v in evaluation.several(np.asarray(p), truth).items()}
        curve.append(row)

    log = model.fit(real(q["train"]), targets("train"), batch_size=64, epochs=epochs, verbose=2,
                    callbacks=[stop, keras.callbacks.LambdaCallback(on_epoch_end=look)],
                    validation_data=(real(q["validation"]), targets("validation")))
    history = [float(v) for v in log.history["val_loss"]]
    seconds = time.time() - start
    content = quantisation.convert(model, q["train"])
    reference = quantisation.Reference(content)
    test, order = comparison.by_shape(reference, reference(q["test"]), [(len(simulator.HEALTH),), (len(simulator.CYBER),)])
    health, cyber = sets["test"][1:]
    anomaly = lambda raw: -raw[:, 0].astype(int)
    rng = np.random.default_rng(6)
    counted = np.array([c[2] == "log2" for c in simulator.CHANNELS])
    values = sets["test"][0] * (1 + 0.3 * counted * rng.uniform(-1, 1, sets["test"][0].shape))
    again, _ = comparison.by_shape(reference, reference(simulator.encode(np.rint(values).astype(np.int64))),
                        [(len(simulator.HEALTH),), (len(simulator.CYBER),)])
    robustness = {"health": {"counters": float((again[0].argmax(axis=1) == sets["test"][1]).mean())},
                  "cyber": {"counters": float((again[1].argmax(axis=1) == sets["test"][2]).mean())}}
    metrics = {"model": "sharma-dualpath", "version": "1.0.1", "kind": "sentinel", "parameters": int(model.count_params()),
               "macs": int(architectures.multiply_accumulates(model)), "tflite_bytes": len(content),
               "health": {**quality.classes(test[0], health, simulator.HEALTH), **quality.probability_figures(test[0], health),
                          "anomaly_AUC": float(evaluation.auc(anomaly(test[0]), health > 0)),
                          "false_alarms": float((test[0][health == 0].argmax(axis=1) > 0).mean())},
               "cyber": {**quality.classes(test[1], cyber, simulator.CYBER), **quality.probability_figures(test[1], cyber),
                         "anomaly_AUC": float(evaluation.auc(anomaly(test[1]), cyber > 0)),
                         "false_alarms": float((test[1][cyber == 0].argmax(axis=1) > 0).mean())},
               "int8_float_flips": {
                   name: float((np.asarray(o).argmax(axis=1) != r.argmax(axis=1)).mean()) for name, o, r in zip(
                       ("health", "cyber"), model.predict(real(q["test"]), verbose=0, batch_size=256), test)},
               "robustness": robustness, "margins": {
                   name: {"plain": evaluation.margins((r.astype(float) + 128) / 256, t),
                          "counters": evaluation.margins((a.astype(float) + 128) / 256, t, (r.astype(float) + 128) / 256)}
                   for name, r, a, t in zip(("health", "cyber"), test, again, (health, cyber))},
               "curve": curve,
               "training": {"windows": len(q["train"]), "epochs": len(history), "best_epoch": int(np.argmin(history)), "validation_loss": min(history)}}
    names = [("health", simulator.HEALTH), ("cyber", simulator.CYBER)]
    channels = [dict(zip(("name", "unit", "transform", "gain", "offset"), c)) for c in simulator.CHANNELS]
    chosen = [int(np.nonzero(cyber == i)[0][0]) for i in range(len(simulator.CYBER))]
    chosen += [int(np.nonzero(health == i)[0][0]) for i in range(1, len(simulator.HEALTH))]
    shipping.ship("sharma-dualpath", content, purpose="sentinel", version="1.0.1",
                  outputs=[names[order.index(k)] for k in range(2)], training_data="counters-synthetic-1",
                  q=q["test"][chosen], counters=sets["test"][0][chosen], channels=channels)
    metrics["training"]["fit_seconds"] = round(seconds)
    metrics["training"]["all_seconds"] = round(time.time() - began)
    (shipping.MODELS / "sharma-dualpath" / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n")


if __name__ == "__main__":
    main()
