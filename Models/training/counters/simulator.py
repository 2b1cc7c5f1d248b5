"""Draws windows of the device's counters: 32 steps of 10 s, 16 channels of non-negative integers."""

import numpy as np

STEPS = 32
# (name, unit, transform, gain, offset): the manifest's channels. int8 = clamp(round(gain f(x) / 256) + offset).
# `delta` is what was added since the window's first step: a drift is small beside the value it starts from.
CHANNELS = [
    ("network.connections", "1/step", "log2", 16, -100),
    ("network.refused", "1/step", "log2", 16, -100),
    ("network.bytes_in", "B/step", "log2", 9, -100),
    ("network.publish_latency", "ms", "log2", 12, -100),
    ("network.reconnects", "1/step", "log2", 20, -100),
    ("command.received", "1/step", "log2", 20, -100),
    ("command.malformed", "1/step", "log2", 20, -100),
    ("command.bad_signature", "1/step", "log2", 20, -100),
    ("command.replayed", "1/step", "log2", 20, -100),
    ("login.failed", "1/step", "log2", 20, -100),
    ("device.cpu", "percent", "linear", 512, -100),
    ("device.temperature", "centi-degC", "linear", 6, -100),
    ("device.case_opened", "1/step", "log2", 64, -100),
    ("sensor.bus_errors", "1/step", "log2", 20, -100),
    ("sensor.noise", "centikelvin", "log2", 24, -100),
    ("environment.ambient", "centi-degC", "delta", 40, 0),
]
HEALTH = ["normal", "drift", "noisy", "stuck", "overheating"]
CYBER = ["normal", "connection-flood", "malformed-commands", "spoofed-commands", "replay", "tampering", "brute-force"]
INDEX = {name: i for i, (name, *_) in enumerate(CHANNELS)}


