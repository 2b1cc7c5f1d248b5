"""The networks, in Keras. Each function returns an untrained model on real-valued inputs (int8 times INPUT_STEP)."""

import math

import keras

L = keras.layers


def _conv(x, filters, size=3, **options):
    return L.Conv2D(filters, size, padding="same", activation="relu", **options)(x)


class MirrorConvolution(L.Layer):
    """A 3 x 3 convolution of which every filter has its mirror image: the second half of the channels is what the first
    half is for the mirrored frame. So a frame and its mirror image give the same maximum, to the last bit of int8."""

    def __init__(self, filters, first=False, size=3, **options):
        super().__init__(**options)
        self.filters, self.first, self.size = filters, first, size

    def build(self, shape):
        channels = shape[-1] if self.first else shape[-1] // 2
        name = lambda k: self.add_weight(
            shape=(self.size, self.size, channels, self.filters), initializer="he_normal", name=f"kernel{k}")
        self.kernels = [name(0)] if self.first else [name(0), name(1)]
        self.bias = self.add_weight(shape=(self.filters,), initializer="zeros", name="bias")

    def full(self):
        """(kernel, bias) of the plain convolution that does the same."""
        turned = [keras.ops.flip(k, axis=1) for k in self.kernels]
        if self.first:
            kernel = keras.ops.concatenate([self.kernels[0], turned[0]], axis=-1)
        else:
            scale = 0.7071
            (a, b), (c, d) = self.kernels, turned
            kernel = scale * keras.ops.concatenate(
                [keras.ops.concatenate([a, b], axis=2), keras.ops.concatenate([d, c], axis=2)], axis=-1)
        return kernel, keras.ops.concatenate([self.bias, self.bias])

    def call(self, x):
        kernel, bias = self.full()
        return keras.ops.relu(keras.ops.conv(x, kernel, padding="same") + bias)


class MirrorScore(L.Layer):
    """1 x 1, with the same weight for a channel and its mirror image."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1] // 2, 1), initializer="glorot_uniform", name="kernel")
        self.bias = self.add_weight(shape=(1,), initializer=keras.initializers.Constant(-3.0), name="bias")

    def full(self):
        return keras.ops.concatenate([self.kernel, self.kernel], axis=0)[None, None], self.bias

    def call(self, x):
        kernel, bias = self.full()
        return keras.ops.conv(x, kernel, padding="same") + bias


SPOT_FILTERS = (8, 8, 12, 12, 12)


def screening_spot():
    """A map of log odds that a warm spot lies there, 12 x 16, from the whole frame, 24 x 32; alike for mirror images."""
    x = start = keras.Input((24, 32, 1))
    for k, filters in enumerate(SPOT_FILTERS):
        x = MirrorConvolution(filters, first=k == 0, name=f"mirror{k}")(x)
        if k == 1:
            x = L.MaxPooling2D(2)(x)
    return keras.Model(start, MirrorScore(name="score")(x))


def screening_spot_plain(model, floor, slope, offset):
    """The same as plain layers for the device: the map above `floor`, its maximum m, sigmoid(slope m + offset)."""
    x = start = keras.Input((24, 32, 1))
    for k, filters in enumerate(SPOT_FILTERS):
        x = L.Conv2D(2 * filters, 3, padding="same", activation="relu", name=f"mirror{k}")(x)
        if k == 1:
            x = L.MaxPooling2D(2)(x)
    x = L.Conv2D(1, 1, activation="relu", name="score")(x)
    x = L.Flatten()(L.MaxPooling2D((12, 16))(x))
    plain = keras.Model(start, L.Dense(1, activation="sigmoid", name="odds")(x))
    for k in range(len(SPOT_FILTERS)):
        plain.get_layer(f"mirror{k}").set_weights([keras.ops.convert_to_numpy(w) for w in model.get_layer(f"mirror{k}").full()])
    kernel, bias = (keras.ops.convert_to_numpy(w) for w in model.get_layer("score").full())
    plain.get_layer("score").set_weights([kernel, bias - floor])
    import numpy as np
    plain.get_layer("odds").set_weights([np.array([[slope]], np.float32), np.array([offset + slope * floor], np.float32)])
    return plain


def salvi_cnn():
    """Convolution-pool stacks and a dense head at 32 x 32 x 3."""
    x = start = keras.Input((32, 32, 3))
    for filters in (32, 64, 64):
        x = L.MaxPooling2D(2)(_conv(x, filters))
    x = L.Dropout(0.4)(L.Dense(64, activation="relu")(L.Flatten()(x)))
    return keras.Model(start, L.Dense(1, activation="sigmoid")(x))


def kalva_resnet():
    """Conv64-pool-Conv64-pool, two residual blocks y = x + F(x), global average, 512, 256, two classes."""
    x = start = keras.Input((24, 32, 1))
    normal = lambda y, filters: L.BatchNormalization(momentum=0.9)(L.Conv2D(filters, 3, padding="same", use_bias=False)(y))
    for _ in range(2):
        x = L.MaxPooling2D(2)(L.ReLU()(normal(x, 64)))
    for _ in range(2):
        x = L.ReLU()(L.Add()([x, normal(L.ReLU()(normal(x, 64)), 64)]))
    x = L.GlobalAveragePooling2D()(x)
    x = L.Dense(256, activation="relu")(L.Dropout(0.3)(L.Dense(512, activation="relu")(x)))
    return keras.Model(start, L.Dense(2, activation="softmax")(x))


def bagheri_features():
    """Convolutional features, 6 x 4 x 12, and a network's score beside them."""
    x = start = keras.Input((24, 16, 3))
    x = L.MaxPooling2D(2)(_conv(_conv(x, 16), 16))
    features = L.MaxPooling2D(2)(_conv(x, 12))
    score = L.Dense(16, activation="relu")(L.Dropout(0.4)(L.Flatten()(features)))
    return keras.Model(start, [L.Dense(1, activation="sigmoid", name="score")(score),
                               L.Identity(name="features")(features)])


