"""What is wrong, or doubtful, with measured accuracies and the task class fitted to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ds3opt.fit.doubts import Doubt
from ds3opt.fit.task_model import CONSTANTS, LEAST_DIRECTIONALITY, Observations
from ds3opt.fit.task_profiles import Profile
from ds3opt.fit.tasks import TasksFit

FEW_PROBLEMS = 30
"""Fewer problems than this are told of."""
UNLIKELY = 0.01
"""Chance of so poor a fit below which it is told of."""
FAR = 4.0
"""Standard errors from which on a row is told of as far off, where the fit is good."""
SATURATED = 0.98
_FRACTION = 0.1


def obstacles(
    rows: Observations, held: Mapping[str, float], example: str = "--skills 10"
) -> Iterator[Doubt]:
    """What makes a fit impossible.

    Parameters
    ----------
    example : of how a constant is held fixed where the rows are from.
    """
    free = [name for name in CONSTANTS if name not in held]
    needed = min(len(free), 2)
    if _settings(rows) < needed:
        what = "accuracy" if _settings(rows) == 1 else "accuracies"
        yield Doubt(
            "too_few_rows",
            f"{_settings(rows)} measured {what} cannot tell {_listed(free)}",
            hint="measure other budgets of tokens, policies or models; or hold all constants but "
            f"one fixed, such as {example}",
        )
        return
    for share, word in ((0.0, "nothing was solved"), (1.0, "everything was solved")):
        if np.all(rows.accuracy == share):
            end = "easier" if share == 0.0 else "harder"
            yield Doubt(
                "degenerate",
                f"{word}: the class may be any amount {'harder' if share == 0.0 else 'easier'} "
                "than that",
                hint=f"measure {end} settings: other budgets, policies or models",
            )


def doubts_of_rows(rows: Observations) -> Iterator[Doubt]:
    """What makes a fit less sure than it looks."""
    few = np.flatnonzero(rows.problems < FEW_PROBLEMS)
    if few.size:
        yield Doubt(
            "few_problems",
            f"{_count(few)} of fewer than {FEW_PROBLEMS} problems: intervals are wide",
            _rows(few),
        )
    copies = _copies(rows)
    if copies.size:
        told = "it counts" if copies.size == 1 else "they count"
        yield Doubt(
            "duplicates",
            f"{_count(copies)} a copy of another: {told} twice, and intervals come out too narrow",
            _rows(copies),
        )
    # rounded as it is told, an accuracy of many problems is never seen to be off
    off = np.abs(rows.solved - np.rint(rows.solved))
    odd = np.flatnonzero(off > np.maximum(_FRACTION, _told_to(rows.accuracy) * rows.problems))
    if odd.size:
        yield Doubt(
            "fraction",
            f"{_count(odd)} of an accuracy that is no share of its problems: is their number "
            "right?",
            _rows(odd),
        )


def doubts_of_fit(rows: Observations, fit: TasksFit) -> Iterator[Doubt]:
    """What the data do not tell, and what the fit says against itself."""
    free = [name for name in CONSTANTS if name not in fit.held]
    if _settings(rows) < len(free):
        yield Doubt(
            "too_few_rows",
            f"{_settings(rows)} different settings do not tell {len(free)} constants: many classes "
            "explain them",
            hint="predictions for settings unlike them are guesses",
        )
    yield from _unidentified(rows, fit)
    chance = fit.chance
    if chance is not None and chance < UNLIKELY:
        yield Doubt(
            "poor_fit",
            f"accuracies scatter more than chance allows, by a factor of "
            f"{fit.dispersion**0.5:.2g}: no one class explains them all, and intervals are "
            "widened by as much",
            hint="problems of mixed difficulty do that; split the class if they come in kinds",
        )
    far = np.flatnonzero(np.abs(fit.residuals) > FAR * np.sqrt(fit.dispersion))
    if far.size:
        yield Doubt(
            "outliers",
            f"{_count(far)} more than {FAR:g} standard errors off the fit",
            _rows(far),
            "look at them, and leave out what is wrong with --drop",
        )
    if np.all(rows.accuracy >= SATURATED):
        yield Doubt("saturated", f"every accuracy is above {100 * SATURATED:.0f} %")


def _unidentified(rows: Observations, fit: TasksFit) -> Iterator[Doubt]:
    free = [name for name in CONSTANTS if name not in fit.held]
    one_model = float(np.ptp(rows.loss)) < 1e-9
    if one_model and {"difficulty", "directionality"} <= set(free):
        yield Doubt(
            "not_identified",
            "every row is of one model: difficulty and directionality are known in combination "
            f"only, directionality {fit.values['directionality']:.3g} stands for all; other "
            "budgets and policies of this model follow, other models do not",
            hint="measure a second model, or hold --directionality",
        )
    elif one_model and "difficulty" in free:
        yield Doubt(
            "one_model",
            "every row is of one model: how accuracy changes with the model is taken from the "
            "slope of the sigmoid, not measured",
        )
    told = {"difficulty", "directionality"} if one_model else set()
    open_ones = list(_open(fit, told))
    for index, one in enumerate(open_ones):
        # what the rows do tell, once
        more = "" if index else _identified(fit)
        yield replace(one, message=one.message + more)
    if fit.values["directionality"] <= 1.001 * LEAST_DIRECTIONALITY:
        yield Doubt("not_identified", "directionality runs to the end of what is allowed")


def _open(fit: TasksFit, told: set[str]) -> Iterator[Doubt]:
    """Constants that the data do not bound, by themselves or in combination."""
    groups = _joined(fit.blends())
    for group in groups:
        if group == told:
            continue
        names = [name for name in CONSTANTS if name in group]
        yield Doubt(
            "not_identified",
            f"{_listed(names)} are known in combination only: {_listed(_values(fit, names))} stand "
            "for others that explain the rows as well",
            hint="measure more budgets of tokens, above all short ones, or hold one fixed",
        )
    for name, one in fit.profiles.items():
        if any(name in group for group in groups) or one.known:
            continue
        (value,) = _values(fit, [name])
        if one.unknown:
            message = f"nothing is known of {name}: any value explains the rows, {value} is assumed"
            yield Doubt("not_identified", message)
        elif name == "fatigue":
            yield Doubt(
                "not_identified",
                "any fatigue above the lower end explains the rows: each trace was so short, or "
                f"so sure, that a failed step hardly counts; {value} is assumed",
                hint="hold --fatigue, or measure longer traces",
            )
        elif name not in told:
            end = "an upper" if one.open_below else "a lower"
            message = f"of {name} the rows tell {end} end only: {value} is one of many"
            yield Doubt("not_identified", message)


def _joined(blends: Sequence[tuple[str, ...]]) -> list[set[str]]:
    """Sets of constants known in combination only, those with a member in common as one."""
    groups: list[set[str]] = []
    for blend in blends:
        if len(blend) < 2:
            continue
        near = [group for group in groups if group & set(blend)]
        groups = [group for group in groups if group not in near]
        groups.append(set(blend).union(*near))
    return groups


def _values(fit: TasksFit, names: Sequence[str]) -> list[str]:
    return [f"{name} {fit.values[name]:.3g}" for name in names]


def _identified(fit: TasksFit) -> str:
    """What the rows do tell, in words that end a sentence about what they do not."""
    blended = set().union(*_joined(fit.blends()))
    known = {n: one for n, one in fit.profiles.items() if one.known and n not in blended}
    told = [
        value + ("" if np.isnan(known[name].low) else f" ({_from_to(known[name])})")
        for name, value in zip(known, _values(fit, list(known)), strict=True)
    ]
    return f"; the rows tell {_listed(told)}" if told else ""


def _from_to(one: Profile) -> str:
    return f"{one.low:.3g} to {one.high:.3g}"


def _told_to(accuracy: np.ndarray) -> np.ndarray:
    """Half the last digit that accuracies are told to: whole points, tenths or less."""
    coarse = np.abs(100.0 * accuracy - np.rint(100.0 * accuracy)) < 1e-6
    return np.asarray(np.where(coarse, 5.1e-3, 6e-4))


def _settings(rows: Observations) -> int:
    """Different models, budgets and policies."""
    table = np.stack([rows.loss, rows.steps, rows.policy.astype(np.float64)])
    return int(np.unique(table, axis=1).shape[1])


def _copies(rows: Observations) -> np.ndarray:
    policy = rows.policy.astype(np.float64)
    table = np.stack([rows.loss, rows.steps, policy, rows.problems, rows.solved])
    first = np.unique(table, axis=1, return_index=True)[1]
    return np.setdiff1d(np.arange(len(rows)), first)


def _rows(indices: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i) for i in indices)


def _count(indices: np.ndarray) -> str:
    return "1 row is" if indices.size == 1 else f"{indices.size} rows are"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
