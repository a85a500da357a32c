"""Training against inference: effective compute and the exchange rate at equal accuracy.

The accuracy that an amount of training FLOP and one of inference FLOP allow at best is solved for
anew wherever it is needed; nothing is taken from a law for it. Exponents are central differences.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ds3opt.explain.explanation import ContourPoint, Exchange
from ds3opt.optimise.optimum import best_plans, polished
from ds3opt.optimise.solution import Solution
from ds3opt.problem import Budgets, Problem
from ds3opt.schema import Scenario
from ds3opt.schema.limits import Limits

FloatArray = NDArray[np.float64]
Progress = Callable[[str, float], None]

DECADES = 0.1
"""To either side of the plan, over which exponents are taken."""
FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Of the plan's training FLOP, on the contour."""
_CLOSE = 1.03
"""Ratio of the ends of a bracket of least inference that is narrow enough."""
_AROUND = (-0.3, -0.06, 0.06, 0.3)
"""Decades around the first guess."""
_INSIDE = 3
_ROUNDS = 5
MOST_INFERENCE = 30.0
"""Times the plan's inference FLOP that the contour is followed to."""
_ASIDE = ("total_flop", "training_flop", "inference_flop")
_PHYSICAL = ("energy", "cost", "carbon", "accelerator_hours", "power")
_SATURATED = 1e-6
"""Distance from solving everything below which a plan's accuracy says nothing of its compute."""


def exchange_of(problem: Problem, solution: Solution, progress: Progress | None) -> Exchange | None:
    """Exponents and contour for a plan that is counted in FLOP; None where nothing is trained."""
    known = _amounts(solution)
    if known is None:
        return None
    training, inference = known
    free = replace(problem, objective="accuracy", target_accuracy=None, budgets=Budgets())
    moves = np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]]) * DECADES
    sets = [
        Budgets(training_flop=training * 10.0**a, inference_flop=inference * 10.0**b)
        for a, b in moves
    ]
    if progress is not None:
        progress("effective compute", 0.0)
    rough = best_plans(free, sets, min(free.gap, 1e-3))
    values = [
        polished(free, budgets, found).value if found.feasible else math.nan
        for budgets, found in zip(sets, rough, strict=True)
    ]
    rate = _exchange(training, inference, values, ())
    if rate is None:
        return None
    return replace(rate, contour=_contour(free, rate, progress))


def _contour(
    problem: Problem, rate: Exchange, progress: Progress | None
) -> tuple[ContourPoint, ...]:
    """Brackets of the least inference at every amount of training, all closed in together.

    Amounts that suffice have a plan that reaches the accuracy, amounts that do not have an upper
    bound below it. The first guess follows the exchange rate at the plan.
    """
    training = rate.training_flop * np.array(FACTORS)
    slope = float(np.clip(rate.decades_per_decade or 1.0, 0.05, 2.0))
    least, most = (rate.inference_flop * x for x in (1.0 / MOST_INFERENCE, MOST_INFERENCE))
    guess = np.clip(rate.inference_flop * np.array(FACTORS) ** -slope, least, most)
    low, high = np.full(training.size, least), np.full(training.size, most)
    known_low, known_high = (np.zeros(training.size, bool) for _ in range(2))
    # the plan is its own point of the contour
    own = np.array([factor == 1.0 for factor in FACTORS])
    high[own], known_high[own] = rate.inference_flop, True
    open_ = np.flatnonzero(~own)
    for round_ in range(_ROUNDS):
        if progress is not None:
            progress("training against inference", round_ / _ROUNDS)
        values = np.stack([_places(guess[i], low[i], high[i], round_) for i in open_])
        gap = min(problem.gap, 3e-4) if round_ else 1e-3
        sets = [
            Budgets(training_flop=float(training[i]), inference_flop=float(value))
            for i, row in zip(open_, values, strict=True)
            for value in row
        ]
        plans = best_plans(problem, sets, gap, targets=[rate.accuracy] * len(sets))
        reached = np.array([plan.value >= rate.accuracy for plan in plans]).reshape(values.shape)
        missed = np.array([plan.upper < rate.accuracy for plan in plans]).reshape(values.shape)
        before = low.copy(), high.copy()
        for at, i in enumerate(open_):
            if np.any(reached[at]):
                high[i], known_high[i] = np.min(values[at][reached[at]]), True
            below = missed[at] & (values[at] < high[i])
            if np.any(below):
                low[i], known_low[i] = np.max(values[at][below]), True
        moved = (low != before[0]) | (high != before[1])
        open_ = open_[(moved[open_] | (round_ == 0)) & (high[open_] > low[open_] * _CLOSE)]
        if open_.size == 0:
            break
    return tuple(
        ContourPoint(
            float(training[i]),
            float(high[i]) if known_high[i] else None,
            float(low[i]) if known_low[i] else None,
        )
        for i in range(training.size)
    )


def _places(guess: float, low: float, high: float, round_: int) -> FloatArray:
    """Amounts of inference to ask about: around the guess first, then inside the bracket."""
    if round_ == 0:
        return np.asarray(np.clip(guess * 10.0 ** np.array(_AROUND), low, high))
    return np.geomspace(low, high, _INSIDE + 2)[1:-1]


def fleet_exchange_of(
    scenario: Scenario, solution: Solution, progress: Progress | None
) -> Exchange | None:
    """The same on hardware, where limits on money, energy and the like are set aside."""
    from ds3opt.optimise.fleet.solve import solve_fleet

    known = _amounts(solution)
    if known is None:
        return None
    training, inference = known
    given = scenario.limits.given()
    aside = tuple(name for name in (*_ASIDE, *_PHYSICAL) if name in given)

    def limited(flop: float, serving: float, objective: object) -> Scenario:
        limits = {name: value for name, value in given.items() if name not in aside}
        limits |= {"training_flop": flop, "inference_flop": serving}
        return scenario.model_copy(
            update={
                "limits": Limits(**limits),
                "objective": objective,
                "frontier": None,
            }
        )

    values = [solution.accuracy or 0.0]
    for number, (a, b) in enumerate(((1, 0), (-1, 0), (0, 1), (0, -1))):
        if progress is not None:
            progress("effective compute", number / 4)
        there = limited(
            training * 10.0 ** (a * DECADES), inference * 10.0 ** (b * DECADES), "accuracy"
        )
        solved = solve_fleet(there, frontier=False, details=False)
        values.append(math.nan if solved.accuracy is None else solved.accuracy)
    return _exchange(training, inference, values, aside)


def _amounts(solution: Solution) -> tuple[float, float] | None:
    training, inference = solution.training_flop, solution.inference_flop
    if not training or not inference or solution.accuracy is None:
        return None
    return training, inference


def _exchange(
    training: float,
    inference: float,
    values: list[float],
    aside: tuple[str, ...],
) -> Exchange | None:
    if not all(map(math.isfinite, values)):
        return None
    here, more_training, less_training, more_inference, less_inference = values
    return Exchange(
        training_flop=training,
        inference_flop=inference,
        accuracy=here,
        training_exponent=(more_training - less_training) / (2.0 * DECADES),
        inference_exponent=(more_inference - less_inference) / (2.0 * DECADES),
        decades=DECADES,
        method="central differences of optima solved anew",
        contour=(),
        set_aside=aside,
    )


def saturated(solution: Solution) -> bool:
    """Whether everything is solved, so that more compute changes nothing."""
    return solution.accuracy is not None and solution.accuracy >= 1.0 - _SATURATED
