"""The frontier: the optimum over a limit with its certified band, and simple rules beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ds3opt.errors import Problem, UsageError
from ds3opt.optimise.solution import BASELINES, Solution
from ds3opt.plot.canvas import curve, legend_below, name_axes
from ds3opt.plot.scales import axis_label, engineering_ticks, scale_of, unit_of
from ds3opt.report.words import is_maximised, outcome_key, words_of
from ds3opt.schema import Scenario
from ds3opt.schema.limits import LIMITS, Limits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FloatArray = NDArray[np.float64]
Progress = Callable[[str, float], None]

POINTS = 7
"""Of a frontier that the scenario does not state."""
DECADES = 1.0
"""To either side of the limit, where the scenario states no frontier."""


@dataclass(frozen=True)
class Rule:
    """What a simple rule reaches."""

    words: str
    limit: FloatArray
    value: FloatArray


@dataclass(frozen=True)
class FrontierPicture:
    """What the picture shows."""

    title: str
    over: str
    objective: str
    limit: FloatArray
    reached: FloatArray
    """nan where nothing is feasible."""
    bound: FloatArray
    rules: tuple[Rule, ...]


def frontier_of(scenario: Scenario, progress: Progress | None = None) -> FrontierPicture:
    """The frontier of a scenario, with the baselines solved for at each of its points.

    Raises
    ------
    UsageError : where the scenario has neither a frontier nor a limit to vary.
    """
    from ds3opt.optimise.solve import solve

    over, values = _range(scenario)
    solutions: list[Solution] = []
    for number, value in enumerate(values):
        limits = scenario.limits.given() | {over: float(value)}
        there = scenario.model_copy(update={"limits": Limits(**limits), "frontier": None})
        solutions.append(solve(there, frontier=False))
        if progress is not None:
            progress("frontier", (number + 1) / values.size)
    ends = np.array([_ends(one) for one in solutions])
    return FrontierPicture(
        title=scenario.name,
        over=over,
        objective=solutions[0].objective,
        limit=values,
        reached=ends[:, 0],
        bound=ends[:, 1],
        rules=tuple(
            Rule(
                words,
                values,
                np.array([_baseline(one, name) for one in solutions], dtype=np.float64),
            )
            for name, words in BASELINES
            if any(b.name == name for one in solutions for b in one.baselines)
        ),
    )


def _range(scenario: Scenario) -> tuple[str, FloatArray]:
    asked = scenario.frontier
    if asked is not None:
        values = np.geomspace(asked.from_, asked.to, asked.points)
        values[0], values[-1] = asked.from_, asked.to
        return asked.over, np.asarray(values)
    given = scenario.limits.given()
    for name in LIMITS:
        if name in given:
            ends = given[name] * 10.0 ** np.array([-DECADES, DECADES])
            return name, np.asarray(np.geomspace(ends[0], ends[1], POINTS))
    raise UsageError(
        Problem(
            "there is no frontier to draw: the scenario states none, and no limit to vary",
            hint="such as --set 'frontier={over: total_flop, from: 1e20, to: 1e22, points: 7}'",
        )
    )


def _ends(solution: Solution) -> tuple[float, float]:
    certificate = solution.certificate
    if certificate is None:
        return np.nan, np.nan
    if is_maximised(solution.objective):
        return certificate.lower, certificate.upper
    return certificate.upper, certificate.lower


def _baseline(solution: Solution, name: str) -> float:
    for one in solution.baselines:
        if one.name == name and one.value is not None:
            return one.value
    return np.nan


def frontier_of_result(data: Mapping[str, Any]) -> FrontierPicture:
    """The frontier that a result of solve or pareto holds; its baselines at its own limit alone.

    Raises
    ------
    UsageError : where it holds none.
    """
    rows: Sequence[Mapping[str, Any]] = data.get("frontier") or ()
    if not rows:
        raise UsageError(
            Problem("the result holds no frontier", hint="solve a scenario that states one")
        )
    objective = str(data["objective"])
    key = outcome_key(objective)
    over = str(data.get("over") or next(iter(rows[0])))
    side = "upper" if is_maximised(objective) else "lower"
    own = {str(one.get("name")): one.get("limit") for one in data.get("limits") or ()}

    def column(name: str) -> FloatArray:
        found = [row.get(name, row.get(name.replace(key, objective))) for row in rows]
        return np.array([np.nan if x is None else x for x in found], dtype=np.float64)

    limit = np.array([next(iter(row.values())) for row in rows], dtype=np.float64)
    at = own.get(over)
    rules = []
    words = dict(BASELINES)
    for one in data.get("baselines") or ():
        value = one.get(key, one.get(objective))
        if value is not None and at is not None:
            rules.append(
                Rule(words.get(one["name"], one["name"]), np.array([at]), np.array([value]))
            )
    return FrontierPicture(
        title=str(data.get("scenario", "")),
        over=over,
        objective=objective,
        limit=limit,
        reached=column(key),
        bound=column(f"{key}_{side}"),
        rules=tuple(rules),
    )


def draw(figure: Figure, picture: FrontierPicture) -> None:
    """Reached and bound, the band between them, and the rules."""
    axes = figure.subplots()
    scale = scale_of(picture.objective)
    reached, bound = scale * picture.reached, scale * picture.bound
    known = np.isfinite(reached) & np.isfinite(bound)
    widest = float(np.max(np.abs(bound - reached)[known], initial=0.0))
    name = words_of(picture.objective)
    unit = "points" if scale > 1.0 else unit_of(picture.objective)
    axes.fill_between(
        picture.limit,
        reached,
        bound,
        where=known.tolist(),
        color="#0072b2",
        alpha=0.25,
        linewidth=0.0,
        label=f"certified band, at most {_short(widest)} {unit} wide",
    )
    which = "largest" if is_maximised(picture.objective) else "least"
    if picture.objective == "accuracy":
        which = "highest"
    curve(axes, picture.limit, reached, 0, f"{which} {name}, reached", markers=99)
    for number, rule in enumerate(picture.rules):
        curve(axes, rule.limit, scale * rule.value, number + 1, rule.words, markers=99)
    axes.set_xscale("log")
    if not is_maximised(picture.objective) and picture.objective != "loss":
        axes.set_yscale("log")
    for axis, name in ((axes.xaxis, picture.over), (axes.yaxis, picture.objective)):
        if axis.get_scale() == "log":
            engineering_ticks(axis, name)
    name_axes(axes, axis_label(picture.over), axis_label(picture.objective), picture.title)
    legend_below(figure, [axes], columns=2)


def _short(value: float) -> str:
    from ds3opt.units import format_number

    return format_number(value, 2)
