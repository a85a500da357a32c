"""Exact rational values by going through every outcome."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from math import comb, factorial


def compositions(total: int, parts: int) -> Iterator[tuple[int, ...]]:
    """All ways to write `total` as an ordered sum of `parts` counts.

    >>> list(compositions(2, 2))
    [(0, 2), (1, 1), (2, 0)]
    """
    if parts == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in compositions(total - first, parts - 1):
            yield (first, *rest)


def majority_vote(
    psi: Fraction, samples: int, shares: list[Fraction], ratio: Fraction = Fraction(1)
) -> Fraction:
    """DS3 eq. (60) as it stands; what `shares` leave out abstains.

    A right vote counts `ratio` times.
    """
    abstain = 1 - sum(shares)
    won = Fraction(0)
    for votes in compositions(samples, len(shares) + 2):
        right, _silent, *wrong = votes
        if right == 0 or any(y > ratio * right for y in wrong):
            continue
        chance = Fraction(factorial(samples))
        for count, share in zip(
            votes,
            [psi, (1 - psi) * abstain, *((1 - psi) * share for share in shares)],
            strict=True,
        ):
            chance *= share**count / factorial(count)
        won += chance / (1 + sum(y == ratio * right for y in wrong))
    return won


def verified_choice(psi: Fraction, samples: int, t: Fraction, f: Fraction) -> Fraction:
    """Chance that an even choice among the accepted samples, or all if none is, is correct."""
    value = Fraction(0)
    for right in range(samples + 1):
        chance = comb(samples, right) * psi**right * (1 - psi) ** (samples - right)
        wrong = samples - right
        for good, bad in product(range(right + 1), range(wrong + 1)):
            verdict = comb(right, good) * t**good * (1 - t) ** (right - good)
            verdict *= comb(wrong, bad) * f**bad * (1 - f) ** (wrong - bad)
            share = Fraction(good, good + bad) if good + bad else Fraction(right, samples)
            value += chance * verdict * share
    return value
