"""Logarithm of a loss law and its derivatives, for many sets of constants at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ds3opt.laws._types import FloatArray
from ds3opt.laws.loss import LossLaw, Repetition

COORDINATES = ("ln A", "ln B", "ln E", "ln alpha", "ln beta", "ln R_D*", "ln R_N*")
"""ln A and ln B are those of the terms at the centre of the data, in nats per token."""


@dataclass(frozen=True)
class Surface:
    """``ln(E + A / N^alpha + B / D^beta)`` at some runs, from coordinates that suit a solver.

    Coefficients are taken at the geometric centre of the data. There a coefficient hardly depends
    on its exponent, whereas ln A and alpha at N = 1 are correlated by 0.999; the fit then has the
    same path whatever unit the sizes are in. Exponents are logarithms, hence positive.
    """

    log_parameters: FloatArray  # (run,)
    log_tokens: FloatArray  # (run,)
    log_unique: FloatArray | None = None  # (run,), inf where tokens are never short
    """None: repetition is not part of the law."""

    @property
    def size(self) -> int:
        """Number of coordinates."""
        return 5 if self.log_unique is None else 7

    @property
    def centre(self) -> tuple[float, float]:
        """Mean ln N and mean ln D."""
        return float(self.log_parameters.mean()), float(self.log_tokens.mean())

    def log_loss(self, at: FloatArray) -> tuple[FloatArray, FloatArray]:
        """ln loss, shape (set, run), and its derivatives, shape (set, run, coordinate).

        Parameters
        ----------
        at : `COORDINATES` of each set, the last two only where repetition is fitted.

        Notes
        -----
        The log-sum-exp form of Hoffmann et al. 2022 (arXiv:2203.15556, D.3). Derivatives are exact,
        with repetition too, where the size beyond which parameters decay depends on the law itself:
        ``ln U_N = (ln(alpha A) - ln(beta B) + beta ln U_D) / alpha``.
        """
        a, b, e, alpha, beta = (column[:, None] for column in _natural(at[:, :5]))
        mean_n, mean_d = self.centre
        n, d = self.log_parameters[None, :], self.log_tokens[None, :]
        slopes = np.zeros((len(at), self.log_parameters.size, self.size))
        filled = None
        if self.log_unique is not None:
            unique = self.log_unique[None, :]
            by_data, by_size = np.exp(at[:, 5, None]), np.exp(at[:, 6, None])
            filled = (
                mean_n
                + (at[:, 3, None] + a - at[:, 4, None] - b + beta * (unique - mean_d)) / alpha
            )
            d, _, d_decay = _effective(d, unique, by_data)
            n, n_filled, n_decay = _effective(n, filled, by_size)
        x, y = n - mean_n, d - mean_d
        terms = np.stack(np.broadcast_arrays(a - alpha * x, b - beta * y, e + 0.0 * x))
        top = terms.max(axis=0)
        parts = np.exp(terms - top)
        total = parts.sum(axis=0)
        of_size, of_data, of_none = parts / total
        slopes[:, :, 0], slopes[:, :, 1], slopes[:, :, 2] = of_size, of_data, of_none
        slopes[:, :, 3], slopes[:, :, 4] = -of_size * alpha * x, -of_data * beta * y
        if filled is not None and self.log_unique is not None:
            slopes[:, :, 5] = -of_data * beta * d_decay
            slopes[:, :, 6] = -of_size * alpha * n_decay
            pull = -of_size * alpha * n_filled  # by ln U_N
            slopes[:, :, 0] += pull / alpha
            slopes[:, :, 1] -= pull / alpha
            slopes[:, :, 3] += np.where(
                pull == 0.0, 0.0, pull * (1.0 / alpha - _finite(filled - mean_n))
            )
            gap = _finite(self.log_unique[None, :] - mean_d)
            slopes[:, :, 4] += pull * (beta * gap - 1.0) / alpha
        return top + np.log(total), slopes

    def coordinates(self, law: LossLaw) -> FloatArray:
        """Coordinates of a law, shape (coordinate,)."""
        mean_n, mean_d = self.centre
        alpha, beta = law.parameter_exponent, law.data_exponent
        found = [
            np.log(law.parameter_coefficient) - alpha * mean_n,
            np.log(law.data_coefficient) - beta * mean_d,
            np.log(max(law.irreducible, 1e-300)),
            np.log(alpha),
            np.log(beta),
        ]
        if self.size == 7:
            repeats = law.repetition or Repetition(1.0, 1.0)
            found += [np.log(repeats.data_decay), np.log(repeats.parameter_decay)]
        return np.array(found)

    def constants(self, at: FloatArray) -> FloatArray:
        """E, A, B, alpha, beta and the decay constants of each set, shape (set, constant)."""
        mean_n, mean_d = self.centre
        a, b, e, alpha, beta = _natural(at[:, :5])
        found = [np.exp(e), np.exp(a + alpha * mean_n), np.exp(b + beta * mean_d), alpha, beta]
        return np.stack([*found, *np.exp(at[:, 5:]).T], axis=1)


def _natural(at: FloatArray) -> tuple[FloatArray, ...]:
    """ln A, ln B, ln E, alpha and beta, each of shape (set,)."""
    return at[:, 0], at[:, 1], at[:, 2], np.exp(at[:, 3]), np.exp(at[:, 4])


def _finite(values: FloatArray) -> FloatArray:
    return np.where(np.isfinite(values), values, 0.0)


def _effective(
    log_amount: FloatArray, log_fresh: FloatArray, decay: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Logarithm of `Repetition.effective`, and its derivatives by ln U and by ln R."""
    amount, fresh, decay = np.broadcast_arrays(log_amount, log_fresh, decay)
    over = amount > fresh
    ratio = np.exp(np.where(over, np.minimum(amount - np.where(over, fresh, 0.0), 700.0), 0.0))
    y = (ratio - 1.0) / decay
    kept = np.exp(-y)
    worth = 1.0 - decay * np.expm1(-y)
    value = np.where(over, np.where(over, fresh, 0.0) + np.log(worth), amount)
    by_fresh = np.where(over, 1.0 - ratio * kept / worth, 0.0)
    by_decay = np.where(over, decay * (-np.expm1(-y) - y * kept) / worth, 0.0)
    return value, by_fresh, by_decay
