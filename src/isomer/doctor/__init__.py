"""Whether what Isomer needs is here and computes what it should."""

from isomer.doctor.examination import examine
from isomer.doctor.finding import Finding, State

__all__ = ["Finding", "State", "examine"]
