#!/usr/bin/env python3
"""Times every model with `thermograph infer` at every level and with LiteRT, interleaved, and compares the outputs.

  compare.py --program .build/release/thermograph MODEL_OR_FOLDER... [--rounds 5] [--json FILE]

One round runs, model by model, each of our levels and each LiteRT configuration once; the figures are medians over the
rounds, the spread is that of the round medians. LiteRT's outputs come from its reference kernels (BUILTIN_REF); ours must
equal them byte for byte at every level, or the exit status is 1. Nothing of LiteRT ships with the product.
"""
import argparse
import json
import math
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

LITERT = {
    "reference": dict(experimental_op_resolver_type=OpResolverType.BUILTIN_REF),
    "no delegate": dict(experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES),
    "XNNPACK": dict(experimental_op_resolver_type=OpResolverType.AUTO),
}
SAMPLES = 4


class LiteRT:
    """One interpreter, one thread, with its inputs set through tensor views (no copy is timed)."""

    def __init__(self, path, options):
        self.interpreter = Interpreter(model_path=str(path), num_threads=1, **options)
        self.interpreter.allocate_tensors()
        self.inputs = self.interpreter.get_input_details()
        self.outputs = self.interpreter.get_output_details()

    def run(self, sample):
        for detail, array in zip(self.inputs, sample):
            self.interpreter.set_tensor(detail["index"], array)
        self.interpreter.invoke()
        return [self.interpreter.get_tensor(detail["index"]).copy() for detail in self.outputs]

    def median_microseconds(self, sample, seconds):
        self.run(sample)
        times = []
        deadline = time.perf_counter() + seconds
        while len(times) < 20 or (time.perf_counter() < deadline and len(times) < 5000):
            start = time.perf_counter_ns()
            self.interpreter.invoke()
            times.append(time.perf_counter_ns() - start)
        return statistics.median(times) / 1000


def thermograph(program, arguments, messages=None):
    """The JSON object that `thermograph infer` prints; what it says on standard error goes to the list `messages`."""
    done = subprocess.run([program, "infer", *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"thermograph infer {' '.join(arguments)}: {done.stderr.strip()}")
    if messages is not None:
        messages.append(done.stderr)
    return json.loads(done.stdout)


def random_samples(details, generator):
    """SAMPLES inputs as lists of arrays, smooth enough that activations spread over their ranges."""
    samples = []
    for _ in range(SAMPLES):
        arrays = []
        for detail in details:
            shape = [max(1, int(n)) for n in detail["shape"]]
            if detail["dtype"] == np.int8:
                arrays.append(generator.integers(-128, 128, shape, dtype=np.int8))
            else:
                arrays.append(generator.random(shape, dtype=np.float32))
        samples.append(arrays)
    return samples


ALLOWANCE = 256 << 10


class Memory:
    """What one level takes, and how long it takes to load."""

    def __init__(self, program, path, level):
        messages = []
        report = thermograph(
            program, ["--model", str(path), "--kernels", level, "--describe", "--runs", "50", "--json"], messages)
        memory = report["memory"]
        self.weights, self.bound = report["weight_bytes"], memory["arena_bound_bytes"]
        self.taken = sum(memory[f"{part}_bytes"] for part in ("packed", "arena", "constant", "scratch"))
        found = re.search(r"median ([0-9.]+) us.* invocation (-?[0-9]+) bytes", messages[0])
        self.load, self.growth = float(found.group(1)), int(found.group(2))

    def share(self):
        """Of the budget: 1.35 times weights and arena bound, and the allowance."""
        return self.taken / (1.35 * (self.weights + self.bound) + ALLOWANCE)


class Model:
    def __init__(self, program, path, folder, levels, seed):
        self.program, self.path, self.levels = program, path, levels
        self.litert = {name: LiteRT(path, options) for name, options in LITERT.items()}
        reference = self.litert["reference"]
        self.samples = random_samples(reference.inputs, np.random.default_rng(seed))
        self.folder = folder
        self.input_files, self.timing_files = [], []
        for i in range(len(reference.inputs)):
            stacked = np.concatenate([sample[i] for sample in self.samples])
            self.input_files.append(self.save(f"input{i}.npy", stacked))
            self.timing_files.append(self.save(f"timing{i}.npy", self.samples[0][i]))
        self.macs = int(thermograph(program, ["--model", str(path), "--describe", "--json"])["macs"])
        self.memory = {level: Memory(program, path, level) for level in levels}
        self.times = {name: [] for name in [*levels, *LITERT]}
        self.mismatches = {}

    def save(self, name, array):
        path = str(self.folder / f"{self.path.parent.name}.{self.path.stem}.{name}")
        np.save(path, array)
        return path

    def compare(self, level):
        """Bytes that differ from BUILTIN_REF over all samples and outputs."""
        reference = self.litert["reference"]
        wanted = [reference.run(sample) for sample in self.samples]
        outputs = [str(self.folder / f"{self.path.stem}.{level}.out{i}.npy") for i in range(len(reference.outputs))]
        arguments = ["--model", str(self.path), "--kernels", level, "--json"]
        for name in self.input_files:
            arguments += ["--input", name]
        for name in outputs:
            arguments += ["--output", name]
        thermograph(self.program, arguments)
        differing = 0
        for i, name in enumerate(outputs):
            expected = np.concatenate([sample[i] for sample in wanted])
            got = np.load(name)
            if got.size != expected.size or got.dtype != expected.dtype:
                differing += expected.nbytes
            else:
                differing += int(np.count_nonzero(got.view(np.uint8).ravel() != expected.view(np.uint8).ravel()))
        self.mismatches[level] = differing

    def time_round(self, seconds):
        for level in self.levels:
            known = self.times[level][-1] if self.times[level] else 500.0
            runs = max(20, min(5000, int(seconds * 1e6 / known)))
            arguments = ["--model", str(self.path), "--kernels", level, "--runs", str(runs), "--json"]
            for name in self.timing_files:
                arguments += ["--input", name]
            report = thermograph(self.program, arguments)
            self.times[level].append(float(report["median_us"]))
        for name, engine in self.litert.items():
            self.times[name].append(engine.median_microseconds(self.samples[0], seconds))

    def profile(self, level):
        """Label and median microseconds of every step."""
        arguments = ["--model", str(self.path), "--kernels", level, "--runs", "500", "--profile", "--json"]
        for name in self.timing_files:
            arguments += ["--input", name]
        return [(step["label"], step["median_us"]) for step in thermograph(self.program, arguments)["steps"]]

    def name(self):
        return self.path.stem if self.path.stem != "model" else self.path.parent.name

    def median(self, name):
        return statistics.median(self.times[name])

    def spread(self, name):
        return (max(self.times[name]) - min(self.times[name])) / self.median(name)


def models_in(arguments):
    found = []
    for argument in map(Path, arguments):
        if argument.is_dir():
            found += sorted(argument.rglob("*.tflite"))
        elif argument.exists():
            found.append(argument)
        else:
            sys.exit(f"{argument}: no such model or folder")
    return [path for path in found if not path.stem.endswith("_taps")]


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values)) if values else float("nan")


