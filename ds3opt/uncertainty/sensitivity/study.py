"""Which number of a scenario matters: elasticities, both ends, what it is worth to know each."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ds3opt.errors import Problem as Mistake
from ds3opt.errors import UsageError
from ds3opt.fleet import needs_fleet
from ds3opt.optimise.solution import Solution, Status
from ds3opt.optimise.solve import solve
from ds3opt.problem import compile_problem
from ds3opt.schema import Scenario
from ds3opt.uncertainty.draws import Sample, constants, drawn, sample
from ds3opt.uncertainty.keys import Constant, label, numeric_keys
from ds3opt.uncertainty.outcome import Outcome, coarser, column
from ds3opt.uncertainty.robust.ensemble import Ensemble
from ds3opt.uncertainty.robust.plan import Plan, score_plan, within_limits
from ds3opt.uncertainty.run import Keep, solve_draws
from ds3opt.uncertainty.sensitivity.elasticity import Elasticities, elasticities
from ds3opt.uncertainty.sensitivity.information import (
    Share,
    Worth,
    regret,
    regret_removed,
    variance_share,
)
from ds3opt.uncertainty.sensitivity.tornado import Bar, tornado
from ds3opt.uncertainty.sensitivity.variants import is_stackable, optima

FloatArray = NDArray[np.float64]
Progress = Callable[[str, float], None]

DRAWS, DRAWS_ALONE = 500, 100
"""Draws unless others are asked for: of scenarios solved side by side, and of all others."""
SHARED = ("objective", "parameters", "training_tokens")
"""Amounts whose variance is shared out."""
_LOGARITHMS = ("parameters", "training_tokens")
_OWN_OPTIMA = 16
"""Draws whose own optimum is one of the plans to choose among."""
_TOLD_ALWAYS = ("price", "limits.", "objective.", "workload.tasks")


@dataclass(frozen=True)
class Known:
    """What knowing one constant would remove, or several that are drawn together."""

    label: str
    constants: tuple[Constant, ...]
    shares: Mapping[str, Share]
    """Of the variance of an amount, by its name; sizes and tokens in logarithms."""
    removed: Worth | None = None
    """Of the expected regret; None where plans cannot be carried over to draws."""


@dataclass(frozen=True)
class Sensitivity:
    """Which number of a scenario matters, and which one to measure next."""

    point: Solution
    elasticities: Elasticities | None = None
    """None where the scenario is infeasible."""
    bars: tuple[Bar, ...] = ()
    known: tuple[Known, ...] = ()
    """What is worth most to know first."""
    sample: Sample | None = None
    """None where nothing was drawn."""
    infeasible: float = 0.0
    """Share of the draws in which no allocation keeps every limit."""
    plans: int = 0
    """That were chosen among."""
    regret: Worth | None = None
    """Of the plan that is best on average among them, against knowing every constant."""
    gap: float = 0.0
    """Of the scenario: regret below it is none."""
    left_out: tuple[str, ...] = ()
    """What there is no figure for, and why."""

    @property
    def measure_next(self) -> Known | None:
        """What to measure next; None where no single measurement changes the decision."""
        able = [
            one
            for one in self.known
            if one.removed is not None and one.removed.clear and one.removed.value > self.gap
        ]
        return max(able, key=_removed) if able else None

    @property
    def explains_most(self) -> Known | None:
        """What explains most of the variance of the objective; None where nothing clearly does."""
        able = [
            one
            for one in self.known
            if one.shares["objective"].value > 2.0 * one.shares["objective"].standard_error
        ]
        return max(able, key=lambda one: one.shares["objective"].value) if able else None


def sensitivity(
    scenario: Scenario,
    *,
    draws: int | None = DRAWS,
    seed: int = 0,
    keys: Sequence[str] = (),
    every: bool = False,
    known: Mapping[int, Outcome] | None = None,
    keep: Keep | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Sensitivity:
    """Elasticities of the answer, a tornado of what is uncertain, and what to measure next.

    Parameters
    ----------
    draws : None to draw nothing, which leaves out what is worth most to know. seed : of the draws.
    keys : paths, or beginnings of paths, whose elasticity is asked for; empty for every number.
    every : elasticities of every number, also where steps cannot be solved side by side; left out,
        there only those of limits, the target, prices and what is uncertain.
    known, keep, workers : as in `solve_draws`.
    progress : called with a stage and the fraction of it that is done.

    Raises
    ------
    UsageError : for a key that is no number of the scenario.
    """
    asked = asked_about(scenario, keys, every=every)
    point = solve(scenario, frontier=False, details=False, progress=progress)
    if point.status is Status.INFEASIBLE:
        return Sensitivity(point)
    found = elasticities(scenario, asked, point, workers=workers, progress=progress)
    gap = scenario.solver.gap if point.objective in ("accuracy", "value") else 0.0
    if not constants(scenario):
        why = "both ends, and what to measure next: nothing in the scenario is uncertain"
        return Sensitivity(point, found, gap=gap, left_out=(why,))
    # how constants of a group go together is read off draws, which cost nothing until solved
    drawn_sample = sample(scenario, DRAWS if draws is None else draws, seed)
    bars = tornado(scenario, drawn_sample, point, workers=workers, progress=progress)
    if draws is None:
        return Sensitivity(point, found, bars, gap=gap)
    outcomes = solve_draws(
        scenario, drawn_sample, point, known=known, keep=keep, workers=workers, progress=progress
    )
    solved = np.array([one.feasible for one in outcomes])
    values, why = _values_of_plans(scenario, drawn_sample, point, bars, workers, progress)
    best = column(outcomes, "objective")
    if values is not None:
        values = np.minimum(values[solved], best[solved, None])
    whole = None if values is None or not np.any(solved) else regret(values, best[solved])
    return Sensitivity(
        point,
        found,
        bars,
        _known(scenario, drawn_sample, outcomes, values),
        drawn_sample,
        float(1.0 - np.mean(solved)),
        0 if values is None else values.shape[1],
        whole,
        gap,
        (why,) if why else (),
    )


def tornado_of(
    scenario: Scenario, *, seed: int = 0, progress: Progress | None = None
) -> tuple[Solution, tuple[Bar, ...]]:
    """The answer, and both ends of every uncertain constant; no bars where it is infeasible."""
    point = solve(scenario, frontier=False, details=False, progress=progress)
    if point.status is Status.INFEASIBLE or not constants(scenario):
        return point, ()
    return point, tornado(scenario, sample(scenario, DRAWS, seed), point, progress=progress)


def default_draws(scenario: Scenario) -> int:
    """Draws unless others are asked for."""
    return DRAWS if is_stackable(scenario) else DRAWS_ALONE


def asked_about(
    scenario: Scenario, keys: Sequence[str] = (), *, every: bool = False
) -> tuple[Constant, ...]:
    """The numbers whose elasticity is asked for.

    Raises
    ------
    UsageError : for a key that is no number of the scenario that may move its answer.
    """
    able = {one.path: one for one in numeric_keys(scenario)}
    uncertain = {one.path: one for one in constants(scenario)}
    able = {**able, **{path: one for path, one in uncertain.items() if path not in able}}
    if not keys:
        losses = scenario.workload.mix is None and not needs_fleet(scenario)
        if every or losses or is_stackable(scenario):
            return tuple(able.values())
        return tuple(
            one
            for path, one in able.items()
            if path in uncertain or any(word in path for word in _TOLD_ALWAYS)
        )
    chosen: dict[str, Constant] = {}
    for key in keys:
        below = {
            path: one
            for path, one in able.items()
            if path == key or path.startswith((f"{key}.", f"{key}["))
        }
        if not below:
            near = difflib.get_close_matches(key, able, n=1)
            hint = f"did you mean {near[0]}?" if near else ""
            message = "no number of the scenario that may move its answer"
            raise UsageError(Mistake(message, path=key, hint=hint))
        chosen |= below
    return tuple(chosen.values())


# -- what is worth knowing --------------------------------------------------------------------


def _removed(one: Known) -> float:
    return 0.0 if one.removed is None else one.removed.value


def _known(
    scenario: Scenario,
    sample: Sample,
    outcomes: tuple[Outcome, ...],
    values: FloatArray | None,
) -> tuple[Known, ...]:
    solved = np.array([one.feasible for one in outcomes])
    groups: dict[str, list[int]] = {}
    for index, one in enumerate(sample.constants):
        groups.setdefault(one.group, []).append(index)
    answers = {name: column(outcomes, name) for name in SHARED}
    found = []
    for members in groups.values():
        own = tuple(sample.constants[i] for i in members)
        drawn_values = sample.values[:, members]
        shares = {
            name: variance_share(drawn_values[able], _told(name, answer[able]))
            for name, answer in answers.items()
            if np.any(able := np.isfinite(answer))
        }
        removed = None if values is None else regret_removed(drawn_values[solved], values)
        if shares:
            found.append(Known(_called(scenario, own), own, shares, removed))
    found.sort(key=lambda one: (-_removed(one), -one.shares["objective"].value, one.label))
    return tuple(found)


def _told(name: str, answer: FloatArray) -> FloatArray:
    return np.log(answer) if name in _LOGARITHMS else answer


def _called(scenario: Scenario, members: tuple[Constant, ...]) -> str:
    """A name for constants that are drawn together."""
    if len(members) == 1:
        return members[0].label
    first = members[0].places[0]
    common = 0
    while all(one.places[0][: common + 1] == first[: common + 1] for one in members):
        common += 1
    if common >= 2 and isinstance(first[common - 1], str):
        return f"{label(scenario, first[:common])} ({len(members)} constants)"
    more = f" and {len(members) - 2} more" if len(members) > 2 else ""
    return ", ".join(one.label for one in members[:2]) + more


def _values_of_plans(
    scenario: Scenario,
    sample: Sample,
    point: Solution,
    bars: Sequence[Bar],
    workers: int | None,
    progress: Progress | None,
) -> tuple[FloatArray | None, str]:
    """What each of several plans is worth in every draw, (draw, plan); or why there is no figure.

    The plans are those that somebody would choose who knew more: the optimum at both ends of each
    constant, and those of some draws, besides that of the point estimate.
    """
    if not is_stackable(scenario):
        return None, (
            "the regret that knowing a constant removes: plans are carried over to draws only "
            "for accuracy or value as the objective, in FLOP"
        )
    problems = [
        compile_problem(coarser(drawn(scenario, sample, index))) for index in range(len(sample))
    ]
    try:
        ensemble = Ensemble.of(problems)
    except UsageError as error:
        return None, f"the regret that knowing a constant removes: {error.problems[0].message}"
    rows = sample.values[: min(_OWN_OPTIMA, len(sample))].tolist()
    paths = [one.path for one in sample.constants]
    own = optima(
        scenario,
        [dict(zip(paths, row, strict=True)) for row in rows],
        point,
        workers=workers,
        progress=progress,
        stage="plans",
    )
    ends = [one for bar in bars for one in bar.solutions]
    plans = list(dict.fromkeys(Plan.of(one) for one in (point, *ends, *own) if one is not None))
    return np.column_stack(
        [within_limits(problems, score_plan(ensemble, plan)) for plan in plans]
    ), ""
