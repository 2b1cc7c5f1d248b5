"""Writes a model's folder: model.tflite, manifest.json, golden vectors, metrics.json and card.md."""

import hashlib
import json
import pathlib

import numpy as np

from quantisation import Reference

MODELS = pathlib.Path(__file__).resolve().parent.parent
INTENDED_USE = ("Research use only, trained on synthetic data, not validated on patients; not a diagnosis; "
                "does not replace mammography.")


def digest(path, folder):
    content = path.read_bytes()
    return {"path": str(path.relative_to(folder)), "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest()}


def ship(name, content, *, purpose, version, outputs, training_data, frames=None, chain=None, views=None, q=None,
         channels=None, decision=None, acceptance=None):
    """`frames` (float32 degC) or `q` (int8 windows) are the golden inputs; `outputs` is [(name, labels)]."""
    import preprocessing

    folder = MODELS / name
    (folder / "golden").mkdir(parents=True, exist_ok=True)
    (folder / "model.tflite").write_bytes(content)
    reference = Reference(content)
    golden = {}
    if frames is not None:
        frames = np.ascontiguousarray(frames, dtype=np.float32)
        np.save(folder / "golden/frames.npy", frames)
        golden["frames"] = digest(folder / "golden/frames.npy", folder)
        q = preprocessing.apply(chain, frames)
    np.save(folder / "golden/input.npy", q)
    golden["input"] = digest(folder / "golden/input.npy", folder)
    golden["outputs"] = []
    for k, values in enumerate(reference(q)):
        path = folder / f"golden/output{k}.npy"
        np.save(path, values)
        golden["outputs"].append(digest(path, folder))
    manifest = {
        "format": 1, "id": name, "version": version, "purpose": purpose, "status": "demonstration",
        "intended_use": INTENDED_USE, "licence": "Apache-2.0",
        "training_data": {"id": training_data, "kind": "synthetic"},
        "model": digest(folder / "model.tflite", folder),
        "input": {"kind": "window" if chain is None else "thermogram",
                  "tensor": reference.tensor(reference.input, "input")},
    }
    if chain is not None:
        manifest["input"]["views"] = views
        manifest["preprocessing"] = chain
    if channels is not None:
        manifest["input"]["channels"] = channels
    manifest["outputs"] = [{"tensor": reference.tensor(detail, output), "labels": labels}
                           for detail, (output, labels) in zip(reference.outputs, outputs)]
    if decision is not None:
        manifest["decision"] = decision
    if acceptance is not None:
        manifest["acceptance"] = acceptance
    manifest["golden"] = golden
    text = json.dumps(manifest, indent=2)
    # The calibration table in rows of sixteen, everything else as it is.
    if decision is not None:
        table = json.dumps(decision["calibration"]["ppm"], indent=2)
        long = json.dumps({"ppm": decision["calibration"]["ppm"]}, indent=2)
        rows = [", ".join(map(str, decision["calibration"]["ppm"][i:i + 16])) for i in range(0, 256, 16)]
        inner = text[text.index('"ppm": ['):]
        inner = inner[:inner.index("]") + 1]
        text = text.replace(inner, '"ppm": [\n        ' + ",\n        ".join(rows) + "\n      ]")
        del table, long
    (folder / "manifest.json").write_text(text + "\n")
    return folder
