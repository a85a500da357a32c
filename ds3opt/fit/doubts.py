"""What is wrong, or doubtful, with the runs of a loss law before and after it is fitted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ds3opt.fit.loss import LossFit, LossRuns
from ds3opt.laws._types import FloatArray

FEW_RUNS_A_CONSTANT = 5
"""Fewer runs for each constant than this are told of."""
LEAST_LEVELS = 3
"""Distinct sizes, and amounts of tokens, without which a power law cannot be told from others."""
NARROW = 10.0
"""Factor that tokens per parameter should span at least."""
FAR = 8.0
"""Times the typical residual from which on a run is told of as far off."""
FEW_AGREE = 0.1
"""Share of starts that should reach the best fit."""
LEAST_EXPLAINED = 0.9
"""Share of the variance of log loss that a law should explain."""
FEW_RESAMPLES = 40
"""Below it there is no quantile of 2.5 %."""
WIDE = 3.0
"""Factor between the ends of the interval of an exponent from which on it is told of."""
_PERPLEXITY = 20.0
_TINY_MODEL = 1e4
_SAME = 1e-9


@dataclass(frozen=True)
class Doubt:
    """One thing that a user should know about the data or the fit."""

    code: str
    message: str
    rows: tuple[int, ...] = ()
    """The runs it is about, by their position."""
    hint: str = ""


def too_few(count: int, what: str, constants: int) -> str:
    """Message that so many are too few."""
    are = f"{what} is" if count == 1 else f"{what}s are"
    return f"{count} {are} too few for {constants} constants"


def obstacles(runs: LossRuns, irreducible: float | None = None) -> Iterator[Doubt]:
    """What makes a fit impossible."""
    constants = (5 if irreducible is None else 4) + (2 if runs.repeats else 0)
    if len(runs) <= constants:
        yield Doubt(
            "too_few_runs",
            too_few(len(runs), "run", constants),
            hint=f"{FEW_RUNS_A_CONSTANT * constants} or more, of different sizes and tokens",
        )
        return
    for one, many, values in (
        ("model size", "model sizes", runs.parameters),
        ("amount of tokens", "amounts of tokens", runs.training_tokens),
    ):
        levels = _levels(values)
        if levels < LEAST_LEVELS:
            yield Doubt(
                "degenerate",
                f"the runs have {levels} {one if levels == 1 else many}, {LEAST_LEVELS} are needed "
                "to tell a power law",
            )
    ratio = runs.training_tokens / runs.parameters
    if float(ratio.max() / ratio.min()) < 1.01:
        yield Doubt(
            "degenerate",
            f"every run has {float(np.median(ratio)):.3g} tokens per parameter: what size "
            "and what data contribute cannot be told apart",
            hint="add runs of other tokens per parameter",
        )
    if irreducible is not None:
        below = np.flatnonzero(runs.loss <= irreducible)
        if below.size:
            yield Doubt(
                "below_irreducible",
                f"{_count(below, 'loss')} not above the irreducible {irreducible:g}",
                _rows(below),
                "take a lower --irreducible, or leave it out",
            )
    if float(runs.loss.max() / runs.loss.min()) < 1.0 + 1e-6:
        yield Doubt("degenerate", "every run has the same loss")


def doubts_of_runs(runs: LossRuns) -> Iterator[Doubt]:
    """What makes a fit less sure than it looks."""
    copies = _copies(runs)
    if copies.size:
        told = "it counts" if copies.size == 1 else "they count"
        yield Doubt(
            "duplicates",
            f"{_count(copies, 'run')} a copy of another: {told} twice, and intervals come "
            "out too narrow",
            _rows(copies),
        )
    ratio = runs.training_tokens / runs.parameters
    span = float(ratio.max() / ratio.min())
    if span < NARROW:
        yield Doubt(
            "narrow_ratio",
            f"tokens per parameter span a factor {span:.3g} only: the split between size and "
            "data is known poorly",
            hint=f"a factor of {NARROW:g} or more tells them apart",
        )
    if float(ratio.max()) < 1.0:
        yield Doubt(
            "swapped",
            "every run has fewer tokens than parameters: are the two columns swapped, or in other "
            "units?",
        )
    constants = 7 if runs.repeats else 5
    if len(runs) < FEW_RUNS_A_CONSTANT * constants:
        yield Doubt("few_runs", f"{len(runs)} runs for {constants} constants are few")
    odd = np.flatnonzero(runs.loss > _PERPLEXITY)
    if odd.size:
        yield Doubt(
            "unit",
            f"{_count(odd, 'loss')} above {_PERPLEXITY:g} nats: is it perplexity?",
            _rows(odd),
        )
    odd = np.flatnonzero(runs.parameters < _TINY_MODEL)
    if odd.size:
        yield Doubt(
            "unit",
            f"{_count(odd, 'model')} smaller than {_TINY_MODEL:g} parameters: is the column in "
            "millions or billions?",
            _rows(odd),
            "write units, such as 125M, or plain counts",
        )
    if runs.unique_tokens is not None and not runs.repeats:
        yield Doubt(
            "no_repeats",
            "no run saw more tokens than its unique ones: what repetition does is not fitted",
        )


def doubts_of_fit(runs: LossRuns, fit: LossFit) -> Iterator[Doubt]:
    """What the fit itself says against it."""
    for name in fit.at_edge:
        if name == "irreducible":
            yield Doubt(
                "not_identified",
                "the irreducible loss runs to zero: these runs do not identify it",
                hint="fix it with --irreducible, or add larger runs",
            )
        else:
            yield Doubt(
                "not_identified",
                f"{name.replace('_', ' ')} runs to the end of what is allowed: these runs do not "
                "identify it",
            )
    told = 1.0 - float(np.mean(fit.log_residuals**2) / np.var(np.log(runs.loss)))
    if told < LEAST_EXPLAINED:
        yield Doubt(
            "poor_fit",
            f"the law explains {100 * told:.0f} % of the variance of log loss only: are these runs "
            "of one kind?",
        )
    for name in ("parameter_exponent", "data_exponent"):
        if len(fit.draws) > 1 and name not in fit.at_edge:
            low, high = np.quantile(fit.draws[:, fit.names.index(name)], (0.025, 0.975))
            if high > WIDE * low:
                yield Doubt(
                    "wide",
                    f"{name.replace('_', ' ')} is known between {low:.2g} and {high:.2g} only: "
                    "what follows from it may be anything",
                )
    yield from _idle_terms(runs, fit)
    yield from few_resamples(len(fit.draws))
    if fit.agreeing < FEW_AGREE * fit.polished:
        yield Doubt(
            "few_starts_agree",
            f"only {fit.agreeing} of {fit.polished} starts reach the best fit: there may be a "
            "better one",
        )
    below = np.flatnonzero(runs.loss <= fit.law.irreducible)
    if below.size:
        yield Doubt(
            "below_irreducible",
            f"{_count(below, 'loss')} below the fitted irreducible loss {fit.law.irreducible:.4g}",
            _rows(below),
        )
    size = np.abs(fit.log_residuals)
    typical = float(np.median(size))
    far = np.flatnonzero(size > max(FAR * typical, 1e-6))
    if far.size:
        yield Doubt(
            "outliers",
            f"{_count(far, 'run')} more than {FAR:g} typical residuals ({typical:.2g} of log "
            "loss) off the law",
            _rows(far),
            "their errors may be no noise: look at them, and leave out what is wrong with --drop",
        )
    if "parameter_decay" in fit.fixed:
        yield Doubt(
            "not_identified",
            "no run has more parameters than its unique tokens can fill: how such parameters "
            "decay is taken from Muennighoff et al. 2023",
        )


def _idle_terms(runs: LossRuns, fit: LossFit) -> Iterator[Doubt]:
    """A term of the law that changes less over these runs than they scatter."""
    law = fit.law
    scatter = float(np.sqrt(np.mean(fit.log_residuals**2)) * np.median(runs.loss))
    for what, values, coefficient, exponent in (
        ("model size", runs.parameters, law.parameter_coefficient, law.parameter_exponent),
        ("training tokens", runs.training_tokens, law.data_coefficient, law.data_exponent),
    ):
        ends = coefficient * np.array([values.min(), values.max()]) ** -exponent
        if abs(float(ends[0] - ends[1])) <= scatter:
            yield Doubt(
                "idle_term",
                f"loss changes less with {what} over these runs than it scatters: what the law "
                "says of it, and of the best split of compute, rests on nothing",
            )


def few_resamples(count: int) -> Iterator[Doubt]:
    """Intervals of so few resamples that they have no quantile of 2.5 %."""
    if 0 < count < FEW_RESAMPLES:
        yield Doubt(
            "few_resamples",
            f"{count} resamples have no quantile of 2.5 %: intervals are little more than their "
            "range",
            hint="--bootstrap 1000 is usual",
        )


def _levels(values: FloatArray) -> int:
    ordered = np.sort(np.log(values))
    return 1 + int(np.sum(np.diff(ordered) > 1e-3))


def _copies(runs: LossRuns) -> NDArray[np.intp]:
    """Positions of runs that repeat an earlier one in everything."""
    table = [runs.parameters, runs.training_tokens, runs.loss]
    if runs.unique_tokens is not None:
        table.append(runs.unique_tokens)
    _, first = np.unique(np.stack(table), axis=1, return_index=True)
    return np.setdiff1d(np.arange(len(runs)), first)


def _rows(indices: NDArray[np.intp]) -> tuple[int, ...]:
    return tuple(int(i) for i in indices)


def _count(indices: NDArray[np.intp], what: str) -> str:
    """The number of things and the verb that goes with it."""
    many = {"loss": "losses"}.get(what, what + "s")
    return f"1 {what} is" if indices.size == 1 else f"{indices.size} {many} are"
