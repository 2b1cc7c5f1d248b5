"""Writes a model's folder: model.tflite, manifest.json, golden vectors, metrics.json and card.md."""

import hashlib
import json
import pathlib
import re

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
         channels=None, counters=None, decision=None, acceptance=None, subspaces=None, bases=None, residuals=None, statistics=None):
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
    if counters is not None:  # what the windows were before they became int8
        np.save(folder / "golden/counters.npy", counters.astype(np.int64))
        golden["counters"] = digest(folder / "golden/counters.npy", folder)
    if bases is not None:
        np.save(folder / "bases.npy", bases)
        np.save(folder / "golden/residuals.npy", residuals.astype(np.int64))
        subspaces = {**subspaces, "bases": digest(folder / "bases.npy", folder)}
        golden["residuals"] = digest(folder / "golden/residuals.npy", folder)
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
    if statistics is not None:
        manifest["input"]["statistics"] = statistics
    if channels is not None:
        manifest["input"]["channels"] = channels
    manifest["outputs"] = [{"tensor": reference.tensor(detail, output), "labels": labels}
                           for detail, (output, labels) in zip(reference.outputs, outputs)]
    if decision is not None:
        manifest["decision"] = decision
    if acceptance is not None:
        manifest["acceptance"] = acceptance
    if subspaces is not None:
        manifest["subspaces"] = subspaces
    manifest["golden"] = golden
    (folder / "manifest.json").write_text(written(manifest))
    return folder


def written(manifest):
    """The text of a manifest: calibration tables in rows of sixteen, the rest as JSON is indented."""
    def rows(match):
        indent, ppm = match.group(1), [int(v) for v in match.group(2).split(",")]
        inner = ",\n".join(f"{indent}  " + ", ".join(map(str, ppm[i:i + 16])) for i in range(0, len(ppm), 16))
        return f'{indent}"ppm": [\n{inner}\n{indent}]'
    return re.sub(r'( *)"ppm": \[([^\]]*)\]', rows, json.dumps(manifest, indent=2)) + "\n"


def input_statistics(q, zero_point=0):
    """What the device holds its own inputs against: 1 % and 99 % quantiles of the features of int8 inputs [n, ...]."""
    flat = q.reshape(len(q), -1).astype(np.int64)
    features = {"mean": flat.mean(axis=1), "deviation": flat.std(axis=1), "minimum": flat.min(axis=1), "maximum": flat.max(axis=1),
                "at_zero": (flat == zero_point).mean(axis=1)}
    return {name: [round(float(v), 4) for v in np.quantile(values, [0.01, 0.99])] for name, values in features.items()}
