"""Chain of thought: one sequential trace, no verifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ds3opt.policies.base import FloatArray, Policy, TaskTraits, VerifierKind


@dataclass(frozen=True)
class ChainOfThought(Policy):
    """One trace that goes on until the task is done or the budget is spent, DS3 (19)-(28)."""

    name: ClassVar[str] = "chain_of_thought"
    needs: ClassVar[VerifierKind] = VerifierKind.NONE

    def answer_success(self, trace_success: FloatArray, traits: TaskTraits) -> FloatArray:
        """The trace is the answer."""
        return trace_success

    def answer_slope(
        self, low: FloatArray, high: FloatArray, traits: TaskTraits
    ) -> tuple[FloatArray, FloatArray]:
        """Slope 1, no curvature."""
        return np.ones_like(low), np.zeros_like(low)

    def options(self) -> dict[str, Any]:
        """No integers."""
        return {}

    def words(self) -> str:
        """As a planner would say it."""
        return "chain of thought"
