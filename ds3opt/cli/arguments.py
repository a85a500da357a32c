"""Arguments that several commands take."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ds3opt.errors import Location, Problem, UsageError

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
Policies = Annotated[
    list[str] | None,
    typer.Option(
        "--policy",
        metavar="CLASS=POLICY",
        help="Policy of a class; left out: the best.",
    ),
]
TokenBudgets = Annotated[
    list[str] | None,
    typer.Option(
        "--token-budget",
        metavar="CLASS=TOKENS",
        help="Token budget of a class; left out: the best.",
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


def quantity(text: str, dimension: str, option: str) -> float:
    """A positive quantity that an option was given.

    Raises
    ------
    UsageError : placed at the option.
    """
    from ds3opt.units import UnitError, parse_quantity

    location = Location(option, 1, 1, text)
    try:
        value = parse_quantity(text, dimension)
    except UnitError as error:
        raise UsageError(Problem(error.message, hint=error.hint, location=location)) from None
    if value <= 0:
        raise UsageError(Problem("must be above 0", location=location))
    return value


def by_class(texts: Sequence[str] | None, option: str) -> dict[str, str]:
    """``class=value`` pairs; each class at most once.

    Raises
    ------
    UsageError : placed at the option.
    """
    pairs: dict[str, str] = {}
    for text in texts or ():
        name, equals, value = (part.strip() for part in text.rpartition("="))
        location = Location(option, 1, 1, text)
        if not (equals and name and value):
            hint = f"write {option} class=value"
            raise UsageError(Problem('a "=" is missing', hint=hint, location=location))
        if name in pairs:
            raise UsageError(Problem(f"{name} is given twice", location=location))
        pairs[name] = value
    return pairs
