#!/usr/bin/env python3
"""What the inner loops of the convolution kernels reach by scheduling model: nothing here is measured.

The kernels are compiled for their processor, the innermost loop of a tile is cut out of the assembly, its products are
counted from the instructions, and llvm-mca says how many cycles an iteration takes. Where llvm-mca has no model of the
processor itself, the bound of its documented pipes is given instead: Cortex-A76, two ASIMD pipes that each take one
sdot a cycle, two loads and four operations a cycle (Arm Cortex-A76 Software Optimization Guide, sections 2.1 and 3.17).
The model leaves out what surrounds the loop (requantisation, padding) and assumes first-level cache hits. llvm-mca's
Ice Lake books a vector port for every 512-bit load beside its load port, which the processor does not; the bound by
instruction throughput alone, which is free of that, stands beside the simulated cycles of the loop in whole tiles.

  kernel_model.py KERNELS_FOLDER
"""
import re
import subprocess
import sys
from pathlib import Path

# level, source, function, processor, how, MAC a cycle the project wants (None: informative)
LOOPS = [
    ("neon", "NeonConvolution.c", "conv_4x4_neon", "cortex-a53", "llvm-mca", 3.5),
    ("neon", "NeonConvolution.c", "conv_4x4_neon", "cortex-a72", "llvm-mca", 7.5),
    ("neondot", "NeonDotConvolution.c", "conv_6x4_neondot", "cortex-a76", "pipes", 26.0),
    ("neondot", "NeonDotConvolution.c", "conv_pool_4x4_neondot", "cortex-a76", "pipes", None),
    ("avxvnni", "AVXVNNIConvolution.c", "conv_6x2_avxvnni", "icelake-server", "llvm-mca", None),
    ("avxvnni", "AVXVNNIConvolution.c", "conv_pool_4x2_avxvnni", "icelake-server", "llvm-mca", None),
    ("avx512vnni", "AVX512VNNIConvolution.c", "conv_11x2_avx512vnni", "icelake-server", "llvm-mca", None),
    ("avx512vnni", "AVX512VNNIConvolution.c", "conv_8x2_avx512vnni", "icelake-server", "llvm-mca", None),
    ("avx512vnni", "AVX512VNNIConvolution.c", "conv_12x1_avx512vnni", "icelake-server", "llvm-mca", None),
    ("avx512vnni", "AVX512VNNIConvolution.c", "conv_pool_12x2_avx512vnni", "icelake-server", "llvm-mca", None),
]

# Whole tiles of a 3x3 layer of 32 channels: 72 rounds of the loop, then requantisation and stores.
# level, source, pixels, vectors, channels, processor, GMAC/s the project wants of "3x3 32->32 at 32x32"
TILES = [
    ("avxvnni", "AVXVNNIConvolution.c", 6, 2, 16, "icelake-server", 170),
    ("avx512vnni", "AVX512VNNIConvolution.c", 11, 2, 32, "icelake-server", 430),
]
TILE_DEPTH, TILE_ROUNDS = 9 * 32, 72

PRODUCTS = [
    (r"vpdpbusd.*%zmm", 64), (r"vpdpbusd.*%ymm", 32), (r"vpmaddwd.*%ymm", 16),
    (r"sdot\s", 16), (r"smull2?\s", 8), (r"smlal2?\s", 8),
]


