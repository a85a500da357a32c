"""From a solution to its exit code, and the word on standard error that goes with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ds3opt.errors import ExitCode

if TYPE_CHECKING:
    from ds3opt.cli.view import View
    from ds3opt.io.loader import LoadedScenario
    from ds3opt.optimise.solution import Solution


def version() -> str:
    """The installed version of ds3opt."""
    from importlib.metadata import version as installed

    return installed("ds3opt")


def show_solution(view: View, solution: Solution, loaded: LoadedScenario) -> int:
    """Emit a solution; the exit code says whether it is an answer."""
    from ds3opt.report.solution_document import solution_document

    document = solution_document(
        solution, version=version(), sha256=loaded.sha256, every_row=view.verbose
    )
    view.emit(document)
    code = exit_code(solution)
    if code != ExitCode.DONE and not view.for_people:
        why = solution.infeasibility.message if solution.infeasibility else ""
        view.say(f"ds3opt: {solution.status.value}" + (f": {why}" if why else ""))
    return code


def exit_code(solution: Solution) -> ExitCode:
    """What a script sees of a status."""
    return {
        "infeasible": ExitCode.INFEASIBLE,
        "not_converged": ExitCode.GAP_NOT_REACHED,
    }.get(solution.status.code, ExitCode.DONE)
