"""``ds3opt plot``: an answer as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ds3opt.cli.arguments import HardwarePath, Settings, hardware_folders
from ds3opt.cli.view import View, with_view
from ds3opt.errors import ExitCode, Problem, UsageError

if TYPE_CHECKING:
    from ds3opt.plot.canvas import PictureFormat

Kind = Literal["frontier", "classes", "contours", "success", "tornado"]


@with_view()
def plot(
    view: View,
    source: Annotated[
        str,
        typer.Argument(
            metavar="SCENARIO|RESULT", help="A scenario, or a result of solve or pareto in JSON."
        ),
    ],
    kind: Annotated[
        Kind,
        typer.Option(
            "--kind", metavar="KIND", help="frontier, classes, contours, success or tornado."
        ),
    ] = "frontier",
    settings: Settings = None,
    hardware_path: HardwarePath = None,
) -> int:
    """A picture, SVG or PNG as the ending of --output says; needs ds3opt[plot].

    frontier: the optimum over a limit, certified, and simple rules. classes: the allocation.
    contours: accuracy over training and inference compute. success: against tokens, by policy.
    tornado: the answer at both ends of what is uncertain.
    """
    from ds3opt.io.files import write_atomic
    from ds3opt.plot.canvas import picture_format_of, require_matplotlib

    if not view.to_file:
        hint = "such as -o frontier.svg or -o frontier.png"
        raise UsageError(Problem("a picture needs a file to be written to", hint=hint))
    form = picture_format_of(str(view.output))
    require_matplotlib()
    content = _picture(view, source, kind, form, settings, hardware_path)
    write_atomic(str(view.output), content, force=view.force)
    return ExitCode.DONE


def _picture(
    view: View,
    source: str,
    kind: Kind,
    form: PictureFormat,
    settings: list[str] | None,
    hardware_path: list[str] | None,
) -> bytes:
    from ds3opt.cli.progress import progress_bar
    from ds3opt.io.loader import load_scenario, resolve
    from ds3opt.plot.kinds import result_picture, scenario_picture

    if source.endswith(".json") and resolve(source) == source:
        data = _result(source)
        if data is not None:
            if settings:
                raise UsageError("--set goes with a scenario, not with a result")
            return result_picture(kind, data, form)
    loaded = load_scenario(source, settings or (), folders=hardware_folders(hardware_path))
    with progress_bar(view.quiet) as progress:
        return scenario_picture(kind, loaded.scenario, form, progress)


def _result(path: str) -> dict[str, Any] | None:
    """What a result of solve or of pareto holds; None for a scenario that is written in JSON."""
    import json

    from ds3opt.cli.check import read_result
    from ds3opt.io.files import read_text

    text = read_text(path)[0]
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return read_result(path, text)
    if isinstance(data, dict) and "workload" in data:
        return None
    if isinstance(data, dict) and "over" in data and "status" not in data:
        # a table of pareto is a result whose status stands in its rows
        text = json.dumps({**data, "status": "optimal"})
    return read_result(path, text)
