"""``ds3opt evaluate``: what a given model reaches."""

from __future__ import annotations

from typing import Annotated

import typer

from ds3opt.cli.arguments import (
    HardwarePath,
    Policies,
    ScenarioArgument,
    Settings,
    TokenBudgets,
    by_class,
    hardware_folders,
    quantity,
)
from ds3opt.cli.view import ALL_FORMATS, View, with_view


@with_view(*ALL_FORMATS)
def evaluate(
    view: View,
    scenario: ScenarioArgument,
    parameters: Annotated[
        str, typer.Option("--parameters", metavar="N", help="Model size, such as 8B.")
    ],
    training_tokens: Annotated[
        str | None,
        typer.Option(
            "--training-tokens",
            metavar="D",
            help="Training tokens, such as 15T; none: endless data.",
        ),
    ] = None,
    policy: Policies = None,
    token_budget: TokenBudgets = None,
    settings: Settings = None,
    hardware_path: HardwarePath = None,
) -> int:
    """Score a given model, with policies and token budgets as given or the best for it."""
    from ds3opt.cli.outcome import show_solution
    from ds3opt.io.loader import load_scenario

    size = quantity(parameters, "parameters", "--parameters")
    tokens = (
        None
        if training_tokens is None
        else quantity(training_tokens, "tokens", "--training-tokens")
    )
    policies = by_class(policy, "--policy")
    budgets = {
        name: quantity(text, "tokens", "--token-budget")
        for name, text in by_class(token_budget, "--token-budget").items()
    }
    loaded = load_scenario(scenario, settings or (), folders=hardware_folders(hardware_path))
    from ds3opt.optimise.evaluate import evaluate as score

    solution = score(
        loaded.scenario, size, tokens, policies=policies or None, token_budgets=budgets or None
    )
    return show_solution(view, solution, loaded)
