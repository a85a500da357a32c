"""``ds3opt evaluate``: what a given model reaches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from ds3opt.cli.arguments import HardwarePath, ScenarioArgument, Settings, hardware_folders
from ds3opt.cli.view import ALL_FORMATS, View, with_view
from ds3opt.errors import Location, Problem, UsageError


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
    policy: Annotated[
        list[str] | None,
        typer.Option(
            "--policy",
            metavar="CLASS=POLICY",
            help="Policy of a class; left out: the best.",
        ),
    ] = None,
    token_budget: Annotated[
        list[str] | None,
        typer.Option(
            "--token-budget",
            metavar="CLASS=TOKENS",
            help="Token budget of a class; left out: the best.",
        ),
    ] = None,
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
    policies = _by_class(policy, "--policy")
    budgets = {
        name: quantity(text, "tokens", "--token-budget")
        for name, text in _by_class(token_budget, "--token-budget").items()
    }
    loaded = load_scenario(scenario, settings or (), folders=hardware_folders(hardware_path))
    from ds3opt.optimise.solve import evaluate as score

    solution = score(
        loaded.scenario, size, tokens, policies=policies or None, token_budgets=budgets or None
    )
    return show_solution(view, solution, loaded)


def quantity(text: str, dimension: str, option: str) -> float:
    """A quantity given as an option; UsageError, placed at the option, for what is none."""
    from ds3opt.units import UnitError, parse_quantity

    location = Location(option, 1, 1, text)
    try:
        value = parse_quantity(text, dimension)
    except UnitError as error:
        raise UsageError(Problem(error.message, hint=error.hint, location=location)) from None
    if value <= 0:
        raise UsageError(Problem("must be above 0", location=location))
    return value


def _by_class(texts: Sequence[str] | None, option: str) -> dict[str, str]:
    """``class=value`` pairs; each class at most once."""
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
