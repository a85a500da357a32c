"""Arguments that several commands take."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ds3opt.errors import Problem, UsageError

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
HARDWARE_PATH = "DS3OPT_HARDWARE_PATH"
HardwarePath = Annotated[
    list[str] | None,
    typer.Option(
        "--hardware-path",
        metavar="FOLDER",
        help=f"Where hardware is described, before the shipped; also {HARDWARE_PATH}.",
    ),
]


def hardware_folders(given: Sequence[str] | None) -> list[Path]:
    """Folders of hardware in the order of search: of the option, then of the environment.

    Raises
    ------
    UsageError : naming a folder that is not there.
    """
    asked = [(folder, "--hardware-path") for folder in given or ()]
    listed = os.environ.get(HARDWARE_PATH, "").split(os.pathsep)
    asked += [(folder, HARDWARE_PATH) for folder in listed if folder]
    missing = [
        Problem(f"there is no folder {folder}", hint=f"it is asked for by {origin}")
        for folder, origin in asked
        if not os.path.isdir(folder)
    ]
    if missing:
        raise UsageError(*missing)
    return [Path(folder) for folder, _ in asked]