def digiscope_cnn():
    """Conv16-Conv32-pool-Conv32-Conv64-pool-64-32-7 at 28 x 28 x 3."""
    x = start = keras.Input((28, 28, 3))
    x = L.MaxPooling2D(2)(_conv(_conv(x, 16), 32))
    x = L.MaxPooling2D(2)(_conv(_conv(x, 32), 64))
    x = L.Dropout(0.3)(L.Dense(64, activation="relu")(L.Flatten()(x)))
    return keras.Model(start, L.Dense(7, activation="softmax")(L.Dense(32, activation="relu")(x)))


def quality(faults, views):
    """Two heads on the whole frame: what the capture is, and which view it shows."""
    x = start = keras.Input((24, 32, 1))
    x = L.MaxPooling2D(2)(_conv(_conv(x, 12), 16))
    x = L.MaxPooling2D(2)(_conv(x, 32))
    x = L.MaxPooling2D(2)(_conv(x, 48))
    x = L.Dropout(0.3)(L.Flatten()(x))
    fault = L.Dense(faults, activation="softmax", name="fault")(L.Dense(48, activation="relu")(x))
    return keras.Model(start, [fault, L.Dense(views, activation="softmax", name="view")(
        L.Dense(24, activation="relu")(x))])


def sharma_dualpath(steps, channels, health, cyber):
    """Two paths of 1-D convolutions (k = 3, LeakyReLU, max-pool), dense 128 and a head each."""
    start = keras.Input((steps, channels))

    def path():
        x = start
        for filters in (32, 64):
            x = L.LeakyReLU(0.1)(L.Conv1D(filters, 3, padding="same")(x))
            x = L.MaxPooling1D(2)(x)
        return L.Flatten()(x)

    both = L.Concatenate()([path(), path()])
    heads = [L.Dense(n, activation="softmax", name=name)(L.Dropout(0.3)(L.LeakyReLU(0.1)(L.Dense(128)(both))))
             for name, n in (("health", health), ("cyber", cyber))]
    return keras.Model(start, heads)


def multiply_accumulates(model):
    """Of the convolutions and dense layers, for one sample."""
    total = 0
    for layer in model.layers:
        if isinstance(layer, (L.Conv2D, L.Conv1D)):
            total += math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:-1])
        elif isinstance(layer, L.Dense):
            total += math.prod(layer.kernel.shape)
    return total
