"""Attacks and sensor faults on top of a device's normal use, and what a window that holds them is called."""

import numpy as np

from counters.simulator import INDEX, MISSING, STEPS, Device

HEALTH = ["normal", "drift", "noisy", "stuck", "overheating"]
CYBER = ["normal", "connection-flood", "malformed-commands", "spoofed-commands", "replay", "tampering", "brute-force"]
# A window is called by what it holds, not by what goes on elsewhere: from so many attempts (or steps) on that the device can
# see. One malformed command in five minutes is no attack that anybody could tell from an operator's mistake.
ATTEMPTS = {"malformed-commands": 3, "spoofed-commands": 4, "replay": 5, "tampering": 2, "brute-force": 8}
FLOOD_CONNECTIONS, FLOOD_STEPS = 30, 3
DRIFT_CENTI, NOISY_STEPS, STUCK_STEPS, OVERHEATED_RISE, HOT_STEPS, OVERHEATED = 12, 3, 3, 600, 5, 7500
BUS_ERRORS, DRIFT_END = 15, 800
WEAK = {"drift": (0.5, 1.7), "times": (2, 4), "heat": (35, 80)}  # .3 to 1 degC in ten minutes, two to four times the noise, 2 to 5 degC a minute
DRIFTING_STEPS, JUMP_CENTI = 8, 60
LOUD = 80  # centikelvin: a level that no sensor has in normal use

# The rows of "Must reach", as (head, kind, fixed strengths, steps within which an alert must come).
ROWS = {
    "connection flood, 50/s": ("cyber", "connection-flood", {"flood": "socket", "rate": 500}, 6),
    "broker topic flood, 200/s": ("cyber", "connection-flood", {"flood": "topic", "rate": 2000}, 6),
    "malformed commands, 1 in 10 s": ("cyber", "malformed-commands", {"rate": 1}, 18),
    "spoofed commands, 1 in 10 s": ("cyber", "spoofed-commands", {"rate": 1}, 18),
    "replayed commands, 1 in 10 s": ("cyber", "replay", {"rate": 1}, 18),
    "bad signatures, 1 in 5 s": ("cyber", "spoofed-commands", {"rate": 2}, 18),
    "refused tags, 1 in 5 s": ("cyber", "brute-force", {"rate": 2}, 18),
    "stuck camera": ("health", "stuck", {}, 30),
    "drift of 0.5 degC in 10 min": ("health", "drift", {"slope": 50 / 60}, 30),
    "noise x 3": ("health", "noisy", {"times": 3, "errors": 0}, 30),
    "overheating, 3 degC a minute": ("health", "overheating", {"slope": 50}, 30),
}


