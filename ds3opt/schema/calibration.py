"""placeholder until the real one lands"""
from ds3opt.schema.quantities import Section
from ds3opt.laws.roofline import Efficiency
class Calibration(Section):
    name: str = "default"
    def efficiency(self) -> Efficiency:
        return Efficiency(memory=.8, compute=.6, prefill=.5, exchange=.5, allreduce_seconds=8e-6, layer_seconds=2e-5, sequence_seconds=1e-5, step_seconds=1e-3, usable_memory=.9, reserve_bytes=3.5e9, base_power=.4, memory_power=.3, compute_power=.9)
    def training_utilisation(self, precision: str) -> float | None:
        return .4
