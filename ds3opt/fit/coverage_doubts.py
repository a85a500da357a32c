"""What is wrong, or doubtful, with counts of right traces and the population fitted to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ds3opt.fit.coverage import Counts, CoverageFit
from ds3opt.fit.doubts import Doubt, few_resamples

FEW_PROBLEMS = 30
FEW_SAMPLES = 20
"""Problems, and traces of each, fewer than which are told of."""
FAR = 50.0
"""Times the usual number of traces of a problem beyond which forecasts are not to be trusted."""
WIDE_SOLVABLE = 0.8
"""Lower end of the interval of the solvable share from which down it is told of."""
OFF = 0.02
"""Difference of fitted and measured coverage from which on it is told of: two points."""


def obstacles(counts: Counts, constants: int = 3) -> Iterator[Doubt]:
    """What makes a fit impossible.

    Parameters
    ----------
    constants : that are to be fitted.
    """
    above = np.flatnonzero(counts.correct > counts.samples)
    if above.size:
        first = int(above[0])
        right, tried = counts.correct[first], counts.samples[first]
        yield Doubt(
            "more_correct_than_tried",
            f"{right:.0f} of {tried:.0f} samples cannot be correct",
            tuple(int(i) for i in above),
        )
        return
    if len(counts) <= constants:
        problems = "1 problem is" if len(counts) == 1 else f"{len(counts)} problems are"
        yield Doubt(
            "too_few_problems",
            f"{problems} too few for {constants} constants",
            hint=f"{FEW_PROBLEMS} or more",
        )
        return
    if not np.any(counts.correct > 0.0):
        yield Doubt(
            "degenerate", "none solved: no problem has a right sample, so there is nothing to fit"
        )
    elif np.all(counts.correct == counts.samples):
        yield Doubt("degenerate", "all solved: every sample is right, so there is nothing to fit")
    elif np.max(counts.samples) < 2.0:
        yield Doubt(
            "one_sample",
            "every problem was tried once: how problems differ cannot be told from that",
            hint="sample each problem several times",
        )


def doubts_of_counts(counts: Counts) -> Iterator[Doubt]:
    """What makes a fit less sure than it looks."""
    if len(counts) < FEW_PROBLEMS:
        yield Doubt(
            "few_problems",
            f"{len(counts)} problems are few: intervals from so few are themselves unsure",
        )
    usual = float(np.median(counts.samples))
    if usual < FEW_SAMPLES and not counts.stopped_at_success:
        yield Doubt(
            "few_samples",
            f"{usual:g} samples of a problem are few to tell hard problems from impossible ones",
        )
    if counts.stopped_at_success:
        yield Doubt(
            "stopped_at_success",
            "sampling stopped at the first right sample: the likelihood allows for that, while "
            "pass@k from these counts would be too high and is not shown",
        )
    elif counts.at_most_once and int(np.sum(counts.correct)) > 3:
        yield Doubt(
            "at_most_once",
            "no problem has more than one right sample",
            hint="is correct a yes or no of the whole problem? Then it is no count",
        )


def doubts_of_fit(
    counts: Counts, fit: CoverageFit, differences: Sequence[float], asked: Sequence[float] = ()
) -> Iterator[Doubt]:
    """What the fit itself says against it.

    Parameters
    ----------
    differences : fitted minus measured coverage where both are known.
    asked : numbers of samples that the report gives forecasts for.
    """
    yield from few_resamples(len(fit.draws))
    if fit.at_edge:
        names = " and ".join(fit.at_edge)
        yield Doubt(
            "not_identified",
            f"{names} runs to the end of what is allowed: these counts do not identify it",
            hint="problems that are all alike have no spread to fit",
        )
    if fit.profile is not None and fit.profile[0] < WIDE_SOLVABLE:
        low, high = fit.profile
        yield Doubt(
            "solvable_unknown",
            f"the solvable share may be anything from {100 * low:.3g} to {100 * high:.3g} %: hard "
            "problems cannot be told from impossible ones",
            hint="alpha moves with it; quote coverage within the range of samples only",
        )
    off = max(differences, key=abs, default=0.0)
    if abs(off) > OFF:
        yield Doubt(
            "poor_fit",
            f"fitted coverage is off by {100 * off:+.1f} points at worst: the Beta distribution is "
            "a rough summary of these problems",
            hint="give the counts themselves to a scenario: measured: {success_counts: ...}",
        )
    usual = float(np.median(counts.samples))
    far = [k for k in asked if FAR * usual < k < np.inf]
    if far:
        yield Doubt(
            "extrapolation",
            f"{max(far):.3g} samples are more than {FAR:.0f} times the {usual:g} of a problem here",
            hint="fits from few samples have been found to forecast too low that far out",
        )
