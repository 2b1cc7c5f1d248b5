"""The device's counters as numbers: the channels, how a window becomes int8, and the normal use of one device over days.

A step is 10 s and has 16 integers of at least 0; MISSING stands for a value that the device does not have. A window is 32
steps. Everything is drawn from the device's seed alone, so devices that judge never share a number with those that trained."""

import dataclasses

import numpy as np

STEPS = 32
STEP_SECONDS = 10
DAY = 86_400 // STEP_SECONDS
MISSING = -1
PART_BYTES = 64 << 10
# (name, unit, transform, gain, offset): the manifest's channels. int8 = clamp(round(gain f(x) / 256) + offset).
# `delta` is what was added since the window's first step that is not missing: a drift is small beside the value it starts from.
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
    ("sensor.noise", "centikelvin", "log2", 24, -60),
    ("environment.ambient", "centi-degC", "delta", 384, 0),
]
INDEX = {name: i for i, (name, *_) in enumerate(CHANNELS)}
# Which channels are told together when one asks what spoke.
GROUPS = {"network": range(0, 5), "command and login": range(5, 10), "device": range(10, 13), "sensor and environment": range(13, 16)}
# What a missing value becomes: an int8 that no value has, so that the network can tell "none" from "little". Not so for a change, where it
# is no change; the camera's noise, which is missing with it, tells both apart. The noise lies higher than other channels for that: a stuck
# camera has none (-60), and must look neither like one that is not heard (-128) nor like a quiet one (-36 and more).
MISSING_Q = [0 if transform == "delta" else -128 for _, _, transform, _, _ in CHANNELS]


def log2_q8(value):
    """256 log2(1 + value), the mantissa taken linearly, rounded down; as ChainArithmetic.log2Q8 of the device."""
    number = value.astype(np.int64) + 1
    exponent = np.frexp(number.astype(np.float64))[1] - 1
    fraction = number - (1 << exponent.astype(np.int64))
    mantissa = np.where(exponent >= 8, fraction >> np.maximum(exponent - 8, 0), fraction << np.maximum(8 - exponent, 0))
    return exponent.astype(np.int64) * 256 + mantissa


def _int8(channel, value):
    from preprocessing import rounded
    _, _, _, gain, offset = CHANNELS[channel]
    return np.clip(rounded(gain * value, 256) + offset, -128, 127).astype(np.int8)


def plain(x):
    """The int8 of every channel but the `delta` ones, [..., 16]; those are left 0."""
    q = np.zeros(x.shape, np.int8)
    for c, (_, _, transform, _, _) in enumerate(CHANNELS):
        if transform != "delta":
            value = np.maximum(x[..., c], 0)
            q[..., c] = np.where(x[..., c] < 0, MISSING_Q[c], _int8(c, log2_q8(value) if transform == "log2" else value))
    return q


def _delta(channel, value):
    """int8 [n, 32] of one `delta` channel."""
    first = np.take_along_axis(value, (value >= 0).argmax(axis=1)[:, None], axis=1)
    return np.where(value < 0, MISSING_Q[channel], _int8(channel, value - first))


def encode(x):
    """int64 counters [n, 32, 16] (MISSING where there is none) -> int8 windows."""
    q = plain(x)
    for c, (_, _, transform, _, _) in enumerate(CHANNELS):
        if transform == "delta":
            q[:, :, c] = _delta(c, x[:, :, c])
    return q


def encode_at(plain_x, x, at):
    """The int8 windows [n, 32, 16] that begin at these steps of a device's days; `plain_x` is `plain(x)`."""
    view = lambda a: np.lib.stride_tricks.sliding_window_view(a, STEPS, axis=0)[at].transpose(0, 2, 1)
    q = np.ascontiguousarray(view(plain_x))
    deltas = [c for c, (_, _, transform, _, _) in enumerate(CHANNELS) if transform == "delta"]
    for c in deltas:
        value = np.lib.stride_tricks.sliding_window_view(x[:, c], STEPS)[at]
        q[:, :, c] = _delta(c, value)
    return q


def encode_days(x, chunk=20_000):
    """The sliding windows of a device's days [T, 16], in chunks of int8 [n, 32, 16]; the first ends with step 31."""
    of = plain(x)
    for start in range(0, len(x) - STEPS + 1, chunk):
        yield encode_at(of, x, np.arange(start, min(start + chunk, len(x) - STEPS + 1)))


