"""``ds3opt diff``: two scenarios or two results, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ds3opt.cli.arguments import HardwarePath, hardware_folders
from ds3opt.cli.view import View, with_view
from ds3opt.errors import ExitCode

if TYPE_CHECKING:
    from ds3opt.cli.progress import Callback

_SIDE = "A scenario, or a result of `ds3opt solve --format json`."


@with_view("table", "json", "markdown", without=("verbose",))
def diff(
    view: View,
    a: Annotated[str, typer.Argument(metavar="A", help=_SIDE)],
    b: Annotated[str, typer.Argument(metavar="B", help=_SIDE)],
    hardware_path: HardwarePath = None,
) -> int:
    """Old, new and change of outcome and allocation; exit 1 if they differ beyond tolerance."""
    from ds3opt.cli.comparison import difference_data, difference_table, drift_table
    from ds3opt.cli.progress import progress_bar
    from ds3opt.regression import compare
    from ds3opt.report.document import Document

    folders = hardware_folders(hardware_path)
    with progress_bar(view.quiet) as progress:
        old, new = (_result(side, folders, progress) for side in (a, b))
    drifts = compare(_comparable(old, new), _comparable(new, old))
    same = "the same within tolerance" if not drifts else "different"
    view.emit(
        Document(
            title=f"{a} and {b}: {same}",
            tables=(
                difference_table(old, new),
                drift_table("Beyond tolerance", [("", drift) for drift in drifts]),
            ),
            data=difference_data(old, new, drifts),
        )
    )
    return ExitCode.DRIFT if drifts else ExitCode.DONE


def _comparable(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Only what both sides have: a scenario is solved without frontier and baselines."""
    parts = ("frontier", "baselines")
    return {k: v for k, v in one.items() if k not in parts or (v and other.get(k))}


def _result(path: str, folders: list[Path], progress: Callback | None) -> dict[str, Any]:
    """The result that a file holds, or that its scenario has."""
    from ds3opt.cli.check import read_result
    from ds3opt.cli.outcome import version
    from ds3opt.io.files import read_text
    from ds3opt.io.loader import load_scenario, resolve
    from ds3opt.report.document import plain
    from ds3opt.report.solution_data import solution_data

    if path.endswith(".json") and resolve(path) == path:
        return read_result(path, read_text(path)[0])
    loaded = load_scenario(path, folders=folders)
    from ds3opt.optimise.solve import solve

    solution = solve(loaded.scenario, frontier=False, details=False, progress=progress)
    data: dict[str, Any] = plain(solution_data(solution, version=version(), sha256=loaded.sha256))
    return data
