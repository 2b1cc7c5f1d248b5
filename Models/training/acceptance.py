"""What the whole device refuses: gates and quality network together, on scenes of new bodies that no fit, threshold or test
split has seen. `THERMOGRAPH=the device's binary python acceptance.py` writes report/acceptance.json; with `perturbations` only
that part of it.

The scenes are drawings of the generator that drew the training's too; what the device makes of real radiators, animals or
garments is not measured here."""

import json
import os
import subprocess
import sys
import tempfile

import numpy as np

import evaluation
import shipping
from detector import interval
from thermograms import scenes
from thermograms.generator import VIEWS

SEED, COUNT = 9_100_000, 300
FILE = shipping.MODELS / "report" / "acceptance.json"


class Chosen:
    """A generator of random numbers that draws one kind of garment whenever one of the seven is asked for."""

    def __init__(self, rng, kind):
        self.rng, self.kind = rng, kind

    def __getattr__(self, name):
        return getattr(self.rng, name)

    def choice(self, options, size=None, **more):
        return np.full(size, self.kind) if options == 7 and "p" in more else self.rng.choice(options, size, **more)


def upside_down(rng, n):
    return scenes.mixed(rng, n, kinds=scenes.MIXTURE)[0][:, ::-1]


def frozen(rng, n):
    """Two to eight rows that the sensor delivers no more: each repeats the one above them, to the bit."""
    frames = scenes.sensor(rng, scenes.mixed(rng, n)[0])
    for frame in frames:
        rows = int(rng.integers(2, 9))
        at = int(rng.integers(1, scenes.ROWS - rows))
        frame[at:at + rows] = frame[at - 1]
    return frames


def good(kind=None, finding=0.0):
    """Frontal captures of the good class, with a warm spot of 0.5 to 5 degC in a share of the bodies."""
    kinds = ((kind, 1.0),) if kind else scenes.MIXTURE
    return lambda rng, n: np.concatenate([
        scenes.other_room(rng, *scenes.scenes(rng, max(int(round(n * share)), 1), k, finding=finding), 0.4) for k, share in kinds])


# name: (view that is declared, maker, whether the maker's frames are those of the sensor already)
REFUSED = {
    "radiator": scenes.radiators, "animal": scenes.animals, "hand": scenes.hands, "upside down": upside_down,
    "T-shirt": lambda rng, n: scenes.covered(Chosen(rng, 2), n), "band": lambda rng, n: scenes.covered(Chosen(rng, 0), n),
    "frozen rows": frozen, "two people": scenes.two_people, "hot object": scenes.hot_object, "cold or fogged lens": scenes.cold_lens,
    "motion": scenes.motion, "off centre": scenes.off_centre, "too far": scenes.too_far, "too near": scenes.too_near}
ACCEPTED = {"healthy, as the statistics": good("inside"), "healthy, wider": good("wider"), "healthy, arms hanging": good("hanging"),
            "healthy, all": good(), "with a warm spot, all": good(finding=1.0)}


