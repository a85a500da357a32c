"""A fleet on which a user fixes the model, and policies or token budgets of some classes."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from ds3opt.fleet import Fleet, compile_fleet
from ds3opt.fleet.models import one_model
from ds3opt.optimise.fleet.options import STEPS_PER_OCTAVE
from ds3opt.optimise.fleet.plans import FleetSearch
from ds3opt.optimise.menu import Actions, first_actions
from ds3opt.optimise.overrides import budgeted_actions, with_policies
from ds3opt.schema import Scenario


def search_as_given(
    scenario: Scenario,
    parameters: float,
    training_tokens: float | None,
    policies: Mapping[str, str],
    token_budgets: Mapping[str, float],
) -> FleetSearch:
    """The search in which only what is not given is left to choose.

    A class whose policy or token budget is given is answered by the given model, not by others.

    Parameters
    ----------
    training_tokens : None where the scenario's data is infinite.
    policies, token_budgets : by class; the tokens of one task.

    Raises
    ------
    UsageError : for an unknown class or policy.
    """
    tokens = training_tokens if training_tokens is not None else math.inf
    fleet = compile_fleet(scenario, one_model(scenario, parameters))
    space = replace(
        fleet.problem.space,
        parameters=(parameters, parameters),
        training_tokens=(tokens, tokens),
        tokens_per_parameter=(0.0, math.inf),
    )
    problem = with_policies(replace(fleet.problem, space=space), policies)
    fixed, free = budgeted_actions(problem, token_budgets)
    every = first_actions(problem, STEPS_PER_OCTAVE)
    actions = Actions.joined([fixed, every.take(free[every.task])])
    fleet = _without_others(replace(fleet, problem=problem), {*policies, *token_budgets})
    return FleetSearch(fleet, actions=actions if token_budgets else None)


def _without_others(fleet: Fleet, classes: Collection[str]) -> Fleet:
    """The fleet without offers of existing models to some classes."""
    kept = np.array([name not in classes for name in fleet.tasks.group_names], dtype=bool)
    offered = fleet.offered
    if offered is not None:
        offered = offered.take(kept[fleet.tasks.group[offered.task]])
    return replace(
        fleet,
        offered=offered if offered is not None and len(offered) else None,
        known=tuple(replace(model, classes=model.classes & kept) for model in fleet.known),
    )