def assembly(folder, source, is_arm):
    target = ["--target=aarch64-linux-gnu", "-isystem", "/usr/aarch64-linux-gnu/include"] if is_arm else []
    command = ["clang", *target, "-std=gnu11", "-O2", f"-I{folder}/include", "-S", "-o", "-", f"{folder}/{source}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def inner_loop(text, function):
    """The instructions of the loop with the most products that contains no other loop."""
    lines, inside = [], False
    for line in text.splitlines():
        if line.startswith(f"tgk_qs8_{function}:"):
            inside = True
        elif inside and ".cfi_endproc" in line:
            break
        elif inside:
            lines.append(re.sub(r"\s*(#|//).*", "", line).rstrip())
    labels = {line[:-1]: i for i, line in enumerate(lines) if re.match(r"^\.L\w+:$", line)}
    best = []
    for end, line in enumerate(lines):
        branch = re.match(r"\s+(?:j\w+|b\.?\w*|cbn?z\s+\w+,)\s+(\.L\w+)$", line)
        if not branch or labels.get(branch.group(1), end) >= end:
            continue
        body = lines[labels[branch.group(1)] + 1 : end + 1]
        if any(re.match(r"^\.L\w+:$", inner) for inner in body):
            continue
        body = [inner for inner in body if inner.strip() and not inner.strip().startswith(".")]
        if products(body) > products(best):
            best = body
    if not best:
        sys.exit(f"{function}: no inner loop with products found")
    return best


def products(body):
    return sum(next((n for pattern, n in PRODUCTS if re.search(pattern, line)), 0) for line in body)


def cycles_by_model(body, processor, is_arm):
    """Cycles an iteration: simulated, and by the throughput of its instructions alone."""
    triple = "aarch64-linux-gnu" if is_arm else "x86_64-linux-gnu"
    extra = ["-mattr=+avxvnni"] if any("{vex}" in line for line in body) else []
    done = subprocess.run(
        ["llvm-mca", f"-mtriple={triple}", f"-mcpu={processor}", *extra, "-iterations=200"],
        input="\n".join(body) + "\n", capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return (int(re.search(r"Total Cycles:\s+(\d+)", done.stdout).group(1)) / 200,
            float(re.search(r"Block RThroughput:\s+([\d.]+)", done.stdout).group(1)))


def tail(folder, source, pixels, vectors, channels):
    """The instructions behind a tile's loop: signed rounding, all channels stored."""
    program = f"""
#include "{source}"
TARGET void tail(const KERNEL(tile_arguments) *t, const vector *from) {{
  vector sum[{pixels * vectors}];
  _Pragma("GCC unroll 64") for (int i = 0; i < {pixels * vectors}; i++) sum[i] = from[i];
  tgk_output how = t->how;
  how.rounding = tgk_x86_signed;
  KERNEL(store_tile)({pixels}, {vectors}, sum, &t->channels, &how, {channels}, t->output, t->output_step);
}}"""
    command = ["clang", "-std=gnu11", "-O2", f"-I{folder}", f"-I{folder}/include", "-x", "c", "-S", "-o", "-", "-"]
    text = subprocess.run(command, input=program, check=True, capture_output=True, text=True).stdout
    lines = text[text.index("\ntail:"):].splitlines()[2:]
    lines = [re.sub(r"\s*#.*", "", line) for line in lines[:next(i for i, l in enumerate(lines) if ".cfi_endproc" in l)]]
    body = [line for line in lines if line.strip() and not re.match(r"\s*\.|\S+:|\s*retq?$|\s*vzeroupper", line)]
    if any(re.match(r"\s+j", line) for line in body):
        sys.exit(f"{source}: the tile's tail has branches; the model takes straight code")
    return body


def print_tiles(folder, texts):
    print(f"\n{'level':11} {'tile':7} {'loop by':11} {'loop cycles':>11} {'tail cycles':>11} {'MAC/cycle':>10}  "
          "3x3 32->32 would reach the wanted rate at a clock of")
    for level, source, pixels, vectors, channels, processor, wanted in TILES:
        loops = cycles_by_model(inner_loop(texts[source], f"conv_{pixels}x{vectors}_{level}"), processor, False)
        rest = cycles_by_model(tail(folder, source, pixels, vectors, channels), processor, False)[0]
        for how, loop in zip(["simulation", "throughput"], loops):
            rate = pixels * channels * TILE_DEPTH / (TILE_ROUNDS * loop + rest)
            print(f"{level:11} {pixels}x{vectors:<5} {how:11} {TILE_ROUNDS * loop:11.0f} {rest:11.0f} {rate:10.2f}  "
                  f"{wanted / rate:.2f} GHz ({wanted} GMAC/s)")


def cycles_by_pipes(body):
    asimd = sum(1 for line in body if re.search(r"\.(4s|16b|8h|2d)", line) and not re.match(r"\s+ld", line))
    loads = sum(2 if re.match(r"\s+ldp", line) else 1 for line in body if re.match(r"\s+ld", line))
    operations = len(body) + sum(1 for line in body if re.match(r"\s+ldp", line))
    return max(asimd / 2, loads / 2, operations / 4)


def main():
    folder = Path(sys.argv[1])
    print(f"{'level':11} {'tile':28} {'processor':15} {'by':9} {'instr.':>6} {'MAC':>6} {'cycles':>7} {'MAC/cycle':>10}  wanted")
    missed = False
    texts = {}
    for level, source, function, processor, how, wanted in LOOPS:
        is_arm = level.startswith("neon")
        if source not in texts:
            texts[source] = assembly(folder, source, is_arm)
        body = inner_loop(texts[source], function)
        cycles = cycles_by_pipes(body) if how == "pipes" else cycles_by_model(body, processor, is_arm)[0]
        rate = products(body) / cycles
        missed |= wanted is not None and rate < wanted
        print(f"{level:11} {function:28} {processor:15} {how:9} {len(body):6} {products(body):6} {cycles:7.2f} {rate:10.2f}  "
              + (f">= {wanted}" if wanted else "-"))
    print_tiles(folder, texts)
    print("\nmodelled, not measured; the upper table has the inner loop alone, the lower adds loop and tail without overlap")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
