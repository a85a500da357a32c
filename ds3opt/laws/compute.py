"""Floating-point operations of training and of inference."""

from __future__ import annotations

import numpy as np

from ds3opt.laws._types import ArrayLike, FloatArray, interval


def training_flop(
    parameters: ArrayLike,
    training_tokens: ArrayLike,
    *,
    layers: ArrayLike = 0,
    attention_width: ArrayLike = 0,
    sequence_tokens: ArrayLike = 0,
) -> FloatArray:
    """Training compute in FLOP: ``(6 N + 3 * layers * width * sequence) D_tr``.

    6 = 2 (multiply-add) x 3 (forward + backward = 1 + 2 forwards). The attention term vanishes by
    default, the usual short-context approximation. A count, not a rate: divide by sustained FLOP/s
    for time.

    Parameters
    ----------
    parameters : N > 0, non-embedding parameters.
    training_tokens : D_tr >= 0, tokens seen, repeats included.
    layers : attention layers, >= 0.
    attention_width : d_attn >= 0, width of the attention output.
    sequence_tokens : tau_seq >= 0, tokens in a training sequence.

    Notes
    -----
    DS3 eq. (5)-(6).

    >>> f"{training_flop(70e9, 1.4e12):.2e}"    # Chinchilla
    '5.88e+23'
    """
    n = interval("parameters", parameters, 0, np.inf, bounds="()")
    tokens = interval("training_tokens", training_tokens, 0, np.inf)
    attention = _layer_width(layers, attention_width) * np.asarray(sequence_tokens, np.float64)
    return np.asarray((6.0 * n + 3.0 * attention) * tokens)[()]


def attention_token_pairs(
    output_tokens: ArrayLike,
    prompt_tokens: ArrayLike = 0,
    *,
    branches: ArrayLike = 1,
    samples: ArrayLike = 1,
) -> FloatArray:
    """Query-key pairs attended to: ``k prompt^2 + prompt * output + output^2 / (2 b k)``.

    The output is split over ``b k`` traces; the ``b`` branches of a sample share its prompt, the
    ``k`` samples do not.

    Parameters
    ----------
    output_tokens : Omega >= 0, tokens generated over all branches and samples.
    prompt_tokens : Omega_prompt >= 0, tokens of one prompt.
    branches : b >= 1, traces kept side by side in each sample.
    samples : k >= 1, independent samples.

    Notes
    -----
    The brackets of DS3 eq. (28), (31), (34) and (37); one layer of unit width. Kept as printed: the
    prompt is not causal (its triangle is counted as a square) and ``output^2 / 2`` stands for
    ``output (output + 1) / 2``.

    >>> float(attention_token_pairs(1000, 200))    # 200^2 + 200 * 1000 + 1000^2 / 2
    740000.0
    """
    output = interval("output_tokens", output_tokens, 0, np.inf)
    prompt = interval("prompt_tokens", prompt_tokens, 0, np.inf, bounds="[)")
    b = interval("branches", branches, 1, np.inf, bounds="[)")
    k = interval("samples", samples, 1, np.inf, bounds="[)")
    return k * prompt * prompt + output * (prompt + output / (2.0 * b * k))


