"""From pretraining loss to the chance that one reasoning step succeeds."""

from __future__ import annotations

import numpy as np
from scipy import special

from ds3opt.laws._types import ArrayLike, FloatArray, interval, refuse


@np.errstate(under="ignore")
def step_skill_success(
    loss: ArrayLike,
    difficulty: ArrayLike,
    *,
    slope: ArrayLike,
    scale: ArrayLike = 1.0,
    offset: ArrayLike = 0.0,
) -> FloatArray:
    """Chance that a model of this loss executes a skill: a sigmoid between offset and ceiling.

    ``p = scale / (1 + exp(-slope (difficulty - loss))) + offset``.

    Parameters
    ----------
    loss : pretraining loss, nats per token.
    difficulty : L0, loss at which half of `scale` is reached, same unit.
    slope : b > 0, per nat.
    scale : a >= 0, height of the rise.
    offset : d >= 0, chance that remains at infinite loss; ``scale + offset <= 1``.

    Returns
    -------
    Probability in [0, 1], non-increasing in `loss`.

    Notes
    -----
    DS3 eq. (2) and (65). `difficulty` and `loss` must come from the same loss law: the nats of one
    corpus cannot be compared with the bits per byte of another.

    >>> step_skill_success(2.0, [2.0, 2.2], slope=5).round(6).tolist()    # 1 / (1 + exp(-1))
    [0.5, 0.731059]
    """
    steepness = interval("slope", slope, 0, np.inf, bounds="()")
    height = interval("scale", scale, 0, 1)
    floor = interval("offset", offset, 0, 1)
    ceiling = height + floor
    if np.any(ceiling > 1.0 + 1e-15):
        raise refuse("scale + offset", "in [0, 1]", float(np.max(ceiling)))
    reached = interval("loss", loss, -np.inf, np.inf, bounds="(]")
    distance = interval("difficulty", difficulty, -np.inf, np.inf, bounds="()") - reached
    rise: FloatArray = special.expit(steepness * distance)
    return np.minimum(height * rise + floor, 1.0)


def directionality(relevant_skills: ArrayLike, delta: ArrayLike) -> FloatArray:
    """Chance that a step goes to the skill the task needs next: ``delta + (1 - delta) / M``.

    Parameters
    ----------
    relevant_skills : M >= 1, skills that the search chooses among.
    delta : in [0, 1]; 0 is a uniform choice, 1 always finds the right skill.

    Notes
    -----
    DS3 eq. (16), third case.

    >>> directionality(4, [0, 0.2, 1]).round(6).tolist()
    [0.25, 0.4, 1.0]
    """
    choices = interval("relevant_skills", relevant_skills, 1, np.inf)
    bias = interval("delta", delta, 0, 1)
    return bias + (1.0 - bias) / choices
