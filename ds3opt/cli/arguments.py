"""Arguments that several commands take."""

from __future__ import annotations

from typing import Annotated

import typer

ScenarioArgument = Annotated[
    str,
    typer.Argument(
        metavar="SCENARIO",
        help="A file, - for standard input, or a shipped scenario.",
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Replace or add a value; may be repeated.",
    ),
]
