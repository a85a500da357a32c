"""Where a required accuracy lies beyond what more traces reach, and what would reach it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ds3opt.laws.populations import Population
from ds3opt.policies import Policy, TaskTraits, VerifierKind
from ds3opt.problem import Problem

_MANY = 1e15

Known = tuple[str, int, Population]
"""An existing model, a class, and its problems as the model solves them."""


def beyond_plateaus(
    problem: Problem, target: float, group: int | None = None, models: Sequence[Known] = ()
) -> str:
    """What measured classes saturate at, and what would reach the target; empty where it is moot.

    Parameters
    ----------
    target : accuracy that must be reached, over all tasks or in one class.
    group : the class; None for all of them.
    models : what is known of existing models besides.
    """
    tasks = problem.tasks
    assert tasks is not None
    groups = range(len(tasks.group_names)) if group is None else [group]
    own = [("", i, p) for i, p in enumerate(tasks.group_population) if p is not None]
    parts: list[str] = []
    for index in groups:
        first = np.flatnonzero(tasks.group == index)[:1]
        traits = tasks.traits.take(first)
        on_offer = [p for i, p in enumerate(problem.policies) if tasks.allowed[first[0], i]]
        for model, of, population in (*own, *models):
            if of != index:
                continue
            words = _saturated(on_offer, population, traits, target)
            # one class alone must reach what all of them must
            if len(groups) == 1:
                words += _what_would(on_offer, population, traits, target)
            if words:
                names = [f"class {tasks.group_names[index]}"] if len(groups) > 1 else []
                label = ", ".join(names + ([model] if model else []))
                parts.append((f"{label}: " if label else "") + "; ".join(words))
    return "; ".join(parts)


def _saturated(
    on_offer: list[Policy], population: Population, traits: TaskTraits, target: float
) -> list[str]:
    """Families of policies, and what ever more traces of them solve."""
    found: dict[str, float] = {}
    for policy in on_offer:
        plateau = policy.plateau(population, traits)
        if plateau is not None and not policy.covers(traits):
            found.setdefault(_family(policy), plateau)
    return [
        f"{name} saturates at {_percent(plateau)}"
        if plateau < target
        else f"{name} gets there with more traces than are on offer"
        for name, plateau in found.items()
    ]


def _family(policy: Policy) -> str:
    """A policy in words, without its number of traces.

    >>> from ds3opt.policies import MajorityVote
    >>> _family(MajorityVote(samples=9))
    'majority vote'
    """
    samples = policy.samples
    words = policy.words().replace(f"best of {samples}", "best of n")
    return words.replace(f" of {samples}", "")


def _what_would(
    on_offer: list[Policy], population: Population, traits: TaskTraits, target: float
) -> list[str]:
    solvable = population.solvable
    if solvable is None:
        return [
            "one measured rate says nothing of several traces: give success_counts or population"
        ]
    needed = population.samples_for(target)
    if needed is None:
        return [
            f"{_percent(solvable)} of its problems were solved at all, and more tries than were "
            "measured would be needed"
        ]
    if not np.isfinite(needed) and target >= solvable:
        return [f"only {_percent(solvable)} of its problems can be solved at all"]
    traces = f"{needed:.4g}" if needed < _MANY else "more than 1e15"
    judged = any(p.needs >= VerifierKind.OUTCOME and p.covers(traits) for p in on_offer)
    how = "its verifier" if judged else "a verifier that never errs"
    return [f"best of n with {how} reaches {_percent(target)} with {traces} traces"]


def _percent(share: float) -> str:
    return f"{100.0 * share:.4g} %"
