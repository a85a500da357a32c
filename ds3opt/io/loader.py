"""From a file to a checked scenario: reading, overrides, validation, catalogues of scenarios."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

from pydantic import ValidationError

from ds3opt.errors import Problem, ScenarioError, UsageError
from ds3opt.fleet import compile_fleet, needs_fleet
from ds3opt.io.catalogue import catalogue_folder as catalogue_folder
from ds3opt.io.diagnostics import field_names_at, problems_from_validation
from ds3opt.io.files import read_text
from ds3opt.io.observed import with_fitted_classes
from ds3opt.io.overrides import apply_overrides
from ds3opt.io.references import with_references
from ds3opt.io.uncertain_numbers import of_named_maps, point_data
from ds3opt.io.yaml_source import YamlSource, load_yaml
from ds3opt.schema import Scenario


@dataclass(frozen=True)
class LoadedScenario:
    """A checked scenario and where it came from."""

    scenario: Scenario
    source: YamlSource
    name: str
    """The file as the user named it."""
    sha256: str
    """Hash of the text and the overrides."""
    path: Path | None
    folders: tuple[Path, ...] = ()
    """Searched for what the scenario names, its own first."""


def load_scenario(
    path: str,
    overrides: Sequence[str] = (),
    *,
    stdin: TextIO | None = None,
    folders: Sequence[str | Path] = (),
) -> LoadedScenario:
    """Read and check a scenario.

    Parameters
    ----------
    path : a file, ``-`` for standard input, or the name of a scenario of the catalogue.
    overrides : ``path=value`` settings, as ``--set`` takes them.
    folders : searched for accelerators and models after the scenario's own.

    Raises
    ------
    UsageError, ScenarioError : with every problem found, each at its place.
    """
    found = resolve(path)
    text, name = read_text(found, stdin)
    digest = hashlib.sha256("\0".join([text, *overrides]).encode()).hexdigest()
    source = apply_overrides(load_yaml(text, name), overrides)
    own = Path() if path == "-" else Path(found).parent
    searched = (own, *map(Path, folders))
    return LoadedScenario(
        scenario=validate(source, searched),
        source=source,
        name=name,
        sha256=digest,
        path=None if path == "-" else Path(found),
        folders=searched,
    )


def validate(source: YamlSource, folders: Sequence[str | Path] = ()) -> Scenario:
    """Check data against the scenario's schema, and that nothing is missing that it needs.

    Parameters
    ----------
    folders : searched for what the scenario names, the scenario's own first.

    Raises
    ------
    ScenarioError : every problem at once.
    """
    point = point_data(source, folders)
    data = with_references(source, folders, point.data)
    try:
        scenario = Scenario.model_validate(data)
    except ValidationError as error:
        problems = problems_from_validation(
            error, source, lambda path: field_names_at(Scenario, path)
        )
        raise ScenarioError(*problems) from None
    scenario = with_fitted_classes(scenario, source)
    for path, part in (("", scenario), ("frontier.over", _at_end_of_frontier(scenario))):
        if part is None or not needs_fleet(part):
            continue
        try:
            compile_fleet(part)
        except ScenarioError as error:
            raise ScenarioError(*(_located(p, source, path) for p in error.problems)) from None
    return scenario.with_uncertain((*point.uncertain, *of_named_maps(source, folders)))


def _at_end_of_frontier(scenario: Scenario) -> Scenario | None:
    """The scenario with the limit that its frontier adds; None where that adds none."""
    frontier = scenario.frontier
    if frontier is None or frontier.over in scenario.limits.given():
        return None
    limits = scenario.limits.model_copy(update={frontier.over: frontier.to})
    return scenario.model_copy(update={"limits": limits, "frontier": None})


def _located(problem: Problem, source: YamlSource, limit: str = "") -> Problem:
    """A problem at the place of its key, or of the nearest key above it.

    `limit` is the key that sets the limit in place of those of `limits`, if one does.
    """
    if limit and problem.path.startswith("limits."):
        problem = replace(problem, path=limit)
    steps = [s for s in re.split(r"[.\[\]]", problem.path) if s]
    path = tuple(int(s) if s.isdecimal() else s for s in steps)
    return replace(problem, location=problem.location or source.location(path, key=True))


def catalogue() -> dict[str, Path]:
    """The shipped scenarios by name."""
    return {path.stem: path for path in sorted(catalogue_folder("scenarios").glob("*.yaml"))}


def resolve(path: str) -> str:
    """A path as it is, or the file of a shipped scenario that is named without a suffix."""
    if path == "-" or os.path.exists(path):  # Path.exists raises for names too long
        return path
    shipped = catalogue()
    if path in shipped:
        return str(shipped[path])
    if not path.endswith((".yaml", ".yml")) and "/" not in path:
        import difflib

        near = difflib.get_close_matches(path, shipped, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UsageError(
            Problem(
                f"there is no file and no shipped scenario named {path!r}",
                hint=f"{hint}`ds3opt scenarios list` names the shipped ones",
            )
        )
    return path
