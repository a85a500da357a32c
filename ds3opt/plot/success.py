"""Success against tokens, policy by policy, with the plan's model: one panel for each class."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ds3opt.errors import Problem, UsageError
from ds3opt.plot.canvas import curve, legend_below, name_axes
from ds3opt.plot.scales import engineering_ticks
from ds3opt.schema import Scenario

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FloatArray = NDArray[np.float64]
Progress = Callable[[str, float], None]

MOST_PANELS = 9
_COLUMNS = 3
_NARROW = 1.3
"""Ratio of the ends of an axis below which its numbers would look alike."""
_HARDLY = 1e-5
"""Rise of success that is not drawn."""
_TITLE_INCHES = 0.078
"""Of one character of the title."""
_WIDEST = 9.0
_CHARACTERS = 40
"""Of a legend below one panel."""


@dataclass(frozen=True)
class PolicyCurve:
    """Success of one policy over its token budgets."""

    words: str
    chosen: bool
    tokens: FloatArray
    """Generated on average."""
    success: FloatArray


@dataclass(frozen=True)
class ClassPanel:
    """One class's typical task."""

    name: str
    curves: tuple[PolicyCurve, ...]
    plan: tuple[tuple[float, float], ...]
    """Tokens and success of what the plan does, by part."""


@dataclass(frozen=True)
class SuccessPicture:
    """What the picture shows."""

    title: str
    panels: tuple[ClassPanel, ...]
    left_out: int
    """Classes for which there is no panel."""

    @property
    def size_inches(self) -> tuple[float, float]:
        """Width and height in which every panel has room."""
        rows, columns = _grid(len(self.panels))
        legend = math.ceil((len(self.words) + 1) / self.legend_columns)
        title = min(_TITLE_INCHES * len(self.title), _WIDEST)
        return max(2.9 * columns, 4.6, title) + 0.4, 2.6 * rows + 0.6 + 0.2 * legend

    @property
    def words(self) -> list[str]:
        """Every policy once."""
        return list(dict.fromkeys(one.words for panel in self.panels for one in panel.curves))

    @property
    def legend_columns(self) -> int:
        """As many as the words of the policies leave room for."""
        longest = max(map(len, self.words), default=0)
        room = _grid(len(self.panels))[1] * _CHARACTERS // (longest + 6)
        return min(max(room, 1), 3)


def success_of(scenario: Scenario, progress: Progress | None = None) -> SuccessPicture:
    """Curves of the plan's policies and, of other kinds of policy, of the best of each.

    Raises
    ------
    UsageError : where there is no plan, or one token budget serves all classes.
    """
    from ds3opt.explain.explain import settled

    found = settled(scenario, progress)
    if found is None:
        raise UsageError(
            Problem(
                "there are no policies to draw: no plan is feasible, it has no classes, or one "
                "token budget serves all of them",
                hint="use a scenario with task classes and reasoning.budgets: per_task",
            )
        )
    from ds3opt.explain.rivals import rivals_of
    from ds3opt.explain.setting import serves
    from ds3opt.explain.turning_points import typical_tasks

    setting, solution = found
    best = setting.menu()
    typical = typical_tasks(setting, best)
    rivals = rivals_of(setting, best, solution)
    every = setting.every_option()
    panels = []
    for number, task in enumerate(typical[:MOST_PANELS]):
        curves = []
        kinds: set[str] = set()
        for rival in rivals[number]:
            if not rival.chosen and rival.family in kinds:
                continue
            kinds.add(rival.family)
            # an existing model has a way of the same words for each class
            ways = [i for i, one in enumerate(setting.ways) if one.words == rival.policy]
            mine = np.flatnonzero((every.case == task) & np.isin(every.way, ways))
            order = mine[np.lexsort((every.success[mine], every.tokens[mine]))]
            if setting.problem.levels is not None:
                order = mine[np.lexsort((-every.success[mine], every.tokens[mine]))]
                order = order[_rising(every.success[order])]
            curves.append(
                PolicyCurve(rival.policy, rival.chosen, every.tokens[order], every.success[order])
            )
        rows = [row for row in solution.tasks if serves(row, setting.tasks, task)]
        plan = tuple((row.expected_tokens, row.accuracy) for row in rows)
        panels.append(ClassPanel(setting.tasks.group_names[number], tuple(curves), plan))
    return SuccessPicture(scenario.name, tuple(panels), len(typical) - len(panels))


def _rising(success: FloatArray) -> NDArray[np.bool_]:
    """Where a curve is above all before it: of the levels of a skill graph the best."""
    before = np.concatenate([[-1.0], np.maximum.accumulate(success)[:-1]])
    return np.asarray(success > before + _HARDLY)


def _grid(panels: int) -> tuple[int, int]:
    """Rows and columns of panels."""
    columns = 2 if panels in (2, 4) else min(panels, _COLUMNS)
    return math.ceil(panels / columns), columns


def draw(figure: Figure, picture: SuccessPicture) -> None:
    """Small panels with one scale of success, each policy with the same line in all of them."""
    rows, columns = _grid(len(picture.panels))
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    words = picture.words
    shown = []
    for number, axes in enumerate(grid.ravel()):
        if number >= len(picture.panels):
            axes.set_visible(False)
            continue
        panel = picture.panels[number]
        for one in panel.curves:
            curve(axes, one.tokens, 100.0 * one.success, words.index(one.words), one.words)
        for tokens, success in panel.plan:
            axes.plot(
                tokens,
                100.0 * success,
                linestyle="none",
                marker="*",
                markersize=13,
                color="black",
                markerfacecolor="white",
                label="the plan",
                zorder=5,
            )
        axes.set_xscale("log")
        axes.set_ylim(-4.0, 104.0)
        low, high = axes.get_xlim()
        if high < _NARROW * low:
            axes.set_xlim(low / _NARROW, high * _NARROW)
        engineering_ticks(axes.xaxis, "tokens")
        name_axes(
            axes,
            "Generated per task (tokens)",
            "Success (%)" if number % columns == 0 else "",
            panel.name,
        )
        shown.append(axes)
    more = f" ({picture.left_out} classes more are not shown)" if picture.left_out else ""
    figure.suptitle(f"{picture.title}{more}", x=0.01, ha="left", fontsize=10)
    legend_below(figure, shown, columns=picture.legend_columns)
