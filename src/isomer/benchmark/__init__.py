"""How fast it is: the stages of the path, the parts of the network, the whole."""

from isomer.benchmark.path import STAGES, Configuration, Measurement, benchmark, machine

__all__ = ["STAGES", "Configuration", "Measurement", "benchmark", "machine"]
