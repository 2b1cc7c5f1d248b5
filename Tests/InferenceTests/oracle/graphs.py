"""Random int8 TFLite graphs, written with the schema's own object API."""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

OPERATOR = schema.BuiltinOperator
OPTIONS = schema.BuiltinOptions
INT8, INT32, FLOAT32 = schema.TensorType.INT8, schema.TensorType.INT32, schema.TensorType.FLOAT32


class Graph:
    """One model under construction. Tensors are indices."""

    def __init__(self, rng):
        self.rng = rng
        self.tensors, self.buffers, self.operators, self.codes = [], [schema.BufferT()], [], []
        self.inputs, self.outputs = [], []
        self.log = []

    def tensor(self, shape, kind=INT8, scale=None, zero_point=0, data=None, axis=0):
        entry = schema.TensorT()
        entry.shape = [int(d) for d in shape]
        entry.type = kind
        entry.name = f"t{len(self.tensors)}".encode()
        if data is None:
            entry.buffer = 0
        else:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            self.buffers.append(buffer)
            entry.buffer = len(self.buffers) - 1
        if scale is not None:
            quantization = schema.QuantizationParametersT()
            scales = np.atleast_1d(np.asarray(scale, np.float32))
            quantization.scale = scales
            quantization.zeroPoint = np.full(len(scales), zero_point, np.int64)
            quantization.quantizedDimension = axis
            entry.quantization = quantization
        self.tensors.append(entry)
        return len(self.tensors) - 1

    def activation(self, shape, scale=None, zero_point=None):
        if scale is None:
            scale = float(np.float32(10 ** self.rng.uniform(-2.5, -0.5)))
        if zero_point is None:
            zero_point = int(self.rng.choice([-128, 127, 0, int(self.rng.integers(-128, 128))]))
        return self.tensor(shape, INT8, scale, zero_point)

    def like(self, tensor, shape):
        scale, zero_point = self.quantization(tensor)
        return self.tensor(shape, INT8, scale, zero_point)

    def constant(self, values, kind=np.int32):
        values = np.asarray(values, kind)
        return self.tensor(values.shape, {np.int32: INT32, np.int64: schema.TensorType.INT64}[kind], data=values)

    def quantization(self, tensor):
        entry = self.tensors[tensor].quantization
        return float(np.float32(entry.scale[0])), int(entry.zeroPoint[0])

    def shape(self, tensor):
        return list(self.tensors[tensor].shape)

    def operator(self, name, inputs, output, options_name=None, version=2, **fields):
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(OPERATOR, name)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = version
        self.codes.append(code)
        entry = schema.OperatorT()
        entry.opcodeIndex = len(self.codes) - 1
        entry.inputs, entry.outputs = list(inputs), [output]
        if options_name:
            options = getattr(schema, options_name + "T")()
            for key, value in fields.items():
                assert hasattr(options, key), key
                setattr(options, key, value)
            entry.builtinOptionsType = getattr(OPTIONS, options_name)
            entry.builtinOptions = options
        self.operators.append(entry)
        self.log.append(f"{name} {[self.shape(t) if t >= 0 else None for t in inputs]} -> {self.shape(output)} {fields}")
        return output

    def finish(self, outputs):
        self.outputs = outputs
        subgraph = schema.SubGraphT()
        subgraph.tensors, subgraph.operators = self.tensors, self.operators
        subgraph.inputs, subgraph.outputs = self.inputs, self.outputs
        model = schema.ModelT()
        model.version, model.subgraphs = 3, [subgraph]
        model.operatorCodes, model.buffers = self.codes, self.buffers
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


# MARK: Operators on any tensor

def pick(rng, *choices):
    return choices[int(rng.integers(len(choices)))]


def fused(rng):
    return int(pick(rng, 0, 0, 1, 2, 3))


def weights(g, shape, channels, axis, per_channel):
    count = channels if per_channel else 1
    scales = np.float32(10 ** g.rng.uniform(-3.5, -1.5, count))
    low = -127
    data = g.rng.integers(low, 128, shape).astype(np.int8)
    return g.tensor(shape, INT8, scales, 0, data, axis), np.broadcast_to(scales, channels)


