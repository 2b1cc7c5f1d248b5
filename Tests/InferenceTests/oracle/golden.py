#!/usr/bin/env python3
"""Makes the golden vectors of `Fixtures/chains`: small graphs that invite folding, with the outputs of LiteRT's
reference kernels.

  golden.py FOLDER
"""

import base64
import json
import pathlib
import sys

import numpy as np

import compare
import graphs

# Name, kind of graph, seed. Seeds were chosen for small files that between them fold, and cannot fold, each way.
CHAINS = [(f"{kind.__name__}_{seed}", kind, seed) for kind, seeds in (
    (graphs.dilated, (1, 7, 12, 20, 23)), (graphs.padded, (2, 3, 5, 8, 10, 17))) for seed in seeds]
SAMPLES = 3


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, kind, seed in CHAINS:
        rng = np.random.default_rng(seed)
        g = graphs.Graph(rng)
        model = g.finish(kind(g))
        samples = compare.random_samples(g, np.random.default_rng(seed), SAMPLES)
        results = compare.oracle(model, samples)
        (folder / f"{name}.tflite").write_bytes(model)
        describe = lambda tensors: [{"shape": g.shape(t), "type": "int8"} for t in tensors]
        encode = lambda arrays: [base64.b64encode(np.ascontiguousarray(a).tobytes()).decode() for a in arrays]
        (folder / f"{name}.json").write_text(json.dumps({
            "model": f"{name}.tflite", "operators": g.log,
            "inputs": describe(g.inputs), "outputs": describe(g.outputs),
            "vectors": [{"inputs": encode(s), "outputs": encode(r)} for s, r in zip(samples, results)]}))
        print(f"{name}: {len(model)} bytes, {len(results)} vectors\n  " + "\n  ".join(g.log))


if __name__ == "__main__":
    main()
