"""What a scenario on hardware must say: figures that its limits, objective and latencies need."""

from __future__ import annotations

from ds3opt.errors import Problem as Mistake
from ds3opt.errors import ScenarioError
from ds3opt.fleet.models import Models
from ds3opt.fleet.resources import PHYSICAL, asking
from ds3opt.problem import Problem
from ds3opt.schema import Scenario
from ds3opt.schema.limits import FLOP_LIMITS

_EXAMPLE = "such as `inference: {accelerator: h200-sxm}`"


def require_task_classes(scenario: Scenario, problem: Problem) -> None:
    """Refuse scenarios without task classes, or without a token budget for each of them.

    Raises
    ------
    ScenarioError : naming what of the scenario does not go with that.
    """
    if problem.tasks is None:
        raise _only_flop(scenario)
    if problem.shared_budget:
        raise ScenarioError(
            Mistake(
                "hardware and existing models go with token budgets for each class",
                path="reasoning.budgets",
                hint="use budgets: per_task",
            )
        )


def _only_flop(scenario: Scenario) -> ScenarioError:
    """Why a scenario of pretraining loss is refused: it says what only task classes answer to."""
    more = sorted(set(scenario.limits.given()) - set(FLOP_LIMITS))
    shape = scenario.model.shape
    if scenario.hardware is not None:
        path = "hardware"
    elif more:
        path = f"limits.{more[0]}"
    elif scenario.frontier is not None and scenario.frontier.over not in FLOP_LIMITS:
        path = "frontier.over"
    elif scenario.model.candidates:
        path = "model.candidates"
    else:
        path = "objective" if shape is None or shape.list is None else "model.shape.list"
    what = f"least {scenario.objective.minimise}" if path == "objective" else path  # type: ignore[union-attr]
    return ScenarioError(
        Mistake(
            f"an objective of pretraining loss counts FLOP alone; {what} goes with task classes",
            path=path,
            hint="leave it out and limit or minimise FLOP, or list task classes in workload.mix",
        )
    )


def require_figures(scenario: Scenario, wanted: set[str], models: Models | None) -> None:
    """Refuse scenarios that leave out what their limits need.

    Parameters
    ----------
    wanted : resources that limits and the objective count.
    models : what may be trained; None for nothing.

    Raises
    ------
    ScenarioError : naming what is missing.
    """
    hardware = scenario.hardware
    physical = sorted(wanted & {*PHYSICAL, "power", "training_time"})
    first = physical[0] if physical else ""
    local = models is not None or any(c.hosted is None for c in scenario.model.candidates)
    mix = scenario.workload.mix or ()
    hurried = [i for i, task in enumerate(mix) if task.max_latency is not None]
    if physical and models is not None and (hardware is None or hardware.training is None):
        raise _lacks(scenario, first, "hardware.training")
    serving = [name for name in physical if name != "training_time"]
    if serving and local and (hardware is None or hardware.inference is None):
        raise _lacks(scenario, serving[0], "hardware.inference")
    if hurried and local and (hardware is None or hardware.inference is None):
        path = f"workload.mix[{hurried[0]}].max_latency"
        raise ScenarioError(
            Mistake("max_latency needs hardware.inference", path=path, hint=_EXAMPLE)
        )
    _countable(scenario, wanted)
    fleet = hardware is not None and hardware.inference is not None and hardware.inference.count
    if (fleet or "power" in wanted) and scenario.workload.horizon is None:
        what = "power" if "power" in wanted else "hardware.inference.count"
        raise ScenarioError(
            Mistake(
                f"{what} needs workload.horizon: over what time do the tasks arrive?",
                path="workload",
                hint="give workload.horizon, such as 365 days",
            )
        )
    training = hardware.training if hardware is not None else None
    counted = training is not None and training.count is not None
    if "training_time" in wanted and training is not None and not counted and "power" not in wanted:
        raise ScenarioError(
            Mistake(
                "training_time needs hardware.training.count: on how many accelerators?",
                path="limits.training_time",
                hint="give hardware.training.count, such as 1024",
            )
        )


def _countable(scenario: Scenario, wanted: set[str]) -> None:
    """Refuse to count what those who serve a model do not tell."""
    hidden = sorted(wanted & {"energy", "carbon", "power"})
    for candidate in scenario.model.candidates:
        if candidate.hosted is not None and hidden:
            raise ScenarioError(
                Mistake(
                    f"{hidden[0]} cannot be counted for {candidate.name}, which is hosted",
                    path=asking(scenario, hidden[0]),
                    hint="give the candidate a shape and no hosted prices, or leave it or "
                    f"{hidden[0]} out",
                )
            )


def _lacks(scenario: Scenario, name: str, path: str) -> ScenarioError:
    kind = path.rpartition(".")[2]
    return ScenarioError(
        Mistake(
            f"{name} needs {path}",
            path="hardware" if scenario.hardware is not None else asking(scenario, name),
            hint=f"such as `{kind}: {{accelerator: h100-sxm}}`; "
            "`ds3opt hardware list` names accelerators",
        )
    )
