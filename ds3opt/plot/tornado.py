"""The tornado: what each uncertain constant does to the objective, model size and training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ds3opt.errors import Problem, UsageError
from ds3opt.optimise.solution import Solution, Status
from ds3opt.plot.canvas import bar_style, legend_below, name_axes
from ds3opt.plot.scales import axis_label, engineering_ticks, scale_of
from ds3opt.report.values import Interval, shown
from ds3opt.uncertainty.outcome import amounts_of
from ds3opt.uncertainty.sensitivity.tornado import Bar
from ds3opt.units import format_quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST = 16
"""Bars of a picture."""
_ROW_INCHES = 0.42
_DECADE = 8.0
"""Values further apart than this are drawn on a logarithmic axis."""
_TICKS = 4
_LONGEST = 44
"""Characters of a label."""


@dataclass(frozen=True)
class Panel:
    """One amount at both ends of every constant."""

    name: str
    point: float
    ends: tuple[tuple[float | None, float | None], ...]
    """(low end, high end) of each constant; None where there is no answer."""


@dataclass(frozen=True)
class TornadoPicture:
    """What the picture shows."""

    title: str
    labels: tuple[str, ...]
    """Of the constants, the widest bar first."""
    panels: tuple[Panel, ...]

    @property
    def height_inches(self) -> float:
        """Of a picture in which every bar has room."""
        return 1.7 + _ROW_INCHES * len(self.labels)


def tornado_of_bars(point: Solution, bars: Sequence[Bar]) -> TornadoPicture:
    """What there is to draw.

    Raises
    ------
    UsageError : where nothing is uncertain, or no allocation keeps the limits.
    """
    if point.status is Status.INFEASIBLE:
        raise UsageError("no allocation keeps the limits: there is nothing to draw")
    if not bars:
        hint = "give a number an interval, such as difficulty: {value: 2.4, interval: [2.3, 2.6]}"
        raise UsageError(Problem("nothing in the scenario is uncertain", hint=hint))
    amounts = amounts_of(point)
    names = ("objective", "parameters", "training_tokens")
    panels = [
        Panel(
            point.objective if name == "objective" else name,
            amounts[name],
            tuple(bar.amounts(name) for bar in bars[:_MOST]),
        )
        for name in names
        if name in amounts
    ]
    title = f"{point.scenario}: both ends of what is uncertain"
    return TornadoPicture(title, tuple(_label(bar) for bar in bars[:_MOST]), tuple(panels))


def _label(bar: Bar) -> str:
    name = bar.constant.label
    name = name if len(name) <= _LONGEST else name[: _LONGEST - 3] + "..."
    return f"{name}\n{shown(Interval(*bar.ends, bar.constant.dimension))}"


def draw(figure: Figure, picture: TornadoPicture) -> None:
    """One panel for each amount, bars from the point estimate to either end."""
    columns = len(picture.panels)
    grid = figure.subplots(1, columns, sharey=True, squeeze=False)
    panels: list[Axes] = list(grid[0])
    figure.suptitle(picture.title, x=0.01, ha="left", fontsize=10)
    places = range(len(picture.labels))
    for axes, panel in zip(panels, picture.panels, strict=True):
        _panel(axes, panel)
    panels[0].set_yticks(list(places), picture.labels)
    panels[0].set_ylim(len(picture.labels) - 0.5, -0.5)
    legend_below(figure, panels, columns=3)


def _panel(axes: Axes, panel: Panel) -> None:
    scale = scale_of(panel.name)
    counted = panel.name in ("parameters", "training_tokens") and panel.point > 0.0
    logarithmic = counted and _spans(panel) > _DECADE
    if logarithmic:
        axes.set_xscale("log")
    for end, words in ((0, "at the low end"), (1, "at the high end")):
        known = [(y, pair[end]) for y, pair in enumerate(panel.ends)]
        place = [y + (0.18 if end else -0.18) for y, value in known if value is not None]
        width = [scale * (value - panel.point) for _, value in known if value is not None]
        axes.barh(
            place, width, left=scale * panel.point, height=0.34, label=words, **bar_style(end)
        )
        for y, value in known:
            if value is None:
                axes.annotate(
                    "infeasible",
                    (scale * panel.point, y + (0.18 if end else -0.18)),
                    xytext=(3, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=7,
                )
    axes.axvline(scale * panel.point, color="#3d3d3d", linewidth=1.0, label="point estimate")
    name_axes(axes, axis_label(panel.name), "")
    axes.grid(visible=False, axis="y")
    if logarithmic:
        engineering_ticks(axes.xaxis, panel.name)
    elif counted:
        from matplotlib.ticker import FuncFormatter, MaxNLocator

        axes.xaxis.set_major_locator(MaxNLocator(_TICKS))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: format_quantity(x, "count")))


def _spans(panel: Panel) -> float:
    """The largest value over the smallest."""
    values = [panel.point, *(value for pair in panel.ends for value in pair if value is not None)]
    return max(values) / min(values)
