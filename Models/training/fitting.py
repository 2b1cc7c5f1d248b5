"""Fits that can be interrupted: after every epoch the network, its optimiser and the learning curve are on disk."""

import csv
import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
THREADS = int(os.environ.get("TRAINING_THREADS", "1"))
os.environ.setdefault("OMP_NUM_THREADS", str(THREADS))

import data

FOLDER = data.CACHE / "fits"


def prepare(seed=11):
    import keras
    import tensorflow as tf
    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    keras.utils.set_random_seed(seed)
    return keras


class Curve:
    """The learning curve of one fit, a row an epoch, as CSV."""

    def __init__(self, name):
        self.path = FOLDER / name / "curve.csv"
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def rows(self):
        if not self.path.exists():
            return []
        with self.path.open() as file:
            return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]

    def add(self, row):
        rows = [*self.rows(), row]
        part = self.path.with_suffix(".part")
        with part.open("w") as file:
            writer = csv.DictWriter(file, list(row))
            writer.writeheader()
            writer.writerows(rows)
        part.replace(self.path)


def run(name, model, optimiser, epochs, train_epoch, measure, better, patience=4):
    """Runs `train_epoch(epoch)` and `measure()` (a dict) until `epochs` are done or the best epoch is `patience` epochs old,
    from where an earlier run stopped; ends with the best epoch's weights. `better` names the figure to be large."""
    import tensorflow as tf
    curve = Curve(name)
    folder = curve.path.parent
    checkpoint = tf.train.Checkpoint(model=model, optimiser=optimiser)
    state = folder / "state.json"
    best, start = {"value": -1e9, "epoch": -1}, 0
    if state.exists():
        kept = json.loads(state.read_text())
        best, start = kept["best"], kept["next"]
        checkpoint.read(str(folder / "last")).expect_partial()
    for epoch in range(start, epochs):
        if epoch - best["epoch"] > patience:
            break
        figures = {**train_epoch(epoch), **measure()}
        curve.add({"epoch": epoch, **figures})
        print(name, epoch, {k: round(float(v), 4) for k, v in figures.items()}, flush=True)
        if figures[better] > best["value"]:
            best = {"value": float(figures[better]), "epoch": epoch}
            model.save_weights(folder / "best.weights.h5")
        checkpoint.write(str(folder / "last"))
        part = folder / "state.part"
        part.write_text(json.dumps({"best": best, "next": epoch + 1}))
        part.replace(state)
    model.load_weights(folder / "best.weights.h5")
    return curve.rows(), best
