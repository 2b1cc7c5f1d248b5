"""The reader's half of Thermograph: archive, comparison, report and answer for captures that a receiver stored."""

__version__ = "0.1.0"

INTENDED_USE = "research use only, not a diagnosis, does not replace mammography"