def inference_flop(
    parameters: ArrayLike,
    output_tokens: ArrayLike,
    prompt_tokens: ArrayLike = 0,
    *,
    layers: ArrayLike = 0,
    attention_width: ArrayLike = 0,
    branches: ArrayLike = 1,
    samples: ArrayLike = 1,
    prefill: bool = False,
) -> FloatArray:
    """Inference compute in FLOP: ``2 N * output + 2 * layers * width * pairs``.

    `attention_token_pairs` gives the pairs. The attention term vanishes by default.

    Parameters
    ----------
    parameters : N > 0, non-embedding parameters.
    output_tokens : Omega >= 0, tokens generated over all branches and samples.
    prompt_tokens : Omega_prompt >= 0, tokens of one prompt.
    layers : attention layers, >= 0.
    attention_width : d_attn >= 0.
    branches : b >= 1.
    samples : k >= 1.
    prefill : charge also 2 N per prompt token, once per sample.

    Notes
    -----
    DS3 eq. (28) for chain of thought, (31) with branches, (34) with samples, (37) with both. The
    paper leaves out the parameter cost of reading the prompt; `prefill` adds it.

    >>> f"{inference_flop(70e9, 1000):.2e}"    # two FLOP per parameter and token
    '1.40e+14'
    """
    n = interval("parameters", parameters, 0, np.inf, bounds="()")
    output = np.asarray(output_tokens, dtype=np.float64)
    pairs = attention_token_pairs(output, prompt_tokens, branches=branches, samples=samples)
    processed = output
    if prefill:
        prompts = np.asarray(samples, np.float64) * np.asarray(prompt_tokens, np.float64)
        processed = output + prompts
    return np.asarray(2.0 * (n * processed + _layer_width(layers, attention_width) * pairs))[()]


def output_tokens_for_flop(
    parameters: ArrayLike,
    flop: ArrayLike,
    prompt_tokens: ArrayLike = 0,
    *,
    layers: ArrayLike = 0,
    attention_width: ArrayLike = 0,
    branches: ArrayLike = 1,
    samples: ArrayLike = 1,
    prefill: bool = False,
) -> FloatArray:
    """Output tokens that so much inference compute pays for, the inverse of `inference_flop`.

    Parameters
    ----------
    flop : >= 0, FLOP of one task.
    parameters, prompt_tokens, layers, attention_width, branches, samples, prefill : as there.

    Returns
    -------
    Real tokens >= 0; 0 where reading the prompt alone takes more.

    Notes
    -----
    The root of a quadratic, ``2 R / (B + sqrt(B^2 + 4 A R))``, which loses no digits where the
    attention term is small.

    >>> cost = inference_flop(10e9, 5000, 200, layers=96, attention_width=12288, branches=4)
    >>> float(output_tokens_for_flop(10e9, cost, 200, layers=96, attention_width=12288, branches=4))
    5000.0
    """
    paid = interval("flop", flop, 0, np.inf, bounds="[)")
    n = interval("parameters", parameters, 0, np.inf, bounds="()")
    prompt = interval("prompt_tokens", prompt_tokens, 0, np.inf, bounds="[)")
    traces = np.asarray(branches, np.float64) * np.asarray(samples, np.float64)
    attention = 2.0 * _layer_width(layers, attention_width)
    fixed = inference_flop(
        n,
        0.0,
        prompt,
        layers=layers,
        attention_width=attention_width,
        branches=branches,
        samples=samples,
        prefill=prefill,
    )
    rest = np.maximum(paid - fixed, 0.0)
    linear = 2.0 * n + attention * prompt
    root = np.sqrt(linear * linear + 2.0 * attention / traces * rest)
    return np.asarray(2.0 * rest / (linear + root))[()]


def _layer_width(layers: ArrayLike, attention_width: ArrayLike) -> FloatArray:
    depth = interval("layers", layers, 0, np.inf, bounds="[)")
    return depth * interval("attention_width", attention_width, 0, np.inf, bounds="[)")


def layers_times_width(parameters: ArrayLike, width_per_layer: ArrayLike) -> FloatArray:
    """Layers times attention width of a dense transformer: ``w (N / (12 w^2))^(2/3)``.

    The shape is fixed by ``N = 12 * layers * width^2`` and ``width = w * layers``, so the product
    grows as N^(2/3).

    Parameters
    ----------
    parameters : N > 0, non-embedding parameters.
    width_per_layer : w > 0, width over layers; about 128 for GPT-3 and Llama 65B.

    >>> float(layers_times_width(12 * 10 * 1000**2, 100).round(6))    # 10 layers of width 1000
    10000.0
    """
    n = interval("parameters", parameters, 0, np.inf, bounds="()")
    ratio = interval("width_per_layer", width_per_layer, 0, np.inf, bounds="()")
    return np.asarray(ratio * np.cbrt(n / (12.0 * ratio * ratio)) ** 2)[()]
