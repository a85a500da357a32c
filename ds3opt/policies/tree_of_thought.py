"""Tree of thought, ToT(1): b candidate steps a level, a process verifier keeps one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ds3opt.policies.base import (
    FloatArray,
    Policy,
    TaskTraits,
    VerifierKind,
    chosen_success,
)


@dataclass(frozen=True)
class TreeOfThought(Policy):
    """One trace whose every level tries `branches` candidate steps, DS3 (29)-(31)."""

    name: ClassVar[str] = "tree_of_thought"
    needs: ClassVar[VerifierKind] = VerifierKind.PROCESS

    def level(
        self, step_success: FloatArray, fatigue: FloatArray, traits: TaskTraits
    ) -> tuple[FloatArray, FloatArray]:
        """A level advances when the step that the verifier keeps is a right one."""
        return verified_level(self.branches, step_success, fatigue, traits)

    def answer_success(self, trace_success: FloatArray, traits: TaskTraits) -> FloatArray:
        """The trace is the answer."""
        return trace_success

    def answer_slope(
        self, low: FloatArray, high: FloatArray, traits: TaskTraits
    ) -> tuple[FloatArray, FloatArray]:
        """Slope 1, no curvature."""
        return np.ones_like(low), np.zeros_like(low)

    @property
    def checks_steps(self) -> bool:
        """Every candidate step is judged."""
        return True

    def options(self) -> dict[str, Any]:
        """Candidate steps a level."""
        return {"branches": self.branches}

    def words(self) -> str:
        """As a planner would say it."""
        return f"tree of thought, {self.branches} branches"


def verified_level(
    branches: int, step_success: FloatArray, fatigue: FloatArray, traits: TaskTraits
) -> tuple[FloatArray, FloatArray]:
    """Chance that a level of `branches` verified candidates advances, and that its failure ruins.

    With a perfect verifier a level fails only if every candidate is wrong, and the trace is ruined
    only if every candidate ruins it, so the ruin is ``fatigue ** branches``. A wrong candidate that
    an imperfect verifier keeps although a right one was there ruins with ``fatigue`` itself.
    """
    if branches == 1:
        return step_success, fatigue
    advance = chosen_success(step_success, branches, traits)
    all_wrong = np.exp(branches * np.log1p(-np.minimum(step_success, 1.0 - 1e-16)))
    failure = 1.0 - advance
    misjudged = np.maximum(failure - all_wrong, 0.0)
    ruin = all_wrong * fatigue**branches + misjudged * fatigue
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(failure > 0.0, ruin / failure, 0.0)
    return advance, np.clip(share, 0.0, 1.0)
