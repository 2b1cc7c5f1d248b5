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


def verdict_words(record: Record) -> list[str]:
    """Sentences: outcome, thresholds, reasons, probability with its population, and the intended use, which is last."""
    verdict = record.verdict
    found = [_OUTCOMES[record.outcome]]
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
