"""From a scenario to its explanation: solve or score it, then ask of the plan what might change."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ds3opt.explain.branching import Served, branching_of, depths_of
from ds3opt.explain.exchange import exchange_of, fleet_exchange_of, saturated
from ds3opt.explain.explanation import ClassExplanation, Explanation
from ds3opt.explain.fleet_setting import FleetSetting
from ds3opt.explain.mechanisms import mechanisms_of
from ds3opt.explain.rivals import rivals_of
from ds3opt.explain.setting import FlopSetting, Setting, serves, with_model
from ds3opt.explain.turning_points import turning_points_of, typical_tasks
from ds3opt.fleet import compile_fleet, needs_fleet
from ds3opt.optimise.answer import Mix, mixed
from ds3opt.optimise.envelopes import room_for
from ds3opt.optimise.evaluate import evaluate
from ds3opt.optimise.fleet.solve import FleetPlan, mix_for_model, solved_mix
from ds3opt.optimise.overrides import fixed_actions
from ds3opt.optimise.solution import Solution
from ds3opt.optimise.solve import solve
from ds3opt.optimise.training import Training
from ds3opt.problem import Problem, compile_problem
from ds3opt.schema import Scenario

Progress = Callable[[str, float], None]


def explain(
    scenario: Scenario,
    *,
    parameters: float | None = None,
    training_tokens: float | None = None,
    exchange: bool = True,
    progress: Progress | None = None,
) -> Explanation:
    """Why the answer to a scenario is what it is.

    Parameters
    ----------
    parameters, training_tokens : a model to be scored instead of the optimum, as in `evaluate`.
    exchange : also what training is worth in inference, which takes more solves than the answer.
    progress : called with a stage and the fraction of it that is done.
    """
    if needs_fleet(scenario):
        return _on_fleet(scenario, parameters, training_tokens, exchange, progress)
    if parameters is None:
        solution = solve(scenario, frontier=False, progress=progress)
    else:
        solution = evaluate(scenario, parameters, training_tokens)
    if not solution.tasks:
        return Explanation(solution, solution.objective, 0.0, not_applicable=_why_nothing(solution))
    problem = compile_problem(scenario)
    if problem.shared_budget:
        from ds3opt.explain.shared import shared_explanation

        found = shared_explanation(problem, solution)
    else:
        setting = flop_setting(problem, solution)
        found = _of_setting(setting, scenario, solution, progress)
        share = setting.price / (2.0 * setting.parameters) / max(problem.tasks_served, 1e-300)
        spent = (solution.inference_flop or 0.0) * share
        found = replace(found, price_per_percent=0.01 * spent)
    return _with_exchange(
        found,
        exchange,
        solution,
        lambda: exchange_of(problem, solution, progress),
        _follows(problem),
    )


def _follows(problem: Problem) -> str:
    """Why inference has no choice once training is known; empty where it has."""
    ratio, budget = problem.space.tokens_per_parameter, problem.token_budget
    given = problem.shared_budget and budget[0] == budget[1] and ratio[0] == ratio[1]
    return "the scenario gives the token budget and the ratio of training" if given else ""


def _why_nothing(solution: Solution) -> tuple[str, ...]:
    if solution.infeasibility is not None:
        return ("the scenario is infeasible: there is no plan to explain",)
    return ("an objective of pretraining loss has no classes and no policies to explain",)


def _with_exchange(
    found: Explanation,
    asked: bool,
    solution: Solution,
    rates: Callable[[], object],
    follows: str = "",
) -> Explanation:
    told = list(found.not_applicable)
    rate = None
    if not solution.training_flop:
        told.append("training against inference: nothing is trained, or data is endless and free")
    elif follows:
        told.append(f"training against inference: {follows}")
    elif saturated(solution):
        told.append("training against inference: everything is solved, so more changes nothing")
    elif asked:
        rate = rates()
        if rate is None:
            told.append("training against inference: the limits allow no other amount of training")
    else:
        told.append("training against inference: left out, as asked")
    return replace(found, exchange=rate, not_applicable=tuple(told))  # type: ignore[arg-type]


# -- in FLOP ----------------------------------------------------------------------------------


def flop_setting(problem: Problem, solution: Solution, mix: Mix | None = None) -> FlopSetting:
    """The plan's model, and the price of compute at its margin.

    `mix` is what serves its tasks, where that is known already.
    """
    tasks = problem.tasks
    assert tasks is not None
    size = solution.parameters
    assert size is not None
    there = with_model(problem, solution)
    loss = solution.loss
    if loss is None:  # on a skill graph, or where every class was measured
        one, tokens = np.array([size]), np.array([there.space.training_tokens[0]])
        loss = float(Training(there.space).reached_loss(one, tokens)[0])
    if mix is None:
        mix = _mix_of(there, solution, size, loss)
    price = 0.0 if mix is None else mix.price
    worth = tasks.value if mix is None else tasks.value + mix.group_prices[tasks.group]
    flop = np.zeros(len(tasks.group_names))
    for row in solution.tasks:
        flop[tasks.group_names.index(row.name)] += row.inference_flop
    paid = price * flop / (2.0 * size * problem.tasks_served)
    return FlopSetting(there, size, loss, price, worth, paid, reasoning=_reasoning(there, mix))


def _mix_of(problem: Problem, solution: Solution, parameters: float, loss: float) -> Mix | None:
    """What serves the tasks of a plan, where the problem has nothing but its model."""
    budgets = problem.budgets
    if problem.target_accuracy is not None and solution.certificate is not None:
        budgets = budgets.with_limit(problem.objective, solution.certificate.upper)
    spared = np.array([loss * (1.0 + 1e-12)])
    room = room_for(problem, budgets, np.array([parameters]), spared)
    actions = fixed_actions(problem, parameters, loss, {})
    return mixed(problem, actions, loss, parameters, max(float(room[0]), 0.0))


def _reasoning(problem: Problem, mix: Mix | None) -> NDArray[np.intp] | None:
    """Level at which most of each task is reasoned, 0 where none is; None without a graph."""
    if problem.levels is None:
        return None
    assert problem.tasks is not None
    found = np.zeros(len(problem.tasks), dtype=np.intp)
    if mix is not None:
        used = np.flatnonzero(mix.amount > 0.0)
        used = used[np.argsort(mix.amount[used], kind="stable")]
        found[mix.actions.task[used]] = problem.levels.reasoning[mix.actions.policy[used]]
    return found


# -- on hardware ------------------------------------------------------------------------------


def _on_fleet(
    scenario: Scenario,
    parameters: float | None,
    training_tokens: float | None,
    exchange: bool,
    progress: Progress | None,
) -> Explanation:
    if parameters is None:
        found = solved_mix(scenario, progress=progress)
    else:
        found = mix_for_model(scenario, parameters, training_tokens)
    solution = found.solution
    setting = fleet_setting(scenario, found)
    if setting is None:
        return Explanation(solution, solution.objective, 0.0, not_applicable=_why_nothing(solution))
    explained = _of_setting(setting, scenario, solution, progress)
    if exchange and solution.training_flop and not saturated(solution):
        contour = "the accuracy contour: it is followed in scenarios of FLOP alone"
        explained = replace(explained, not_applicable=(*explained.not_applicable, contour))
    explained = replace(
        explained, price_per_percent=0.01 * float(setting.paid.sum()) / setting.unit
    )
    return _with_exchange(
        explained, exchange, solution, lambda: fleet_exchange_of(scenario, solution, progress)
    )


def fleet_setting(scenario: Scenario, found: FleetPlan) -> FleetSetting | None:
    """The plan's model, and the prices of its limits; None where there is no plan."""
    if found.mix is None or found.ledger is None:
        return None
    raw = compile_fleet(scenario, found.search.fleet.models)
    raw = replace(raw, problem=replace(raw.problem, space=found.search.fleet.problem.space))
    setting = FleetSetting.of(raw, found.search, found.ledger, found.mix)
    main = max(found.solution.tasks, key=lambda row: row.inference_flop)
    losses = {one.name: one.loss for one in raw.known}
    return replace(setting, known_loss=losses.get(main.model or "", math.nan))