def fitting_scale(g, tensor, scales, depth):
    """An output scale that uses the int8 range, sometimes far off it."""
    spread = float(np.mean(scales)) * g.quantization(tensor)[0] * 73 * 73 * np.sqrt(depth) * 2.5 / 127
    return float(np.float32(spread * 10 ** g.rng.choice([0, 0, 0, 0.5, -0.5, 2, -1.5])))


def bias(g, channels, depth, scales, tensor):
    if g.rng.random() < 0.1:
        values = g.rng.integers(-2**24, 2**24, channels)
    else:
        values = g.rng.integers(-depth * 2000 - 1, depth * 2000 + 1, channels)
    return g.tensor([channels], INT32, np.float32(scales * g.quantization(tensor)[0]), 0,
                    values.astype(np.int32), int(g.rng.integers(0, 1)))


def out_size(size, kernel, stride, dilation, padding):
    reach = (kernel - 1) * dilation + 1
    return -(-size // stride) if padding == 0 else (size - reach) // stride + 1


def conv(g, x, depthwise=False, friendly=False):
    rng = g.rng
    b, h, w, c = g.shape(x)
    padding = int(rng.integers(2))
    kh, kw = int(rng.integers(1, 6)), int(rng.integers(1, 6))
    if friendly or rng.random() < 0.3:
        kh = kw = int(pick(rng, 1, 3, 3))
    dh, dw = (1, 1) if rng.random() < 0.7 else (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
    sh, sw = int(pick(rng, 1, 1, 2, 3)), int(pick(rng, 1, 1, 2, 3))
    if friendly:
        sh = sw = int(pick(rng, 1, 1, 1, 2))
    if rng.random() < 0.7:
        sw = sh
    if max(dh, dw) > 1 and depthwise is False and rng.random() < 0.5:
        sh = sw = 1
    if padding == 1:
        if (kh - 1) * dh + 1 > h: kh = dh = 1
        if (kw - 1) * dw + 1 > w: kw = dw = 1
    oh, ow = out_size(h, kh, sh, dh, padding), out_size(w, kw, sw, dw, padding)
    per_channel = rng.random() < 0.8
    if depthwise:
        multiplier = int(pick(rng, 1, 1, 1, 2, 3, 8))
        oc = c * multiplier
        filt, scales = weights(g, [1, kh, kw, oc], oc, 3, per_channel)
        depth = kh * kw
    else:
        divisors = [d for d in range(1, c + 1) if c % d == 0]
        groups = int(pick(rng, 1, 1, 1, *divisors))
        oc = groups * int(rng.integers(1, max(2, 40 // groups)))
        filt, scales = weights(g, [oc, kh, kw, c // groups], oc, 0, per_channel)
        depth = kh * kw * c // groups
    y = g.activation([b, oh, ow, oc], fitting_scale(g, x, scales, depth))
    inputs = [x, filt, bias(g, oc, depth, scales, x)]
    name = "DepthwiseConv2DOptions" if depthwise else "Conv2DOptions"
    fields = dict(padding=padding, strideH=sh, strideW=sw, dilationHFactor=dh, dilationWFactor=dw,
                  fusedActivationFunction=fused(rng))
    if depthwise:
        fields["depthMultiplier"] = oc // c
    return g.operator("DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", inputs, y, name, 3, **fields)


def dense(g, x):
    rng = g.rng
    shape = g.shape(x)
    keep = bool(len(shape) > 1 and rng.random() < 0.3)
    k = shape[-1] if keep else int(np.prod(shape[1:])) if len(shape) > 1 else shape[0]
    n = int(rng.integers(1, 40))
    filt, scales = weights(g, [n, k], n, 0, rng.random() < 0.5)
    y_shape = shape[:-1] + [n] if keep else [int(np.prod(shape)) // k, n]
    y = g.activation(y_shape, fitting_scale(g, x, scales, k))
    inputs = [x, filt, bias(g, n, k, scales, x) if rng.random() < 0.7 else -1]
    return g.operator("FULLY_CONNECTED", inputs, y, "FullyConnectedOptions", 4, keepNumDims=keep,
                      fusedActivationFunction=fused(rng))


def pool(g, x, friendly=False):
    rng = g.rng
    b, h, w, c = g.shape(x)
    name = pick(rng, "MAX_POOL_2D", "AVERAGE_POOL_2D")
    kh, kw = int(rng.integers(1, 6)), int(rng.integers(1, 6))
    sh, sw = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    if friendly:
        kh = kw = sh = sw = 2
    padding = int(rng.integers(2))
    if padding == 1:
        kh, kw = min(kh, h), min(kw, w)
    y = g.like(x, [b, out_size(h, kh, sh, 1, padding), out_size(w, kw, sw, 1, padding), c])
    return g.operator(name, [x], y, "Pool2DOptions", 2, padding=padding, strideH=sh, strideW=sw, filterHeight=kh,
                      filterWidth=kw, fusedActivationFunction=fused(rng))


def mean(g, x):
    rng = g.rng
    shape = g.shape(x)
    rank = len(shape)
    axes = [int(a) for a in rng.permutation(rank)[: int(rng.integers(1, rank + 1))]]
    if rank == 4 and rng.random() < 0.4:
        axes = [1, 2]
    keep = bool(rng.integers(2))
    kept = [d if i not in axes else 1 for i, d in enumerate(shape) if keep or i not in axes]
    written = [a - rank if rng.random() < 0.5 else a for a in axes]
    scale, zero_point = g.quantization(x)
    y = g.activation(kept, scale * 10 ** float(rng.choice([0, -0.3, -1, 0.3])))
    if rng.random() < 0.3:
        y = g.like(x, kept)
    return g.operator("MEAN", [x, g.constant(written)], y, "ReducerOptions", 2, keepDims=keep)


def unary(g, x):
    rng = g.rng
    name = pick(rng, "RELU", "RELU6", "RELU_N1_TO_1", "LEAKY_RELU", "LOGISTIC", "TANH", "QUANTIZE")
    shape = g.shape(x)
    if name == "LOGISTIC":
        y = g.tensor(shape, INT8, 1 / 256, -128)
    elif name == "TANH":
        y = g.tensor(shape, INT8, 1 / 128, 0)
    elif rng.random() < 0.4:
        y = g.like(x, shape)
    else:
        y = g.activation(shape, g.quantization(x)[0] * float(10 ** rng.uniform(-1, 1)))
    if name == "LEAKY_RELU":
        return g.operator(name, [x], y, "LeakyReluOptions", 2, alpha=float(np.float32(rng.uniform(-0.5, 1.5))))
    return g.operator(name, [x], y, "QuantizeOptions" if name == "QUANTIZE" else None,
                      1 if name == "RELU_N1_TO_1" else 2)


def constant_operand(g, shape):
    data = g.rng.integers(-128, 128, shape).astype(np.int8)
    scale = float(np.float32(10 ** g.rng.uniform(-2.5, -0.5)))
    return g.tensor(shape, INT8, scale, int(g.rng.integers(-128, 128)), data)


def binary(g, x, other=None):
    rng = g.rng
    name = pick(rng, "ADD", "ADD", "SUB", "MUL")
    shape = g.shape(x)
    if other is None:
        kind = rng.random()
        partner = list(shape)
        if kind < 0.3:
            partner = [1] * (len(shape) - 1) + shape[-1:]
        elif kind < 0.5:
            partner = shape[-1:]
        elif kind < 0.6:
            partner = [1]
        elif kind < 0.8:
            partner = [d if rng.random() < 0.5 else 1 for d in shape]
        other = constant_operand(g, partner)
        if rng.random() < 0.2 and kind >= 0.8:
            other = x
    operands = [x, other]
    if rng.random() < 0.5:
        operands.reverse()
    a, b = g.quantization(operands[0])[0], g.quantization(operands[1])[0]
    scale = a * b * 64 if name == "MUL" else max(a, b) * 1.5
    y = g.activation(list(np.broadcast_shapes(g.shape(operands[0]), g.shape(operands[1]))),
                     float(np.float32(scale * 10 ** rng.uniform(-1, 0.7))))
    options = {"ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions"}[name]
    return g.operator(name, operands, y, options, 2, fusedActivationFunction=fused(rng))


def softmax(g, x):
    rng = g.rng
    y = g.tensor(g.shape(x), INT8, 1 / 256, -128)
    return g.operator("SOFTMAX", [x], y, "SoftmaxOptions", 2, beta=float(np.float32(pick(rng, 1, 1, 0.5, 3))))


def pad(g, x):
    rng = g.rng
    shape = g.shape(x)
    amounts = [[int(rng.integers(0, 3)), int(rng.integers(0, 3))] if rng.random() < 0.6 else [0, 0] for _ in shape]
    y = g.like(x, [d + a + b for d, (a, b) in zip(shape, amounts)])
    kind = pick(rng, np.int32, np.int64)
    if rng.random() < 0.5:
        return g.operator("PAD", [x, g.constant(amounts, kind)], y, "PadOptions", 2)
    scale, zero_point = g.quantization(x)
    value = g.tensor([1], INT8, scale, zero_point, rng.integers(-128, 128, 1).astype(np.int8))
    return g.operator("PADV2", [x, g.constant(amounts, kind), value], y, "PadV2Options", 2)


def reshape(g, x):
    rng = g.rng
    shape = g.shape(x)
    kind = pick(rng, "RESHAPE", "EXPAND_DIMS", "SQUEEZE")
    if kind == "EXPAND_DIMS" and len(shape) < 5:
        axis = int(rng.integers(-len(shape) - 1, len(shape) + 1))
        new = list(shape)
        new.insert(axis if axis >= 0 else axis + len(shape) + 1, 1)
        return g.operator("EXPAND_DIMS", [x, g.constant([axis])], g.like(x, new), "ExpandDimsOptions", 1)
    if kind == "SQUEEZE" and 1 in shape:
        if rng.random() < 0.5:
            return g.operator("SQUEEZE", [x], g.like(x, [d for d in shape if d != 1]), "SqueezeOptions", 1,
                              squeezeDims=[])
        axis = int(pick(rng, *[i for i, d in enumerate(shape) if d == 1]))
        new = shape[:axis] + shape[axis + 1:]
        return g.operator("SQUEEZE", [x], g.like(x, new), "SqueezeOptions", 1,
                          squeezeDims=[axis - len(shape) if rng.random() < 0.5 else axis])
    new = pick(rng, [shape[0], -1], [-1], shape[:-2] + [-1] if len(shape) > 2 else [-1], [1] + shape[::-1][:4] if
               len(shape) < 5 else shape)
    if -1 not in new and np.prod(new) != np.prod(shape):
        new = [-1]
    known = int(np.prod([d for d in new if d != -1]))
    full = [int(np.prod(shape)) // known if d == -1 else d for d in new]
    if rng.random() < 0.7:
        return g.operator("RESHAPE", [x, g.constant(new)], g.like(x, full), "ReshapeOptions", 1, newShape=new)
    return g.operator("RESHAPE", [x], g.like(x, full), "ReshapeOptions", 1, newShape=new)


def transpose(g, x):
    order = [int(a) for a in g.rng.permutation(len(g.shape(x)))]
    y = g.like(x, [g.shape(x)[a] for a in order])
    return g.operator("TRANSPOSE", [x, g.constant(order)], y, "TransposeOptions", 2)


def strided_slice(g, x):
    rng = g.rng
    shape = g.shape(x)
    rank = int(rng.integers(1, len(shape) + 1))
    begin, end, stride = [], [], []
    masks = dict(beginMask=0, endMask=0, shrinkAxisMask=0, ellipsisMask=0, newAxisMask=0)
    spec = []
    for i in range(rank):
        d = shape[i]
        s = int(pick(rng, 1, 1, 1, 2, -1, -2, 3))
        b, e = int(rng.integers(-d - 1, d + 2)), int(rng.integers(-d - 1, d + 2))
        shrink = rng.random() < 0.15
        if shrink:
            s, b = 1, int(rng.integers(-d, d))
        elif rng.random() < 0.4:
            masks["beginMask"] |= 1 << i
        if not shrink and rng.random() < 0.4:
            masks["endMask"] |= 1 << i
        if shrink:
            masks["shrinkAxisMask"] |= 1 << i
            spec.append(b)
        else:
            spec.append(slice(None if masks["beginMask"] >> i & 1 else b, None if masks["endMask"] >> i & 1 else e, s))
        begin.append(b)
        end.append(e)
        stride.append(s)
    if rng.random() < 0.25:
        place = int(rng.integers(0, rank + 1))
        kind = pick(rng, "ellipsisMask", "newAxisMask")
        if kind == "newAxisMask" and len(shape) > 4:
            kind = "ellipsisMask"
        # LiteRT gives an ellipsis at least one axis even when none is left over, against TensorFlow's meaning; and an
        # ellipsis before other slices would move them to the last axes. Neither comes out of the converter.
        if kind == "newAxisMask" or (place == rank and rank < len(shape)):
            for key in ("beginMask", "endMask", "shrinkAxisMask"):
                low = masks[key] & ((1 << place) - 1)
                masks[key] = low | (masks[key] >> place) << (place + 1)
            masks[kind] = 1 << place
            for row in (begin, end, stride):
                row.insert(place, 1)
            spec.insert(place, Ellipsis if kind == "ellipsisMask" else None)
    probe = np.zeros(shape, np.int8)[tuple(spec)]
    if probe.size == 0:
        return transpose(g, x)
    y = g.like(x, probe.shape)
    return g.operator("STRIDED_SLICE", [x, g.constant(begin), g.constant(end), g.constant(stride)], y,
                      "StridedSliceOptions", 2, **masks)


def space_to_batch(g, x):
    rng = g.rng
    shape = g.shape(x)
    spatial = len(shape) - 2
    blocks = [int(rng.integers(1, 4)) for _ in range(spatial)]
    pads = []
    for i in range(spatial):
        before = int(rng.integers(0, 3))
        after = -(shape[i + 1] + before) % blocks[i] + blocks[i] * int(rng.integers(0, 2))
        pads.append([before, after])
    out = [shape[0] * int(np.prod(blocks))]
    out += [(shape[i + 1] + sum(pads[i])) // blocks[i] for i in range(spatial)] + shape[-1:]
    return g.operator("SPACE_TO_BATCH_ND", [x, g.constant(blocks), g.constant(pads)], g.like(x, out),
                      "SpaceToBatchNDOptions", 2)


def batch_to_space(g, x):
    rng = g.rng
    shape = g.shape(x)
    spatial = len(shape) - 2
    blocks = []
    batch = shape[0]
    for i in range(spatial):
        blocks.append(int(pick(rng, *[d for d in (1, 2, 3, 4) if batch % d == 0])))
        batch //= blocks[-1]
    crops, out = [], [batch]
    for i in range(spatial):
        full = shape[i + 1] * blocks[i]
        before = int(rng.integers(0, min(3, full)))
        after = int(rng.integers(0, min(3, full - before)))
        crops.append([before, after])
        out.append(full - before - after)
    return g.operator("BATCH_TO_SPACE_ND", [x, g.constant(blocks), g.constant(crops)], g.like(x, out + shape[-1:]),
                      "BatchToSpaceNDOptions", 2)


def concatenation(g, x):
    rng = g.rng
    shape = g.shape(x)
    axis = int(rng.integers(len(shape)))
    parts = [x]
    for _ in range(int(rng.integers(0, 3))):
        part = list(shape)
        part[axis] = int(rng.integers(1, 6))
        scale, zero_point = g.quantization(x)
        parts.append(g.tensor(part, INT8, scale, zero_point, rng.integers(-128, 128, part).astype(np.int8)))
    if rng.random() < 0.2:
        parts.append(x)
    order = [parts[i] for i in rng.permutation(len(parts))]
    out = list(shape)
    out[axis] = sum(g.shape(p)[axis] for p in order)
    return g.operator("CONCATENATION", order, g.like(x, out), "ConcatenationOptions", 2,
                      axis=axis - len(shape) if rng.random() < 0.5 else axis)


def computed_reshape(g, x):
    """RESHAPE to a shape computed by SHAPE, STRIDED_SLICE and PACK, as Keras writes it."""
    shape = g.shape(x)
    dims = g.operator("SHAPE", [x], g.tensor([len(shape)], INT32), "ShapeOptions", 1, outType=INT32)
    first = g.operator("STRIDED_SLICE", [dims, g.constant([0]), g.constant([1]), g.constant([1])], g.tensor([], INT32),
                       "StridedSliceOptions", 1, shrinkAxisMask=1)
    rest = int(np.prod(shape[1:]))
    packed = g.operator("PACK", [first, g.constant(1), g.constant(rest)], g.tensor([3], INT32), "PackOptions", 1,
                        valuesCount=3, axis=0)
    return g.operator("RESHAPE", [x, packed], g.like(x, [shape[0], 1, rest]), "ReshapeOptions", 1)


ANY_RANK = [dense, mean, unary, unary, binary, binary, softmax, pad, reshape, transpose, strided_slice, concatenation,
            computed_reshape]
SPATIAL = [conv, conv, conv, lambda g, x: conv(g, x, depthwise=True), lambda g, x: conv(g, x, depthwise=True), pool,
           pool, space_to_batch, batch_to_space]


def step(g, x):
    shape = g.shape(x)
    choices = list(ANY_RANK) if shape else [unary, binary]
    if len(shape) == 4:
        choices += SPATIAL
    elif len(shape) == 3:
        choices += [space_to_batch, batch_to_space]
    operator = pick(g.rng, *choices)
    if len(shape) > 4 and operator in (transpose, pad, strided_slice, softmax, concatenation):
        operator = unary
    if int(np.prod(shape)) > 20000:
        operator = mean
    return operator(g, x)


def random_input(g):
    rng = g.rng
    kind = rng.random()
    if kind < 0.75:
        shape = [int(pick(rng, 1, 1, 1, 2, 3)), int(rng.integers(1, 20)), int(rng.integers(1, 20)), int(rng.integers(1, 35))]
    elif kind < 0.85:
        shape = [int(pick(rng, 1, 1, 4)), int(rng.integers(1, 300))]
    elif kind < 0.95:
        shape = [int(pick(rng, 1, 2, 4)), int(rng.integers(1, 20)), int(rng.integers(1, 20))]
    else:
        shape = [int(rng.integers(1, 4)) for _ in range(5)]
    x = g.activation(shape)
    g.inputs.append(x)
    return x


def single(g):
    return [step(g, random_input(g))]


def chain(g):
    """Several operators in a row, some intermediate tensors being outputs too."""
    x = random_input(g)
    outputs = []
    for _ in range(int(g.rng.integers(2, 7))):
        x = step(g, x)
        if g.rng.random() < 0.15:
            outputs.append(x)
    if x not in outputs:
        outputs.append(x)
    return outputs


def residual(g):
    """What invites fusion: convolutions, pools and additions of two branches."""
    rng = g.rng
    x = g.activation([int(pick(rng, 1, 1, 2)), int(rng.integers(4, 20)), int(rng.integers(4, 20)), int(rng.integers(1, 40))])
    g.inputs.append(x)
    y = conv(g, x, depthwise=rng.random() < 0.3, friendly=True)
    if rng.random() < 0.5:
        y = pool(g, y, friendly=True)
    if rng.random() < 0.5:
        y = unary(g, y)
    b, h, w, c = g.shape(y)
    z = conv_same(g, y, c)
    if rng.random() < 0.3:
        z = unary(g, z)
    skip = y
    if rng.random() < 0.4:
        skip = conv_same(g, y, c)
    total = binary(g, z, skip)
    outputs = [total]
    if rng.random() < 0.5:
        outputs = [mean_hw(g, total)]
    if rng.random() < 0.1:
        outputs.append(z)
    return outputs


def conv_same(g, x, channels):
    b, h, w, c = g.shape(x)
    k = int(pick(g.rng, 1, 3))
    filt, scales = weights(g, [channels, k, k, c], channels, 0, True)
    y = g.activation([b, h, w, channels], fitting_scale(g, x, scales, k * k * c))
    return g.operator("CONV_2D", [x, filt, bias(g, channels, k * k * c, scales, x)], y, "Conv2DOptions", 3, padding=0,
                      strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1, fusedActivationFunction=fused(g.rng))


def mean_hw(g, x):
    b, h, w, c = g.shape(x)
    y = g.activation([b, c], g.quantization(x)[0])
    return g.operator("MEAN", [x, g.constant([1, 2])], y, "ReducerOptions", 2, keepDims=False)


def random_image(g):
    rng = g.rng
    x = g.activation([int(pick(rng, 1, 1, 2)), int(rng.integers(3, 20)), int(rng.integers(3, 20)), int(rng.integers(1, 34))])
    g.inputs.append(x)
    return x


def dilated(g):
    """A dilation as converters write it: to batches, a convolution, perhaps a table, and back to space."""
    rng = g.rng
    x = random_image(g)
    b, h, w, c = g.shape(x)
    blocks = [int(rng.integers(1, 4)), int(rng.integers(1, 4))]
    pads = []
    for size, block in zip((h, w), blocks):
        before = int(rng.integers(0, 5))
        pads.append([before, -(size + before) % block + block * int(rng.integers(0, 3))])
    rows, columns = ((size + sum(pad)) // block for size, pad, block in zip((h, w), pads, blocks))
    y = g.operator("SPACE_TO_BATCH_ND", [x, g.constant(blocks), g.constant(pads)],
                   g.like(x, [b * blocks[0] * blocks[1], rows, columns, c]), "SpaceToBatchNDOptions", 2)
    y = conv(g, y, depthwise=rng.random() < 0.3, friendly=True)
    if rng.random() < 0.4:
        y = unary(g, y)
    out, crops = [b], []
    for size, block in zip(g.shape(y)[1:3], blocks):
        before = int(rng.integers(0, min(3, size * block))) if rng.random() < 0.4 else 0
        after = int(rng.integers(0, min(3, size * block - before))) if rng.random() < 0.6 else 0
        crops.append([before, after])
        out.append(size * block - before - after)
    y = g.operator("BATCH_TO_SPACE_ND", [y, g.constant(blocks), g.constant(crops)],
                   g.like(y, out + g.shape(y)[-1:]), "BatchToSpaceNDOptions", 2)
    return [binary(g, y) if rng.random() < 0.5 else y]


def padded(g):
    """PAD, now and then with a value that is not the zero point, before what reads it."""
    rng = g.rng
    x = random_image(g)
    b, h, w, c = g.shape(x)
    (top, bottom), (left, right) = rng.integers(0, 4, (2, 2)).tolist()
    amounts = g.constant([[0, 0], [top, bottom], [left, right], [0, 0]])
    y = g.like(x, [b, h + top + bottom, w + left + right, c])
    scale, zero_point = g.quantization(x)
    value = zero_point if rng.random() < 0.5 else int(rng.integers(-128, 128))
    if rng.random() < 0.6:
        y = g.operator("PAD", [x, amounts], y, "PadOptions", 2)
    else:
        constant = g.tensor([1], INT8, scale, zero_point, np.full(1, value, np.int8))
        y = g.operator("PADV2", [x, amounts, constant], y, "PadV2Options", 2)
    z = conv(g, y, depthwise=rng.random() < 0.4)
    return [z, conv(g, y)] if rng.random() < 0.2 else [z]


def two_inputs(g):
    rng = g.rng
    shape = [int(rng.integers(1, 6)) for _ in range(int(rng.integers(1, 7)))]
    other = [d if rng.random() < 0.6 else 1 for d in shape][int(rng.integers(0, len(shape))):]
    a, b = g.activation(shape), g.activation(other)
    g.inputs += [a, b]
    return [binary(g, a, b)]


def float_borders(g):
    x = g.tensor([1, 6, 5, 3], FLOAT32)
    g.inputs.append(x)
    q = g.operator("QUANTIZE", [x], g.activation([1, 6, 5, 3]), "QuantizeOptions", 1)
    y = conv(g, q)
    return [g.operator("DEQUANTIZE", [y], g.tensor(g.shape(y), FLOAT32), "DequantizeOptions", 2)]


KINDS = [single, single, single, chain, chain, residual, residual, dilated, padded, two_inputs, float_borders]


def random_graph(seed):
    """The bytes of a model, its input and output count and a listing of its operators."""
    rng = np.random.default_rng(seed)
    while True:
        g = Graph(rng)
        outputs = pick(rng, *KINDS)(g)
        if all(t not in g.inputs for t in outputs) and all(0 < len(t.shape) <= 6 or t.type != INT8 for t in g.tensors):
            return g.finish(outputs), g
