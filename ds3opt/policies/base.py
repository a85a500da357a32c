"""What an inference policy is: traces to follow and a rule to choose one answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ds3opt.laws.populations import Population
from ds3opt.laws.scored_choice import scored_choice_success
from ds3opt.laws.voting import verified_choice_success

FloatArray = NDArray[np.float64]


class VerifierKind(IntEnum):
    """What can judge the work; each kind can also do the work of the kinds below it."""

    NONE = 0
    OUTCOME = 1
    """Judges whole answers, such as unit tests."""
    PROCESS = 2
    """Judges single steps, such as a process reward model."""


@dataclass(frozen=True)
class TaskTraits:
    """What a policy may know of the tasks it serves; arrays over tasks."""

    true_positive_rate: FloatArray  # (task,)
    false_positive_rate: FloatArray  # (task,)
    wrong_answer_shares: tuple[tuple[float, ...], ...]
    """The distinct error spectra; empty where a class states none."""
    spectrum: NDArray[np.intp]  # (task,) index into wrong_answer_shares, -1 where unknown
    discrimination: FloatArray | None = None  # (task,) d'; nan where a verifier accepts or refuses

    def take(self, tasks: NDArray[np.intp]) -> TaskTraits:
        """The same traits for a selection of tasks, in the order given."""
        return TaskTraits(
            self.true_positive_rate[tasks],
            self.false_positive_rate[tasks],
            self.wrong_answer_shares,
            self.spectrum[tasks],
            None if self.discrimination is None else self.discrimination[tasks],
        )

    def scoring(self) -> list[tuple[float, NDArray[np.bool_]]]:
        """Each d' of a verifier that scores, and the tasks that have it."""
        if self.discrimination is None:
            return []
        each = np.unique(self.discrimination)
        return [(float(d), self.discrimination == d) for d in each if not np.isnan(d)]

    def oracle(self) -> NDArray[np.bool_]:
        """Tasks whose verifier never errs."""
        perfect = (self.true_positive_rate == 1.0) & (self.false_positive_rate == 0.0)
        if self.discrimination is None:
            return np.asarray(perfect)
        scored = ~np.isnan(self.discrimination)
        return np.asarray(np.where(scored, np.isinf(self.discrimination), perfect))


def chosen_success(chance: FloatArray, candidates: int, traits: TaskTraits) -> FloatArray:
    """Chance that the verifier's choice among candidates is a right one, element by element.

    A verifier with error rates chooses evenly among those it accepts; one that scores, the best.
    """
    chosen = verified_choice_success(
        chance, candidates, traits.true_positive_rate, traits.false_positive_rate
    )
    for d, mask in traits.scoring():
        here = np.broadcast_to(mask, chance.shape)
        chosen = np.where(here, 0.0, chosen)
        chosen[here] = scored_choice_success(chance[here], candidates, d)
    return np.asarray(chosen)


@dataclass(frozen=True)
class Policy(ABC):
    """One inference policy with its numbers fixed; stateless and hashable."""

    name: ClassVar[str]
    needs: ClassVar[VerifierKind]

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
    def needs_wrong_answers(self) -> bool:
        """Whether it can serve only classes that say how wrong answers split."""
        return False

    @property
    def token_overhead(self) -> float:
        """Tokens generated for each token of a finished trace."""
        return 1.0

    @property
    def width(self) -> float:
        """Tokens generated for each token of one trace, over all traces and branches."""
        return self.samples * self.branches * self.token_overhead

    def covers(self, traits: TaskTraits) -> bool:
        """Whether the answer is right as soon as one trace is."""
        return self.samples == 1

    def plateau(self, population: Population, traits: TaskTraits) -> float | None:
        """Share of problems that ever more traces solve, for the traits of one task.

        None where more traces are not what the policy is about, or where it is not known.
        """
        return None

    def success_over(self, population: Population, traits: TaskTraits) -> float | None:
        """Share of problems that it solves, for the traits of one task; None where not known.

        One measured rate says nothing of several traces on one problem, so it serves single traces
        only. Counts and populations serve every policy whose answer follows from whole traces.
        """
        if self.samples == 1 and self.covers(traits):
            return population.single()
        if self.covers(traits):
            return population.covered(self.samples)

        def answers(chance: FloatArray) -> FloatArray:
            one = np.zeros(chance.size, dtype=np.intp)
            return self.answer_success(chance, traits.take(one))

        return population.mean(answers, self.samples)

    @property
    def outcome_checks(self) -> int:
        """Answers that an outcome verifier must judge for one task."""
        return 0

    @property
    def checks_steps(self) -> bool:
        """Whether a process verifier judges each candidate step."""
        return False

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """What defines this policy, by its names in a scenario."""

    @abstractmethod
    def words(self) -> str:
        """The policy as a planner would say it."""

    def as_dict(self) -> dict[str, Any]:
        """The policy as it appears in JSON: its name, then its numbers."""
        return {"name": self.name, **self.options()}
