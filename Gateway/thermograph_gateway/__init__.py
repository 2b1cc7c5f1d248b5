"""The reader's half of Thermograph: archive, comparison, report and answer for captures that a receiver stored."""

__version__ = "0.1.0"

INTENDED_USE = "research use only, not a diagnosis, does not replace mammography"
# Beside every standard error of a left-right difference: it is the measurement's noise, and says nothing of what is usual.
HEALTHY_LEFT_RIGHT = "(the measurement's noise alone; between healthy sides there are up to 3 degC)"