def print_row(cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |")


def print_header(cells):
    print_row(cells)
    print("|" + "|".join([" --- "] + [" ---: "] * (len(cells) - 1)) + "|")


def print_tables(models, levels, best, options):
    """Markdown."""
    print(f"\nMicroseconds a sample, median of {options.rounds} interleaved rounds, one thread; ratio: LiteRT with XNNPACK "
          f"over {best}; spread: largest less smallest round, of the median.\n")
    print_header(["model", "MMAC", *levels, *(f"LiteRT {name}" for name in LITERT), "ratio", f"{best} GMAC/s", "spread",
                  "differing bytes"])
    ratios = []
    for model in models:
        ratios.append(model.median("XNNPACK") / model.median(best))
        spread = max(model.spread(best), model.spread("XNNPACK"))
        print_row([model.name(), f"{model.macs / 1e6:.2f}", *(f"{model.median(name):.1f}" for name in [*levels, *LITERT]),
                   f"{ratios[-1]:.2f}", f"{model.macs / model.median(best) / 1e3:.1f}", f"{spread:.0%}",
                   sum(model.mismatches.values())])
    print(f"\nGeometric mean of the ratios: {geometric_mean(ratios):.2f}, lowest {min(ratios):.2f}.")

    print("\nLoad: parse, validate, plan and pack, median microseconds. Memory: packed weights, arena, constants and scratch, "
          "in bytes; share: of 1.35 x (weights + arena bound) + 256 KiB. Growth: the process's own resident pages.\n")
    print_header(["model", "level", "load us", "weights in file", "arena bound", "memory", "share", "growth"])
    for model in models:
        for level in levels:
            m = model.memory[level]
            print_row([model.name(), level, f"{m.load:.0f}", m.weights, m.bound, m.taken, f"{m.share():.2f}", m.growth])

    print(f"\nWhere the time goes, {best}: median microseconds of each step alone.\n")
    print_header(["model", "step", "us", "share"])
    for model in models:
        steps = model.profile(best)
        total = sum(time for _, time in steps) or 1
        for label, time in steps:
            print_row([model.name(), label.removesuffix(f" {best}"), f"{time:.2f}", f"{time / total:.0%}"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--program", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.15, help="time for one configuration in one round")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--levels", help="comma-separated; default: every one this processor has")
    parser.add_argument("--json", help="write all figures to this file")
    options = parser.parse_args()

    listed = thermograph(options.program, ["--list-kernels", "--json"])
    available = [entry["name"] for entry in listed if entry["available"]]
    levels = options.levels.split(",") if options.levels else [name for name in available if name != "reference"]
    best = levels[-1]
    print(f"processor: {processor_name()}; levels: {', '.join(levels)}; compared by ratio: {best}")

    with tempfile.TemporaryDirectory() as folder:
        models = [
            Model(options.program, path, Path(folder), levels, options.seed) for path in models_in(options.models)
        ]
        for model in models:
            for level in levels:
                model.compare(level)
        for round_number in range(options.rounds):
            for model in models:
                model.time_round(options.seconds)
            print(f"round {round_number + 1} of {options.rounds}", file=sys.stderr)
        print_tables(models, levels, best, options)

    if options.json:
        figures = [
            {"model": str(model.path), "macs": model.macs, "rounds_us": model.times, "differing_bytes": model.mismatches,
             "memory": {level: vars(memory) for level, memory in model.memory.items()}}
            for model in models
        ]
        Path(options.json).write_text(json.dumps({"processor": processor_name(), "models": figures}, indent=1))
    wrong = [model.name() for model in models if any(model.mismatches.values())]
    if wrong:
        sys.exit(f"outputs differ from the reference: {', '.join(wrong)}")


def processor_name():
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.machine()


if __name__ == "__main__":
    main()
