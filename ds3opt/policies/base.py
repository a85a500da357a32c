"""What an inference policy is: traces to follow and a rule to choose one answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


class VerifierKind(IntEnum):
    """What can judge the work; each kind can also do the work of the kinds below it."""

    NONE = 0
    OUTCOME = 1
    """Judges whole answers, such as unit tests."""
    PROCESS = 2
    """Judges single steps."""


@dataclass(frozen=True)
class TaskTraits:
    """What a policy may know of the tasks it serves; arrays over tasks."""

    true_positive_rate: FloatArray  # (task,)
    false_positive_rate: FloatArray  # (task,)
    wrong_answer_shares: tuple[tuple[float, ...], ...]
    """The distinct error spectra; empty where a class states none."""
    spectrum: NDArray[np.intp]  # (task,) index into wrong_answer_shares, -1 where unknown

    def take(self, tasks: NDArray[np.intp]) -> TaskTraits:
        """The same traits for a selection of tasks, in the order given."""
        return TaskTraits(
            self.true_positive_rate[tasks],
            self.false_positive_rate[tasks],
            self.wrong_answer_shares,
            self.spectrum[tasks],
        )


@dataclass(frozen=True)
class Policy(ABC):
    """One inference policy with its integers fixed; stateless and hashable."""

    name: ClassVar[str]
    needs: ClassVar[VerifierKind]
    needs_wrong_answers: ClassVar[bool] = False

    samples: int = 1
    """Independent traces."""
    branches: int = 1
    """Candidate steps tried at each level of a trace."""

    def level(
        self, step_success: FloatArray, fatigue: FloatArray, traits: TaskTraits
    ) -> tuple[FloatArray, FloatArray]:
        """Chance that one level advances a trace, and that a failed level ruins it, (task,)."""
        return step_success, fatigue

    @abstractmethod
    def answer_success(self, trace_success: FloatArray, traits: TaskTraits) -> FloatArray:
        """Chance of a right answer from the success of one trace, element by element."""

    @abstractmethod
    def answer_slope(
        self, low: FloatArray, high: FloatArray, traits: TaskTraits
    ) -> tuple[FloatArray, FloatArray]:
        """Upper bounds on the first, and on minus the second, derivative of `answer_success`.

        They hold on the interval [low, high] of trace success, element by element, and let the
        optimiser vouch for the token budgets between those it evaluates.
        """

    @property
    def outcome_checks(self) -> int:
        """Answers that an outcome verifier must judge for one task."""
        return 0

    @property
    def checks_steps(self) -> bool:
        """Whether a process verifier judges each candidate step."""
        return False

    @abstractmethod
    def options(self) -> dict[str, int]:
        """The integers that define this policy, by their names in a scenario."""

    @abstractmethod
    def words(self) -> str:
        """The policy as a planner would say it."""

    def as_dict(self) -> dict[str, Any]:
        """The policy as it appears in JSON: its name, then its integers."""
        return {"name": self.name, **self.options()}
