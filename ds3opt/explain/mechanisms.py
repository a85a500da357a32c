"""What holds a class back: each thing that might is taken away, and what that gains is counted."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ds3opt.explain.explanation import Mechanism
from ds3opt.explain.fleet_setting import FleetSetting
from ds3opt.explain.setting import Menu, Setting
from ds3opt.optimise.solution import Solution
from ds3opt.schema import Scenario
from ds3opt.schema.policies import PolicyChoice
from ds3opt.schema.workload import TaskClass, Verifier, WrongAnswers

FloatArray = NDArray[np.float64]

NOTHING = 1e-7
"""Gain, relative to the objective of all tasks, that counts as none."""
_MEMORY = 1e4
_SCATTERED = WrongAnswers(count=200, decay=1.0)
"""Wrong answers that hardly ever agree."""
_MOST_VOTES = 200
"""More take long to count, and hardly differ."""
_NEXT = {"none": "outcome", "outcome": "process"}


def mechanisms_of(
    setting: Setting,
    menu: Menu,
    scenario: Scenario,
    solution: Solution,
    progress: Callable[[str, float], None] | None = None,
) -> list[tuple[Mechanism, ...]]:
    """What holds every class back, what would gain most first."""
    net = setting.worth[menu.case] * menu.success - menu.cost
    best, success, _ = _reached(setting, menu, net)
    room = _room(setting, solution)
    found: list[list[Mechanism]] = [[] for _ in setting.tasks.group_names]
    relaxed = list(_relaxations(setting, scenario))
    for number, (code, words, there) in enumerate(relaxed):
        if progress is not None:
            progress("what holds classes back", number / len(relaxed))
        other = there.menu()
        there_net = there.worth[other.case] * other.success - other.cost
        then, reached, way = _reached(there, other, there_net)
        # where compute is free, only what tasks are worth is compared
        before = setting.worth * success if code == "compute" else best
        for group in range(len(found)):
            mine = np.flatnonzero(setting.tasks.group == group)
            weight = setting.tasks.weight[mine]
            gain = float(weight @ (then[mine] - before[mine])) / setting.unit
            gain = min(gain, room)
            if words[group] is None or gain <= NOTHING * _size(setting):
                continue
            found[group].append(
                Mechanism(
                    code,
                    str(words[group]),
                    min(float(weight @ reached[mine] / weight.sum()), 1.0),
                    gain,
                    _main(there, way[mine], weight),
                )
            )
    return [tuple(sorted(rows, key=lambda row: -row.gain)) for rows in found]


def _room(setting: Setting, solution: Solution) -> float:
    """What the objective lacks to every task solved: no gain is larger."""
    if solution.objective == "net_value":
        return math.inf
    if solution.objective == "value":
        return max(float(setting.tasks.weight @ setting.tasks.value) - (solution.value or 0.0), 0.0)
    return max(1.0 - (solution.accuracy or 0.0), 0.0)


def _size(setting: Setting) -> float:
    """The objective if every task were solved, in the unit that is reported."""
    return float(setting.tasks.weight @ setting.worth) / setting.unit


def _reached(
    setting: Setting, menu: Menu, net: FloatArray
) -> tuple[FloatArray, FloatArray, NDArray[np.intp]]:
    """Net worth, success and way of every case's best option, nothing included."""
    cases = len(setting.tasks)
    worth, success = np.zeros(cases), np.zeros(cases)
    way = np.full(cases, -1, dtype=np.intp)
    chosen = menu.best(net, by_way=False)
    chosen = chosen[net[chosen] > 0.0]
    at = menu.case[chosen]
    worth[at], success[at], way[at] = net[chosen], menu.success[chosen], menu.way[chosen]
    return worth, success, way


def _main(setting: Setting, way: NDArray[np.intp], weight: FloatArray) -> str:
    """The way of most of a class."""
    share = np.bincount(way + 1, weight)
    most = int(np.argmax(share)) - 1
    return "not attempted" if most < 0 else setting.ways[most].words


Words = list[str | None]
"""For every class: what is taken away; None where there is nothing to take."""


def _relaxations(setting: Setting, scenario: Scenario) -> Iterator[tuple[str, Words, Setting]]:
    mix = scenario.workload.mix or ()
    if np.any(setting.paid > 0.0):
        yield "compute", ["the price of compute"] * len(mix), setting.free()
    for code, change, words in _CHANGES:
        told = [words(scenario, task) for task in mix]
        if any(told):
            changed = tuple(
                task.model_copy(update=change(scenario, task)) if said else task
                for task, said in zip(mix, told, strict=True)
            )
            yield code, told, setting.under(_with(scenario, changed, code))
    wider = _wider(scenario)
    if wider is not None:
        yield "policies", ["the largest numbers listed"] * len(mix), setting.under(wider)
    if isinstance(setting, FleetSetting):
        roomy = setting.with_memory(_MEMORY)
        if roomy is not None:
            yield "memory", ["memory of the accelerators"] * len(mix), roomy


