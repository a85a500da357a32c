"""Contours of accuracy over training and inference compute."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ds3opt.errors import Problem, UsageError
from ds3opt.fleet import needs_fleet
from ds3opt.plot.canvas import legend_below, name_axes
from ds3opt.problem import Budgets, compile_problem
from ds3opt.schema import Scenario

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FloatArray = NDArray[np.float64]
Progress = Callable[[str, float], None]

POINTS = 9
"""To each side of the grid."""
DECADES = 1.0
"""To either side of the plan."""
_BETWEEN = 8
_FLAT = 0.2
"""Points of accuracy over the whole grid that are no more than its gap."""
GAP = 2e-3
"""Accuracy to which the points of the grid are certified."""
_LEVELS = (1, 2, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 98, 99, 99.5, 99.9)
_ROOM = 0.015
"""Part of the picture that has to lie between two lines."""
_LINES = ("solid", "dashed", "dashdot", "dotted")


@dataclass(frozen=True)
class ContoursPicture:
    """What the picture shows."""

    title: str
    training_flop: FloatArray  # (row,)
    inference_flop: FloatArray  # (column,)
    accuracy: FloatArray  # (row, column); nan where nothing is feasible
    plan: tuple[float, float]
    """Training and inference FLOP of the scenario's own plan."""


def contours_of(scenario: Scenario, progress: Progress | None = None) -> ContoursPicture:
    """The best accuracy on a grid of training and inference FLOP around the plan.

    Raises
    ------
    UsageError : where the scenario counts more than FLOP, trains nothing or has no classes.
    """
    from ds3opt.optimise.optimum import best_plans
    from ds3opt.optimise.solve import solve

    if needs_fleet(scenario):
        raise UsageError(
            Problem(
                "contours are drawn for scenarios of FLOP alone",
                hint="--kind frontier draws hardware, too",
            )
        )
    solution = solve(scenario, frontier=False, details=False)
    training, inference = solution.training_flop, solution.inference_flop
    if not training or not inference or not solution.tasks:
        raise UsageError(
            Problem(
                "there is no plan that both trains a model and serves task classes",
                hint="--kind classes or success may have something to show",
            )
        )
    problem = replace(
        compile_problem(scenario), objective="accuracy", target_accuracy=None, budgets=Budgets()
    )
    steps = np.logspace(-DECADES, DECADES, POINTS)
    rows, columns = training * steps, inference * steps
    found = []
    # a row at a time: its searches share their work, and the bar moves
    for number, flop in enumerate(rows):
        sets = [Budgets(training_flop=float(flop), inference_flop=float(one)) for one in columns]
        plans = best_plans(problem, sets, GAP)
        found.append([plan.value if plan.feasible else np.nan for plan in plans])
        if progress is not None:
            progress("contours", (number + 1) / rows.size)
    return ContoursPicture(scenario.name, rows, columns, np.array(found), (training, inference))


def _finer(picture: ContoursPicture) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The grid with points between its own, log odds drawn straight from one to the next."""
    size = 1 + (POINTS - 1) * _BETWEEN
    near = np.clip(picture.accuracy, 1e-9, 1.0 - 1e-9)
    odds = np.log(near / (1.0 - near))
    x, y = np.log(picture.training_flop), np.log(picture.inference_flop)
    finer_x, finer_y = np.linspace(x[0], x[-1], size), np.linspace(y[0], y[-1], size)
    rows = np.stack([np.interp(finer_y, y, row) for row in odds])
    whole = np.stack([np.interp(finer_x, x, column) for column in rows.T], axis=1)
    return np.exp(finer_x), np.exp(finer_y), np.asarray(1.0 / (1.0 + np.exp(-whole)))


def _apart(levels: list[float], percent: FloatArray) -> list[float]:
    """Levels with room between them for what stands on the lines."""
    kept: list[float] = []
    for level in levels:
        if not kept or np.mean((percent > kept[-1]) & (percent <= level)) >= _ROOM:
            kept.append(level)
    return kept


def draw(figure: Figure, picture: ContoursPicture) -> None:
    """Labelled lines of equal accuracy, the plan, and lines of equal total compute."""
    axes = figure.subplots()
    # before the lines: labels are fitted to them as they stand
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(picture.training_flop[0], picture.training_flop[-1])
    axes.set_ylim(picture.inference_flop[0], picture.inference_flop[-1])
    training_grid, inference_grid, accuracy = _finer(picture)
    percent = 100.0 * accuracy
    some = percent[np.isfinite(percent)]
    levels = _apart([x for x in _LEVELS if some.size and some.min() < x < some.max()], some)
    if not levels and some.size and float(np.ptp(some)) > _FLAT:
        levels = [float(level) for level in np.linspace(some.min(), some.max(), 5)[1:-1]]
    if levels:
        lines = axes.contour(
            training_grid,
            inference_grid,
            percent.T,
            levels=levels,
            colors="#0072b2",
            linestyles=[_LINES[i % len(_LINES)] for i in range(len(levels))],
            linewidths=1.4,
        )
        axes.clabel(lines, fmt=lambda level: f"{level:.4g} %", fontsize=8, inline_spacing=4)
    served = np.geomspace(1e-5, 1.0 - 1e-5, 400)
    for factor in (0.3, 1.0, 3.0):
        total = factor * sum(picture.plan)
        axes.plot(
            total * (1.0 - served),
            total * served,
            color="#9a9a9a",
            linewidth=0.9,
            linestyle=(0, (1, 2)),
            label="equal total FLOP: 0.3, 1 and 3 times the plan's" if factor == 1.0 else None,
        )
    axes.plot(
        *picture.plan,
        linestyle="none",
        marker="*",
        markersize=13,
        color="black",
        markerfacecolor="white",
        label="the plan",
    )
    name_axes(axes, "Training compute (FLOP)", "Inference compute (FLOP)", picture.title)
    told = "best accuracy (%), to 0.2 points"
    if not levels:
        told = "no contour: the best accuracy hardly changes"
    if some.size < percent.size:
        told += "; blank: a limit cannot be kept"
    axes.plot([], [], color="#0072b2", label=told)
    legend_below(figure, [axes], columns=1)