def assess(frames, view="frontal"):
    """Of each frame the outcome and the hard gates that failed, as `thermograph assess` says them."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "frames.npy")
        np.save(path, np.ascontiguousarray(frames, dtype=np.float32))
        done = subprocess.run([os.environ["THERMOGRAPH"], "assess", "--thermogram", path, "--view", view, "--quality", "quality",
                               "--model", "screening-fold", "--models", str(shipping.MODELS), "--json"],
                              check=True, capture_output=True, text=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return [(line["verdict"]["outcome"], [g["code"] for g in line["gates"] if not g["passed"] and g["severity"] == "hard"]) for line in lines]


def row(found):
    accepted = sum(not gates for _, gates in found)
    by = {}
    for _, gates in found:
        for gate in gates:
            by[gate] = by.get(gate, 0) + 1
    return {"captures": len(found), "accepted": accepted, "interval": interval(accepted, len(found)),
            "flagged": sum(outcome == "above-threshold" for outcome, _ in found), "gates": dict(sorted(by.items(), key=lambda x: -x[1]))}


def broken(rng, frames):
    """Five pixels of each frame read anything between -10 and 80 degC."""
    result = frames.copy()
    for frame in result.reshape(len(frames), -1):
        frame[rng.choice(frame.size, 5, replace=False)] = rng.uniform(-10, 80, 5)
    return result


def perturbations():
    """The share of captures, healthy and with a spot, whose outcome is that of the capture as it was."""
    rng = np.random.default_rng([SEED, 1000])
    parts = [scenes.scenes(rng, COUNT // 2, kind, finding=0.5) for kind in ("inside", "wider")]
    clean, coverage = (np.concatenate(x) for x in zip(*parts))
    frames = scenes.sensor(rng, clean)
    before = [outcome for outcome, _ in assess(frames)]
    room = (1 - coverage).astype(np.float32)
    changed = {"background -3": frames - 3 * room, "background +3": frames + 3 * room, "offset -1.5": frames - 1.5, "offset +1.5": frames + 1.5,
               "noise of 30 % of the body's sd": evaluation.disturbed(frames, "noise"),
               "noise of 1 sd on 30 % of the pixels": evaluation.disturbed(frames, "pixels"),
               **{f"noise of {sd} degC": frames + rng.normal(0, sd, frames.shape) for sd in (0.1, 0.25, 0.4)}, "five bad pixels": broken(rng, frames)}
    result = {"captures": len(frames), "assessable": sum(outcome != "not-assessable" for outcome in before), "same": {}}
    for name, again in changed.items():
        found = assess(again)
        kept = [outcome == was for (outcome, _), was in zip(found, before)]
        same = sum(kept)
        # From an outcome to another one: not to a refusal, nor from one.
        turned = sum(outcome != was and "not-assessable" not in (outcome, was) for (outcome, _), was in zip(found, before))
        # Where the room comes near the body's temperature, the gate that says so is right.
        hidden = sum(outcome != was and "subject-present" in gates for (outcome, gates), was in zip(found, before))
        result["same"][name] = {"same": same, "interval": interval(same, len(frames)), "inside": sum(kept[:len(parts[0][0])]), "of_inside": len(parts[0][0]),
                                "turned_into_another_outcome": turned, "refused": sum(bool(gates) for _, gates in found), "changed_because_the_body_hardly_stands_out": hidden}
        print(name, result["same"][name], flush=True)
    return result


def warm_spots():
    """Whether a gate takes a warm spot that skin can have for a hot object: bodies as the statistics say, each with one spot."""
    result = {}
    for height in (0, 2, 3, 4, 5, 6):
        rng = np.random.default_rng([SEED, 2000])  # the same bodies
        people, session = scenes.bodies(rng, COUNT, "inside")
        add = scenes.spots(rng, COUNT, 1.0, people, height, height)
        frames = scenes.sensor(rng, people.render("frontal", session, scenes.seed_of(rng), blur=(0.3, 0.6), add=add))
        found = assess(frames)
        result[str(height)] = {**row(found), "hot_object": sum("hot-object" in gates for _, gates in found)}
        print(height, result[str(height)], flush=True)
    return result


def main():
    if sys.argv[1:] == ["perturbations"]:
        result = json.loads(FILE.read_text())
        result["perturbations"], result["warm_spots"] = perturbations(), warm_spots()
        FILE.write_text(json.dumps(result, indent=1) + "\n")
        return
    result = {"seed": SEED, "scenes": {}, "views": {}, "perturbations": perturbations(), "warm_spots": warm_spots()}
    for number, (name, make) in enumerate({**REFUSED, **ACCEPTED}.items()):
        rng = np.random.default_rng([SEED, number])
        frames = np.asarray(make(rng, COUNT), np.float32)
        result["scenes"][name] = row(assess(frames if make is frozen else scenes.sensor(rng, frames)))
        print(name, result["scenes"][name], flush=True)
    for number, view in enumerate(VIEWS[1:]):
        frames = scenes.draw("good", view, COUNT, SEED + number)
        result["views"][view] = {"declared frontal": row(assess(frames)), "declared so": row(assess(frames, view))}
        print(view, result["views"][view], flush=True)
    FILE.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main() if os.environ.get("THERMOGRAPH") else sys.exit("name the device's binary: THERMOGRAPH=.build/release/thermograph")
