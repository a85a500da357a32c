"""``ds3opt new``: a scenario to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ds3opt.cli.view import View, with_view
from ds3opt.errors import ExitCode

TEMPLATE = Path(__file__).with_name("template.yaml")


@with_view()
def new(
    view: View,
    source: Annotated[
        str | None, typer.Option("--from", metavar="NAME", help="Start from a shipped scenario.")
    ] = None,
) -> int:
    """A scenario to start from, with every key explained."""
    if source is None:
        from ds3opt.io.files import read_text

        text = read_text(TEMPLATE)[0]
    else:
        from ds3opt.cli.scenarios import shipped_text

        text = shipped_text(source)
    view.emit_text(text)
    return ExitCode.DONE
