"""Whether the parts of a scenario fit its law of training: difficulty or level, and what goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ds3opt.schema.limits import FLOP_LIMITS
from ds3opt.schema.quantities import ContradictionError

if TYPE_CHECKING:
    from ds3opt.schema.scenario import Scenario


def check_graph(scenario: Scenario) -> None:
    """Refuse classes without what the law of training asks of them, and what no graph answers.

    Raises
    ------
    ContradictionError : that names the key to look at.
    """
    spec = scenario.model.skill_graph
    for index, task in enumerate(scenario.workload.mix or ()):
        path = ("workload", "mix", index)
        if spec is None:
            if task.level is not None:
                raise ContradictionError(
                    (*path, "level"),
                    f"class {task.name!r} has a level, which goes with model.skill_graph",
                    "give difficulty, or describe the model by a skill_graph",
                )
            if task.difficulty is None and task.observed is None:
                raise ContradictionError(
                    path,
                    f"class {task.name!r} has no difficulty",
                    "give the pretraining loss at which a step succeeds half the time, such as 2.0",
                )
            continue
        if task.measured is not None:
            raise ContradictionError(
                (*path, "measured"),
                f"class {task.name!r} is measured, which does not go with model.skill_graph",
                "give the class a level and skills",
            )
        if task.observed is not None:
            raise ContradictionError(
                (*path, "observed"),
                f"class {task.name!r} is fitted to observed accuracies by a loss law, which does "
                "not go with model.skill_graph",
                "give the class a level and skills",
            )
        if task.difficulty is not None:
            raise ContradictionError(
                (*path, "difficulty"),
                f"class {task.name!r} has a difficulty, which goes with a loss law",
                "with model.skill_graph give level, from 1 to the number of levels",
            )
        if task.level is None:
            raise ContradictionError(
                path,
                f"class {task.name!r} has no level",
                f"model.skill_graph asks for the level of its skills, 1 to {spec.levels}, such as "
                "60 or {uniform: [60, 70]}",
            )
        highest = max(task.level.values or task.level.uniform or (0.0,))
        if highest > spec.levels:
            raise ContradictionError(
                (*path, "level"),
                f"level {highest:g} of class {task.name!r} is above the {spec.levels} levels of "
                "model.skill_graph",
            )
    if spec is not None:
        _check_what_goes(scenario)


def _check_what_goes(scenario: Scenario) -> None:
    if scenario.workload.mix is None:
        raise ContradictionError(
            "objective",
            "a skill graph has no pretraining loss: its objectives need task classes",
        )
    objective = scenario.objective
    resource = objective if isinstance(objective, str) else objective.minimise
    shape = scenario.model.shape
    if scenario.hardware is not None:
        _refuse("hardware", "hardware")
    if shape is not None and shape.list is not None:
        _refuse("model.shape.list", "a list of shapes")
    for name in scenario.limits.given():
        if name not in FLOP_LIMITS:
            _refuse(f"limits.{name}", f"a limit of {name}")
    if scenario.frontier is not None and scenario.frontier.over not in FLOP_LIMITS:
        _refuse("frontier.over", f"a frontier over {scenario.frontier.over}")
    if resource not in ("accuracy", "value", *FLOP_LIMITS):
        _refuse("objective", f"an objective of {resource}")
    for index, task in enumerate(scenario.workload.mix):
        if task.max_latency is not None:
            _refuse(("workload", "mix", index, "max_latency"), "a latency")
    reasoning = scenario.reasoning
    if reasoning.budgets == "shared" and reasoning.charge != "budget":
        raise ContradictionError(
            "reasoning.charge",
            "with a skill graph, budgets: shared charges whole budgets: every task reasons at the "
            "level where it succeeds most, DS3 (51)",
            "set reasoning.charge: budget, or budgets: per_task to weigh success against tokens",
        )


def _refuse(key: str | tuple[str | int, ...], what: str) -> None:
    raise ContradictionError(
        key,
        f"{what} does not go with model.skill_graph, which counts FLOP only",
        "take a loss law, or limits.total_flop, training_flop or inference_flop",
    )
