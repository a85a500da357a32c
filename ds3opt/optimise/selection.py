"""What repeated samples of one population reach: samples for a target, curves and plateaus."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ds3opt.laws.populations import Population
from ds3opt.laws.sampling_cost import samples_within_cost, sampling_cost
from ds3opt.laws.saturation import MOST_VOTES, vote_curve, votes_to_plateau
from ds3opt.policies import BestOfN, MajorityVote, Policy, TaskTraits, WeightedVote

FloatArray = NDArray[np.float64]

ORACLE = "verifier that never errs"
MOST_JUDGED = 100_000
"""Samples up to which a verifier that errs is tried."""
_COUNTED = 2.0**53


@dataclass(frozen=True)
class Prices:
    """What a sample costs; None where it is not said."""

    prompt_tokens: float = 0.0
    output_tokens: float | None = None
    parameters: float | None = None
    input_price: float | None = None  # USD per token
    output_price: float | None = None
    shared_prompt: bool = False
    judge_parameters: float = 0.0

    def flop(self, samples: float, *, judged: bool) -> float | None:
        """Inference FLOP of so many samples; a judge reads the prompt and every sample."""
        return self._cost(samples, self._flop_of_tokens(judged))

    def bought(self, budget: Budget, *, judged: bool) -> float | None:
        """Whole samples that a budget buys; None where a price is missing."""
        in_flop = budget.unit == "FLOP"
        prices = self._flop_of_tokens(judged) if in_flop else self._dollars_of_tokens()
        if prices is None or self.output_tokens is None:
            return None
        return float(
            samples_within_cost(
                budget.amount,
                self.prompt_tokens,
                self.output_tokens,
                *prices,
                shared_prompt=self.shared_prompt,
            )
        )

    def dollars(self, samples: float) -> float | None:
        """USD of so many samples."""
        return self._cost(samples, self._dollars_of_tokens())

    def _cost(self, samples: float, prices: tuple[float, float] | None) -> float | None:
        if prices is None or self.output_tokens is None:
            return None
        return float(
            sampling_cost(
                samples,
                self.prompt_tokens,
                self.output_tokens,
                *prices,
                shared_prompt=self.shared_prompt,
            )
        )

    def _flop_of_tokens(self, judged: bool) -> tuple[float, float] | None:
        """FLOP of a token read and of one generated, which bears what its judge reads."""
        if self.parameters is None or self.output_tokens is None:
            return None
        size = 2.0 * self.parameters
        read = (self.prompt_tokens + self.output_tokens) / self.output_tokens
        return size, size + judged * 2.0 * self.judge_parameters * read

    def _dollars_of_tokens(self) -> tuple[float, float] | None:
        return None if self.output_price is None else (self.input_price or 0.0, self.output_price)


@dataclass(frozen=True)
class Reach:
    """What one target takes by one rule of choosing."""

    target: float
    rule: str
    samples: float | None
    """None where it is out of reach, or not known."""
    log10_samples: float | None
    flop: float | None
    usd: float | None
    note: str = ""


@dataclass(frozen=True)
class Budget:
    """What may be spent on one question."""

    amount: float
    unit: str
    """FLOP or USD."""


@dataclass(frozen=True)
class Bought:
    """What a budget reaches by one rule of choosing."""

    budget: Budget
    rule: str
    samples: float
    accuracy: float | None
    """None where it was not measured, or is not worked out for so many samples."""


@dataclass(frozen=True)
class Plateau:
    """Where a rule stops improving."""

    rule: str
    accuracy: float | None
    samples: int | None
    """From which on it is within 1 % of that; None where it was not looked for, or not found."""


@dataclass(frozen=True)
class Selection:
    """Everything that was asked of a population."""

    single: float
    solvable: float | None
    reach: tuple[Reach, ...]
    bought: tuple[Bought, ...]
    plateaus: tuple[Plateau, ...]
    curve: tuple[tuple[int, dict[str, float | None]], ...]
    """Samples, and what each rule makes of them."""

    @property
    def hopeless(self) -> bool:
        """Whether targets were asked for and none is within reach of any rule."""
        return bool(self.reach) and all(one.samples is None for one in self.reach)


@dataclass
class _Rule:
    """One way of choosing among samples."""

    name: str
    policy: Callable[[int], Policy]
    ratio: float | None = None
    """Of a vote."""
    judged: bool = False
    curve: FloatArray = field(default_factory=lambda: np.zeros(0))


def select(
    population: Population,
    *,
    targets: Sequence[float] = (),
    budgets: Sequence[Budget] = (),
    samples: Sequence[int] = (),
    prices: Prices | None = None,
    wrong_answers: Sequence[float] | None = None,
    weight_ratio: float | None = None,
    rates: tuple[float, float] | None = None,
    discrimination: float | None = None,
) -> Selection:
    """Samples for targets, curves and plateaus of a population.

    Parameters
    ----------
    targets : accuracies to reach.
    budgets : what may be spent on a question, instead.
    samples : numbers of samples at which curves are asked for.
    wrong_answers : c_j, for votes.
    weight_ratio : of a weighted vote, beside the majority vote.
    rates, discrimination : of a verifier that accepts or refuses, or that scores.
    """
    traits = _traits(wrong_answers, rates, discrimination)
    rules = [_Rule(ORACLE, lambda k: BestOfN(samples=k))]
    if wrong_answers is not None:
        rules.append(_Rule("majority vote", lambda k: MajorityVote(samples=k), 1.0))
        if weight_ratio is not None:
            ratio = weight_ratio
            rules.append(
                _Rule(
                    f"weighted vote, ratio {ratio:g}",
                    lambda k: WeightedVote(samples=k, weight_ratio=ratio),
                    ratio,
                    judged=True,
                )
            )
    if rates is not None or discrimination is not None:
        rules.append(_Rule("verifier given", lambda k: BestOfN(samples=k), judged=True))
    plateaus = [_plateau(rule, population, traits) for rule in rules]
    prices = prices or Prices()
    return Selection(
        single=population.single(),
        solvable=population.solvable,
        reach=tuple(
            _reach(rule, plateau, float(target), population, traits, prices)
            for target in targets
            for rule, plateau in zip(rules, plateaus, strict=True)
        ),
        bought=tuple(
            _buy(rule, budget, population, traits, prices) for budget in budgets for rule in rules
        ),
        plateaus=tuple(plateaus),
        curve=tuple(
            (k, {rule.name: _accuracy(rule, k, population, traits) for rule in rules})
            for k in samples
        ),
    )


def _traits(
    wrong_answers: Sequence[float] | None,
    rates: tuple[float, float] | None,
    discrimination: float | None,
) -> TaskTraits:
    true, false = rates or (1.0, 0.0)
    return TaskTraits(
        np.array([true]),
        np.array([false]),
        () if wrong_answers is None else (tuple(wrong_answers),),
        np.array([-1 if wrong_answers is None else 0], dtype=np.intp),
        None if discrimination is None else np.array([discrimination]),
    )


def _accuracy(
    rule: _Rule, samples: int, population: Population, traits: TaskTraits
) -> float | None:
    if rule.name == ORACLE:
        return population.covered(samples)
    if samples > (MOST_JUDGED if rule.ratio is None else MOST_VOTES):
        return None
    if samples == 1:
        return population.single()
    return rule.policy(samples).success_over(population, traits)


def _plateau(rule: _Rule, population: Population, traits: TaskTraits) -> Plateau:
    if rule.name == ORACLE:
        return Plateau(rule.name, population.solvable, None)
    accuracy = rule.policy(2).plateau(population, traits)
    if rule.ratio is None or accuracy is None:
        return Plateau(rule.name, accuracy, None)
    shares = traits.wrong_answer_shares[0]
    first, rule.curve = votes_to_plateau(_masses(population), accuracy, shares, rule.ratio)
    return Plateau(rule.name, accuracy, first)


def _masses(population: Population) -> Callable[[int], FloatArray]:
    def known(samples: int) -> FloatArray:
        found = population.masses(samples)
        assert found is not None  # a plateau is known only where masses are
        return found

    return known


def _reach(
    rule: _Rule,
    plateau: Plateau,
    target: float,
    population: Population,
    traits: TaskTraits,
    prices: Prices,
) -> Reach:
    samples, note = _samples(rule, plateau, target, population, traits)
    log10 = None if samples is None or samples < 1 else math.log10(samples)
    if samples is not None and math.isinf(samples):
        log10 = population.log10_samples_for(target)
        note = "more samples than doubles can count"
    return Reach(
        target,
        rule.name,
        samples,
        log10,
        None if samples is None else prices.flop(samples, judged=rule.judged),
        None if samples is None else prices.dollars(samples),
        note,
    )


def _buy(
    rule: _Rule, budget: Budget, population: Population, traits: TaskTraits, prices: Prices
) -> Bought:
    count = prices.bought(budget, judged=rule.judged)
    assert count is not None  # the command asks for what is missing
    if count < 1.0:
        return Bought(budget, rule.name, 0.0, 0.0)
    if count >= _COUNTED:
        return Bought(budget, rule.name, count, None)
    return Bought(budget, rule.name, count, _accuracy(rule, int(count), population, traits))


def _samples(
    rule: _Rule, plateau: Plateau, target: float, population: Population, traits: TaskTraits
) -> tuple[float | None, str]:
    """Fewest samples of a rule for a target, or None and why there are none."""
    if rule.name == ORACLE:
        return _covering(target, population)
    if plateau.accuracy is None:
        return None, "one measured rate says nothing of several samples"
    if rule.ratio is not None:
        return _votes(rule, plateau.accuracy, target, population, traits)
    if target >= plateau.accuracy:
        return None, _beyond(plateau.accuracy, target, population)
    return _judged(rule, target, population, traits)


def _covering(target: float, population: Population) -> tuple[float | None, str]:
    solvable = population.solvable
    found = population.samples_for(target)
    if found is None:
        if solvable is None:
            return None, "one measured rate says nothing of several samples"
        return None, "more samples than were measured; a fitted population (--alpha, --beta) says"
    if solvable is not None and target == solvable and math.isinf(found):
        return None, f"{_percent(solvable)} is reached by endless samples only"
    if math.isinf(found) and solvable is not None and target > solvable:
        return None, f"{_percent(solvable)} of problems can be solved at all"
    return found, ""


def _votes(
    rule: _Rule, plateau: float, target: float, population: Population, traits: TaskTraits
) -> tuple[float | None, str]:
    """By looking at every number of votes: more can be worse."""
    above = np.flatnonzero(rule.curve >= target)
    if above.size == 0 and target < plateau and rule.curve.size < MOST_VOTES:
        shares = traits.wrong_answer_shares[0]
        assert rule.ratio is not None
        rule.curve = vote_curve(_masses(population), MOST_VOTES, shares, rule.ratio)
        above = np.flatnonzero(rule.curve >= target)
    if above.size:
        return float(above[0] + 1), ""
    if target < plateau:
        return None, f"more than {MOST_VOTES} votes"
    return None, _beyond(plateau, target, population)


def _judged(
    rule: _Rule, target: float, population: Population, traits: TaskTraits
) -> tuple[float | None, str]:
    """By halving: choosing among more never makes it worse."""

    def reaches(samples: int) -> bool:
        found = _accuracy(rule, samples, population, traits)
        return found is not None and found >= target

    high = 1
    while not reaches(high):
        if high >= MOST_JUDGED:
            return None, f"more than {MOST_JUDGED:,} samples".replace(",", " ")
        high = min(2 * high, MOST_JUDGED)
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return float(high), ""


def _beyond(plateau: float, target: float, population: Population) -> str:
    needed, why = _covering(target, population)
    if needed is None:
        return f"unreachable: saturates at {_percent(plateau)}; {why}"
    return f"unreachable: saturates at {_percent(plateau)}; a {ORACLE} takes {needed:.4g}"


def _percent(share: float) -> str:
    return f"{100.0 * share:.4g} %"
