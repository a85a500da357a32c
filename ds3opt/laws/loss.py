"""Pretraining loss as a function of model size and training tokens, with published constants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp
from types import MappingProxyType

import numpy as np

from ds3opt.laws._types import ArrayLike, FloatArray, interval, refuse

Range = tuple[float, float]


@dataclass(frozen=True)
class FittedRange:
    """What a law was fitted on; outside of it every prediction is an extrapolation."""

    parameters: Range | None = None
    """Smallest and largest model, non-embedding parameters; None where not stated."""
    training_tokens: Range | None = None
    """Fewest and most training tokens, repeats included."""
    tokens_per_parameter: Range | None = None
    """Lowest and highest ratio of training tokens to parameters."""
    source: str = ""
    """Where these numbers come from."""


@dataclass(frozen=True)
class Repetition:
    """How fast repeated tokens, and parameters beyond what unique tokens can fill, lose value.

    Both decay constants are in repeats: the first repeat counts almost fully, and no number of
    repeats is worth more than ``decay`` fresh copies.

    >>> value = Repetition(data_decay=15.387756, parameter_decay=5.309743)
    >>> value.effective([4, 40], 1, value.data_decay).round(3).tolist()    # epochs, in fresh passes
    [3.726, 15.167]
    """

    data_decay: float
    """R_D* > 0."""
    parameter_decay: float
    """R_N* > 0."""
    source: str = ""

    @staticmethod
    @np.errstate(invalid="ignore", under="ignore")
    def effective(amount: ArrayLike, unique: ArrayLike, decay: float) -> FloatArray:
        """Fresh amount worth as much: ``U + U R (1 - exp(-(amount / U - 1) / R))`` beyond U.

        `amount` may be infinite, where the value is its supremum ``U (1 + R)``; so may `unique`.
        """
        total, fresh = np.broadcast_arrays(
            np.asarray(amount, dtype=np.float64), np.asarray(unique, dtype=np.float64)
        )
        worth = fresh * (1.0 - decay * np.expm1(-(total / fresh - 1.0) / decay))
        return np.where(total > fresh, worth, total)[()]

    @staticmethod
    @np.errstate(invalid="ignore", divide="ignore")
    def actual(effective: ArrayLike, unique: ArrayLike, decay: float) -> FloatArray:
        """Amount whose effective value is given, the inverse of `effective`; inf beyond reach."""
        worth, fresh = np.broadcast_arrays(
            np.asarray(effective, dtype=np.float64), np.asarray(unique, dtype=np.float64)
        )
        room = 1.0 - (worth / fresh - 1.0) / decay
        total = fresh * (1.0 - decay * np.log(np.maximum(room, 0.0)))
        return np.where(worth > fresh, total, worth)[()]


@dataclass(frozen=True)
class LossLaw:
    """Pretraining loss ``L(N, D) = E + A / N^alpha + B / D^beta``, nats per token.

    Notes
    -----
    DS3 eq. (1). With `repetition`, N and D stand for effective parameters and tokens (Muennighoff
    et al. 2023) wherever `unique_tokens` is finite. Without it, repeated tokens count as
    fresh ones.

    >>> toy = LossLaw(1.0, 8.0, 27.0, 0.5, 0.5)
    >>> float(toy.loss(64, 729))    # 1 + 8 / 8 + 27 / 27
    3.0
    """

    irreducible: float
    """E >= 0, loss of an infinite model on infinite data."""
    parameter_coefficient: float
    """A > 0."""
    data_coefficient: float
    """B > 0."""
    parameter_exponent: float
    """alpha > 0."""
    data_exponent: float
    """beta > 0."""
    name: str = ""
    source: str = ""
    """Publication and the place in it."""
    fitted_range: FittedRange | None = None
    repetition: Repetition | None = None
    note: str = ""
    """What a user of this law should know first."""

    def __post_init__(self) -> None:
        interval("irreducible", self.irreducible, 0, np.inf, bounds="[)")
        for name in (
            "parameter_coefficient",
            "data_coefficient",
            "parameter_exponent",
            "data_exponent",
        ):
            interval(name, getattr(self, name), 0, np.inf, bounds="()")

    def loss(
        self,
        parameters: ArrayLike,
        training_tokens: ArrayLike,
        unique_tokens: ArrayLike = np.inf,
    ) -> FloatArray:
        """Loss of a model of this size trained on so many tokens.

        Parameters
        ----------
        parameters : N in (0, inf].
        training_tokens : D in (0, inf], repeats included.
        unique_tokens : U in (0, inf], distinct tokens there are to train on.

        >>> f"{LOSS_LAWS['besiroglu2024'].loss(70e9, 1.4e12):.4f}"    # Chinchilla
        '1.9739'
        """
        n = interval("parameters", parameters, 0, np.inf, bounds="(]")
        d = interval("training_tokens", training_tokens, 0, np.inf, bounds="(]")
        repetition = self._repetition_within(unique_tokens)
        if repetition is not None:
            n = self._effective_parameters(repetition, n, unique_tokens)
            d = repetition.effective(d, unique_tokens, repetition.data_decay)
        return self.irreducible + self._parameter_term(n) + self._data_term(d)

    @np.errstate(divide="ignore", invalid="ignore", over="ignore")
    def training_tokens_for(
        self,
        loss: ArrayLike,
        parameters: ArrayLike,
        unique_tokens: ArrayLike = np.inf,
    ) -> FloatArray:
        """Fewest training tokens with which a model of this size reaches the loss; inf if none do.

        The inverse of `loss` in its second argument, in closed form with repetition too.

        >>> toy = LossLaw(1.0, 8.0, 27.0, 0.5, 0.5)
        >>> toy.training_tokens_for([3, 2], 64).round(6).tolist()    # 2 = 1 + 8/8 is the limit
        [729.0, inf]
        """
        n = interval("parameters", parameters, 0, np.inf, bounds="(]")
        target = interval("loss", loss, 0, np.inf)
        repetition = self._repetition_within(unique_tokens)
        if repetition is not None:
            n = self._effective_parameters(repetition, n, unique_tokens)
        gap = target - self.irreducible - self._parameter_term(n)
        needed = np.where(
            gap > 0.0, (self.data_coefficient / gap) ** (1.0 / self.data_exponent), np.inf
        )[()]
        if repetition is None:
            return needed
        return repetition.actual(needed, unique_tokens, repetition.data_decay)

    @np.errstate(divide="ignore", invalid="ignore", over="ignore")
    def parameters_for(
        self,
        loss: ArrayLike,
        training_tokens: ArrayLike,
        unique_tokens: ArrayLike = np.inf,
    ) -> FloatArray:
        """Smallest model that reaches the loss on so many training tokens; inf if none does.

        >>> toy = LossLaw(1.0, 8.0, 27.0, 0.5, 0.5)
        >>> toy.parameters_for([3.0, 2.0], 729).round(6).tolist()
        [64.0, inf]
        """
        d = interval("training_tokens", training_tokens, 0, np.inf, bounds="(]")
        target = interval("loss", loss, 0, np.inf)
        repetition = self._repetition_within(unique_tokens)
        if repetition is not None:
            d = repetition.effective(d, unique_tokens, repetition.data_decay)
        gap = target - self.irreducible - self._data_term(d)
        needed = np.where(
            gap > 0.0, (self.parameter_coefficient / gap) ** (1.0 / self.parameter_exponent), np.inf
        )[()]
        if repetition is None:
            return needed
        filled = self.optimal_parameters(unique_tokens)
        return repetition.actual(needed, filled, repetition.parameter_decay)

    @np.errstate(divide="ignore", over="ignore", under="ignore")
    def compute_optimal(self, training_flop: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Parameters and tokens of least loss under ``6 N D = training_flop``, all data fresh.

        ``N = G (C/6)^(beta/(alpha+beta))``, ``D = (C/6) / N`` with
        ``G = (alpha A / (beta B))^(1/(alpha+beta))``.

        Parameters
        ----------
        training_flop : C > 0, FLOP.

        Notes
        -----
        DS3 eq. (7), the exact minimiser for any exponents. D / N is constant, DS3 eq. (8), only if
        the exponents are equal.

        >>> LossLaw(1.0, 8.0, 8.0, 0.5, 0.5).compute_optimal(600.0)    # a symmetric law: N = D
        (np.float64(10.0), np.float64(10.0))
        """
        n = optimal_size(
            training_flop,
            self.parameter_coefficient,
            self.data_coefficient,
            self.parameter_exponent,
            self.data_exponent,
        )
        return n, np.asarray(training_flop, dtype=np.float64)[()] / 6.0 / n

    @np.errstate(over="ignore", under="ignore", invalid="ignore")
    def optimal_parameters(self, training_tokens: ArrayLike) -> FloatArray:
        """Model size for which so many tokens are compute-optimal: ``G (G D)^(beta/alpha)``.

        >>> float(LossLaw(1.0, 8.0, 8.0, 0.5, 0.5).optimal_parameters(10.0))
        10.0
        """
        d = interval("training_tokens", training_tokens, 0, np.inf, bounds="(]")
        balance = self._balance
        return balance * (balance * d) ** (self.data_exponent / self.parameter_exponent)

    @np.errstate(divide="ignore", over="ignore", under="ignore", invalid="ignore")
    def optimal_tokens(self, parameters: ArrayLike) -> FloatArray:
        """Training tokens that are compute-optimal for a model size: ``(N / G)^(alpha/beta) / G``.

        >>> float(LossLaw(1.0, 8.0, 8.0, 0.5, 0.5).optimal_tokens(10.0))
        10.0
        """
        n = interval("parameters", parameters, 0, np.inf, bounds="()")
        balance = self._balance
        return (n / balance) ** (self.parameter_exponent / self.data_exponent) / balance

    def largest_parameters(self, loss: ArrayLike) -> FloatArray:
        """Largest model that can be as bad as this loss: any, trained on little enough."""
        return np.full(np.shape(loss), np.inf)[()]

    @property
    @np.errstate(over="ignore", under="ignore")
    def _balance(self) -> np.float64:
        alpha, beta = self.parameter_exponent, self.data_exponent
        ratio = alpha * self.parameter_coefficient / (beta * self.data_coefficient)
        return np.float64(ratio) ** (1.0 / (alpha + beta))

    @np.errstate(under="ignore")
    def _parameter_term(self, parameters: FloatArray) -> FloatArray:
        return self.parameter_coefficient * np.power(parameters, -self.parameter_exponent)

    @np.errstate(under="ignore")
    def _data_term(self, tokens: FloatArray) -> FloatArray:
        return self.data_coefficient * np.power(tokens, -self.data_exponent)

    def _repetition_within(self, unique_tokens: ArrayLike) -> Repetition | None:
        """What repetition does, or None where no limit on unique tokens is stated."""
        unique = interval("unique_tokens", unique_tokens, 0, np.inf, bounds="(]")
        return self.repetition if np.any(unique < np.inf) else None

    def _effective_parameters(
        self, repetition: Repetition, parameters: FloatArray, unique_tokens: ArrayLike
    ) -> FloatArray:
        """Parameters beyond the optimum for the unique tokens decay as repeated tokens do.

        The paper takes U as ``min(unique, training tokens)``. Here U is what there is, whether or
        not training gets through it: the same wherever training makes at least one pass, and a
        model short of its tokens is not punished twice.
        """
        filled = self.optimal_parameters(unique_tokens)
        return repetition.effective(parameters, filled, repetition.parameter_decay)


