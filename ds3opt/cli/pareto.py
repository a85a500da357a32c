"""``ds3opt pareto``: the optimum over a range of one key."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from ds3opt.cli.arguments import HardwarePath, ScenarioArgument, Settings, hardware_folders
from ds3opt.cli.view import ALL_FORMATS, View, with_view
from ds3opt.errors import Ds3optError, ExitCode

if TYPE_CHECKING:
    from ds3opt.cli.progress import Callback
    from ds3opt.cli.vary import Variation
    from ds3opt.io.loader import LoadedScenario
    from ds3opt.optimise.solution import FrontierPoint, Note, Solution
    from ds3opt.schema import Scenario


@with_view(*ALL_FORMATS, without=("verbose",))
def pareto(
    view: View,
    scenario: ScenarioArgument,
    vary: Annotated[
        str,
        typer.Option(
            "--vary",
            metavar="PATH=RANGE",
            help="from:to:points, lin:from:to:points or a,b,c.",
        ),
    ],
    settings: Settings = None,
    hardware_path: HardwarePath = None,
) -> int:
    """The optimum for each value of a key: a limit, or any other number of the scenario.

    A range is log spaced unless lin: says otherwise. Exit code 4 where a row stopped before the
    requested gap, 3 where no row is feasible.
    """
    from ds3opt.cli.outcome import version
    from ds3opt.cli.progress import progress_bar
    from ds3opt.cli.vary import parse_variation
    from ds3opt.io.loader import load_scenario
    from ds3opt.report.pareto_document import pareto_document

    variation = parse_variation(vary)
    loaded = load_scenario(scenario, settings or (), folders=hardware_folders(hardware_path))
    with progress_bar(view.quiet) as progress:
        solution = _over_limit(loaded, variation, progress)
        if solution is None:
            solution = _over_key(loaded, variation, progress)
    view.emit(pareto_document(solution, version=version(), sha256=loaded.sha256))
    return _exit_code(solution)


def _over_limit(
    loaded: LoadedScenario, variation: Variation, progress: Callback | None
) -> Solution | None:
    """The frontier that the optimiser makes itself, in one go; None where it is not meant for."""
    from ds3opt.io.loader import validate
    from ds3opt.io.overrides import apply_overrides
    from ds3opt.optimise.solve import solve
    from ds3opt.schema.limits import LIMITS

    limit = variation.path.startswith("limits.") and variation.path[7:] in LIMITS
    if not limit or not variation.log_grid:
        return None
    over = variation.path.removeprefix("limits.")
    first, last = variation.written[0], variation.written[-1]
    points = len(variation.written)
    text = f"frontier={{over: {over}, from: {first}, to: {last}, points: {points}}}"
    scenario = validate(apply_overrides(loaded.source, [text]), loaded.folders)
    solution = solve(scenario, frontier=True, details=False, progress=progress)
    if not solution.frontier:
        return None
    return replace(solution, warnings=_notes_on_rows(scenario, solution))


def _notes_on_rows(scenario: Scenario, solution: Solution) -> tuple[Note, ...]:
    """Warnings about the rows of the frontier, not about the optimum at the scenario's limits."""
    from ds3opt.optimise.notes import notes_for
    from ds3opt.problem import compile_problem

    problem = compile_problem(scenario)
    return _distinct(
        note
        for point in solution.frontier
        if point.parameters is not None and point.training_tokens is not None
        for note in notes_for(problem, point.parameters, point.training_tokens)
    )


def _distinct(notes: Iterable[Note]) -> tuple[Note, ...]:
    """The first of the notes that say the same with other numbers."""
    first: dict[tuple[str, str, str], Note] = {}
    for note in notes:
        words = re.sub(r"\d\S*", "", note.message.split(":")[0])
        first.setdefault((note.code, note.path, words), note)
    return tuple(first.values())


def _over_key(loaded: LoadedScenario, variation: Variation, progress: Callback | None) -> Solution:
    """One solve for each value."""
    solutions = list(_solutions(loaded, variation, progress))
    notes = _distinct(note for one in solutions for note in one.warnings)
    points = tuple(map(_point, variation.values, solutions))
    return replace(
        solutions[0],
        frontier_over=variation.path,
        frontier=points,
        warnings=notes,
    )


def _solutions(
    loaded: LoadedScenario, variation: Variation, progress: Callback | None
) -> Iterator[Solution]:
    from ds3opt.io.loader import validate
    from ds3opt.io.overrides import apply_overrides
    from ds3opt.optimise.solve import solve

    settings = [f"{variation.path}={written}" for written in variation.written]
    try:
        scenarios = [
            validate(apply_overrides(loaded.source, [text]), loaded.folders) for text in settings
        ]
    except Ds3optError as error:
        raise _placed(error) from None
    for index, scenario in enumerate(scenarios):
        if progress is not None:
            progress(settings[index], index / len(scenarios))
        yield solve(scenario, frontier=False, details=False)


def _placed(error: Ds3optError) -> Ds3optError:
    """The problems, located at ``--vary`` rather than at the setting it was turned into."""
    return type(error)(
        *(
            replace(problem, location=replace(problem.location, source="--vary"))
            if problem.location and problem.location.source == "--set #1"
            else problem
            for problem in error.problems
        )
    )


def _point(value: float, solution: Solution) -> FrontierPoint:
    from ds3opt.optimise.solution import FrontierPoint
    from ds3opt.report.solution_data import mean_tokens
    from ds3opt.report.words import achieved, is_maximised

    certificate = solution.certificate
    other = None
    if certificate is not None:
        maximised = is_maximised(solution.objective)
        other = certificate.upper if maximised else certificate.lower
    return FrontierPoint(
        limit=value,
        status=solution.status,
        objective=achieved(solution),
        upper=other,
        parameters=solution.parameters,
        training_tokens=solution.training_tokens,
        training_flop=solution.training_flop,
        inference_flop=solution.inference_flop,
        expected_tokens=mean_tokens(solution),
    )


def _exit_code(solution: Solution) -> ExitCode:
    states = {point.status.code for point in solution.frontier}
    if states == {"infeasible"}:
        return ExitCode.INFEASIBLE
    return ExitCode.GAP_NOT_REACHED if "not_converged" in states else ExitCode.DONE
