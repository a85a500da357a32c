"""``ds3opt explain``: why the answer to a scenario is what it is."""

from __future__ import annotations

from typing import Annotated

import typer

from ds3opt.cli.arguments import HardwarePath, ScenarioArgument, Settings, hardware_folders
from ds3opt.cli.view import ALL_FORMATS, View, with_view
from ds3opt.errors import Problem, UsageError


@with_view(*ALL_FORMATS)
def explain(
    view: View,
    scenario: ScenarioArgument,
    parameters: Annotated[
        str | None,
        typer.Option(
            "--parameters", metavar="N", help="Explain this model size instead, such as 8B."
        ),
    ] = None,
    training_tokens: Annotated[
        str | None,
        typer.Option("--training-tokens", metavar="D", help="Its training tokens, such as 15T."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Leave out training against inference.")
    ] = False,
    settings: Settings = None,
    hardware_path: HardwarePath = None,
) -> int:
    """Why this plan: rivals of each policy, what holds classes back, what would change the choice.

    Losses and gains are bounds for the plan's model at its prices. Exit codes as of solve.
    """
    from ds3opt.cli.arguments import quantity
    from ds3opt.cli.outcome import exit_code, version
    from ds3opt.cli.progress import progress_bar
    from ds3opt.io.loader import load_scenario

    if training_tokens is not None and parameters is None:
        hint = "give --parameters as well, such as 8B"
        raise UsageError(Problem("--training-tokens needs a model size", hint=hint))
    size = None if parameters is None else quantity(parameters, "parameters", "--parameters")
    tokens = (
        None
        if training_tokens is None
        else quantity(training_tokens, "tokens", "--training-tokens")
    )
    loaded = load_scenario(scenario, settings or (), folders=hardware_folders(hardware_path))
    from ds3opt.explain.explain import explain as explained
    from ds3opt.report.explanation_document import explanation_document

    with progress_bar(view.quiet) as progress:
        found = explained(
            loaded.scenario,
            parameters=size,
            training_tokens=tokens,
            exchange=not quick,
            progress=progress,
        )
    view.emit(
        explanation_document(found, version=version(), sha256=loaded.sha256, every_row=view.verbose)
    )
    return exit_code(found.solution)