@np.errstate(over="ignore", under="ignore")
def optimal_size(
    training_flop: ArrayLike,
    parameter_coefficient: ArrayLike,
    data_coefficient: ArrayLike,
    parameter_exponent: ArrayLike,
    data_exponent: ArrayLike,
) -> FloatArray:
    """Parameters of `LossLaw.compute_optimal`, for many laws at once.

    Laws that hardly know size from data may have their optimum at 0 or at infinity.

    >>> float(optimal_size(600.0, 8.0, 8.0, 0.5, 0.5))
    10.0
    """
    budget = interval("training_flop", training_flop, 0, np.inf, bounds="()") / 6.0
    alpha = interval("parameter_exponent", parameter_exponent, 0, np.inf, bounds="()")
    beta = interval("data_exponent", data_exponent, 0, np.inf, bounds="()")
    a = interval("parameter_coefficient", parameter_coefficient, 0, np.inf, bounds="()")
    b = interval("data_coefficient", data_coefficient, 0, np.inf, bounds="()")
    total = alpha + beta
    found: FloatArray = (alpha * a / (beta * b)) ** (1.0 / total) * budget ** (beta / total)
    return found[()]


MUENNIGHOFF_REPETITION = Repetition(
    data_decay=15.387756,
    parameter_decay=5.309743,
    source="arXiv:2305.16264; digits from the README of huggingface/datablations",
)
"""Fitted on C4 runs of up to 8.7B parameters and 900B tokens."""