@dataclasses.dataclass
class Habits:
    """What makes a device's normal use its own."""
    kind: str
    rng: np.random.Generator

    def __post_init__(self):
        rng = self.rng
        log = lambda low, high: float(np.exp(rng.uniform(np.log(low), np.log(high))))
        either = lambda *pairs: pairs[int(rng.choice(len(pairs), p=[p for p, _ in pairs]))][1]
        self.sessions_a_day = {"home": log(0.7, 3), "clinic": log(10, 80), "field": log(5, 60)}[self.kind]
        self.opens, self.closes = (6, 23) if self.kind == "home" else (int(rng.integers(6, 9)), int(rng.integers(16, 20)))
        self.monitor_steps = either((0.5, 0), (0.3, 6), (0.1, 30), (0.1, 1))
        self.monitor_count = int(rng.integers(1, 4))
        self.technician_a_day = log(0.02, 0.3)
        self.base_bytes = either((0.5, 0.0), (0.5, log(2, 60)))
        self.latency_ms, self.latency_spread = log(0.6, 900), rng.uniform(0.15, 0.6)
        self.latency_style = either((0.55, "missing"), (0.25, "held"), (0.2, "always"))
        self.health_steps = int(rng.choice([1, 6, 6, 30, 90]))
        self.bad_line = log(5e-4, 0.05)
        self.outages_a_day = {"home": log(0.03, 1), "clinic": log(0.03, 2), "field": log(0.3, 4)}[self.kind]
        self.outage_steps = {"home": log(6, 400), "clinic": log(6, 200), "field": log(400, 12_000)}[self.kind]
        self.tries_offline = either((0.3, 0.0), (0.7, log(0.05, 1.5)))
        self.commands_a_day = log(0.2, 20)
        self.receipt_bytes = log(300, 4000)
        self.line_bytes = log(20_000, 3_000_000)
        self.wrong_tags_a_day = {"home": log(0.01, 0.1), "clinic": log(0.3, 4), "field": log(0.3, 4)}[self.kind]
        self.cpu, self.cpu_noise, self.cpu_session = log(0.5, 18), log(0.2, 3), log(3, 45)
        self.nightly = either((0.6, 0.0), (0.4, log(5, 60)))
        self.nightly_hour, self.nightly_steps = float(rng.uniform(0, 5)), int(rng.integers(12, 180))
        self.warm, self.warm_by_cpu = rng.uniform(3300, 5600), rng.uniform(4, 12)
        self.temperature_grain = int(rng.choice([1, 10, 49, 54, 100]))
        self.bus = either((0.5, 2e-4), (0.5, log(2e-4, 0.01)))
        self.noise, self.noise_spread = log(3, 30), rng.uniform(0.02, 0.12)
        self.room, self.room_swing = rng.uniform(1600, 2900), rng.uniform(20, 220)
        self.room_noise = log(0.5, 3)
        self.room_turn = log(30, 300)          # steps in which the room's slope changes
        self.room_slope = log(0.02, 0.11)      # its sd, centi-degC a step; never above 0.2 (0.7 degC/h)
        self.camera_idle = either((0.85, 0.0), (0.15, rng.uniform(0.3, 0.9)))
        self.restarts_a_day = log(0.01, 0.4)
        self.warm_up_steps = int(rng.choice([96, 96, 96, 0]))
        lacks = {"device.temperature": 0.08, "device.cpu": 0.03, "device.case_opened": 0.7, "sensor.bus_errors": 0.03, "sensor.noise": 0.06,
                 "environment.ambient": 0.06, "network.publish_latency": 0.04}
        self.lacks = [name for name, p in lacks.items() if rng.uniform() < p]


def habits(seed):
    """(the device's drawing as it stands then, what makes its normal use its own)."""
    rng = np.random.default_rng([seed, 78])
    return rng, Habits(str(rng.choice(["home", "clinic", "field"], p=[0.5, 0.35, 0.15])), rng)