class Attack:
    """Lays one cyber and one health kind (0 is none) on slices of counters [n, T, 16], active from `start` for `length` steps. `weak` draws
    the faults of the sensing from WEAK: as small as the bars ask for, which the wide ranges seldom are. The device waits for nothing of what
    an attack sends, so all of it is in network.bytes_in: also receipts that are forged, known already or more than the messages sent."""

    def __init__(self, x, health, cyber, start, length, rng, weak=False, **fixed):
        self.x, self.rng, self.fixed, self.weak = x.astype(float), rng, fixed, weak
        self.has = x >= 0
        self.n, self.steps = x.shape[:2]
        self.health, self.cyber = np.array(health), np.array(cyber)
        self.start = np.asarray(start)[:, None]
        self.length = np.asarray(length)[:, None]
        self.at = np.arange(self.steps)[None]
        self.active = (self.at >= self.start) & (self.at < self.start + self.length)
        self.seen_health = np.zeros(self.n, bool)
        self.seen_cyber = np.zeros(self.n, bool)
        self.pulled = np.zeros(self.n, bool)
        for kind, act in ((1, self._flood), (2, self._malformed), (3, self._spoofed), (4, self._replay), (5, self._tampering), (6, self._brute)):
            self._one(self.cyber == kind, self.seen_cyber, act)
        for kind, act in ((1, self._drift), (2, self._noisy), (3, self._stuck), (4, self._overheat)):
            self._one(self.health == kind, self.seen_health, act)
        self.health = np.where(self.pulled & ~self.seen_health, HEALTH.index("noisy"), self.health)
        self.seen_health |= self.pulled
        self.x[:, :, INDEX["device.cpu"]] = np.minimum(self.x[:, :, INDEX["device.cpu"]], 100)
        self.values = np.where(self.has, np.clip(np.rint(self.x), 0, 1 << 24), MISSING).astype(np.int64)

    def _one(self, mask, seen, act):
        if mask.any():
            self.mask, self.m = mask, int(mask.sum())
            self.on = self.active[mask]
            seen[mask] = act()

    # Drawing, for the `m` slices of one kind.
    def _log(self, low, high, name=None):
        if name in self.fixed:
            return np.full((self.m, 1), float(self.fixed[name]))
        return np.exp(self.rng.uniform(np.log(low), np.log(high), (self.m, 1)))

    def _strength(self, kind, low, high, name):
        return self._log(*(WEAK[kind] if self.weak else (low, high)), name)

    def _maybe(self, p):
        return (self.rng.uniform(size=(self.m, 1)) < p).astype(float)

    def _events(self, rate):
        """At `rate` a step: as regular as a clock in half of the slices, at random in the others."""
        clock = np.floor((self.at + 1) * rate) - np.floor(self.at * rate)
        return np.where(self._maybe(0.5) > 0, clock, self.rng.poisson(np.broadcast_to(rate, self.on.shape))) * self.on

    def _add(self, name, values):
        c = INDEX[name]
        self.x[self.mask, :, c] += np.broadcast_to(values, self.on.shape) * self.on

    def _visible(self, name, events):
        return np.where(self.has[self.mask, :, INDEX[name]], events, 0).sum(axis=1)

    def _command(self, name, events):
        """Attempts on the command topic: they are bytes too, and some count as received commands."""
        self._add(name, events)
        self._add("command.received", events * self._maybe(0.5))
        self._add("network.bytes_in", events * self._log(60, 3000) * self._maybe(0.8))
        self._add("device.cpu", np.minimum(events * self._log(0.02, 1), 30))
        return self._visible(name, events)

    def _flood(self):
        which = self.fixed.get("flood")
        socket = np.full((self.m, 1), float(which == "socket")) if which else self._maybe(0.5)
        rate = self._log(15, 2000, "rate")
        connections = self.rng.poisson(rate * socket, self.on.shape)
        self._add("network.connections", connections)
        self._add("network.refused", np.floor(connections * self.rng.choice([0, 0.5, 0.9, 1], (self.m, 1))))
        self._add("network.bytes_in", connections * self._log(10, 200) * self._maybe(0.4))
        messages = self.rng.poisson(np.maximum(rate, 300) * (1 - socket), self.on.shape)
        size = self._log(8, 400)
        self._add("network.bytes_in", messages * size)
        commands = self._maybe(0.5)  # on a topic of commands; on another one only its bytes are seen
        self._add("command.received", messages * commands * self._maybe(0.5))
        self._add("command.malformed", messages * commands * self._maybe(0.8))
        self._add("device.cpu", np.minimum(rate * self._log(0.002, 0.05), 70))
        steps = ((messages * size >= 10_000) & self.on & self.has[self.mask, :, INDEX["network.bytes_in"]]).sum(axis=1)
        malformed = (self.x[self.mask][:, :, INDEX["command.malformed"]] * self.on).sum(axis=1)
        return (self._visible("network.connections", connections * self.on) >= FLOOD_CONNECTIONS) | (steps >= FLOOD_STEPS) | \
            ((malformed >= FLOOD_CONNECTIONS) & self.has[self.mask, :, INDEX["command.malformed"]].all(axis=1))

    def _malformed(self):
        return self._command("command.malformed", self._events(self._log(0.5, 20, "rate"))) >= ATTEMPTS["malformed-commands"]

    def _spoofed(self):
        return self._command("command.bad_signature", self._events(self._log(0.5, 10, "rate"))) >= ATTEMPTS["spoofed-commands"]

    def _replay(self):
        return self._command("command.replayed", self._events(self._log(0.5, 10, "rate"))) >= ATTEMPTS["replay"]

    def _tampering(self):
        opened = self._events(self._log(0.15, 2))
        self._add("device.case_opened", opened)
        errors = self.rng.poisson(self._log(0.05, 2), self.on.shape) * self._maybe(0.7)
        self._add("sensor.bus_errors", errors)
        # Whoever pulls at the cable makes the sensing ill too.
        self.pulled[self.mask] = self._visible("sensor.bus_errors", errors * self.on) >= BUS_ERRORS
        return self._visible("device.case_opened", opened) >= ATTEMPTS["tampering"]

    def _brute(self):
        tries = self._events(self._log(1, 60, "rate"))
        self._add("login.failed", tries)
        self._add("network.connections", self.rng.poisson(self._log(0.3, 10), self.on.shape) * self._maybe(0.4))
        return self._visible("login.failed", tries) >= ATTEMPTS["brute-force"]

    def _drift(self):
        ramp = np.minimum(np.clip(self.at - self.start[self.mask], 0, None) * self._strength("drift", 0.6, 40, "slope"), DRIFT_END) * self.rng.choice([-1, 1], (self.m, 1))
        end = np.where(self.on, ramp, 0)
        last = np.take_along_axis(ramp, np.where(self.on.any(axis=1), self.steps - 1 - self.on[:, ::-1].argmax(axis=1), 0)[:, None], axis=1)
        after = self.at >= (self.start[self.mask] + self.on.sum(axis=1, keepdims=True))
        moved = np.where(self.on, end, np.where(after & self.on.any(axis=1, keepdims=True), last, 0))
        c = INDEX["environment.ambient"]
        value = self.x[self.mask][:, :, c] + moved
        self.x[self.mask, :, c] = np.maximum(value, 0)
        has = self.has[self.mask, :, c]
        low = np.where(has, moved, np.inf).min(axis=1)
        high = np.where(has, moved, -np.inf).max(axis=1)
        far, seen = np.where(has.any(axis=1), high - low, 0), (has & (moved != 0)).sum(axis=1)
        return ((far >= DRIFT_CENTI) & (seen >= DRIFTING_STEPS)) | ((far >= JUMP_CENTI) & (seen >= NOISY_STEPS))

    def _noisy(self):
        how = self.rng.integers(0, 4, (self.m, 1)) if "times" not in self.fixed and not self.weak else np.zeros((self.m, 1), int)
        times = self._strength("times", 2.3, 12, "times")
        c = INDEX["sensor.noise"]
        value = self.x[self.mask][:, :, c]
        louder = np.where(self.on & (how != 1) & (how != 3), value * times, value)
        self.x[self.mask, :, c] = louder
        errors = self.rng.poisson(self._log(1.5, 20), self.on.shape) * (how > 0)
        self._add("sensor.bus_errors", errors)
        unplugged = self.on & (how == 3)
        for name in ("sensor.noise", "environment.ambient"):
            self.has[self.mask, :, INDEX[name]] &= ~unplugged
        has = self.has[self.mask, :, c]
        steps, quiet = (self.on & has).sum(axis=1), (~self.on & has).sum(axis=1)
        loud = (np.where(has & self.on, louder, 0) >= LOUD).sum(axis=1)
        noise = (how[:, 0] != 1) & (how[:, 0] != 3) & (steps >= NOISY_STEPS) & ((quiet >= 1) | (loud >= NOISY_STEPS))
        return noise | (self._visible("sensor.bus_errors", errors * self.on) >= BUS_ERRORS)

    def _stuck(self):
        for name in ("environment.ambient", "sensor.noise"):
            c = INDEX[name]
            value = self.x[self.mask][:, :, c]
            first = np.clip(self.start[self.mask], 0, self.steps - 1)
            held = np.take_along_axis(value, first, axis=1) if name == "environment.ambient" else 0
            held = np.where(held < 0, value, held)
            self.x[self.mask, :, c] = np.where(self.on, held, value)
        return (self.on & self.has[self.mask, :, INDEX["sensor.noise"]]).sum(axis=1) >= STUCK_STEPS

    def _overheat(self):
        c = INDEX["device.temperature"]
        value = self.x[self.mask][:, :, c]
        end = self.start[self.mask] + np.maximum(self.length[self.mask], 10)  # heat does not come and go in a step
        on = (self.at >= self.start[self.mask]) & (self.at < end)
        before = np.clip(self.at - self.start[self.mask], 0, None)
        top = np.maximum(self.rng.uniform(7600, 10_500, (self.m, 1)) - value, 0)
        moved = np.where(on, np.minimum(before * self._strength("heat", 35, 300, "slope"), top), 0)
        last = moved.max(axis=1, keepdims=True)
        over = self.at - end
        moved = np.where(on, moved, np.where(over >= 0, last * np.exp(-over / self._log(10, 40)), 0))  # nothing cools at once
        self.x[self.mask, :, c] = after = value + moved
        self._add("device.cpu", self._log(0.5, 15) * self._maybe(0.5))
        has = self.has[self.mask, :, c]
        rise = np.where(has, moved, -np.inf).max(axis=1) - np.where(has, moved, np.inf).min(axis=1)
        hot = (has & (moved >= OVERHEATED_RISE / 2)).sum(axis=1) >= HOT_STEPS
        return ((np.where(has.any(axis=1), rise, 0) >= OVERHEATED_RISE) & hot) | ((np.where(has, after, 0) >= OVERHEATED).sum(axis=1) >= NOISY_STEPS)


