"""``ds3opt solve``: the optimum of a scenario."""

from __future__ import annotations

from typing import Annotated

import typer

from ds3opt.cli.arguments import HardwarePath, ScenarioArgument, Settings, hardware_folders
from ds3opt.cli.draws import Draws, RobustChoice, Seed, Workers, needs_draws, solve_over_draws
from ds3opt.cli.view import ALL_FORMATS, View, with_view


@with_view(*ALL_FORMATS)
def solve(
    view: View,
    scenario: ScenarioArgument,
    settings: Settings = None,
    hardware_path: HardwarePath = None,
    no_frontier: Annotated[
        bool, typer.Option("--no-frontier", help="Leave out the Pareto table.")
    ] = False,
    draws: Draws = None,
    seed: Seed = 0,
    robust: RobustChoice = "mean",
    workers: Workers = None,
) -> int:
    """The best allocation under the limits, with its certificate and what a planner asks next.

    Exit code 3 where nothing is feasible, 4 where the answer stopped before the requested gap.
    Rows of the Pareto table that did are counted below it and do not change the exit code.
    """
    from ds3opt.cli.outcome import show_solution
    from ds3opt.cli.progress import progress_bar
    from ds3opt.io.loader import load_scenario

    needs_draws(draws, seed=seed != 0, robust=robust != "mean", workers=workers is not None)
    loaded = load_scenario(scenario, settings or (), folders=hardware_folders(hardware_path))
    if draws is not None:
        return solve_over_draws(
            view, loaded, draws, seed, frontier=not no_frontier, robust=robust, workers=workers
        )
    from ds3opt.optimise.solve import solve as optimum

    with progress_bar(view.quiet) as progress:
        solution = optimum(loaded.scenario, frontier=not no_frontier, progress=progress)
    return show_solution(view, solution, loaded)
