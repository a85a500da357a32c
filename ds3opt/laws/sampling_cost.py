"""What repeated samples cost, in FLOP or dollars, and how many samples a budget buys."""

from __future__ import annotations

import numpy as np

from ds3opt.laws._types import ArrayLike, FloatArray, interval

_ROUNDING = 1e-12


def sampling_cost(
    samples: ArrayLike,
    prompt_tokens: ArrayLike,
    output_tokens: ArrayLike,
    input_price: ArrayLike,
    output_price: ArrayLike,
    *,
    shared_prompt: bool = False,
) -> FloatArray:
    """Cost of k samples: ``k (N_p p_in + N_d p_out)``, or ``N_p p_in + k N_d p_out``.

    Parameters
    ----------
    samples : k >= 0.
    prompt_tokens : N_p >= 0, tokens of the prompt.
    output_tokens : N_d >= 0, tokens of one sample.
    input_price, output_price : >= 0, of a token: both ``2 N`` for FLOP, or USD.
    shared_prompt : the prompt is read once for all samples, as with a cache of prefixes.

    Notes
    -----
    Levi, "A simple model of inference scaling laws" (arXiv 2410.16377), whose
    ``C = N_p F + N_d k F`` shares the prompt; C is the cost of a question, not of a token.

    >>> f"{sampling_cost(100, 100, 500, 16e9, 16e9, shared_prompt=True):.4g}"    # 8B parameters
    '8.016e+14'
    """
    k = interval("samples", samples, 0, np.inf)
    once, each = _terms(prompt_tokens, output_tokens, input_price, output_price, shared_prompt)
    return np.asarray(once * (k > 0.0) + np.where(each > 0.0, k, 0.0) * each)[()]


def samples_within_cost(
    cost: ArrayLike,
    prompt_tokens: ArrayLike,
    output_tokens: ArrayLike,
    input_price: ArrayLike,
    output_price: ArrayLike,
    *,
    shared_prompt: bool = False,
) -> FloatArray:
    """Most whole samples that a budget buys, the inverse of `sampling_cost`.

    Parameters
    ----------
    cost : C >= 0, in the unit of the prices; the others as there.

    Returns
    -------
    ``floor((C - N_p p_in) / (N_d p_out))`` where the prompt is shared; 0 where not one is paid
    for, inf where samples cost nothing.

    >>> float(samples_within_cost(8.016e14, 100, 500, 16e9, 16e9, shared_prompt=True))
    100.0
    """
    budget = interval("cost", cost, 0, np.inf)
    once, each = _terms(prompt_tokens, output_tokens, input_price, output_price, shared_prompt)
    left = budget - once
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        bought = np.floor(left / each * (1.0 + _ROUNDING))
    paid = left >= -_ROUNDING * budget
    bought = np.where(each > 0.0, bought, np.inf)
    return np.where(paid, np.maximum(np.nan_to_num(bought, posinf=np.inf), 0.0), 0.0)[()]


def _terms(
    prompt_tokens: ArrayLike,
    output_tokens: ArrayLike,
    input_price: ArrayLike,
    output_price: ArrayLike,
    shared_prompt: bool,
) -> tuple[FloatArray, FloatArray]:
    """What is paid once, and for each sample."""
    read = interval("prompt_tokens", prompt_tokens, 0, np.inf, bounds="[)") * interval(
        "input_price", input_price, 0, np.inf, bounds="[)"
    )
    written = interval("output_tokens", output_tokens, 0, np.inf, bounds="[)") * interval(
        "output_price", output_price, 0, np.inf, bounds="[)"
    )
    return (read, written) if shared_prompt else (np.zeros_like(read), read + written)
