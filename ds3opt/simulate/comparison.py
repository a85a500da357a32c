"""Simulations beside closed forms: what was simulated, and whether the laws hold against it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ds3opt.simulate.answer import AnswerRow
from ds3opt.simulate.closed_forms import ClosedForms, closed_forms
from ds3opt.simulate.engine import Ensemble, simulate
from ds3opt.simulate.ideal import IdealTask, process_of
from ds3opt.simulate.process import Process
from ds3opt.simulate.shortcut import simulate_task
from ds3opt.simulate.statistics import Estimate, estimate

Progress = Callable[[str, float], None]
Builder = Callable[[IdealTask], Process]


@dataclass(frozen=True)
class Simulated:
    """The means of one simulation."""

    estimates: tuple[Estimate, ...]
    """Of success, steps and tokens, then costs and other evaluations."""
    cut: float
    """Share of runs that were cut off before they had stopped."""
    refused: float
    """Share of runs in which a branch found no room."""
    never_stops: bool = False
    """Whether no way of the graph leads to stop."""
    row: AnswerRow | None = None
    forms: ClosedForms | None = None

    @property
    def agrees(self) -> bool:
        """Whether no closed form lies outside what the simulation allows."""
        return all(one.agrees is not False for one in self.estimates)

    def of(self, name: str) -> Estimate | None:
        """The estimate of a quantity."""
        return next((one for one in self.estimates if one.name == name), None)


@dataclass(frozen=True)
class Comparison:
    """Several simulations, tested together."""

    runs: int
    seed: int
    confidence: float
    comparisons: int
    """Means that are held against closed forms, over which the confidence is shared."""
    simulated: tuple[Simulated, ...]

    @property
    def agrees(self) -> bool:
        """Whether every closed form fits."""
        return all(one.agrees for one in self.simulated)


def compare_process(
    process: Process,
    runs: int,
    seed: int,
    confidence: float,
    progress: Progress | None = None,
) -> Comparison:
    """Simulate one process, beside the closed forms that it states itself.

    Parameters
    ----------
    confidence : of the intervals, and of all comparisons together.
    """
    ensemble = simulate(process, runs, seed, progress=_staged(progress, "simulating", 0.0, 1.0))
    family = max(len(process.closed_form), 1)
    found = _estimates(ensemble, confidence, process.closed_form, {}, family)
    done = Simulated(
        found,
        float(np.mean(ensemble.cut)),
        float(np.mean(ensemble.refused)),
        process.can_stop is False,
    )
    return Comparison(runs, seed, confidence, len(process.closed_form), (done,))


def compare_rows(
    rows: Sequence[AnswerRow],
    runs: int,
    seed: int,
    confidence: float,
    *,
    every_step: bool = False,
    build: Builder | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Simulate every row of an answer that has a law, beside what the laws say.

    Parameters
    ----------
    every_step : by the general engine, each step and branch, rather than by the shortcut.
    build : makes the process to simulate in place of the ideal one.
    """
    known = [(row, row.task) for row in rows if row.task is not None]
    forms = [closed_forms(task) for _, task in known]
    family = sum(len(_exact(one)) - 1 for one in forms)  # tokens stand and fall with steps
    found = []
    for index, ((row, task), form) in enumerate(zip(known, forms, strict=True)):
        stage = _staged(progress, row.allocation.name, index / len(known), 1.0 / len(known))
        process = process_of(task) if every_step and build is None else None
        process = build(task) if build is not None else process
        stream = (row.number,)
        if process is None:
            ensemble = simulate_task(task, runs, seed, stream=stream, progress=stage)
        else:
            ensemble = simulate(process, runs, seed, stream=stream, progress=stage)
        most = {
            "steps": form.most_steps,
            "tokens": max(walk.tokens_per_step for walk in task.walks) * form.most_steps,
            "flop": form.most_flop,
        }
        found.append(
            Simulated(
                _estimates(ensemble, confidence, _exact(form), most, family),
                float(np.mean(ensemble.cut)),
                float(np.mean(ensemble.refused)),
                process is not None and process.can_stop is False,
                row,
                form,
            )
        )
    return Comparison(runs, seed, confidence, family, tuple(found))


def mix_estimate(comparison: Comparison, rows: Sequence[AnswerRow]) -> Estimate:
    """Accuracy over all tasks of an answer; rows that were not simulated count as it says."""
    by_number = {one.row.number: one for one in comparison.simulated if one.row is not None}
    mean = exact = variance = 0.0
    for row in rows:
        share, accuracy = row.allocation.share, row.allocation.accuracy
        done = by_number.get(row.number)
        success = None if done is None else done.of("success")
        if success is None:
            success = Estimate("success", accuracy, accuracy, accuracy, 0.0, accuracy)
        mean += share * success.mean
        exact += share * (success.mean if success.exact is None else success.exact)
        variance += (share * success.standard_error) ** 2
    error = float(np.sqrt(variance))
    half = _normal(comparison.confidence) * error
    z = (mean - exact) / error if error > 0.0 else 0.0
    low, high = max(mean - half, 0.0), min(mean + half, 1.0)
    return Estimate("success", mean, low, high, error, exact, z)


def _normal(confidence: float) -> float:
    from scipy.special import ndtri

    return -float(ndtri((1.0 - confidence) / 2.0))


def _exact(form: ClosedForms) -> dict[str, float]:
    found = {"steps": form.steps, "tokens": form.tokens, "flop": form.flop}
    return found if form.success is None else {"success": form.success, **found}


def _estimates(
    ensemble: Ensemble,
    confidence: float,
    exact: Mapping[str, float],
    most: Mapping[str, float],
    family: int,
) -> tuple[Estimate, ...]:
    return tuple(
        estimate(
            name,
            values,
            confidence,
            exact=exact.get(name),
            most=most.get(name),
            comparisons=family,
        )
        for name, values in ensemble.quantities().items()
    )


def _staged(
    progress: Progress | None, stage: str, start: float, part: float
) -> Callable[[float], None] | None:
    if progress is None:
        return None
    return lambda done: progress(stage, start + part * done)


def together(parts: Sequence[Simulated], name: str) -> Estimate | None:
    """Several rows of one class as one, by share; it agrees where every row does."""
    pairs = [
        (one.row.allocation.share, found)
        for one in parts
        if one.row is not None and (found := one.of(name)) is not None
    ]
    if not pairs:
        return None
    weight = np.array([share for share, _ in pairs])
    weight /= weight.sum()

    def mean(values: Sequence[float]) -> float:
        return float(weight @ np.array(values))

    error = float(np.sqrt(np.sum((weight * [one.standard_error for _, one in pairs]) ** 2)))
    centre = mean([one.mean for _, one in pairs])
    # ends of the parts added in quadrature: intervals of independent means
    down = float(np.sqrt(np.sum((weight * [one.mean - one.low for _, one in pairs]) ** 2)))
    up = float(np.sqrt(np.sum((weight * [one.high - one.mean for _, one in pairs]) ** 2)))
    known = [one.exact for _, one in pairs if one.exact is not None]
    exact = mean(known) if len(known) == len(pairs) else None
    verdicts = [one.agrees for _, one in pairs if one.agrees is not None]
    return replace(
        pairs[0][1],
        mean=centre,
        low=centre - down,
        high=centre + up,
        standard_error=error,
        exact=exact,
        z=None if exact is None or error == 0.0 else (centre - exact) / error,
        agrees=all(verdicts) if verdicts else None,
    )
