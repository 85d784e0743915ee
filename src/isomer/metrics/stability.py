"""Temporal stability T."""
from isomer.metrics.measure import SequenceMeasure
class TemporalStability(SequenceMeasure):
    def measure(self, pair): return 0.
