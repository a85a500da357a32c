"""Numbers that papers print or plot, typed over with their sources, to be compared against."""

from __future__ import annotations

from typing import NamedTuple

# -- Brown et al., "Large language monkeys" (arXiv 2407.21787), on MATH --------------------------

SAMPLES = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)
COVERAGE: dict[str, tuple[float, ...]] = {
    "Llama-3-8B-Instruct": (
        *(0.2582, 0.3540, 0.4124, 0.4871, 0.5823, 0.6655, 0.7482),
        *(0.7980, 0.8389, 0.8802, 0.9028, 0.9218, 0.9426, 0.9529),
    ),
    "Llama-3-70B-Instruct": (
        *(0.4579, 0.5517, 0.6013, 0.6601, 0.7313, 0.7953, 0.8600),
        *(0.8923, 0.9118, 0.9276, 0.9362, 0.9422, 0.9489, 0.9529),
    ),
}
"""Fig. 7, oracle verifier, read off to about 0.003, at the numbers of `SAMPLES`."""
PYTHIA_COVERAGE = {1: 0.0203, 10: 0.1348, 100: 0.4220, 1000: 0.6778, 10000: 0.8125}
"""Pythia-2.8B, the unbiased estimate from the released counts of 128 problems."""
MAJORITY: dict[str, dict[int, float]] = {
    "Llama-3-8B-Instruct": {
        2: 0.2598,
        3: 0.2793,
        5: 0.3094,
        10: 0.3407,
        20: 0.3598,
        50: 0.3781,
        100: 0.3864,
        400: 0.3938,
    },
    "Llama-3-70B-Instruct": {
        2: 0.4581,
        3: 0.4844,
        5: 0.5152,
        10: 0.5347,
        20: 0.5416,
        50: 0.5520,
        100: 0.5525,
        1000: 0.5499,
    },
}
"""Fig. 7, majority vote, read off to about 0.003."""

# -- DS3 Fig. 11 ----------------------------------------------------------------------------

DECAY = {"Llama-3-8B-Instruct": 0.752, "Llama-3-70B-Instruct": 0.592}
"""lambda of the wrong answers, as the caption states."""
WRONG_ANSWERS = 9

# -- Wu et al., "Inference scaling laws" (arXiv 2408.00724) ---------------------------------------


class Cell(NamedTuple):
    """One model and way of answering on one benchmark."""

    flop: float
    accuracy: float
    """In percent."""


class Row(NamedTuple):
    """One row of Wu et al. Table 4."""

    samples: int
    math: Cell
    gsm8k: Cell


def _rows(
    samples: int, flop: tuple[tuple[float, float], ...], accuracy: tuple[tuple[float, float], ...]
) -> dict[str, Row]:
    """Rows of one model: greedy, then three ways of choosing for sampling and for REBASE."""
    ways = ("greedy", *(f"{s}+{c}" for s in ("sampling", "rebase") for c in ("MV", "BoN", "WV")))
    costs = (flop[0], *[flop[1]] * 3, *[flop[2]] * 3)
    return {
        way: Row(
            1 if way == "greedy" else samples,
            Cell(cost[0] * 1e12, right[0]),
            Cell(cost[1] * 1e12, right[1]),
        )
        for way, cost, right in zip(ways, costs, accuracy, strict=True)
    }


TABLE4: dict[str, dict[str, Row]] = {
    "Mistral-7B": _rows(
        32,
        ((3.4, 2.3), (109.2, 72.6), (136.2, 78.9)),
        (
            *((28.6, 77.9), (36.1, 85.7), (40.3, 89.4), (39.7, 89.1)),
            *((44.1, 88.8), (45.4, 89.4), (45.0, 89.8)),
        ),
    ),
    "Llemma-7B": _rows(
        32,
        ((3.92, 2.3), (125.4, 73.9), (148.0, 82.6)),
        (
            *((30.0, 68.5), (41.0, 80.0), (41.7, 85.6), (43.5, 85.4)),
            *((46.1, 86.1), (44.1, 86.9), (46.8, 87.3)),
        ),
    ),
    "Llama3-Instruct-8B": _rows(
        32,
        ((3.84, 2.28), (122.9, 73.2), (172.8, 79.3)),
        (
            *((29.6, 79.0), (35.4, 84.6), (39.7, 88.5), (39.5, 88.6)),
            *((45.2, 88.3), (45.5, 88.7), (43.7, 89.1)),
        ),
    ),
    "Llemma-34B": _rows(
        8,
        ((19.0, 11.2), (152.3, 89.7), (176.8, 98.7)),
        (
            *((33.0, 78.4), (39.9, 84.3), (40.4, 86.7), (41.0, 86.0)),
            *((43.9, 86.1), (43.6, 86.9), (42.9, 86.9)),
        ),
    ),
}
"""Table 4, MATH500 and GSM8K."""
PARAMETERS = {
    "Mistral-7B": 7.24e9,
    "Llemma-7B": 6.74e9,
    "Llama3-Instruct-8B": 8.03e9,
    "Llemma-34B": 33.7e9,
}
"""As the models' publishers count them; Wu et al. do not say what they put into their FLOP."""

TABLE1: tuple[tuple[str, str, int, float, float], ...] = (
    ("Mistral-7B", "sampling+WV", 256, 8.70e14, 42.8),
    ("Mistral-7B", "rebase+WV", 32, 1.36e14, 45.0),
    ("Llemma-7B", "sampling+WV", 256, 10.0e14, 45.5),
    ("Llemma-7B", "rebase+WV", 32, 1.48e14, 46.8),
    ("Llemma-34B", "sampling+WV", 64, 12.1e14, 46.7),
    ("Llemma-34B", "rebase+WV", 32, 7.08e14, 49.2),
)
"""Table 1: model, way, samples, FLOP, accuracy on MATH500 in percent."""

TABLE3: tuple[tuple[int, float, float, float, float], ...] = (
    (8, 8e12, 63.0, 8.3e12, 69.6),
    (16, 16e12, 69.4, 17.5e12, 72.4),
    (32, 32e12, 72.4, 34.9e12, 75.8),
    (64, 64e12, 79.0, 69.2e12, 81.4),
)
"""Table 3, MBPP: samples, FLOP and pass rate in percent of sampling, then of REBASE."""

SIZE_LAW = (1.19, 2.03)
"""log10 C = 1.19 log10 N + 2.03, section 4.2."""
FIG1_BUDGETS = (2.0**41, 2.0**44, 2.0**47)
"""FLOP of a question at which Fig. 1 marks the optimal size."""
PYTHIA = {"410M": 4.1e8, "1.4B": 1.4e9, "2.8B": 2.8e9, "6.9B": 6.9e9, "12B": 1.2e10}
"""Models of Fig. 1, Table 2."""
