"""The arithmetic of the reference kernels for the sentinel's network, over many windows at once: LiteRT takes a third of a millisecond for
each, and thirty days of a hundred devices are millions. `checked` gives it only where it says what the reference says, to the last bit."""

import numpy as np


def _multiplier(scale):
    """(int32 multiplier, shift) of a real factor, as the kernels have it."""
    mantissa, exponent = np.frexp(np.asarray(scale, np.float64))
    multiplier = np.rint(mantissa * (1 << 31)).astype(np.int64)
    carried = multiplier == 1 << 31
    return np.where(carried, multiplier // 2, multiplier), (exponent + carried).astype(np.int64)


def _twice(x, multiplier, shift):
    """x times the factor with both roundings of convolutions and activations: to 31 bits a half up, then a half away from zero."""
    left, right = np.maximum(shift, 0), np.maximum(-shift, 0)
    high = ((x << left) * multiplier + (1 << 30)) >> 31
    mask = (1 << right) - 1
    return (high >> right) + ((high & mask) > (mask >> 1) + (high < 0))


def _once(x, multiplier, shift):
    """With the one rounding of dense layers."""
    return (x * multiplier + (1 << (30 - shift))) >> (31 - shift)


def _scaling(exact, scale):
    """`exact` of whole sums [..., channels] in float32: in float32, and again in integers where that is near a half."""
    multiplier, shift = _multiplier(scale)
    factor = (multiplier / 2.0 ** (31 - shift)).astype(np.float32)
    # What the first rounding of two moves, and what float32 leaves out of numbers that int8 can hold.
    margin = np.float32(0.001 + (2.0 ** shift.max() if exact is _twice else 0))

    def scaled(sums):
        value = sums * factor
        whole = np.rint(value)
        value -= whole
        np.abs(value, out=value)
        near = np.flatnonzero(value > 0.5 - margin)
        if len(near):
            channel = near % len(multiplier)
            whole.reshape(-1)[near] = exact(sums.reshape(-1)[near].astype(np.int64), multiplier[channel], shift[channel])
        return whole
    return scaled


class Integers:
    """int8 windows [n, 32, 16] -> one int8 [n, classes] an output, in the order of the model's outputs."""

    def __init__(self, reference, chunk=128):
        network = reference.interpreter
        self.chunk = chunk
        self.tensors = {t["index"]: t for t in network.get_tensor_details()}
        self.constant = network.get_tensor
        self.operations = [(o["op_name"], [int(i) for i in o["inputs"]], int(o["outputs"][0])) for o in network._get_ops_details()]
        self.input, self.outputs = reference.input["index"], [d["index"] for d in reference.outputs]
        self.steps = [self._step(*operation) for operation in self.operations]

    def _grid(self, index):
        q = self.tensors[index]["quantization_parameters"]
        return q["scales"].astype(np.float64), int(q["zero_points"][0]) if len(q["zero_points"]) else 0

    def _step(self, name, inputs, output):
        shape = tuple(int(v) for v in self.tensors[output]["shape"][1:])
        if name == "RESHAPE":
            return (lambda x: x.reshape(len(x), -1)) if len(shape) == 1 else lambda x: x
        (scale, zero), (out_scale, out_zero) = self._grid(inputs[0]), self._grid(output)
        if name in ("CONV_2D", "FULLY_CONNECTED"):
            weights, bias = self.constant(inputs[1]), self.constant(inputs[2]).astype(np.float32)
            scaled = _scaling(_once if name == "FULLY_CONNECTED" else _twice, scale[0] * self._grid(inputs[1])[0] / out_scale[0])
            matrix = weights.reshape(len(weights), -1).astype(np.float32).T
            # A sum that float32 could not hold would be beyond int8 by far: no layer's output is made of such.
            finish = lambda sums: np.clip(scaled(sums + bias) + np.float32(out_zero), -128, 127).astype(np.int8)
            if name == "FULLY_CONNECTED":
                return lambda x: finish((x.astype(np.float32) - np.float32(zero)) @ matrix)
            size = weights.shape[2]

            def convolved(x):
                x = np.pad(x.astype(np.float32) - np.float32(zero), ((0, 0), (size // 2, size // 2), (0, 0)))
                patches = np.concatenate([x[:, i:i + shape[1]] for i in range(size)], axis=2)
                sums = (patches.reshape(-1, patches.shape[2]) @ matrix).reshape(len(x), shape[1], shape[2])
                # What follows never falls, so the larger of two steps is taken here, and MAX_POOL_2D does nothing.
                return finish(np.maximum(sums[:, 0::2], sums[:, 1::2]))
            return convolved
        if name == "LEAKY_RELU":
            values = np.arange(-128, 128) - zero
            same, less = (_twice(values, *_multiplier(scale[0] * slope / out_scale[0])) for slope in (1.0, float(np.float32(0.1))))
            table = np.roll(np.clip(np.where(values >= 0, same, less) + out_zero, -128, 127).astype(np.int8), 128)
            return lambda x: table[x.view(np.uint8)]
        if name == "MAX_POOL_2D":
            return lambda x: x
        if name == "CONCATENATION":
            if any(self._grid(i)[0][0] != out_scale[0] or self._grid(i)[1] != out_zero for i in inputs):
                raise ValueError("a concatenation of tensors of different scales; expected one scale")
            return lambda *parts: np.concatenate(parts, axis=1)
        if name == "SOFTMAX":
            # exp of every difference of two int8 in 31 bits, sums with 19 bits behind the point, as the kernel has them.
            powers = np.minimum(np.rint(np.exp(-np.arange(256) * scale[0]) * (1 << 31)), (1 << 31) - 1).astype(np.int64)

            def softmax(x):
                exps = powers[x.max(axis=1, keepdims=True).astype(int) - x]
                total = ((exps + (1 << 11)) >> 12).sum(axis=1, keepdims=True)
                return np.clip(np.rint(exps / 4096 / total * 256) - 128, -128, 127).astype(np.int8)
            return softmax
        raise ValueError(f"no arithmetic for {name}")

    def __call__(self, q):
        parts = [self._some(np.ascontiguousarray(q[k:k + self.chunk])) for k in range(0, len(q), self.chunk)]
        return [np.concatenate(column) for column in zip(*parts)]

    def _some(self, q):
        values = {self.input: q}
        for (name, inputs, output), step in zip(self.operations, self.steps):
            values[output] = step(*[values[i] for i in (inputs if name == "CONCATENATION" else inputs[:1])])
        return [values[i] for i in self.outputs]


def checked(reference, q):
    """Integers of a Reference, or an error where a window of `q` is told otherwise than by the reference kernels."""
    fast = Integers(reference)
    for k, (ours, theirs) in enumerate(zip(fast(q), reference(q))):
        if not (ours == theirs).all():
            raise ValueError(f"output {k}: {int((ours != theirs).any(axis=1).sum())} of {len(q)} windows differ from the reference kernels; expected none")
    return fast
