"""The kinds of picture; KINDS is the one place that lists them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ds3opt.errors import Problem, UsageError
from ds3opt.plot import classes, contours, frontier, success, tornado
from ds3opt.plot.canvas import PictureFormat, picture
from ds3opt.schema import Scenario

if TYPE_CHECKING:
    from ds3opt.optimise.solution import Solution
    from ds3opt.uncertainty.sensitivity.tornado import Bar

Progress = Callable[[str, float], None]

KINDS = ("frontier", "classes", "contours", "success", "tornado")
_NEED_SCENARIO = ("contours", "success", "tornado")


def scenario_picture(
    kind: str, scenario: Scenario, picture_format: PictureFormat, progress: Progress | None = None
) -> bytes:
    """A picture of a scenario, which is solved for it.

    Raises
    ------
    UsageError : where the scenario has nothing of the kind.
    """
    if kind == "frontier":
        return _frontier(frontier.frontier_of(scenario, progress), picture_format)
    if kind == "classes":
        from ds3opt.optimise.solve import solve
        from ds3opt.report.solution_data import solution_data

        solution = solve(scenario, frontier=False, details=False, progress=progress)
        return _classes(
            classes.classes_of_result(solution_data(solution, version="", sha256="")),
            picture_format,
        )
    if kind == "contours":
        around = contours.contours_of(scenario, progress)
        return picture(partial(contours.draw, picture=around), picture_format, height_inches=5.2)
    if kind == "tornado":
        from ds3opt.uncertainty.sensitivity.study import tornado_of

        return tornado_picture(*tornado_of(scenario, progress=progress), picture_format)
    shown = success.success_of(scenario, progress)
    width, height = shown.size_inches
    return picture(
        partial(success.draw, picture=shown),
        picture_format,
        width_inches=width,
        height_inches=height,
    )


def tornado_picture(point: Solution, bars: Sequence[Bar], picture_format: PictureFormat) -> bytes:
    """A picture of the answer at both ends of what is uncertain.

    Raises
    ------
    UsageError : where nothing is uncertain, or no allocation keeps the limits.
    """
    around = tornado.tornado_of_bars(point, bars)
    return picture(
        partial(tornado.draw, picture=around),
        picture_format,
        width_inches=8.6,
        height_inches=around.height_inches,
    )


def result_picture(kind: str, data: Mapping[str, Any], picture_format: PictureFormat) -> bytes:
    """A picture of a result that was kept.

    Raises
    ------
    UsageError : where the result does not hold what the picture shows.
    """
    if kind in _NEED_SCENARIO:
        raise UsageError(
            Problem(f"a result does not hold what {kind} show", hint="give the scenario instead")
        )
    if kind == "frontier":
        return _frontier(frontier.frontier_of_result(data), picture_format)
    return _classes(classes.classes_of_result(data), picture_format)


def _frontier(shown: frontier.FrontierPicture, picture_format: PictureFormat) -> bytes:
    return picture(partial(frontier.draw, picture=shown), picture_format)


def _classes(shown: classes.ClassesPicture, picture_format: PictureFormat) -> bytes:
    return picture(
        partial(classes.draw, picture=shown),
        picture_format,
        width_inches=8.6,
        height_inches=shown.height_inches,
    )
