"""Certified optima of a shipped scenario over a range of compute, as arrays."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ds3opt.io.loader import load_scenario
from ds3opt.optimise.solve import solve

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Trajectory:
    """What the optimiser chooses at each amount of compute, (budget,)."""

    flop: FloatArray
    accuracy: FloatArray
    upper: FloatArray
    """No allocation does better."""
    parameters: FloatArray
    training_tokens: FloatArray
    token_budget: FloatArray
    """Tokens per task that the plan pays for."""
    inference_share: FloatArray
    """Part of the compute that is spent at inference."""

    @property
    def tokens_per_parameter(self) -> FloatArray:
        """Training tokens per parameter."""
        return self.training_tokens / self.parameters

    def columns(self) -> dict[str, FloatArray]:
        """For the CSV file."""
        return {
            "total_flop": self.flop,
            "accuracy": self.accuracy,
            "accuracy_upper": self.upper,
            "parameters": self.parameters,
            "training_tokens": self.training_tokens,
            "tokens_per_parameter": self.tokens_per_parameter,
            "token_budget": self.token_budget,
            "inference_share": self.inference_share,
        }

    def first(self, points: int) -> Trajectory:
        """The part with the least compute."""
        return Trajectory(*(getattr(self, field.name)[:points] for field in fields(self)))

    def flop_for(self, accuracy: FloatArray) -> FloatArray:
        """Compute at which an accuracy is first reached, between points; nan beyond them."""
        rising = np.maximum.accumulate(self.accuracy)
        rising = rising + 1e-12 * np.arange(rising.size)
        logs = np.interp(accuracy, rising, np.log10(self.flop), left=np.nan, right=np.nan)
        return np.asarray(10.0**logs)


@lru_cache(maxsize=16)
def trajectory(
    scenario: str, start: float, stop: float, points: int, *settings: str, gap: float
) -> Trajectory:
    """The frontier of a shipped scenario over total FLOP, with settings as in ``--set``."""
    frontier = f"frontier={{over: total_flop, from: {start}, to: {stop}, points: {points}}}"
    loaded = load_scenario(scenario, [frontier, f"solver.gap={gap}", *settings])
    solution = solve(loaded.scenario, details=False)
    found = [point for point in solution.frontier if point.objective is not None]
    names = ("limit", "objective", "upper", "parameters", "training_tokens", "inference_flop")
    limit, reached, upper, size, data, serving = (
        np.array([getattr(point, name) for point in found], dtype=np.float64) for name in names
    )
    served = loaded.scenario.workload.tasks
    assert served is not None
    tokens = serving / (2.0 * size * served)
    return Trajectory(limit, reached, upper, size, data, tokens, serving / limit)
