"""Training as the optimiser sees it: what it takes to reach a pretraining loss at a model size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ds3opt.laws.compute import training_flop
from ds3opt.laws.loss_laws import LossLaws
from ds3opt.laws.skill_training import SkillGraphTraining
from ds3opt.problem import TrainingSpace

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

_GRID = 33
_ROUNDS = 12
_SECTIONS = 16
_SECTION_ROUNDS = 11


@dataclass(frozen=True)
class Training:
    """Least training for a loss; every method is vectorised.

    "Loss at most L" is what the search asks for: where a lower limit on training tokens forces
    more data than L needs, the loss reached is lower, which never lowers an accuracy.
    """

    space: TrainingSpace
    """Its sizes are those that some allowed number of training tokens goes with."""

    def __post_init__(self) -> None:
        # grids over sizes would step over a narrow interval that limits on D and on D / N leave
        object.__setattr__(self, "space", _without_idle_sizes(self.space))

    def of(self, rows: IntArray) -> Training:
        """Training where row i of every argument follows the law of `rows` i; usually there is one.

        Where the space has laws side by side, arguments of the methods are arrays (row, ...).
        """
        law = self.space.law
        if not isinstance(law, LossLaws):
            return self
        return Training(replace(self.space, law=law.take(rows)))

    def _spread(self, count: int, times: int, *, tiled: bool) -> Training:
        """Training for every row several times: all rows again and again, or each in turn."""
        rows = np.arange(count)
        return self.of(np.tile(rows, times) if tiled else np.repeat(rows, times))

    def tokens(self, parameters: FloatArray, loss: FloatArray) -> FloatArray:
        """Least allowed training tokens for a loss of at most `loss`; inf where none are."""
        space = self.space
        if space.infinite_data:
            attainable = space.law.loss(parameters, np.inf) <= loss
            return np.where(attainable, 0.0, np.inf)
        if space.on_ray:
            ray = self.most_tokens(parameters, np.full(np.shape(parameters), np.inf))
            allowed = ray > 0.0
            reached = self.reached_loss(parameters, np.where(allowed, ray, 1.0))
            return np.where(allowed & (reached <= loss), ray, np.inf)
        needed = np.asarray(
            space.law.training_tokens_for(loss, parameters, unique_tokens=space.unique_tokens)
        )
        low, high = space.training_tokens
        least, most = space.tokens_per_parameter
        needed = np.maximum(needed, np.maximum(low, least * parameters))
        cap = np.minimum(high, most * parameters)
        return np.where(needed <= cap * (1.0 + 1e-12), np.minimum(needed, cap), np.inf)

    def most_tokens(self, parameters: FloatArray, flop: FloatArray) -> FloatArray:
        """Most allowed training tokens for so much training FLOP; nan where none are allowed."""
        space = self.space
        per_token = self.flop_of(parameters, np.ones(np.shape(parameters)))
        with np.errstate(invalid="ignore"):
            affordable = np.maximum(flop, 0.0) / per_token
        low, high = space.training_tokens
        least, most = space.tokens_per_parameter
        if space.on_ray:
            ray = np.asarray(space.law.optimal_tokens(parameters))
            allowed = (ray >= low) & (ray <= high) & (ray <= affordable)
            return np.where(allowed, ray, np.nan)
        tokens = np.minimum(affordable, np.minimum(high, most * parameters))
        needed = np.maximum(low, least * parameters)
        return np.where(tokens >= needed * (1.0 - 1e-12), tokens, np.nan)

    def flop(self, parameters: FloatArray, loss: FloatArray) -> FloatArray:
        """Least training FLOP for a loss of at most `loss`; inf where it cannot be reached.

        Log-convex in ln(parameters): ln tokens is convex there for the laws of `laws.loss`, and a
        sum of exponentials is log-convex. The search's bounds rest on that.
        """
        tokens = self.tokens(parameters, loss)
        with np.errstate(invalid="ignore"):
            return np.where(np.isinf(tokens), np.inf, self.flop_of(parameters, tokens))

    def flop_of(self, parameters: FloatArray, tokens: FloatArray) -> FloatArray:
        """Training FLOP of a model and its training tokens; 0 where data is infinite."""
        space = self.space
        if space.infinite_data:
            return np.zeros(np.broadcast_shapes(np.shape(parameters), np.shape(tokens)))
        # more FLOP than a float holds is as good as infinite
        with np.errstate(over="ignore"):
            return np.asarray(
                training_flop(
                    parameters,
                    tokens,
                    layers=space.attention(parameters) if space.sequence_tokens else 0.0,
                    attention_width=1.0,
                    sequence_tokens=space.sequence_tokens,
                )
            )

    def reached_loss(self, parameters: FloatArray, tokens: FloatArray) -> FloatArray:
        """Loss of a model after its training tokens."""
        if self.space.infinite_data:
            return np.asarray(self.space.law.loss(parameters, np.inf))
        return np.asarray(
            self.space.law.loss(parameters, tokens, unique_tokens=self.space.unique_tokens)
        )

    def cheapest_size(self, loss: FloatArray, weight: float = 0.0) -> tuple[FloatArray, FloatArray]:
        """Model size with the least ``training FLOP + weight x parameters``, and that least.

        The sum is convex in ln(parameters), so a shrinking grid finds its only minimum.
        """
        loss = np.atleast_1d(np.asarray(loss, dtype=np.float64))
        low = np.full(loss.shape, np.log(self.space.parameters[0]))
        high = np.full(loss.shape, np.log(self.space.parameters[1]))
        return self._minimum(lambda u: self._objective(u, loss, weight), low, high)

    def _objective(self, u: FloatArray, loss: FloatArray, weight: float) -> FloatArray:
        parameters = np.exp(u)
        return self.flop(parameters, loss[:, None]) + weight * parameters

    @staticmethod
    def _minimum(
        objective: Callable[[FloatArray], FloatArray],
        low: FloatArray,
        high: FloatArray,
        on_failure: int = -1,
    ) -> tuple[FloatArray, FloatArray]:
        """Where a convex function of u, inf outside an interval, is least, and that least."""
        fraction = np.linspace(0.0, 1.0, _GRID)
        rows = np.arange(low.size)
        for _ in range(_ROUNDS):
            u = low[:, None] + (high - low)[:, None] * fraction
            value = objective(u)
            best = np.argmin(value, axis=1)
            best = np.where(np.isinf(value[rows, best]), on_failure % _GRID, best)
            low, high = u[rows, np.maximum(best - 1, 0)], u[rows, np.minimum(best + 1, _GRID - 1)]
            if np.all(high - low < 1e-11):
                break
        return np.exp(u[rows, best]), value[rows, best]

    def size_interval(self, loss: FloatArray, cap: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Smallest and largest model that reach each loss for `cap` training FLOP; nan if none do.

        The set is an interval because training FLOP is log-convex in ln(parameters).
        """
        best, least = self.cheapest_size(loss)
        possible = np.isfinite(least) & (least <= cap)
        twice_loss, twice_cap = np.tile(loss, 2)[:, None], np.tile(cap, 2)[:, None]
        twice = self._spread(loss.size, 2, tiled=True)

        def fits(u: FloatArray) -> NDArray[np.bool_]:
            value = twice.flop(np.exp(u), twice_loss)
            return np.isfinite(value) & (value <= twice_cap)

        inside = np.tile(np.log(best), 2)
        outside = np.repeat(np.log(self.space.parameters), loss.size)
        found = np.exp(_boundary(fits, inside, outside))
        low, high = found[: loss.size], found[loss.size :]
        return np.where(possible, low, np.nan), np.where(possible, high, np.nan)

    def least_loss(
        self,
        inference: Callable[[FloatArray], FloatArray],
        total: FloatArray,
        training: FloatArray,
        serving: FloatArray,
    ) -> tuple[FloatArray, FloatArray]:
        """Least loss when inference takes its part of the limits, and the size that has it.

        Parameters
        ----------
        inference : from sizes (case, grid) to FLOP (case, grid), convex in ln(parameters).
        total, training, serving : (case,) limits in FLOP; inf where there is none.

        Returns
        -------
        loss, parameters : (case,); inf and the smallest size where nothing is allowed.

        Notes
        -----
        The FLOP left for training are concave in u = ln N, so the logarithm of the training
        tokens they pay for, and of every cap on them, is concave in u and the loss is convex in u.
        """

        def objective(u: FloatArray) -> FloatArray:
            size = np.exp(u)
            used = inference(size)
            with np.errstate(invalid="ignore"):
                left = np.minimum(total[:, None] - used, training[:, None])
            possible = (used <= serving[:, None]) & ~(left < 0.0)
            loss = self.loss_for(size, np.where(possible, left, 0.0))
            return np.where(possible, loss, np.inf)

        low = np.full(total.shape, np.log(self.space.parameters[0]))
        high = np.full(total.shape, np.log(self.space.parameters[1]))
        size, loss = self._minimum(objective, low, high, on_failure=0)
        return loss, size

    def loss_for(self, size: FloatArray, flop: FloatArray) -> FloatArray:
        """Loss of a size when so much training FLOP is spent on it; inf where none is allowed."""
        if self.space.infinite_data:
            return self.reached_loss(size, flop)
        tokens = self.most_tokens(size, flop)
        allowed = tokens > 0.0
        loss = self.reached_loss(size, np.where(allowed, tokens, 1.0))
        return np.where(allowed, loss, np.inf)

    def loss_ranges(self, cap: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Lowest and highest pretraining loss for so much training FLOP, (case,); nan if none."""
        highest = self._worst_losses(cap.size)

        def reached(loss: FloatArray) -> NDArray[np.bool_]:
            there = self._spread(*loss.shape, tiled=False)
            _, least = there.cheapest_size(loss.ravel())
            least = least.reshape(loss.shape)
            return np.isfinite(least) & (least <= cap[:, None])

        possible = reached(highest[:, None])[:, 0]
        lowest = _boundary(reached, highest, np.full(cap.shape, self.space.law.irreducible))
        return np.where(possible, lowest, np.nan), np.where(possible, highest, np.nan)

    def largest_size(self, loss: FloatArray) -> FloatArray:
        """Largest allowed model that can be as bad as a loss, a little more for rounding."""
        most = np.asarray(self.space.law.largest_parameters(loss)) * (1.0 + 1e-9)
        return np.minimum(most, self.space.parameters[1])

    def loss_span(self, low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Losses between which all models of these sizes are, a little wider for rounding."""
        law = self.space.law
        if not isinstance(law, SkillGraphTraining):
            return np.full(low.shape, law.irreducible), np.full(high.shape, np.inf)
        best = law.least_loss(high)
        ratio = law.tokens_per_parameter or self.space.tokens_per_parameter[0]
        worst = law.loss(low, ratio * low) if ratio else np.full(low.shape, np.inf)
        return best * (1.0 - 1e-12), np.asarray(worst * (1.0 + 1e-12))

    @property
    def size_follows_loss(self) -> bool:
        """Whether each loss is that of one model size: a skill graph with a fixed ratio."""
        law = self.space.law
        return isinstance(law, SkillGraphTraining) and law.tokens_per_parameter is not None

    def worst_loss(self) -> float:
        """The highest loss of any allowed model: the smallest, with the fewest tokens."""
        return float(self._worst_losses(1)[0])

    def _worst_losses(self, count: int) -> FloatArray:
        """The highest loss of any allowed model, (row,)."""
        space = self.space
        parameters = space.parameters[0]
        size = np.full(count, parameters)
        if space.infinite_data:
            return np.asarray(space.law.loss(size, np.inf))
        tokens = max(space.training_tokens[0], space.tokens_per_parameter[0] * parameters)
        return self.reached_loss(size, np.full(count, tokens))


def _without_idle_sizes(space: TrainingSpace) -> TrainingSpace:
    """The space without sizes for which limits on tokens and on tokens per parameter clash."""
    if space.infinite_data:
        return space
    (low, high), (fewest, most) = space.parameters, space.training_tokens
    least_ratio, most_ratio = space.tokens_per_parameter
    low = max(low, fewest / most_ratio)
    high = min(high, most / least_ratio if least_ratio > 0.0 else np.inf)
    return replace(space, parameters=(low, high))


def _boundary(
    inside_at: Callable[[FloatArray], NDArray[np.bool_]], inside: FloatArray, outside: FloatArray
) -> FloatArray:
    """The last point from `inside` toward `outside` that is inside an interval, by sections.

    `inside_at` takes points (case, point); `inside` is taken to be inside.
    """
    rows = np.arange(inside.size)
    fraction = np.linspace(0.0, 1.0, _SECTIONS + 1)
    for _ in range(_SECTION_ROUNDS):
        points = inside[:, None] + (outside - inside)[:, None] * fraction
        points[:, -1] = outside
        good = inside_at(points)
        good[:, 0] = True
        last = _SECTIONS - np.argmax(good[:, ::-1], axis=1)
        if np.all(last == _SECTIONS):
            return outside
        inside, outside = points[rows, last], points[rows, np.minimum(last + 1, _SECTIONS)]
    return inside
