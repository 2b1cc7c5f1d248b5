"""The model's result in words. Never benign, malignant, positive or negative."""

from __future__ import annotations

from . import INTENDED_USE
from .record import Record, number, section

_OUTCOMES = {
    "below-threshold": "The model's value lies below its lower threshold.",
    "above-threshold": "The model's value lies above its upper threshold.",
    "uncertain": "The model abstains: its value lies between its thresholds, or it does not trust itself here.",
    "not-assessable": "Not assessable: the model gives no result for this capture.",
}


_WATCH = {
    "normal": "The device's watch on itself found nothing unusual while this was taken.",
    "uncertain": "The device's watch on itself noticed something and cannot tell what: its sensing may be ill, or somebody "
    "may interfere with it. Look at the picture with care.",
    "sensing": "The device's watch on itself says that its sensing was ill while this was taken: temperatures may be wrong.",
    "attack": "The device's watch on itself says that somebody attacked the device while this was taken. That does not say "
    "that the picture is wrong; tell whoever looks after the device.",
}


def sentinel_words(record: Record) -> list[str]:
    """What the device thought of itself, in sentences; none when its record says nothing of it."""
    state = record.sentinel_state
    if state is None:
        return []
    found = [_WATCH.get(state, f"The device's watch on itself says '{state}', which this gateway does not know: update it.")]
    if state == "sensing" and record.outcome == "not-assessable":
        found.append("The model's outcome is withheld because of it.")
    elif state == "sensing":
        found.append("The record holds an outcome of the model all the same: do not rely on it.")
    holder = section(record.json, "sentinel")
    health, cyber, delta = (number(holder.get(name)) for name in ("p_health", "p_cyber", "delta"))
    if health is not None and cyber is not None and 0 <= health <= 1 and 0 <= cyber <= 1:
        sentence = f"Its suspicion, from 0 to 1: ill sensing {health:.2f}, an attack {cyber:.2f}"
        found.append(sentence + ("." if delta is None else f"; one must exceed the other by {delta:.2f} to be named."))
    return found


def verdict_words(record: Record) -> list[str]:
    """Sentences: outcome, thresholds, reasons, probability with its population, and the intended use, which is last."""
    verdict = record.verdict
    found = [_OUTCOMES[record.outcome]]
    if record.sentinel_state not in (None, "normal"):
        found += sentinel_words(record)[:2]
    thresholds = section(verdict, "thresholds")
    lower, upper = number(thresholds.get("lower")), number(thresholds.get("upper"))
    if lower is not None and upper is not None:
        found.append(f"Thresholds: lower {lower:.3g}, upper {upper:.3g}.")
    score = number(verdict.get("score"))
    if score is not None:
        found.append(f"Score before calibration: {score:.3f}.")
    probability = number(verdict.get("probability"))
    if probability is not None and record.population:
        found.append(f"Calibrated probability {probability:.2f} in this population: {record.population[:300]}.")
    elif probability is not None:
        found.append("A calibrated probability is not shown: the record does not say for which population it holds.")
    reasons = verdict.get("reasons")
    found += [f"Reason: {str(reason)[:300]}" for reason in (reasons if isinstance(reasons, list) else [])[:8]]
    if record.change_words is not None:
        found.append(record.change_words)
    if verdict.get("demonstration") is True:
        found.append("The model is a demonstration: its result means nothing for a patient.")
    found.append(f"{INTENDED_USE[0].upper()}{INTENDED_USE[1:]}.")
    return found