def _with(scenario: Scenario, mix: tuple[TaskClass, ...], code: str) -> Scenario:
    workload = scenario.workload.model_copy(update={"mix": mix})
    update: dict[str, Any] = {"workload": workload}
    if code == "longest_trace":
        update["model"] = scenario.model.model_copy(update={"context_tokens": None})
    return scenario.model_copy(update=update)


def _offers(scenario: Scenario, kind: str) -> bool:
    """Whether some listed policy needs a verifier of a kind."""
    return any(policy.needs.name.lower() == kind for policy in scenario.reasoning.variants())


def _votes(scenario: Scenario) -> bool:
    return any(policy.needs_wrong_answers for policy in scenario.reasoning.variants())


def _verifier(task: TaskClass, **update: Any) -> dict[str, Any]:
    said = {name: getattr(task.verifier, name) for name in task.verifier.model_fields_set}
    if "true_positive_rate" in update:
        said.pop("discrimination", None)
    return {"verifier": Verifier(**{**said, **update})}


def _longest(scenario: Scenario, task: TaskClass) -> str | None:
    caps = {
        "max_output_tokens": task.max_output_tokens,
        "the context": min(
            (
                context - task.prompt_tokens
                for context in (task.context_tokens, scenario.model.context_tokens)
                if context is not None
            ),
            default=None,
        ),
    }
    known = {name: cap for name, cap in caps.items() if cap is not None}
    if task.measured is not None:
        return None
    return f"the longest trace, {min(known, key=lambda n: known[n])}" if known else None


def _fallible(scenario: Scenario, task: TaskClass) -> str | None:
    verifier = task.verifier
    perfect = verifier.true_positive_rate == 1.0 and verifier.false_positive_rate == 0.0
    if verifier.discrimination is not None:
        perfect = math.isinf(verifier.discrimination)
    return None if verifier.kind == "none" or perfect else "errors of the verifier"


def _kind(scenario: Scenario, task: TaskClass) -> str | None:
    better = _NEXT.get(task.verifier.kind)
    if better is None or not _offers(scenario, better):
        return None
    return "no verifier" if better == "outcome" else "only whole answers are judged"


def _dear(scenario: Scenario, task: TaskClass) -> str | None:
    verifier = task.verifier
    dear = verifier.kind != "none" and (verifier.parameters or verifier.flop_per_check)
    return "the verifier's own compute" if dear else None


def _tired(scenario: Scenario, task: TaskClass) -> str | None:
    if task.measured is not None:
        return None
    fatigue = scenario.reasoning.fatigue if task.fatigue is None else task.fatigue
    return "fatigue: failed steps that ruin a trace" if fatigue > 0.0 else None


def _agreeing(scenario: Scenario, task: TaskClass) -> str | None:
    voting = task.wrong_answers is not None and _votes(scenario)
    return "plateau of the vote: wrong answers agree" if voting else None


def _hurried(scenario: Scenario, task: TaskClass) -> str | None:
    return "max_latency" if task.max_latency is not None else None


_CHANGES: tuple[
    tuple[
        str,
        Callable[[Scenario, TaskClass], dict[str, Any]],
        Callable[[Scenario, TaskClass], str | None],
    ],
    ...,
] = (
    ("longest_trace", lambda s, t: {"max_output_tokens": None, "context_tokens": None}, _longest),
    (
        "verifier_errors",
        lambda s, t: _verifier(t, true_positive_rate=1.0, false_positive_rate=0.0),
        _fallible,
    ),
    ("verifier_kind", lambda s, t: _verifier(t, kind=_NEXT[t.verifier.kind]), _kind),
    ("verifier_cost", lambda s, t: _verifier(t, parameters=0.0, flop_per_check=0.0), _dear),
    ("fatigue", lambda s, t: {"fatigue": 0.0}, _tired),
    ("voting_plateau", lambda s, t: {"wrong_answers": _SCATTERED}, _agreeing),
    ("latency", lambda s, t: {"max_latency": None}, _hurried),
)


def _wider(scenario: Scenario) -> Scenario | None:
    """Twice and four times the largest number of branches or samples of every family listed."""
    most = {"tree_of_thought": ("branches", 10_000), "best_of_n": ("samples", 100_000)}
    choices, changed = [], False
    for choice in scenario.reasoning.policies:
        (name,) = choice.model_fields_set
        key, cap = most.get(name, ("samples", _MOST_VOTES))
        family = getattr(choice, name)
        listed = getattr(family, key, None)
        if listed is not None:
            odd = max(listed) % 2
            more = [n for n in (2 * max(listed) + odd, 4 * max(listed) + odd) if n <= cap]
            changed = changed or bool(more)
            family = family.model_copy(update={key: (*listed, *more)})
            choice = PolicyChoice(**{name: family})
        choices.append(choice)
    if not changed:
        return None
    reasoning = scenario.reasoning.model_copy(update={"policies": tuple(choices)})
    return scenario.model_copy(update={"reasoning": reasoning})
