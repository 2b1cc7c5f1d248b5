"""Compares `thermograph infer` with LiteRT's reference kernels on freshly generated graphs, byte by byte."""

import argparse
import multiprocessing
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

import graphs


def oracle(model, samples):
    interpreter = Interpreter(model_content=model, num_threads=1,
                              experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    results = []
    for sample in samples:
        for detail, value in zip(interpreter.get_input_details(), sample):
            interpreter.set_tensor(detail["index"], value)
        interpreter.invoke()
        results.append([interpreter.get_tensor(d["index"]).copy() for d in interpreter.get_output_details()])
    return results


def oracle_apart(model, samples):
    """The oracle in a process of its own: a failed check in LiteRT aborts the process. Returns (outputs, refusal)."""
    def work(pipe):
        try:
            pipe.send((oracle(model, samples), None))
        except (RuntimeError, ValueError) as error:
            pipe.send((None, str(error).splitlines()[0]))

    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(sender,))
    process.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError:
        process.join()
        return None, f"it ended with exit status {process.exitcode}"
    finally:
        process.join()


def random_samples(g, rng, count):
    samples = []
    for number in range(count):
        sample = []
        for tensor in g.inputs:
            shape = g.shape(tensor)
            if g.tensors[tensor].type == graphs.FLOAT32:
                sample.append(np.float32(rng.normal(0, 3, shape)))
            elif number >= 2:
                sample.append(rng.integers(-128, 128, shape).astype(np.int8))
            else:
                sample.append(np.full(shape, -128 if number == 0 else 127, np.int8))
        samples.append(sample)
    return samples


def ours(binary, folder, sample_count, inputs, outputs, kernels):
    command = [binary, "infer", "--model", folder / "model.tflite", *kernels]
    for index in range(inputs):
        command += ["--input", folder / f"in{index}.npy"]
    for index in range(outputs):
        command += ["--output", folder / f"out{index}.npy"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if run.returncode:
        return run.stderr.strip() or f"exit {run.returncode}"
    return [np.load(folder / f"out{index}.npy") for index in range(outputs)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--thermograph", required=True, help="the executable")
    parser.add_argument("--graphs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1, help="of the first graph; the others follow")
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--keep", type=pathlib.Path, default=pathlib.Path("."), help="where graphs that differ go")
    arguments = parser.parse_args()

    listed = subprocess.run([arguments.thermograph, "infer", "--list-kernels"], capture_output=True, text=True, check=True)
    variants = [["--kernels", name] for name in listed.stdout.split()]
    variants += [["--kernels", "auto", "--no-fusion"]]

    operators, values, failures, refusals = {}, 0, 0, 0
    for seed in range(arguments.seed, arguments.seed + arguments.graphs):
        model, g = graphs.random_graph(seed)
        samples = random_samples(g, np.random.default_rng(seed), arguments.samples)
        expected, refusal = oracle_apart(model, samples)
        if refusal is not None:
            refusals += 1
            print(f"seed {seed}: the oracle refuses the graph: {refusal}\n  " + "\n  ".join(g.log))
            continue
        for line in g.log:
            operators[line.split()[0]] = operators.get(line.split()[0], 0) + 1
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            (folder / "model.tflite").write_bytes(model)
            for index in range(len(g.inputs)):
                np.save(folder / f"in{index}.npy", np.stack([s[index] for s in samples]))
            for kernels in variants:
                actual = ours(arguments.thermograph, folder, len(samples), len(g.inputs), len(g.outputs), kernels)
                problem = actual if isinstance(actual, str) else None
                if problem is None:
                    for index, array in enumerate(actual):
                        wanted = np.stack([result[index] for result in expected])
                        values += wanted.size
                        if array.shape != wanted.shape:
                            problem = f"output {index}: shape {array.shape}, expected {wanted.shape}"
                        elif array.tobytes() != wanted.tobytes():
                            count = int(np.sum(array != wanted))
                            problem = f"output {index}: {count} of {wanted.size} values differ"
                if problem:
                    failures += 1
                    print(f"seed {seed} {' '.join(kernels)}: {problem}\n  " + "\n  ".join(g.log))
                    (arguments.keep / f"mismatch-{seed}.tflite").write_bytes(model)
                    for index in range(len(g.inputs)):
                        np.save(arguments.keep / f"mismatch-{seed}-in{index}.npy", np.stack([s[index] for s in samples]))
    print(f"{arguments.graphs - refusals} graphs, {values} values compared, {failures} failures; "
          f"{refusals} more graphs the oracle refused")
    print(", ".join(f"{name} {count}" for name, count in sorted(operators.items())))
    if refusals * 20 > arguments.graphs:
        print("more than one graph in twenty was refused: the comparison says little", file=sys.stderr)
        failures += 1
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
