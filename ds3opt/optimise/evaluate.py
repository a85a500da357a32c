"""A given model scored under a scenario."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ds3opt.errors import UsageError
from ds3opt.fleet import needs_fleet
from ds3opt.optimise.answer import mixed
from ds3opt.optimise.envelopes import room_for
from ds3opt.optimise.local import Neighbourhood
from ds3opt.optimise.optimum import Found, best_plans
from ds3opt.optimise.overrides import fixed_actions, with_policies
from ds3opt.optimise.plan_solution import no_solution, solution_of_model, solution_of_plan
from ds3opt.optimise.pretraining import PretrainingPlan
from ds3opt.optimise.solution import Solution, Status
from ds3opt.optimise.training import Training
from ds3opt.problem import Problem, compile_problem
from ds3opt.schema import Scenario


def evaluate(
    scenario: Scenario,
    parameters: float,
    training_tokens: float | None,
    *,
    policies: Mapping[str, str] | None = None,
    token_budgets: Mapping[str, float] | None = None,
) -> Solution:
    """Score a given model under a scenario; what is not given is chosen as well as possible.

    Parameters
    ----------
    parameters : model size. training_tokens : None for endless data, or with a skill graph for
        those of its ratio.
    policies : policy per class, such as ``best_of_n:8``. token_budgets : tokens per task and class.

    Raises
    ------
    UsageError : for a class or a policy that the scenario does not have.
    """
    if needs_fleet(scenario):
        from ds3opt.optimise.fleet.solve import evaluate_fleet

        return evaluate_fleet(
            scenario, parameters, training_tokens, policies=policies, token_budgets=token_budgets
        )
    problem = compile_problem(scenario)
    _as_measured(problem, parameters, training_tokens)
    given = training_tokens if training_tokens is not None else _tokens_unsaid(problem, parameters)
    space = replace(
        problem.space,
        parameters=(parameters, parameters),
        training_tokens=(given, given),
        tokens_per_parameter=(0.0, math.inf),
    )
    if problem.levels is not None:
        law = problem.levels.law.for_model(parameters, given)
        space = replace(space, law=law)
        problem = replace(problem, levels=replace(problem.levels, law=law))
    problem = replace(problem, space=space)
    training = Training(space)
    n, d = np.array([parameters]), np.array([given])
    loss = float(training.reached_loss(n, d)[0])
    spent = float(training.flop_of(n, d)[0])
    if problem.tasks is None:
        plan = PretrainingPlan(
            loss,
            loss,
            parameters,
            given,
            loss,
            spent,
            2.0 * parameters * problem.served_tokens,
        )
        solution = solution_of_model(replace(problem, objective="loss"), plan, details=False)
        return replace(solution, status=Status.EVALUATED, certificate=None)
    room = room_for(problem, problem.budgets, n, np.array([loss * (1.0 + 1e-12)]))
    if room[0] < 0.0:
        return no_solution(problem, problem.budgets)
    problem = with_policies(problem, policies or {})
    if problem.shared_budget:
        return _scored(_evaluate_shared(problem, token_budgets or {}), policies)
    actions = fixed_actions(problem, parameters, loss, token_budgets or {})
    mix = mixed(problem, actions, loss, parameters, float(room[0]))
    if mix is None:
        return no_solution(problem, problem.budgets)
    near = Neighbourhood(problem, problem.budgets, actions)
    found = Found(mix.value, mix.value, parameters, loss, neighbourhood=near, mix=mix)
    return _scored(solution_of_plan(problem, problem.budgets, found, details=False), policies)


def _scored(solution: Solution, policies: Mapping[str, str] | None) -> Solution:
    """An answer as a score; of policies that were not asked for there is nothing to say."""
    if solution.infeasibility is not None:
        return solution
    told = solution.warnings
    if policies:
        told = tuple(note for note in told if note.code != "policy_not_offered")
    return replace(solution, status=Status.EVALUATED, certificate=None, warnings=told)


def _tokens_unsaid(problem: Problem, parameters: float) -> float:
    """Training tokens where none are given: endless, or those of a skill graph's ratio."""
    if problem.levels is None:
        return math.inf
    ratio = problem.levels.law.tokens_per_parameter
    if ratio is None:
        raise UsageError("a skill graph whose ratio is free needs training tokens, too")
    return ratio * parameters


def _as_measured(problem: Problem, parameters: float, training_tokens: float | None) -> None:
    """Refuse another model than the one that classes were measured on."""
    space = problem.space
    if not problem.measured:
        return
    size = space.parameters[0]
    if abs(parameters / size - 1.0) > 1e-9:
        raise UsageError(
            f"a class was measured on a model of {size:.4g} parameters, which says nothing of one "
            f"of {parameters:.4g}"
        )
    if training_tokens is not None and space.infinite_data:
        raise UsageError("a class was measured on a model whose training the scenario leaves out")


def _evaluate_shared(problem: Problem, token_budgets: Mapping[str, float]) -> Solution:
    if token_budgets:
        least, most = min(token_budgets.values()), max(token_budgets.values())
        if least != most:
            raise UsageError("budgets: shared has one token budget for all classes")
        problem = replace(problem, token_budget=(least, most))
    (found,) = best_plans(problem, [problem.budgets], problem.gap)
    if not found.feasible:
        return no_solution(problem, problem.budgets)
    return solution_of_plan(problem, problem.budgets, found, details=False)