# -- in both ----------------------------------------------------------------------------------


def settled(
    scenario: Scenario, progress: Progress | None = None
) -> tuple[Setting, Solution] | None:
    """A scenario's plan with its model and prices; None where it has no classes of its own."""
    if needs_fleet(scenario):
        found = solved_mix(scenario, details=False, progress=progress)
        setting = fleet_setting(scenario, found)
        return None if setting is None else (setting, found.solution)
    problem = compile_problem(scenario)
    if problem.tasks is None or problem.shared_budget:
        return None
    solution = solve(scenario, frontier=False, details=False, progress=progress)
    return (flop_setting(problem, solution), solution) if solution.tasks else None


def _of_setting(
    setting: Setting, scenario: Scenario, solution: Solution, progress: Progress | None
) -> Explanation:
    menu = setting.menu()
    rivals = rivals_of(setting, menu, solution)
    mechanisms = mechanisms_of(setting, menu, scenario, solution, progress)
    typical = typical_tasks(setting, menu)
    if progress is not None:
        progress("what would change the policy", 0.0)
    main = [_policy(solution, name) for name in setting.tasks.group_names]
    families = {way.words: way.family for way in setting.ways}
    turning = turning_points_of(setting, typical, [families.get(words, words) for words in main])
    served = [_served(setting, solution, task) for task in typical]
    outcomes = {one.name: one for one in solution.classes}
    classes = tuple(
        ClassExplanation(
            name,
            outcomes[name].share,
            outcomes[name].accuracy,
            main[number],
            rivals[number],
            mechanisms[number],
            turning[number],
        )
        for number, name in enumerate(setting.tasks.group_names)
    )
    unknown = not np.any(np.isfinite(setting.step_success))
    idle = isinstance(setting, FlopSetting) and setting.reasoning is not None
    why = "no task is attempted" if idle else "the model was measured as a whole"
    return Explanation(
        solution,
        solution.objective,
        0.0,
        classes,
        branching_of(setting, typical, served),
        depths_of(setting, typical, served),
        not_applicable=((f"chain or tree of thought, and depth: {why}",) if unknown else ()),
    )


