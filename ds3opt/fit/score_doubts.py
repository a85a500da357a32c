"""What is wrong, or doubtful, with the scores of a task before and after a map is fitted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ds3opt.fit.accuracy import AccuracyFit, Scores
from ds3opt.fit.doubts import Doubt, few_resamples, too_few
from ds3opt.laws._types import FloatArray

FEW_MODELS_A_CONSTANT = 3
"""Fewer models for each constant than this are told of."""
OFF = 0.03
"""Forecast error of the largest model from which on it is told of: three points."""
_SAME = 1e-9


def obstacles(scores: Scores, constants: int) -> Iterator[Doubt]:
    """What makes a fit impossible.

    Parameters
    ----------
    constants : that are to be fitted.
    """
    if len(scores) <= constants:
        yield Doubt(
            "too_few_models",
            too_few(len(scores), "model", constants),
            hint="hold some fixed with --offset or --ceiling, or add models",
        )
        return
    for value, what in ((0.0, "none solved"), (1.0, "all solved")):
        if bool(np.all(np.abs(scores.score - value) <= _SAME)):
            yield Doubt("degenerate", f"every score is {value:g}, {what}: there is nothing to fit")
            return
    if float(np.ptp(scores.score)) <= _SAME:
        yield Doubt("degenerate", f"every score is {scores.score[0]:.4g}: there is nothing to fit")
        return
    if len(np.unique(scores.loss)) <= 2:
        yield Doubt("degenerate", f"there are only {len(np.unique(scores.loss))} different losses")
        return
    if _rank_correlation(scores.loss, scores.score) > 0.3:
        yield Doubt(
            "rising",
            "scores rise with loss: a better model should score higher",
            hint="is the column an error rate, or the loss of something else?",
        )


def doubts_of_scores(scores: Scores, constants: int) -> Iterator[Doubt]:
    """What makes a fit less sure than it looks."""
    if len(scores) < FEW_MODELS_A_CONSTANT * constants:
        yield Doubt("few_models", f"{len(scores)} models for {constants} constants are few")
    table = np.stack([scores.loss, scores.score])
    _, first = np.unique(table, axis=1, return_index=True)
    copies = np.setdiff1d(np.arange(len(scores)), first)
    if copies.size:
        many = "1 model is a copy" if copies.size == 1 else f"{copies.size} models are copies"
        yield Doubt(
            "duplicates",
            f"{many} of another: they count twice, and intervals come out too narrow",
            tuple(int(i) for i in copies),
        )


def doubts_of_fit(scores: Scores, fit: AccuracyFit) -> Iterator[Doubt]:
    """What the fit itself says against it."""
    yield from few_resamples(len(fit.draws))
    for name in fit.at_edge:
        yield Doubt(
            "not_identified",
            f"{name} runs to the end of what is allowed: these scores do not identify it",
        )
    middle = fit.values.get("difficulty")
    if middle is not None and "difficulty" not in fit.at_edge:
        low, high = float(scores.loss.min()), float(scores.loss.max())
        if not low <= middle <= high:
            side = "below the lowest" if middle < low else "above the highest"
            yield Doubt(
                "middle_outside",
                f"the middle of the sigmoid, {middle:.4g}, lies {side} loss: difficulty, slope and "
                "ceiling are extrapolated together",
                hint="hold the ceiling with --ceiling, or add models on the other side",
            )
    far = [one for one in fit.forecasts if abs(one.largest) > OFF]
    if far:
        told = _listed([f"{one.route} {100 * one.largest:+.1f} points" for one in far])
        yield Doubt(
            "poor_forecast",
            f"the largest model, left out, is forecast badly: {told}",
            hint="trust the residual band only within the range of the data",
        )


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words)


def _rank_correlation(first: FloatArray, second: FloatArray) -> float:
    """Spearman's rho; ties keep their order of appearance, which is fine for a warning."""
    ranks = np.array([np.argsort(np.argsort(x, kind="stable")) for x in (first, second)], float)
    return float(np.corrcoef(ranks)[0, 1])