def labels(attack):
    """(health, cyber) of windows: the kind where the window holds it, else normal."""
    return np.where(attack.seen_health, attack.health, 0), np.where(attack.seen_cyber, attack.cyber, 0)


def windows(seeds, each, draw, days=4, rare=0.35, attacked=0.6, dropped=0.0, onset=0.0, settled=False, weak=False, seldom=1, idle=0.0):
    """(int64 [n, 32, 16], health, cyber, device [n]): `each` windows of each device of `seeds`, a share `rare` of them around what is
    seldom in its normal use; each head has a kind in `attacked` of them. A quarter of the attacks lasts one to six steps, the others up
    to an hour, and a window is any of those that the attack touches; in a share `onset` it is one of those in which it begins.
    With `settled` every attack covers at least half of its window: none has only just begun or is nearly gone, as in sets where a window has one label.
    `dropped` of the windows have a channel, or values here and there, made missing; in `idle` of them the camera is heard now and then only, as it is
    in a seventh of the devices. `weak` and `seldom` as in Attack and Device."""
    kept, devices = [], []
    for seed in seeds:
        device = Device(seed, days, seldom=seldom)
        rng = np.random.default_rng([seed, draw])
        at = rng.integers(0, device.count - STEPS, each)
        if len(device.rare):
            near = rng.choice(device.rare, each) - rng.integers(0, STEPS, each)
            at = np.where(rng.uniform(size=each) < rare, np.clip(near, 0, device.count - STEPS), at)
        kept.append(device.values[at[:, None] + np.arange(STEPS)])
        devices.append(np.full(each, seed))
    x = np.concatenate(kept)
    rng = np.random.default_rng([min(seeds), draw, 5])
    if dropped:
        x = drop(x, dropped, rng)
    if idle:
        unheard = (rng.uniform(size=x.shape[:2]) < rng.uniform(0.2, 0.95, (len(x), 1))) & (rng.uniform(size=(len(x), 1)) < idle)
        for name in ("sensor.noise", "environment.ambient"):
            x[unheard, INDEX[name]] = MISSING
    n = len(x)
    health = rng.integers(1, len(HEALTH), n) * (rng.uniform(size=n) < attacked)
    cyber = rng.integers(1, len(CYBER), n) * (rng.uniform(size=n) < attacked)
    length = np.where(rng.uniform(size=n) < 0.25, rng.integers(1, 7, n), rng.integers(7, 361, n))
    start = np.floor(rng.uniform(1 - length, STEPS)).astype(int)
    start = np.where(rng.uniform(size=n) < onset, rng.integers(0, STEPS, n), start)
    if settled:
        length = rng.integers(STEPS // 2, 361, n)
        start = np.floor(rng.uniform(STEPS // 2 + 1 - length, STEPS // 2 + 1)).astype(int)
    attack = Attack(x, health, cyber, start, length, rng, weak=weak)
    return attack.values, *labels(attack), np.concatenate(devices)


def drop(x, share, rng):
    """Makes values missing in `share` of the windows: a whole channel or two, or one value in five here and there."""
    n, _, channels = x.shape
    chosen = rng.uniform(size=(n, 1, 1)) < share
    whole = rng.uniform(size=(n, 1, channels)) < 0.1
    some = (rng.uniform(size=x.shape) < 0.2) & (rng.uniform(size=(n, 1, 1)) < 0.4)
    return np.where(chosen & (whole | some), MISSING, x)


def calm(seeds, each, draw, before=STEPS, after=60):
    """(int64 [n, before + after, 16], what each of the devices lacks): slices of normal use, on which attacks are laid."""
    kept, lacks = [], []
    for seed in seeds:
        device = Device(seed, 1)
        at = np.random.default_rng([seed, draw]).integers(0, device.count - before - after, each)
        kept.append(device.values[at[:, None] + np.arange(before + after)])
        lacks += [set(device.habits.lacks)] * each
    return np.concatenate(kept), lacks


NEEDED = {"stuck": "sensor.noise", "drift": "environment.ambient", "noisy": "sensor.noise", "overheating": "device.temperature"}


def attacked(base, row, draw, before=STEPS):
    """int64 [n, T, 16]: a row of ROWS from step `before` on, laid on `calm` slices of the devices that have what it takes to see it."""
    head, kind, fixed, _ = ROWS[row]
    x, lacks = base
    x = x[[NEEDED.get(kind) not in lack for lack in lacks]]  # what a board does not have it cannot watch
    n, zero = len(x), np.zeros(len(x), int)
    which = np.full(n, (HEALTH if head == "health" else CYBER).index(kind))
    attack = Attack(x, which if head == "health" else zero, which if head == "cyber" else zero, np.full(n, before), np.full(n, x.shape[1] - before),
                    np.random.default_rng([draw, 6, list(ROWS).index(row)]), **fixed)
    return attack.values
