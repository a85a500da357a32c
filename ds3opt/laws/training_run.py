"""Seconds of a training run and the memory that it needs of each accelerator."""

from __future__ import annotations

import numpy as np

from ds3opt.laws._types import ArrayLike, FloatArray, interval


def training_seconds(
    flop: ArrayLike,
    *,
    accelerators: ArrayLike,
    flop_per_s: ArrayLike,
    utilisation: ArrayLike,
    goodput: ArrayLike = 1.0,
) -> FloatArray:
    """Wall-clock time of a run: ``C / (n F MFU goodput)``, s.

    Parameters
    ----------
    flop : C >= 0, the model's own FLOP, recomputation not counted.
    accelerators : n > 0.
    flop_per_s : F > 0, peak of one accelerator at the precision of training.
    utilisation : MFU in (0, 1], model FLOP over peak FLOP while the run makes progress.
    goodput : share of the time in which it does, in (0, 1].

    >>> seconds = training_seconds(
    ...     3.8e25, accelerators=16384, flop_per_s=989e12, utilisation=0.41, goodput=0.85
    ... )
    >>> f"{seconds / 86400:.0f} days"    # Llama-3.1-405B
    '78 days'
    """
    work = interval("flop", flop, 0, np.inf)
    n = interval("accelerators", accelerators, 0, np.inf, bounds="()")
    peak = interval("flop_per_s", flop_per_s, 0, np.inf, bounds="()")
    share = interval("utilisation", utilisation, 0, 1, bounds="(]")
    progress = interval("goodput", goodput, 0, 1, bounds="(]")
    return np.asarray(work / n / peak / share / progress)[()]


def attention_share(
    parameters: ArrayLike,
    *,
    layers: ArrayLike,
    attention_width: ArrayLike,
    sequence_tokens: ArrayLike,
) -> FloatArray:
    """Share of a training token's FLOP that attention takes: ``a / (6 N + a)``, a = 12 l d s.

    Every pair of tokens counts, also those that a causal mask leaves out, as in the measured
    utilisations that the calibrations are fitted to.

    Parameters
    ----------
    parameters : N > 0.
    layers, attention_width, sequence_tokens : l, d and s, >= 0.

    Notes
    -----
    MosaicML llm-foundry, scripts/train/benchmarking.

    >>> share = attention_share(6.65e9, layers=32, attention_width=4096, sequence_tokens=2048)
    >>> f"{share:.3f}"    # MPT-7B
    '0.075'
    """
    n = interval("parameters", parameters, 0, np.inf, bounds="()")
    depth = interval("layers", layers, 0, np.inf, bounds="[)")
    width = interval("attention_width", attention_width, 0, np.inf, bounds="[)")
    tokens = interval("sequence_tokens", sequence_tokens, 0, np.inf, bounds="[)")
    attended = 12.0 * depth * width * tokens
    return np.asarray(attended / (6.0 * n + attended))[()]


def model_flop_utilisation(
    matrix: ArrayLike, attention: ArrayLike, attention_share: ArrayLike = 0.0
) -> FloatArray:
    """MFU of two kinds of work one after the other: ``1 / ((1 - f) / u_matrix + f / u_attention)``.

    Parameters
    ----------
    matrix, attention : utilisation of the peak in each kind of work, in (0, 1].
    attention_share : f in [0, 1], share of the FLOP that attention takes.

    >>> float(model_flop_utilisation(0.5, 0.25, 0.5).round(4))    # 1 / (0.5 / 0.5 + 0.5 / 0.25)
    0.3333
    """
    first = interval("matrix", matrix, 0, 1, bounds="(]")
    second = interval("attention", attention, 0, 1, bounds="(]")
    share = interval("attention_share", attention_share, 0, 1)
    return np.asarray(1.0 / ((1.0 - share) / first + share / second))[()]


def training_bytes_per_accelerator(
    parameters: ArrayLike,
    accelerators: ArrayLike,
    *,
    bytes_per_parameter: ArrayLike = 16.0,
    activation_bytes: ArrayLike = 0.0,
) -> FloatArray:
    """Memory of each accelerator when all states are sharded: ``16 N / n`` and activations.

    16 bytes = 2 (weights) + 2 (gradients) + 12 (float32 weights and two moments of Adam).

    Parameters
    ----------
    parameters : N >= 0.
    accelerators : n > 0.
    bytes_per_parameter : weights, gradients and optimiser states, >= 0.
    activation_bytes : kept by each accelerator for the backward pass, >= 0.

    Notes
    -----
    Rajbhandari et al. 2020 (ZeRO, arXiv:1910.02054), section 3.1 and stage 3.

    >>> float(training_bytes_per_accelerator(70e9, 64))    # 17.5 GB
    17500000000.0
    """
    n = interval("parameters", parameters, 0, np.inf, bounds="[)")
    shards = interval("accelerators", accelerators, 0, np.inf, bounds="()")
    each = interval("bytes_per_parameter", bytes_per_parameter, 0, np.inf, bounds="[)")
    kept = interval("activation_bytes", activation_bytes, 0, np.inf, bounds="[)")
    return np.asarray(n / shards * each + kept)[()]
