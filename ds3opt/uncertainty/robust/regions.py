"""The best plan for the worst draws: bounds from weights of the draws, region by region of models.

Weights bound the tail mean of every plan, but closely only where one model is best for them. Where
several are, and do well in different draws, models are parted into regions of size and training
tokens; each has weights of its own, and the largest of their bounds is everybody's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ds3opt.uncertainty.robust.ensemble import Ensemble
from ds3opt.uncertainty.robust.nearby import Spot
from ds3opt.uncertainty.robust.saddle import Saddle
from ds3opt.uncertainty.robust.search import RobustSearch
from ds3opt.uncertainty.robust.tail import Slice

FloatArray = NDArray[np.float64]
Progress = Callable[[str, float], None]

_SEARCHES = 16
"""That are run, at most."""
_ENOUGH = 0.1
"""Part of the gap that weights may cost."""
_ROUGH = 5e-3
"""Gap of the first model."""
_FEW = 24
"""Draws with which the first model is found."""
_APART = 1e-3
"""Least distance, in logarithms of size and tokens, of models that regions can part."""


@dataclass(frozen=True)
class WorstDraws:
    """The best plan found for the tail, and the bound of all plans."""

    value: float
    upper: float
    best: Slice
    amount: FloatArray  # (action,) of the best slice


@dataclass(frozen=True)
class _Region:
    """Models of some sizes and training tokens."""

    ensemble: Ensemble
    saddle: Saddle
    upper: float
    searched: int = 0


def for_worst_draws(
    ensemble: Ensemble, tail: float, gap: float, known: Spot | None, progress: Progress | None
) -> WorstDraws | None:
    """Maximise the mean over a tail to a gap; None where no model keeps the limits.

    Parameters
    ----------
    known : a plan to begin with.
    """
    start = known or _first_model(ensemble)
    if start is None:
        return None
    saddle = Saddle.at(ensemble, tail, [(start.parameters, start.loss)])
    if saddle is None:
        return None
    best, closed = saddle, -np.inf
    regions = [_Region(ensemble, saddle, np.inf)]
    for _ in range(_SEARCHES):
        region = regions.pop(int(np.argmax([each.upper for each in regions])))
        found = region.saddle.settled(_ENOUGH * gap)
        best = max(best, found, key=lambda each: each.value)
        search = RobustSearch(
            region.ensemble.common,
            [ensemble.common.budgets],
            gap,
            ensemble=region.ensemble,
            draws=found.draws,
            floor=best.value,
            ease=0.5,
        )
        search.progress = progress
        upper = min(region.upper, search.run()[0].upper)
        if search.best is not None and upper > best.value + gap:
            found = found.with_model(search.best.parameters, search.best.loss)
            best = max(best, found, key=lambda each: each.value)
        region = _Region(region.ensemble, found, upper, region.searched + 1)
        if upper <= best.value + gap:
            closed = max(closed, upper)
        elif region.searched < 2:
            regions.append(region)
        else:
            regions += _parted(region)
        regions, done = _split(regions, best.value + gap)
        closed = max(closed, done)
        if not regions:
            break
    upper = max([closed, *(region.upper for region in regions)])
    return WorstDraws(best.value, max(upper, best.value), best.best, best.amount)


def _split(regions: list[_Region], enough: float) -> tuple[list[_Region], float]:
    """The regions that are still open, and the largest bound of the others."""
    done = max((r.upper for r in regions if r.upper <= enough), default=-np.inf)
    return [r for r in regions if r.upper > enough], done


def _parted(region: _Region) -> list[_Region]:
    """Two regions that part the models which are mixed; the same one where they are too near."""
    saddle, ensemble = region.saddle, region.ensemble
    space = ensemble.common.space
    models = np.log([(each.parameters, each.training_tokens) for each in saddle.slices])
    if space.infinite_data:
        models[:, 1] = 0.0
    mixed = models[saddle.share > 1e-6]
    spread = np.ptp(mixed, axis=0) if len(mixed) else np.zeros(2)
    axis = int(np.argmax(spread))
    if spread[axis] < _APART:
        return [replace(region, searched=0)]
    middle = float(np.exp(0.5 * (mixed[:, axis].min() + mixed[:, axis].max())))
    low, high = space.training_tokens if axis else space.parameters
    parts = []
    for ends in ((low, middle), (middle, high)):
        part = replace(space, training_tokens=ends) if axis else replace(space, parameters=ends)
        own = replace(ensemble, common=replace(ensemble.common, space=part))
        inside = [
            (each.parameters, each.loss)
            for each, at in zip(saddle.slices, np.exp(models[:, axis]), strict=True)
            if ends[0] <= at <= ends[1]
        ]
        began = Saddle.at(own, saddle.tail, inside) if inside else None
        if began is None:
            first = _first_model(own)
            if first is not None:
                began = Saddle.at(own, saddle.tail, [(first.parameters, first.loss)])
        # a region without a model has no plan
        if began is not None:
            parts.append(_Region(own, began, region.upper))
    return parts


def _first_model(ensemble: Ensemble) -> Spot | None:
    """The best plan for a few draws; whether there is any does not depend on the draws."""
    few = np.linspace(0, len(ensemble) - 1, min(_FEW, len(ensemble))).astype(np.intp)
    part = Ensemble.of([ensemble.problems[i] for i in few])
    # the limits of all draws, so that what is found keeps them
    common = replace(part.common, space=ensemble.common.space, budgets=ensemble.common.budgets)
    common = replace(common, gap=_ROUGH, max_cells=ensemble.common.max_cells)
    part = replace(part, common=common)
    even = np.full(len(part), 1.0 / len(part))
    search = RobustSearch(common, [common.budgets], _ROUGH, ensemble=part, draws=even)
    search.run()
    return search.best
