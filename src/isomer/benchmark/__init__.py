"""How fast it is: the stages of the path, the parts of the network, the whole."""

from isomer.benchmark.path import STAGES, Effort, Measurement, benchmark, machine

__all__ = ["STAGES", "Effort", "Measurement", "benchmark", "machine"]
