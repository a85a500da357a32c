"""``ds3opt new``: a scenario to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ds3opt.cli.view import View, with_view
from ds3opt.errors import ExitCode, Problem, UsageError

TEMPLATE = Path(__file__).with_name("template.yaml")
_TABLES = (".csv", ".tsv", ".txt")
_OTHERS = {
    ".xlsx": "save the sheet as CSV",
    ".xls": "save the sheet as CSV",
    ".ods": "save the sheet as CSV",
    ".yaml": "a scenario is edited in place; a shipped one is named without a suffix",
    ".yml": "a scenario is edited in place; a shipped one is named without a suffix",
}


@with_view()
def new(
    view: View,
    source: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="NAME|TABLE", help="A shipped scenario, or accuracies in a CSV file."
        ),
    ] = None,
) -> int:
    """A scenario to start from, with every key explained.

    From a CSV file of measured accuracies: a scenario whose classes of tasks are fitted to them.
    Columns are those of `ds3opt fit tasks`, and share, of the class in all tasks.
    """
    if source is None:
        from ds3opt.io.files import read_text

        text = read_text(TEMPLATE)[0]
    elif source == "-" or source.lower().endswith(_TABLES):
        from ds3opt.io.first_scenario import first_scenario

        text = first_scenario(source)
    elif (suffix := Path(source).suffix.lower()) in _OTHERS:
        message = f"--from takes a shipped scenario or a CSV file, not {source}"
        raise UsageError(Problem(message, hint=_OTHERS[suffix]))
    else:
        from ds3opt.cli.scenarios import shipped_text

        text = shipped_text(source)
    view.emit_text(text)
    return ExitCode.DONE