class Device:
    """Days of normal use of one device: `values` int64 [days x 8640, 16], `rare` the steps of what is seldom in them, `events` (what, first
    step, steps) for tables of causes. In training what is seldom may come `seldom` times as often (downloads, configurations, wrong keys,
    restarts): two days of a device hold hardly any.

    network.bytes_in does not count what the device waits for, as the device itself does not: a believed receipt of a message that it handed
    over since it started (it waits for 256 at most, which no drawn device fills), and a part of a model that it asked for, the first time that
    the part comes. What counts is all else: commands, configurations, a part that is delivered again, and after a restart the receipts of
    messages from before it. Half of the devices hear nothing else, the others a few bytes all the time."""

    def __init__(self, seed, days, first_step=0, seldom=1):
        self.seldom = seldom
        self.rng, self.habits = habits(seed)
        rng = self.rng
        self.seed, self.count = seed, days * DAY
        n = self.count
        self.hour = ((np.arange(n) + first_step + rng.integers(DAY)) % DAY) * 24 / DAY
        self.x = np.zeros((n, len(CHANNELS)))
        self.rare, self.events = [], []
        self._sessions()
        self._network()
        self._commands()
        self._board()
        self._sensor()
        self._restarts()
        for name in self.habits.lacks:
            self.x[:, INDEX[name]] = MISSING
        self.values = np.clip(np.rint(self.x), MISSING, 1 << 24).astype(np.int64)
        self.rare = np.unique(np.clip(np.array(self.rare, int), 0, n - 1))
        del self.x, self.receipts

    def _at(self, a_day, by_day=False):
        """Steps of events that come `a_day` times a day; `by_day` only while the clinic is open."""
        steps = np.nonzero(self.rng.uniform(size=self.count) < min(a_day * (2.0 if by_day else 1.0) / DAY, 0.5))[0]
        if by_day:
            steps = steps[(self.hour[steps] >= self.habits.opens) & (self.hour[steps] < self.habits.closes)]
        return steps

    def _span(self, starts, lengths):
        """bool [n]: the steps from each start on, so many."""
        edge = np.zeros(self.count + 1, int)
        np.add.at(edge, starts, 1)
        np.add.at(edge, np.minimum(starts + lengths, self.count), -1)
        return np.cumsum(edge)[:-1] > 0

    def _add(self, name, steps, values):
        np.add.at(self.x[:, INDEX[name]], np.minimum(steps, self.count - 1), values)

    def _sessions(self):
        rng, h = self.rng, self.habits
        starts = self._at(h.sessions_a_day, by_day=True)
        lengths = rng.integers(6, 30, len(starts))
        self.session = self._span(starts, lengths)
        self.session_ends = np.minimum(starts + lengths, self.count - 1)
        starts = self._at(h.technician_a_day, by_day=True)
        self.technician = self._span(starts, rng.integers(6, 200, len(starts)))
        starts = self._at(h.outages_a_day)
        self.outage = self._span(starts, 1 + rng.exponential(h.outage_steps, len(starts)).astype(int))

    def _network(self):
        rng, h, n = self.rng, self.habits, self.count
        online = ~self.outage
        back = np.nonzero(online[1:] & self.outage[:-1])[0] + 1
        poisson = lambda mean: rng.poisson(np.broadcast_to(mean, n)).astype(float)
        connections = poisson(0.001) + self.technician * poisson(np.exp(rng.uniform(-1.5, 1.2)))
        if h.monitor_steps:
            connections[int(rng.integers(h.monitor_steps))::h.monitor_steps] += h.monitor_count
        self.x[:, INDEX["network.connections"]] = connections
        self.x[:, INDEX["network.refused"]] = self.technician * poisson(0.004) + poisson(1e-5)
        self._add("network.reconnects", np.nonzero(online)[0], (online * poisson(h.bad_line))[online])
        self._add("network.reconnects", np.nonzero(~online)[0], poisson(h.tries_offline)[~online])
        self._add("network.reconnects", back, 1)
        published = self.session | (np.arange(n) % h.health_steps == 0)
        size, receipts = poisson(h.base_bytes) + (h.base_bytes > 0) * published * poisson(4), np.zeros(n)
        for end in self.session_ends:
            for k in range(int(rng.integers(1, 5))):
                if end + k < n:
                    receipts[end + k] += rng.poisson(h.receipt_bytes)
        for start in back:  # what waited: receipts of a day without a line
            k = int(rng.integers(1, 12))
            receipts[start:start + k] += rng.poisson(h.receipt_bytes * rng.uniform(0, 4), len(size[start:start + k]))
        for start in self._at(self.seldom * 1 / 200):  # a new model or programme, as fast as the line is: each part is a message on dn/
            total, rate = rng.uniform(5e4, 2e6), h.line_bytes * rng.uniform(0.3, 1)
            k, parts = int(np.ceil(total / rate)), int(np.ceil(total / PART_BYTES))
            at = np.minimum(start + rng.integers(0, k, parts), n - 1)
            self._add("command.received", np.r_[start, at][online[np.r_[start, at]]], 1)
            size[start] += rng.uniform(400, 2500)
            again = at[rng.uniform(size=parts) < h.bad_line]
            np.add.at(size, again, min(total, PART_BYTES))
            self.rare += [start, *again]
            self.events.append(("a download", start, k))
        for start in self._at(self.seldom * 1 / 20):  # a configuration
            size[start] += rng.uniform(1e3, 2e4)
            self._add("command.received", np.array([start]), 1)
            self.rare.append(start)
            self.events.append(("a configuration", start, 1))
        self.receipts = receipts * online
        self.x[:, INDEX["network.bytes_in"]] = size * online
        slow = np.exp(rng.normal(0, h.latency_spread, n)) * np.where(rng.uniform(size=n) < h.bad_line, rng.uniform(2, 15, n), 1)
        latency = h.latency_ms * slow
        if h.latency_style != "always":
            has = published & online
            if h.latency_style == "missing":
                latency = np.where(has, latency, MISSING)
            else:
                last = np.maximum.accumulate(np.where(has, np.arange(n), -1))
                latency = np.where(last < 0, MISSING, latency[last])
        else:
            latency = np.where(online, latency, MISSING)
        self.x[:, INDEX["network.publish_latency"]] = latency
        self.back = back

    def _commands(self):
        rng, h = self.rng, self.habits
        at = self._at(h.commands_a_day)
        self._add("command.received", at[~self.outage[at]], 1)
        self._add("network.bytes_in", at[~self.outage[at]], rng.uniform(400, 2500, int((~self.outage[at]).sum())))
        # A tool that is too new, an operator with the old key who tries again, a broker that delivers twice after an outage.
        for start in self._at(self.seldom * 1 / 60):
            self._few("command.malformed", start, int(rng.integers(1, 3)), gap=30)
        for start in self._at(self.seldom * 1 / 30):
            self._few("command.bad_signature", start, int(rng.integers(1, 4)), gap=12)
        for start in self.back[rng.uniform(size=len(self.back)) < 0.08]:
            self._few("command.replayed", start, int(rng.integers(1, 4)), gap=1)
        for start in self._at(h.bad_line * 4):
            self._few("command.replayed", start, 1, gap=1)
        # Somebody holds a bus pass or a bank card to the reader, and again.
        for start in self._at(h.wrong_tags_a_day, by_day=True):
            tries = int(rng.choice([1, 2, 3, 4, 5], p=[0.45, 0.28, 0.15, 0.08, 0.04]))
            steps = np.minimum(start + np.sort(rng.integers(0, max(1, tries), tries)), self.count - 1)
            self._add("login.failed", steps, 1)
            self.rare.append(start)
            self.events.append(("cards that are no tags", start, tries))

    def _few(self, name, start, count, gap):
        steps = start + np.cumsum(self.rng.integers(0, gap + 1, count))
        steps = steps[steps < self.count]
        self._add(name, steps, 1)
        if name != "command.replayed":
            self._add("command.received", steps, 1)
        self._add("network.bytes_in", steps, self.rng.uniform(200, 1500, len(steps)))
        self.rare += list(steps)
        self.events.append(({"command.malformed": "a tool's mistakes", "command.bad_signature": "an operator's wrong key"}.get(name, "delivered twice"), start, gap * count + 1))

    def _board(self):
        from scipy.signal import lfilter
        rng, h, n = self.rng, self.habits, self.count
        nightly = h.nightly * self._span(np.nonzero(np.abs(self.hour - h.nightly_hour) < 12 / DAY)[0], h.nightly_steps)
        slow = lfilter([0.2], [1, -0.8], rng.normal(0, h.cpu_noise * 3, n))
        cpu = h.cpu + slow + self.session * h.cpu_session * rng.uniform(0.6, 1.2, n) + nightly + self.technician * rng.uniform(0, 12, n)
        cpu = np.clip(cpu, 0, 100)
        self.x[:, INDEX["device.cpu"]] = cpu
        self.day = np.sin((self.hour - 9) / 24 * 2 * np.pi)
        alpha = 1 / rng.uniform(6, 30)
        heat = lfilter([alpha], [1, alpha - 1], cpu, zi=[cpu[0] * (1 - alpha)])[0]
        temperature = h.warm + h.room_swing * self.day + h.warm_by_cpu * heat + rng.normal(0, 12, n)
        self.x[:, INDEX["device.temperature"]] = np.round(temperature / h.temperature_grain) * h.temperature_grain
        for start in self._at(self.seldom * 1 / 90, by_day=True):  # a technician looks inside
            self._add("device.case_opened", np.array([start]), 1)
            self.rare.append(start)
            self.events.append(("a technician inside", start, 1))

    def _sensor(self):
        rng, h, n = self.rng, self.habits, self.count
        self.x[:, INDEX["sensor.bus_errors"]] = rng.poisson(h.bus, n)
        for start in self._at(self.seldom * 1 / 15):  # somebody touches the cable
            self._add("sensor.bus_errors", np.array([start]), int(rng.integers(1, 5)))
            self.rare.append(start)
            self.events.append(("a touched cable", start, 1))
        level = np.interp(np.arange(n), np.linspace(0, n, max(4, n // 720)), np.exp(rng.normal(0, 0.08, max(4, n // 720))))
        noise = h.noise * level * np.exp(rng.normal(0, h.noise_spread, n)) * np.where(self.session, rng.uniform(0.9, 1.25), 1)
        self.x[:, INDEX["sensor.noise"]] = np.maximum(noise, 1)
        knots = int(n / h.room_turn) + 2
        slope = np.interp(np.arange(n), np.linspace(0, n, knots), np.clip(rng.normal(0, h.room_slope, knots), -0.16, 0.16))
        slope -= slope.mean()
        wander = np.cumsum(np.clip(slope, -0.18, 0.18))
        limit = 250.0  # the heating holds a room: a triangle instead of a walk without end
        wander = np.abs((wander + limit) % (4 * limit) - 2 * limit) - limit
        ambient = h.room + min(h.room_swing, 60) * self.day + wander + rng.normal(0, h.room_noise, n)
        self.x[:, INDEX["environment.ambient"]] = np.maximum(ambient, 0)
        if h.camera_idle:
            idle = (rng.uniform(size=n) < h.camera_idle) & ~self.session
            for name in ("sensor.noise", "environment.ambient"):
                self.x[idle, INDEX[name]] = MISSING

    def _restarts(self):
        rng, h = self.rng, self.habits
        for start in self._at(min(self.seldom, 4) * h.restarts_a_day):
            off = int(rng.integers(1, 8)) if rng.uniform() < 0.7 else int(rng.exponential(700)) + 8
            on = start + off
            self.x[start:on] = MISSING
            if on >= self.count:
                continue
            k = int(rng.integers(1, 5))
            busy = self.x[on:on + k, INDEX["device.cpu"]]
            self.x[on:on + k, INDEX["device.cpu"]] = np.clip(busy + rng.uniform(20, 70), 0, 100)
            self.x[on, INDEX["network.reconnects"]] = max(self.x[on, INDEX["network.reconnects"]], 0) + 1
            # A program that has just started waits for nothing yet: receipts of the last minutes' messages, kept by the broker, count.
            late = self.receipts[max(start - int(rng.integers(1, 30)), 0):on].sum() * rng.uniform(0, 1)
            heard = self.x[on:on + k, INDEX["network.bytes_in"]]
            heard[:] = np.where(self.outage[on:on + k] | (heard < 0), heard, heard + late / k)
            cool = min(off / 180, 1) * rng.uniform(300, 1500)
            tail = np.exp(-np.arange(400) / rng.uniform(12, 40))[: self.count - on]
            span = slice(on, on + len(tail))
            self.x[span, INDEX["device.temperature"]] -= cool * tail
            until = on + h.warm_up_steps
            for name in ("sensor.noise", "environment.ambient"):
                self.x[on:until, INDEX[name]] = MISSING
            if h.warm_up_steps:
                rest = rng.uniform(0, 12) * np.exp(-np.arange(300) / 30)[: max(self.count - until, 0)]
                part = self.x[until:until + len(rest), INDEX["environment.ambient"]]
                part[:] = np.where(part < 0, part, part - rest)
            # What follows a start is as seldom: a board that warms up, and a camera that is heard of again.
            self.events.append(("a restart", start, off + h.warm_up_steps + 60))
            self.rare += [start, on, on + 16, on + 32, on + 48, until, until + 16]