_HOFFMANN_RANGE = FittedRange(
    parameters=(70e6, 16e9),
    training_tokens=(5e9, 500e9),
    tokens_per_parameter=(0.036, 341.0),
    source="arXiv:2203.15556 abstract; ratio from the 245 runs digitised in arXiv:2404.10102",
)
_REPLICATION_RANGE = FittedRange(
    parameters=(57e6, 16.2e9),
    training_tokens=(0.245e9, 318e9),
    tokens_per_parameter=(0.45, 341.0),
    source="the runs of arXiv:2203.15556 Fig. 4 digitised in arXiv:2404.10102, less 5 outliers",
)
_OUTLIER_RANGE = FittedRange(
    parameters=(57e6, 16.2e9),
    training_tokens=(0.245e9, 318e9),
    tokens_per_parameter=(0.036, 341.0),
    source="the 245 runs of arXiv:2203.15556 Fig. 4 digitised in arXiv:2404.10102",
)
_GADRE_RANGE = FittedRange(
    parameters=(11e6, 6.9e9),
    training_tokens=(55e6, 900e9),
    tokens_per_parameter=(5.0, 640.0),
    source="arXiv:2403.08540: 104 models, 0.25 to 32 times 20 tokens per parameter",
)
_GADRE_NOTE = (
    "Fitted to 5 runs per corpus to extrapolate loss along given token multipliers, not to "
    "allocate compute: its own optimum has few tokens per parameter."
)


