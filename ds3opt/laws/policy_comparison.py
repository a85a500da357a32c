"""When a tree of thought beats a chain of thought: the exact rule behind DS3's Theorem 1.

A chain has n steps, a tree of b branches L levels, whatever made them comparable (tokens, FLOP or a
context). With ``q = 1 - r`` the slopes of their success in r have the ratio

``R(r) = K [(1 - q^b) / (1 - q)]^(m-1) q^E``,  ``E = b (L - m + 1) - (n - m + 1)``,

which is monotone in q or falls and then rises, while both differences vanish at r = 0 and r = 1.
So the tree is better for every r, for none, or for those below one crossover.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from ds3opt.laws._types import ArrayLike, FloatArray, interval
from ds3opt.laws.search import chain_of_thought_success, tree_of_thought_success

_BISECTIONS = 64
_LOGIT_LOW, _LOGIT_HIGH = -690.0, 36.7
"""Log odds of the smallest step success looked at, and of the last double below 1."""
_EVEN = 1e-13
"""Log ratio of two success rates that counts as none."""


def hard_task_log_ratio(
    skills: ArrayLike, steps: ArrayLike, branches: ArrayLike, levels: ArrayLike
) -> FloatArray:
    """Log of the success of a tree over that of a chain as step success goes to 0.

    ``m log b + log binom(L, m) - log binom(n, m)``; -inf where only the chain can finish, inf
    where only the tree can, 0 where neither can or no skill is needed.

    Parameters
    ----------
    skills : m >= 0.
    steps : n >= 0 of the chain, need not be whole.
    branches : b >= 1.
    levels : L >= 0 of the tree, need not be whole.

    Notes
    -----
    DS3 Theorem 1 states ``b^(m/2)`` for ``L = n / sqrt(b)``, which is the limit for n far above
    m^2 only: with b = 4, m = 100 and n = 3 m it is 1.3e30 and the true ratio is 7.8e18.

    >>> float(np.exp(hard_task_log_ratio(1, 40, 4, 20)).round(9))    # b L / n
    2.0
    """
    m, n, b, levels_ = _checked(skills, steps, branches, levels)
    chain, tree = n >= m, levels_ >= m
    both = chain & tree & (m > 0.0)
    n1, l1, m1 = (np.where(both, x, 1.0) for x in (n, levels_, m))
    found = m1 * np.log(b) + _log_choose(l1, m1) - _log_choose(n1, m1)
    found = np.where(both, found, 0.0)
    found = np.where(chain & ~tree, -np.inf, found)
    return np.where(tree & ~chain, np.inf, found)[()]


def easy_task_exponent(
    skills: ArrayLike, steps: ArrayLike, branches: ArrayLike, levels: ArrayLike
) -> FloatArray:
    """``E = b (L - m + 1) - (n - m + 1)``: failures that a tree survives beyond a chain.

    As step success goes to 1 the tree fails less often than the chain if E > 0, more often if
    E < 0. Arguments as for `hard_task_log_ratio`.

    >>> float(easy_task_exponent(5, 20, 16, 5))    # 16 candidates for each of 5 levels
    0.0
    """
    m, n, b, levels_ = _checked(skills, steps, branches, levels)
    return np.asarray(b * (levels_ - m + 1.0) - (n - m + 1.0))[()]


def branching_crossover(
    skills: ArrayLike, steps: ArrayLike, branches: ArrayLike, levels: ArrayLike
) -> FloatArray:
    """Step success below which a tree of thought is better than a chain of thought.

    Parameters
    ----------
    skills : m >= 0.
    steps : n >= 0 of the chain. Whole for the floor reading; any real number is the continuous
        reading of DS3 Table I.
    branches : b >= 1.
    levels : L >= 0 of the tree, in the same reading.

    Returns
    -------
    In [0, 1]: 0 where the chain is never worse (also where they tie, or neither can finish), 1
    where the tree is better for every step success below 1.

    Notes
    -----
    Both without fatigue, the tree with a perfect process verifier, as in DS3. The rule: the tree
    cannot finish with fewer than m levels; with ``E >= 0`` (`easy_task_exponent`) it is always
    better; else it is never better if ``R0 <= 1`` (`hard_task_log_ratio`), and below one crossover
    if ``R0 > 1``. So Conjecture 1.1 of DS3, a crossover for every m > 1, fails on both sides, and
    so does its 1.2: whether the tree wins for many skills depends on steps per skill, see
    `branching_threshold`.

    >>> branching_crossover([3, 10, 100], [6.3, 21, 210], 4, [3.15, 10.5, 105]).round(6).tolist()
    [1.0, 0.59032, 0.322234]
    """
    m, n, b, levels_ = _checked(skills, steps, branches, levels)
    ratio = np.asarray(hard_task_log_ratio(m, n, b, levels_))
    exponent = np.asarray(easy_task_exponent(m, n, b, levels_))
    able = (levels_ >= m) & (m > 0.0) & (b > 1.0)
    same = (m == 1.0) & (exponent == 0.0)
    always = able & ((exponent >= 0.0) | (n < m)) & ~same
    crossed = able & ~always & ~same & (ratio > _EVEN)
    found = np.where(always, 1.0, 0.0)
    if np.any(crossed):
        found[crossed] = _root(*(x[crossed] for x in (m, n, b, levels_)))
    return found[()]


def branching_threshold(branches: ArrayLike) -> FloatArray:
    """Largest step success at which a tree gets through a long task in fewer tokens, 0 for b = 1.

    The root of ``1 - (1 - e)^b = sqrt(b) e``, for the square root of b times the tokens that a
    tree has where attention costs everything.

    Notes
    -----
    Epsilon-dagger of DS3 Conjecture 1.2, which claims that below it the tree wins for many skills.
    That needs steps per skill c between ``sqrt(b) / (1 - (1 - e)^b)`` and ``1 / e`` as well.

    >>> branching_threshold([2, 4, 16, 64]).round(6).tolist()
    [0.585786, 0.456311, 0.247349, 0.124976]
    """
    b = interval("branches", branches, 1, np.inf, bounds="[)")
    s = np.sqrt(b)
    e = np.ones(np.shape(b))
    # the difference is concave and negative from its root to 1: Newton comes down to the root
    for _ in range(60):
        with np.errstate(divide="ignore", invalid="ignore", under="ignore"):
            log_fail = np.log1p(-e)
            value = -np.expm1(b * log_fail) - s * e
            slope = b * np.exp((b - 1.0) * log_fail) - s
            step = np.where(b > 1.0, value / slope, 0.0)
        e = np.clip(e - step, 0.0, 1.0)
    return np.where(b > 1.0, e, 0.0)[()]


def tokens_for_inference_flop(
    flop: ArrayLike,
    parameters: ArrayLike,
    prompt_tokens: ArrayLike = 0,
    *,
    layers: ArrayLike = 0,
    attention_width: ArrayLike = 0,
    branches: ArrayLike = 1,
    samples: ArrayLike = 1,
) -> FloatArray:
    """Tokens that a policy generates for so many FLOP: the inverse of `compute.inference_flop`.

    0 where the prompt alone costs more. Arguments as there, without `prefill`.

    Notes
    -----
    DS3 (28), (31), (34), (37) solved for the tokens; with b branches and equal FLOP the tokens
    rise from 1 to sqrt(b) times those of a chain as attention takes over, (39).

    >>> float(tokens_for_inference_flop(1.4e14, 70e9))
    1000.0
    """
    cost = interval("flop", flop, 0, np.inf, bounds="[)")
    size = interval("parameters", parameters, 0, np.inf, bounds="()")
    prompt = interval("prompt_tokens", prompt_tokens, 0, np.inf, bounds="[)")
    b = interval("branches", branches, 1, np.inf, bounds="[)")
    k = interval("samples", samples, 1, np.inf, bounds="[)")
    wide = 2.0 * np.asarray(layers, np.float64) * np.asarray(attention_width, np.float64)
    left = np.maximum(cost - wide * k * prompt * prompt, 0.0)
    linear = 2.0 * size + wide * prompt
    square = wide / (2.0 * b * k)
    return np.asarray(2.0 * left / (linear + np.sqrt(linear**2 + 4.0 * square * left)))[()]


def _checked(
    skills: ArrayLike, steps: ArrayLike, branches: ArrayLike, levels: ArrayLike
) -> tuple[FloatArray, ...]:
    return np.broadcast_arrays(
        interval("skills", skills, 0, np.inf, bounds="[)"),
        interval("steps", steps, 0, np.inf, bounds="[)"),
        interval("branches", branches, 1, np.inf, bounds="[)"),
        interval("levels", levels, 0, np.inf, bounds="[)"),
    )


def _log_choose(n: FloatArray, m: FloatArray) -> FloatArray:
    return np.asarray(-np.log1p(n) - special.betaln(n - m + 1.0, m + 1.0))


def _root(m: FloatArray, n: FloatArray, b: FloatArray, levels: FloatArray) -> FloatArray:
    """The one crossover, by bisection on the log odds of step success."""
    low, high = np.full(m.shape, _LOGIT_LOW), np.full(m.shape, _LOGIT_HIGH)
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        tree_leads = _lead(special.expit(middle), m, n, b, levels) > 0.0
        low, high = np.where(tree_leads, middle, low), np.where(tree_leads, high, middle)
    return np.asarray(special.expit(0.5 * (low + high)))


def _lead(
    r: FloatArray, m: FloatArray, n: FloatArray, b: FloatArray, levels: FloatArray
) -> FloatArray:
    """Positive where the tree is better: from logs of success, of failure where both are likely."""
    tree = tree_of_thought_success(r, m, levels * b, b, log=True, whole_levels=False)
    chain = chain_of_thought_success(r, m, n, log=True)
    likely = np.maximum(tree, chain) > -0.7
    tree_fails = tree_of_thought_success(
        r, m, levels * b, b, log=True, whole_levels=False, complement=True
    )
    chain_fails = chain_of_thought_success(r, m, n, log=True, complement=True)
    return np.where(likely, chain_fails - tree_fails, tree - chain)