def _policy(solution: Solution, name: str) -> str:
    """The words of what serves most of a class."""
    share: dict[str, float] = {}
    for row in solution.tasks:
        if row.name == name:
            share[row.words] = share.get(row.words, 0.0) + row.share
    return max(share, key=lambda words: share[words])


def _served(setting: Setting, solution: Solution, task: int) -> Served | None:
    """The model and the allocation of most of a task."""
    tasks = setting.tasks
    rows = [row for row in solution.tasks if serves(row, tasks, task)]
    if not rows:
        return None
    row = max(rows, key=lambda one: one.share)
    if isinstance(setting, FlopSetting):
        size = np.array(setting.parameters)
        return Served(setting.parameters, float(setting.problem.space.attention(size)), row)
    assert isinstance(setting, FleetSetting)
    fleet = setting.fleet
    if row.model is None and fleet.models is not None and setting.shape >= 0:
        at = setting.shape
        return Served(float(fleet.models.active[at]), float(fleet.models.attention[at]), row)
    for known in fleet.known:
        if known.name == row.model and known.classes[tasks.group[task]]:
            shape = known.shape
            width = np.ravel(shape.layers * np.asarray(shape.attention_width))
            return Served(float(np.ravel(shape.active_parameters)[0]), float(width[0]), row)
    return None
