"""A skill graph as a law of training: how many concepts a model learns, and what that takes.

What a model of a skill graph can do follows from the number of concepts that it has learned, so
that number takes the place of the pretraining loss. It is told as a *shortfall*: how many e-folds
fewer concepts the model has learned than a reference of 1e30. It falls as the model gets better.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from ds3opt.laws._types import ArrayLike, FloatArray, interval
from ds3opt.laws.concept_learning import (
    ConceptMode,
    degree_for,
    threshold_degree,
    unlearned_share,
)
from ds3opt.laws.loss import FittedRange
from ds3opt.laws.skill_graph import Composability, SkillGraph, SkillMode

REFERENCE_CONCEPTS = 1e30
"""Concepts from which the shortfall is counted; no scenario has as many."""
_LOG_REFERENCE = float(np.log(REFERENCE_CONCEPTS))
_FEWEST_UNLEARNED = 1e-12
"""Share of concepts that counts as none where the ratio is free: the rest is not worth tokens."""
_ROUNDING = 1e-12
_SECTIONS = 60
_RAY_GRID = 33
_RAY_ROUNDS = 9
_RAY_REACH = 4.0
"""Largest multiple of the learning threshold among which compute-optimal ratios are looked for."""


@dataclass(frozen=True)
class SkillGraphTraining:
    """Shortfall of concepts of a model of a skill graph, and the training tokens for a shortfall.

    Notes
    -----
    The success of tasks depends on the concepts that a model has room for, R, and on the chance P
    that one is learned. It is taken from their product alone: `exact` skills are linked to a
    Binomial(R, P x link chance) of learned concepts, taken as Binomial(R P, link chance), and both
    are within ``link chance / 2`` of one Poisson law in total variation, some 1e-8 at the levels
    that matter (Barbour and Hall 1984). With ``P = 1`` nothing is taken for anything else.

    >>> law = SkillGraphTraining(SkillGraph(), tokens_per_parameter=20.0)
    >>> shortfall = law.loss(5.2836e11, 20 * 5.2836e11)
    >>> f"{law.concepts_learned(shortfall):.4g}"
    '2.113e+08'
    """

    graph: SkillGraph = field(default_factory=SkillGraph)
    skill_mode: SkillMode = "exact"
    concept_mode: ConceptMode = "density_evolution"
    tokens_per_parameter: float | None = None
    """Fixed training tokens per parameter; None: any from the learning threshold up, below which
    the theory does not hold (DS3, footnote 13)."""
    concept_probability: float = 1.0
    """P of the only model there is, for `chernoff`, which asks for it."""
    irreducible: float = 0.0
    name: str = "skill_graph"
    source: str = "DS3 section III-A, eqs (42)-(52), and appendix B"
    note: str = ""
    fitted_range: FittedRange | None = None

    @property
    def learning_threshold(self) -> float:
        """Training tokens per parameter from which concepts are learned."""
        return self.graph.learning_threshold

    def for_model(self, parameters: float, training_tokens: float) -> SkillGraphTraining:
        """The law for one model with a ratio of its own, below the learning threshold too."""
        ratio = float(self._at_threshold(np.asarray(training_tokens / parameters)))
        concepts = self.graph.concepts(parameters)
        chance = float(self.graph.concept_probability(concepts, ratio, self.concept_mode))
        return replace(self, tokens_per_parameter=ratio, concept_probability=max(chance, 1e-300))

    def concepts_learned(self, loss: ArrayLike) -> FloatArray:
        """Concepts that a model of this shortfall has learned."""
        return np.asarray(np.exp(_LOG_REFERENCE - np.asarray(loss, dtype=np.float64)))[()]

    def learned(self, loss: ArrayLike) -> Composability:
        """What is learned at every level by models of these shortfalls."""
        concepts = self.concepts_learned(loss)
        if self.skill_mode == "chernoff":
            chance = self.concept_probability
            return self.graph.composability(concepts / chance, chance, "chernoff")
        return self.graph.composability(concepts, 1.0)

    def loss(
        self,
        parameters: ArrayLike,
        training_tokens: ArrayLike,
        unique_tokens: ArrayLike = np.inf,
    ) -> FloatArray:
        """Shortfall of a model of this size trained on so many tokens, in e-folds.

        Parameters
        ----------
        parameters : N in (0, inf).
        training_tokens : D in (0, inf).
        unique_tokens : without effect; the graph does not know repeated texts.
        """
        n = interval("parameters", parameters, 0, np.inf, bounds="()")
        d = interval("training_tokens", training_tokens, 0, np.inf, bounds="()")
        ratio = d / n
        if self.tokens_per_parameter is None:
            ratio = self._at_threshold(ratio)
        return self._shortfall(n, ratio)

    def _at_threshold(self, ratio: FloatArray) -> FloatArray:
        """Ratios, with those at the learning threshold that rounding puts just below it."""
        at = self.learning_threshold
        return np.asarray(np.where(np.abs(ratio - at) <= 1e-9 * at, at, ratio))

    def training_tokens_for(
        self,
        loss: ArrayLike,
        parameters: ArrayLike,
        unique_tokens: ArrayLike = np.inf,
    ) -> FloatArray:
        """Fewest training tokens with which a model of this size has the shortfall; inf if none.

        With a fixed ratio these are the tokens of the ratio, or inf.
        """
        n = interval("parameters", parameters, 0, np.inf, bounds="()")
        target = interval("loss", loss, 0, np.inf)
        if self.tokens_per_parameter is not None:
            ratio = self.tokens_per_parameter
            reached = self._shortfall(n, ratio) <= target * (1.0 + 1e-15)
            return np.asarray(np.where(reached, ratio * n, np.inf))[()]
        # the share that may stay unlearned, 1 - exp(-x), where x is the shortfall to spare
        spare = target - (_LOG_REFERENCE - np.log(self.graph.concepts(n)))
        unlearned = -np.expm1(-np.maximum(spare, 0.0))
        possible = (unlearned >= 0.9 * _FEWEST_UNLEARNED) & (spare > 0.0)
        degree = np.full(np.shape(unlearned), np.inf)
        concepts = np.broadcast_to(self.graph.concepts(n), degree.shape)
        if np.any(possible):
            share = np.maximum(unlearned[possible], _FEWEST_UNLEARNED)
            degree[possible] = degree_for(share, concepts[possible], self.graph.text_degree)
        per_degree = self.learning_threshold / threshold_degree(self.graph.text_degree)
        return np.asarray(degree * per_degree * n)[()]

    def optimal_tokens(self, parameters: ArrayLike) -> FloatArray:
        """Tokens with which no other split of the same training FLOP learns more concepts.

        A little above the learning threshold, the closer the larger the model: D / N is 19.9 at
        1e17 FLOP and 18.15 at 3.35e25 with the constants of the paper.
        """
        n = interval("parameters", parameters, 0, np.inf, bounds="()")
        if self.tokens_per_parameter is not None:
            return np.asarray(self.tokens_per_parameter * n)[()]
        log_concepts, log_excess = _optimal_ratios(self)
        at = np.log(self.graph.concepts(n))
        excess = np.exp(np.interp(at, log_concepts, log_excess))
        return np.asarray(self.learning_threshold * (1.0 + excess) * n)[()]

    def largest_parameters(self, loss: ArrayLike) -> FloatArray:
        """Largest model that can be as bad as this shortfall."""
        target = np.asarray(loss, dtype=np.float64)
        low = np.log(self.graph.parameters_per_concept * self.concepts_learned(target))
        if self.tokens_per_parameter is None:
            # with as few tokens as are allowed
            least = 1.0 - self._unlearned(np.asarray(1.0), self.learning_threshold)
            return np.asarray(np.exp(low) / least)[()]
        high = low + 60.0
        for _ in range(_SECTIONS):
            middle = 0.5 * (low + high)
            worse = self._shortfall(np.exp(middle), self.tokens_per_parameter) >= target
            low, high = np.where(worse, middle, low), np.where(worse, high, middle)
        return np.asarray(np.exp(high))[()]

    def least_loss(self, parameters: ArrayLike) -> FloatArray:
        """Shortfall of a model of this size with all the tokens that it may have."""
        n = interval("parameters", parameters, 0, np.inf, bounds="()")
        if self.tokens_per_parameter is not None:
            return self._shortfall(n, self.tokens_per_parameter)
        return np.asarray(_LOG_REFERENCE - np.log(self.graph.concepts(n)))[()]

    def smallest_monotone(self, parameters: float) -> float:
        """Least size, of this one up, from which larger models have learned more concepts.

        Below the learning threshold tiny models may learn a larger part of fewer concepts, by
        chance.
        """
        if self.tokens_per_parameter is None:
            return parameters
        sizes = np.geomspace(parameters, max(1e3 * parameters, 1e14), 4001)
        falls = np.diff(self._shortfall(sizes, self.tokens_per_parameter)) > 1e-12
        return float(sizes[np.flatnonzero(falls)[-1] + 1]) if np.any(falls) else parameters

    def optimal_ratio(self, flop: FloatArray) -> FloatArray:
        """Tokens per parameter with which so much training FLOP learns most concepts."""
        low = np.full(flop.shape, np.log(self.learning_threshold))
        high = low + np.log(_RAY_REACH)
        fraction = np.linspace(0.0, 1.0, _RAY_GRID)
        for _ in range(_RAY_ROUNDS):
            ratio = np.exp(low[..., None] + (high - low)[..., None] * fraction)
            size = np.sqrt(flop[..., None] / (6.0 * ratio))
            at = np.argmin(self._shortfall(size, ratio), axis=-1)
            step = (high - low) / (_RAY_GRID - 1)
            centre = low + at * step
            low, high = np.maximum(centre - step, low), np.minimum(centre + step, high)
        return np.asarray(np.exp(centre))

    def _shortfall(self, parameters: FloatArray, ratio: ArrayLike) -> FloatArray:
        concepts = self.graph.concepts(parameters)
        unlearned = self._unlearned(concepts, ratio)
        with np.errstate(divide="ignore"):
            log_share = np.maximum(np.log1p(-unlearned), -700.0)
        return np.asarray(_LOG_REFERENCE - np.log(concepts) - log_share)[()]

    def _unlearned(self, concepts: FloatArray, ratio: ArrayLike) -> FloatArray:
        degree = self.graph.concept_degree(ratio)
        mode = self.concept_mode
        missed = unlearned_share(concepts, degree, self.graph.text_degree, mode)
        if self.tokens_per_parameter is None:
            missed = np.maximum(missed, _FEWEST_UNLEARNED)
        return np.asarray(missed)


@lru_cache(maxsize=32)
def _optimal_ratios(law: SkillGraphTraining) -> tuple[FloatArray, FloatArray]:
    """ln concepts and ln of the relative excess of the best ratio over the threshold, a table."""
    concepts = np.geomspace(1e2, 1e16, 281)
    size = concepts * law.graph.parameters_per_concept
    ratio = np.full(size.shape, law.learning_threshold)
    for _ in range(3):
        # the ratio moves slowly with compute, so the compute of the last ratio will do
        ratio = law.optimal_ratio(6.0 * ratio * size**2)
    excess = np.maximum(ratio / law.learning_threshold - 1.0, 1e-9)
    return np.log(concepts), np.log(excess)