def _sardana_refit(limit: str, most: float, constants: tuple[float, ...]) -> LossLaw:
    a, b, e, alpha, beta = constants
    return LossLaw(
        e,
        a,
        b,
        alpha,
        beta,
        name=f"sardana2024_refit_{limit}",
        source="arXiv:2401.00448 Table 1",
        fitted_range=FittedRange(
            parameters=(150e6, 6e9),
            training_tokens=(1.5e9, min(1.5e12, 6e9 * most)),
            tokens_per_parameter=(10.0, most),
            source="arXiv:2401.00448: 47 runs, the highest ratios with 150M only",
        ),
        note="Exponents are printed to two digits, which shifts D/N by a factor of about two.",
    )


def _gadre(corpus: str, constants: tuple[float, float, float, float]) -> LossLaw:
    a, b, e, exponent = constants
    return LossLaw(
        e,
        a,
        b,
        exponent,
        exponent,
        name=f"gadre2024_{corpus}",
        source=(
            "arXiv:2403.08540 eq. (4); digits from running the fit of "
            "mlfoundations/scaling; A = a 6^-eta, B = b 6^-eta, alpha = beta = 2 eta"
        ),
        fitted_range=_GADRE_RANGE,
        note=_GADRE_NOTE,
    )


_LAWS = (
    LossLaw(
        1.8172,
        482.01,
        2085.43,
        0.3478,
        0.3658,
        name="besiroglu2024",
        source="arXiv:2404.10102, fit to 240 runs",
        fitted_range=_REPLICATION_RANGE,
        note="Refit of Hoffmann et al.'s runs; D/N about 18 at 5.76e23 FLOP, 80% interval 10-29.",
    ),
    LossLaw(
        1.89,
        463.3,
        12530.0,
        0.345,
        0.452,
        name="besiroglu2024_with_outliers",
        source="arXiv:2404.10102 Table 3",
        fitted_range=_OUTLIER_RANGE,
        note="The same refit with the 5 runs of fewest tokens per parameter kept.",
    ),
    LossLaw(
        1.69337368,
        406.401018,
        410.722827,
        0.33917084,
        0.2849083,
        name="hoffmann2022",
        source="arXiv:2203.15556 eq. (10), unrounded as in its TeX source",
        fitted_range=_HOFFMANN_RANGE,
        note="Its optimiser stopped early: D/N is 59 at 5.76e23 FLOP, not the 20 of the paper.",
    ),
    LossLaw(
        1.69,
        406.4,
        410.7,
        0.34,
        0.28,
        name="hoffmann2022_rounded",
        source="arXiv:2203.15556 eq. (10) as printed; used by DS3 appendix C",
        fitted_range=_HOFFMANN_RANGE,
        note=(
            "Rounding the exponents moves the compute-optimal D/N at 5.76e23 FLOP from 59 to 93, "
            "and to 18 in the refit besiroglu2024; the ratio also grows as C^0.097."
        ),
    ),
    LossLaw(
        1.69,
        406.4,
        410.7,
        0.336,
        0.283,
        name="sardana2024",
        source="arXiv:2401.00448 appendix A, footnote 2",
        fitted_range=_HOFFMANN_RANGE,
        note="Hoffmann et al.'s law with the three-digit exponents that Sardana et al. plan with.",
    ),
    _sardana_refit("le100", 100.0, (7.199, 25.97, 0.17, 0.08, 0.13)),
    _sardana_refit("le250", 250.0, (14.23, 39.54, 0.98, 0.13, 0.16)),
    _sardana_refit("le500", 500.0, (17.07, 35.80, 0.95, 0.13, 0.16)),
    _sardana_refit("all", 10_000.0, (33.66, 138.9, 1.45, 0.18, 0.24)),
    LossLaw(
        exp(0.6254804),
        exp(6.255414),
        exp(7.3049974),
        0.3526596,
        0.3526596,
        name="muennighoff2023",
        source="arXiv:2305.16264; digits from the README of huggingface/datablations",
        fitted_range=FittedRange(
            parameters=(10e6, 8.7e9),
            training_tokens=(100e6, 900e9),
            source="arXiv:2305.16264",
        ),
        repetition=MUENNIGHOFF_REPETITION,
        note="Discounts repeated tokens; meant to rank allocations, not for absolute loss.",
    ),
    _gadre("c4", (113.6926, 152.52, 1.50826, 0.242472)),
    _gadre("redpajama", (166.2110, 287.2, 1.83665, 0.272851)),
    _gadre("refinedweb", (125.0957, 196.0, 1.73446, 0.254395)),
)

LOSS_LAWS: Mapping[str, LossLaw] = MappingProxyType({law.name: law for law in _LAWS})
"""Published laws by name."""

DEFAULT_LOSS_LAW = "besiroglu2024"


def loss_law(name: str) -> LossLaw:
    """Published law of this name.

    >>> loss_law("hoffmann2022_rounded").data_exponent
    0.28
    """
    try:
        return LOSS_LAWS[name]
    except KeyError:
        raise refuse("loss law", f"one of {', '.join(LOSS_LAWS)}", name) from None
