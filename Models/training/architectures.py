"""The networks, in Keras. Each function returns an untrained model on real-valued inputs (int8 times INPUT_STEP)."""

import math

import keras

L = keras.layers


def _conv(x, filters, size=3, **options):
    return L.Conv2D(filters, size, padding="same", activation="relu", **options)(x)


def screening_fold():
    """Folded halves, 24 x 16 x 3: convolutions, the strongest answer of each feature, one score."""
    x = start = keras.Input((24, 16, 3))
    x = _conv(_conv(x, 12), 16)
    x = L.MaxPooling2D(2)(x)
    x = _conv(x, 24)
    x = L.MaxPooling2D(2)(x)
    x = _conv(x, 24)
    x = L.MaxPooling2D((6, 4))(x)
    x = L.Dropout(0.3)(L.Flatten()(x))
    return keras.Model(start, L.Dense(1, activation="sigmoid")(L.Dense(16, activation="relu")(x)))


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
    normal = lambda y, filters: L.BatchNormalization()(L.Conv2D(filters, 3, padding="same", use_bias=False)(y))
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
    """Two heads on the whole frame: what is wrong with the capture, and which view it is."""
    x = start = keras.Input((24, 32, 1))
    x = L.MaxPooling2D(2)(_conv(_conv(x, 12), 16))
    x = L.MaxPooling2D(2)(_conv(x, 24))
    x = L.MaxPooling2D(2)(_conv(x, 32))
    x = L.Dropout(0.2)(L.Flatten()(x))
    fault = L.Dense(faults, activation="softmax", name="fault")(L.Dense(32, activation="relu")(x))
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