def windows(count, seed):
    """(int64 [count, 32, 16], health index, cyber index): normal in half of each head."""
    rng = np.random.default_rng([seed, 77])
    x = np.zeros((count, STEPS, len(CHANNELS)))
    rate = lambda low, high: np.exp(rng.uniform(np.log(low), np.log(high), (count, 1)))
    poisson = lambda mean: rng.poisson(np.broadcast_to(mean, (count, STEPS)))
    put = lambda name, values: x.__setitem__((slice(None), slice(None), INDEX[name]), values)
    get = lambda name: x[:, :, INDEX[name]]
    # Normal use: a busy clinic and a home differ by much, and a bad line reconnects without an attacker.
    busy, bad_line = rate(0.02, 2.0), rate(0.002, 0.5)
    put("network.connections", poisson(0.05 + bad_line))
    put("network.refused", poisson(0.02 * bad_line))
    put("network.bytes_in", poisson(40 + 300 * busy) + 2000 * poisson(0.02))
    put("network.publish_latency", np.exp(rng.normal(np.log(rate(30, 400)), 0.4, (count, STEPS))))
    put("network.reconnects", poisson(bad_line))
    put("command.received", poisson(0.03 * busy))
    put("command.malformed", poisson(np.full((count, 1), 0.002)))
    put("command.bad_signature", poisson(np.full((count, 1), 0.002)))
    put("command.replayed", poisson(0.01 * bad_line))
    put("login.failed", poisson(np.full((count, 1), 0.01)) * rng.integers(1, 4, (count, STEPS)))
    put("device.cpu", np.clip(rng.normal(8 + 8 * busy, 4, (count, STEPS)), 1, 100))
    warm = 4200 + rng.normal(0, 300, (count, 1)) + 8 * get("device.cpu")
    put("device.temperature", warm + rng.normal(0, 20, (count, STEPS)))
    put("device.case_opened", poisson(np.full((count, 1), 0.0005)))
    put("sensor.bus_errors", poisson(np.full((count, 1), 0.01)))
    put("sensor.noise", np.abs(rng.normal(rate(5, 30), 2, (count, STEPS))))
    ambient = rng.uniform(1600, 3000, (count, 1)) + np.cumsum(rng.normal(0, 1.5, (count, STEPS)), axis=1)
    put("environment.ambient", ambient + rng.normal(0, 5, (count, STEPS)))

    health = rng.integers(0, len(HEALTH), count) * (rng.uniform(size=count) < 0.55)
    cyber = rng.integers(0, len(CYBER), count) * (rng.uniform(size=count) < 0.6)
    start = rng.integers(0, STEPS - 10, (count, 1))
    active = (np.arange(STEPS)[None] >= start) & (np.arange(STEPS)[None] < start + rng.integers(8, 32, (count, 1)))
    during = lambda mask: mask[:, None] & active
    is_health = lambda name: during(health == HEALTH.index(name))
    is_cyber = lambda name: during(cyber == CYBER.index(name))

    ramp = np.clip(np.arange(STEPS)[None] - start, 0, None)
    add = lambda name, mask, values: put(name, get(name) + np.where(mask, values, 0))
    add("environment.ambient", is_health("drift"), ramp * rate(8, 60) * rng.choice([-1, 1], (count, 1)))
    add("sensor.noise", is_health("noisy"), rate(15, 200))
    add("sensor.bus_errors", is_health("noisy"), poisson(rate(0.05, 3)))
    stuck = is_health("stuck")
    for name in ("environment.ambient", "sensor.noise"):
        held = np.take_along_axis(get(name), start, axis=1)
        put(name, np.where(stuck, 0 if name == "sensor.noise" else held, get(name)))
    add("device.temperature", is_health("overheating"), ramp * rate(40, 250))
    add("device.cpu", is_health("overheating"), 10)

    flood = rate(3, 300)
    add("network.connections", is_cyber("connection-flood"), poisson(flood))
    add("network.refused", is_cyber("connection-flood"), poisson(flood * 0.5))
    add("network.bytes_in", is_cyber("connection-flood"), poisson(flood * 60))
    add("device.cpu", is_cyber("connection-flood"), np.minimum(flood * 0.3, 60))
    add("command.malformed", is_cyber("malformed-commands"), poisson(rate(0.3, 20)))
    add("network.bytes_in", is_cyber("malformed-commands"), poisson(rate(50, 5000)))
    add("command.bad_signature", is_cyber("spoofed-commands"), poisson(rate(0.3, 10)))
    add("command.received", is_cyber("spoofed-commands"), poisson(rate(0.3, 10)))
    add("command.replayed", is_cyber("replay"), poisson(rate(0.3, 10)))
    add("command.received", is_cyber("replay"), poisson(rate(0.3, 10)))
    add("device.case_opened", is_cyber("tampering"), poisson(rate(0.15, 2)))
    add("sensor.bus_errors", is_cyber("tampering"), poisson(rate(0.05, 2)))
    add("login.failed", is_cyber("brute-force"), poisson(rate(0.5, 60)))
    add("network.connections", is_cyber("brute-force"), poisson(rate(0.3, 10)))
    x[:, :, INDEX["device.cpu"]] = np.clip(get("device.cpu"), 0, 100)
    return np.clip(np.rint(x), 0, 1 << 24).astype(np.int64), health, cyber


def log2_q8(value):
    """256 log2(1 + value), the mantissa taken linearly, rounded down; as FixedPoint.log2Q8 of the device."""
    number = value.astype(np.int64) + 1
    exponent = np.frexp(number.astype(np.float64))[1] - 1
    fraction = number - (1 << exponent)
    mantissa = np.where(exponent >= 8, fraction >> np.maximum(exponent - 8, 0), fraction << np.maximum(8 - exponent, 0))
    return exponent.astype(np.int64) * 256 + mantissa


def encode(x):
    """int64 counters -> int8 windows."""
    from preprocessing import rounded
    columns = []
    for c, (_, _, transform, gain, offset) in enumerate(CHANNELS):
        value = x[:, :, c]
        if transform == "log2":
            value = log2_q8(value)
        elif transform == "delta":
            value = value - value[:, :1]
        columns.append(np.clip(rounded(gain * value, 256) + offset, -128, 127))
    return np.stack(columns, axis=-1).astype(np.int8)
