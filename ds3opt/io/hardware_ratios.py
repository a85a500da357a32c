"""Which figures of one accelerator go together: bounds on their ratios."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from ds3opt.io.hardware_figures import PRICES, RATES, Figure, Figures, Finding
from ds3opt.units import format_number

SPARSE = "with sparsity?"
SUPERCHIP = "of a superchip with several?"
BOTH_WAYS = "both directions together?"
CPU_MEMORY = "is memory of the CPU counted?"


@dataclass(frozen=True)
class Ratio:
    """What one figure divided by another may be."""

    field: str
    over: str
    least: float
    most: float
    too_small: str
    """What may be wrong where the ratio is below `least`."""
    too_large: str
    words: str = "times"


_BF16, _FP8, _INT8, _FP4 = RATES
_MEMORY, _BANDWIDTH = "memory_bytes", "bandwidth_bytes_per_s"
_LINK, _POWER = "link_bytes_per_s", "board_power_watts"
_ONE_OFF = "with sparsity, or is the other too small?"
_SMALL = "is a prefix of the unit missing?"
_PER_BYTE, _PER_JOULE = "FLOP per byte of", "FLOP per joule at"
_SERVER, _PART = "is that the price of a server?", "is that the price of a part of one?"

RATIOS = (
    Ratio(_FP8, _BF16, 0.9, 2.2, "bf16 with sparsity?", _ONE_OFF),
    Ratio(_INT8, _BF16, 0.9, 4.2, "bf16 with sparsity?", _ONE_OFF),
    Ratio(_FP4, _FP8, 0.9, 3.2, "fp8 with sparsity?", _ONE_OFF),
    Ratio(_BF16, _BANDWIDTH, 30, 620, _SMALL, SPARSE, _PER_BYTE),
    Ratio(_FP8, _BANDWIDTH, 30, 1300, _SMALL, SPARSE, _PER_BYTE),
    Ratio(_INT8, _BANDWIDTH, 30, 1300, _SMALL, SPARSE, _PER_BYTE),
    Ratio(_BF16, _POWER, 2e11, 2.6e12, f"the power {SUPERCHIP}", SPARSE, _PER_JOULE),
    Ratio(_FP8, _POWER, 2e11, 5.2e12, f"the power {SUPERCHIP}", SPARSE, _PER_JOULE),
    Ratio(
        *(_MEMORY, _BANDWIDTH, 0.017, 0.1, f"the bandwidth {SUPERCHIP}", CPU_MEMORY),
        words="seconds to read at",
    ),
    Ratio(_LINK, _BANDWIDTH, 0.0, 0.265, "", BOTH_WAYS),
    *(Ratio(_BF16, price, 6e13, 4e15, _SERVER, _PART, "per USD/h at") for price in PRICES),
    *(Ratio(_MEMORY, price, 6e9, 6e11, _SERVER, _PART, "per USD/h at") for price in PRICES),
)
"""With room around everything from the L4 to the GB200 and the TPUs."""


def ratio_findings(figures: Figures) -> Iterator[tuple[Finding, tuple[Figure, Figure]]]:
    """Figures that do not go together, with the pair that each finding is about."""
    for rule in RATIOS:
        figure, other = figures.get(rule.field), figures.get(rule.over)
        if figure is None or other is None or figure.unusual or other.unusual:
            continue
        ratio = figure.value / other.value if other.value else math.inf
        if rule.least <= ratio <= rule.most:
            continue
        large = ratio > rule.most
        bound = rule.most if large else rule.least
        asked = f"at {'most' if large else 'least'} {format_number(bound)}"
        suspicion = rule.too_large if large else rule.too_small
        message = f"{figure.shown} is {format_number(ratio)} {rule.words} the {_name(other)} of "
        message += f"{other.shown}, {asked} is plausible: {suspicion}"
        yield figure.finding("ratio", message), (figure, other)


def _name(figure: Figure) -> str:
    """What a figure is called in a sentence."""
    head, _, part = figure.field.partition(".")
    if part:
        return f"{part} rate" if figure.field in RATES else f"{part} price"
    return head.removesuffix("_bytes_per_s").removesuffix("_watts").replace("_", " ")
