"""Training as a graph of concepts and skills: from training compute to what a model can do.

Parameters hold concepts, texts teach them, concepts make skills, and skills of one level compose
into those of the next. DS3 section III-A and appendix B, with the readings under which its own
numbers come out; each departure stands at its function.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from ds3opt.laws._types import ArrayLike, FloatArray, interval, refuse
from ds3opt.laws.capability import directionality
from ds3opt.laws.concept_learning import ConceptMode, threshold_degree, unlearned_share
from ds3opt.laws.giant_component import component_shares, giant_component_fraction
from ds3opt.laws.search import chain_of_thought_success
from ds3opt.laws.skill_levels import prerequisites, skills_at_level
from ds3opt.laws.skill_links import binomial_tail, chernoff_tail

SkillMode = Literal["exact", "chernoff"]
SKILL_MODES: tuple[SkillMode, ...] = ("exact", "chernoff")
DEFAULT_REQUIRED_LINKS = {"exact": 52.0, "chernoff": 15.0}
"""The paper states none. These meet the published accuracy of Claude 3.7 Sonnet on AIME 2024."""
_DOWN = 1.0 - 1e-12
"""A whole number of skills must not be rounded up for the last digit of a product."""


class Composability(NamedTuple):
    """What is learned at every level; the last axis of each array is the level, 1 to L."""

    skill_probability: FloatArray
    """p_s, chance that a skill is learned."""
    giant_component: FloatArray
    """gamma, share of a level's skills that compose with each other."""
    outside: FloatArray
    """1 - gamma, without cancellation."""


class TaskSuccess(NamedTuple):
    """Success of tasks at the level that suits each best."""

    success: FloatArray
    level: FloatArray
    """Level that the task is reasoned at; 0 where nothing can be done."""


@dataclass(frozen=True)
class SkillGraph:
    """Graph of texts, concepts and levels of skills.

    Notes
    -----
    Defaults are those of DS3 appendix B where it states one. It does not state `required_links`,
    nor `degree_failure`; theirs are ours.

    >>> graph = SkillGraph()
    >>> parameters, tokens = graph.allocation(3.35e25)
    >>> f"{parameters:.3g} parameters, {graph.concepts(parameters):.3g} concepts"
    '5.28e+11 parameters, 2.11e+08 concepts'
    >>> round(float(graph.learning_threshold), 3)    # tokens per parameter
    18.132
    """

    tokens_per_parameter: float = 20.0
    """kappa > 0, training tokens per parameter."""
    text_degree: float = 6.0
    """d_t > e, mean number of other unknown concepts in a text."""
    parameters_per_concept: float = 2.5e3
    """zeta > 0."""
    tokens_per_text: float = 1e4
    """tau > 0."""
    levels: int = 100
    """L >= 1, levels of skills."""
    skills_per_level: float = 1e4
    """S >= 1."""
    link_decay: float = 10.0
    """b >= 0: a concept is linked to a skill of level l with probability ``exp(-b l / L) / S``."""
    required_links: float | None = None
    """eta > 0, linked concepts to learn for a skill; None: 52 for exact, 15 for Chernoff."""
    degree_failure: float = 0.01
    """rho in (0, 1), chance that some skill has fewer links than the Chernoff bound says."""
    degree_margin: float = 0.99
    """Factor in (0, 1] that keeps the Chernoff bound strict."""

    def __post_init__(self) -> None:
        for name in ("tokens_per_parameter", "parameters_per_concept", "tokens_per_text"):
            interval(name, getattr(self, name), 0, np.inf, bounds="()")
        interval("text_degree", self.text_degree, np.e, np.inf, bounds="()")
        interval("levels", self.levels, 1, np.inf, bounds="[)")
        if self.levels != int(self.levels):
            raise refuse("levels", "whole", self.levels)
        interval("skills_per_level", self.skills_per_level, 1, np.inf, bounds="[)")
        interval("link_decay", self.link_decay, 0, np.inf, bounds="[)")
        if self.required_links is not None:
            interval("required_links", self.required_links, 0, np.inf, bounds="()")
        interval("degree_failure", self.degree_failure, 0, 1, bounds="()")
        interval("degree_margin", self.degree_margin, 0, 1, bounds="(]")

    def allocation(
        self, training_flop: ArrayLike, tokens_per_parameter: ArrayLike | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Parameters and training tokens that use up a training budget: ``6 N D = C``.

        Parameters
        ----------
        training_flop : C > 0, FLOP.
        tokens_per_parameter : overrides that of the graph.
        """
        flop = interval("training_flop", training_flop, 0, np.inf, bounds="()")
        ratio = self._ratio(tokens_per_parameter)
        parameters = np.sqrt(flop / (6.0 * ratio))
        return np.asarray(parameters)[()], np.asarray(ratio * parameters)[()]

    def concepts(self, parameters: ArrayLike) -> FloatArray:
        """Concepts that a model has room for: R = N / zeta."""
        n = interval("parameters", parameters, 0, np.inf, bounds="()")
        return np.asarray(n / self.parameters_per_concept)[()]

    def texts(self, training_tokens: ArrayLike) -> FloatArray:
        """Texts in the training data: T = D / tau."""
        d = interval("training_tokens", training_tokens, 0, np.inf, bounds="()")
        return np.asarray(d / self.tokens_per_text)[()]

    @property
    def learning_threshold(self) -> float:
        """Training tokens per parameter from which concepts are learned, for any model size."""
        return float(threshold_degree(self.text_degree)) / self._degree_per_ratio

    def concept_degree(self, tokens_per_parameter: ArrayLike | None = None) -> FloatArray:
        """Mean number of texts that mention a concept: ``c = d_t kappa zeta / tau``."""
        return np.asarray(self._ratio(tokens_per_parameter) * self._degree_per_ratio)[()]

    def concept_probability(
        self,
        concepts: ArrayLike,
        tokens_per_parameter: ArrayLike | None = None,
        mode: ConceptMode = "density_evolution",
        *,
        complement: bool = False,
    ) -> FloatArray:
        """Chance P that a concept is learned, DS3 (44) corrected (`unlearned_share`).

        Parameters
        ----------
        concepts : R > 0.
        tokens_per_parameter : overrides that of the graph.
        mode : `density_evolution`, or `paper`, which differs below the learning threshold.
        complement : the chance that it is not, without cancellation.

        >>> float(SkillGraph().concept_probability(1e4, 18.0).round(6))
        0.522246
        """
        degree = self.concept_degree(tokens_per_parameter)
        missed = unlearned_share(concepts, degree, self.text_degree, mode)
        return missed if complement else np.asarray(1.0 - missed)[()]

    def link_mean(self, levels: ArrayLike, concepts: ArrayLike) -> FloatArray:
        """Mean number of concepts linked to a skill: ``mu = R exp(-b l / L) / S``.

        Parameters
        ----------
        levels : l in [1, L], whole.
        concepts : R >= 0.

        Notes
        -----
        DS3 says once that the chance of a link is ``exp(-b l / L)``, and divides it by S where it
        uses it, which its numbers need.

        >>> SkillGraph().link_mean([60, 70], 2.113449e8).round(2).tolist()
        [52.39, 19.27]
        """
        level = self._level("levels", levels)
        r = interval("concepts", concepts, 0, np.inf, bounds="[)")
        return np.asarray(r * self._link_probability(level))[()]

    def guaranteed_links(self, levels: ArrayLike, concepts: ArrayLike) -> FloatArray:
        """Concepts that every skill of a level is linked to, but for a chance rho: DS3 (46).

        ``0.99 mu (1 - sqrt(2 ln(S / rho) / mu))``, and 0 where that is negative. DS3 calls it an
        upper bound; it is the Chernoff bound from below.

        >>> SkillGraph().guaranteed_links([60, 70], 2.113449e8).round(2).tolist()
        [14.2, 0.0]
        """
        mean = self.link_mean(levels, concepts)
        deviation = np.sqrt(2.0 * np.log(self.skills_per_level / self.degree_failure) * mean)
        return np.asarray(np.maximum(self.degree_margin * (mean - deviation), 0.0))[()]

    def links_needed(self, mode: SkillMode = "exact") -> float:
        """Linked concepts that a skill needs, eta; the default depends on the mode."""
        if mode not in SKILL_MODES:
            raise refuse("mode", f"one of {', '.join(SKILL_MODES)}", mode)
        given = self.required_links
        return DEFAULT_REQUIRED_LINKS[mode] if given is None else given

    def skill_probability(
        self,
        levels: ArrayLike,
        concepts: ArrayLike,
        concept_probability: ArrayLike,
        mode: SkillMode = "exact",
    ) -> FloatArray:
        """Chance p_s that a skill is learned: that eta of its linked concepts are.

        Parameters
        ----------
        levels : l in [1, L], whole.
        concepts : R >= 0.
        concept_probability : P in [0, 1].
        mode : `exact`, the tail of a binomial distribution; `chernoff`, DS3 (46)-(48): a bound from
            below that jumps where eta meets the expected number of concepts.

        Notes
        -----
        DS3 (48) gives 1 where more concepts are needed than are linked, so that every skill would
        be learned. Here that is 0, and ``P**d`` where just as many are needed. Its divergence is in
        nats.

        >>> SkillGraph().skill_probability([55, 60, 65], 2.113449e8, 1.0).round(6).tolist()
        [0.999973, 0.539738, 0.000608]
        """
        p = interval("concept_probability", concept_probability, 0, 1)
        needed = self.links_needed(mode)
        if mode == "chernoff":
            return chernoff_tail(self.guaranteed_links(levels, concepts), p, needed)
        link = self._link_probability(self._level("levels", levels))
        return binomial_tail(concepts, p * link, needed)

    @staticmethod
    def giant_component_fraction(mean_degree: ArrayLike, *, complement: bool = False) -> FloatArray:
        """Share of a level's skills that compose with each other, DS3 (50)."""
        return giant_component_fraction(mean_degree, complement=complement)

    @staticmethod
    def prerequisites(levels: ArrayLike) -> FloatArray:
        """Skills of the level below that a skill needs: ``sigma = ln(l) / 2``."""
        return prerequisites(levels)

    def composability(
        self,
        concepts: ArrayLike,
        concept_probability: ArrayLike,
        mode: SkillMode = "exact",
    ) -> Composability:
        """What is learned and composes at every level from 1 to L, DS3 (49), (50).

        ``p_l = p_s(l)^2 gamma_{l-1}^(2 sigma_l)``, and gamma_l is the giant component of a graph of
        mean degree ``p_l S``: once it is gone at a level, it is gone at all above.

        Parameters
        ----------
        concepts, concept_probability : as for `skill_probability`; the result has one axis more.

        >>> learned = SkillGraph().composability(2.113449e8, 1.0, "chernoff")
        >>> learned.giant_component[[57, 58, 59]].tolist()    # levels 58, 59, 60
        [1.0, 1.0, 0.0]
        """
        levels = np.arange(1.0, self.levels + 1.0)
        r, p = np.broadcast_arrays(
            np.asarray(concepts, dtype=np.float64), np.asarray(concept_probability)
        )
        skill = self.skill_probability(levels, r[..., None], p[..., None], mode)
        skill = np.broadcast_to(skill, (*r.shape, levels.size))
        inside, outside = np.zeros(skill.shape), np.ones(skill.shape)
        # as far as every skill is learned, one component holds all that float64 tells apart
        whole, left_out = component_shares(self.skills_per_level)
        begin = (
            int(np.argmax(np.any(skill < 1.0, axis=tuple(range(r.ndim))))) if left_out == 0 else 0
        )
        if left_out == 0 and np.all(skill == 1.0):
            begin = levels.size
        inside[..., :begin], outside[..., :begin] = whole, left_out
        log_below = np.zeros(r.shape)
        for index in range(begin, levels.size):
            sigma = float(prerequisites(levels[index]))
            powered = np.exp(2.0 * sigma * log_below) if sigma > 0.0 else 1.0
            mean_degree = skill[..., index] ** 2 * powered * self.skills_per_level
            inside[..., index], outside[..., index] = component_shares(mean_degree)
            if not np.any(inside[..., index]):
                break
            with np.errstate(divide="ignore"):
                log_below = np.log1p(-outside[..., index])
        return Composability(np.asarray(skill), inside, outside)

    def learned_level(self, composability: Composability) -> FloatArray:
        """Highest level at which at least half of the skills compose; 0 if there is none."""
        learned = composability.giant_component >= 0.5
        level = np.arange(1.0, self.levels + 1.0)
        return np.asarray(np.max(np.where(learned, level, 0.0), axis=-1))[()]

    def skills_at(
        self, level: ArrayLike, skills: ArrayLike, reasoning_level: ArrayLike
    ) -> FloatArray:
        """Skills that a task takes at another level: DS3 (42), whole, and inf beyond float64.

        Parameters
        ----------
        level : l in [1, L], whole, at which the task is stated.
        skills : m >= 0, skills that it takes there.
        reasoning_level : l' in [1, L], whole.

        >>> graph = SkillGraph()
        >>> graph.skills_at(60, 8, [59, 60, 61]).tolist()    # 8 * 2.047 and 8 / 2.055, rounded up
        [17.0, 8.0, 4.0]
        """
        of = self._level("level", level)
        at = self._level("reasoning_level", reasoning_level)
        return skills_at_level(of, skills, at, self.levels)

    def success(
        self,
        level: ArrayLike,
        skills: ArrayLike,
        steps: ArrayLike,
        composability: Composability,
        *,
        delta: ArrayLike = 0.5,
        relevant_ratio: ArrayLike = 5.0,
    ) -> TaskSuccess:
        """Success of a task in one chain of thought, at the level that is best for it: DS3 (51).

        ``max over l' of gamma^m' I_r(m', T - m' + 1)`` with ``r = iota p_s(l')`` and
        ``iota = delta + (1 - delta) / ceil(m' (1 + beta))``; of equal levels the lowest.

        Parameters
        ----------
        level, skills : l and m of the task.
        steps : T >= 0, steps at most; 0 skills are done in any case, and ``T < m'`` never does.
        composability : what the model has learned; its arrays broadcast against the task but for
            their last axis, the level.
        delta : in [0, 1], directedness of the search.
        relevant_ratio : beta >= 0, irrelevant skills in reach for each one needed.

        >>> graph = SkillGraph()
        >>> learned = graph.composability(2.113449e8, 1.0, "chernoff")
        >>> [float(v) for v in graph.success(60, [2, 15], 40, learned).success.round(6)]
        [1.0, 0.000384]
        """
        levels = np.arange(1.0, self.levels + 1.0)
        of, m, t = np.broadcast_arrays(
            np.asarray(level, dtype=np.float64),
            np.asarray(skills, dtype=np.float64),
            np.floor(interval("steps", steps, 0, np.inf, bounds="[)")),
        )
        needed = self.skills_at(of[..., None], m[..., None], levels)
        feasible = needed <= t[..., None]
        count = np.where(feasible, needed, 0.0)
        relevant = np.maximum(np.ceil(count * (1.0 + np.asarray(relevant_ratio)) * _DOWN), 1.0)
        found = directionality(relevant, delta) * composability.skill_probability
        trace = chain_of_thought_success(found, count, t[..., None])
        with np.errstate(divide="ignore", invalid="ignore", under="ignore"):
            log_together = np.where(count > 0.0, count * np.log1p(-composability.outside), 0.0)
            solved = np.where(feasible, trace * np.exp(log_together), 0.0)
        best = np.argmax(solved, axis=-1)
        success = np.take_along_axis(solved, best[..., None], axis=-1)[..., 0]
        chosen = np.where(success > 0.0, levels[best], 0.0)
        return TaskSuccess(np.asarray(success)[()], np.asarray(chosen)[()])

    def mean_success(
        self,
        level: ArrayLike,
        skills: ArrayLike,
        weights: ArrayLike,
        steps: ArrayLike,
        composability: Composability,
        *,
        delta: float = 0.5,
        relevant_ratio: float = 5.0,
    ) -> FloatArray:
        """Mean success over a population of tasks: DS3 (52).

        Parameters
        ----------
        level, skills, weights : (task,) arrays; the weights are normalised.
        steps : any shape, that of the result.
        composability : of one model, arrays of shape (L,).

        >>> graph = SkillGraph()
        >>> learned = graph.composability(2.113449e8, 1.0, "chernoff")
        >>> level, skills = np.repeat(np.arange(60, 71), 14), np.tile(np.arange(2, 16), 11)
        >>> graph.mean_success(level, skills, 1.0, [160, 2560], learned).round(3).tolist()
        [0.257, 0.598]
        """
        weight = np.broadcast_to(np.asarray(weights, dtype=np.float64), np.shape(level))
        each = self.success(
            level,
            skills,
            np.asarray(steps, dtype=np.float64)[..., None],
            composability,
            delta=delta,
            relevant_ratio=relevant_ratio,
        ).success
        return np.asarray(each @ (weight / weight.sum()))[()]

    @property
    def _degree_per_ratio(self) -> float:
        return self.text_degree * self.parameters_per_concept / self.tokens_per_text

    def _ratio(self, tokens_per_parameter: ArrayLike | None) -> FloatArray:
        ratio = self.tokens_per_parameter if tokens_per_parameter is None else tokens_per_parameter
        return interval("tokens_per_parameter", ratio, 0, np.inf, bounds="()")

    def _link_probability(self, level: FloatArray) -> FloatArray:
        return np.asarray(np.exp(-self.link_decay * level / self.levels) / self.skills_per_level)

    def _level(self, name: str, value: ArrayLike) -> FloatArray:
        level = interval(name, value, 1, self.levels)
        if np.any(level != np.floor(level)):
            raise refuse(name, "whole", float(level.flat[np.argmax(level != np.floor(level))]))
        return level
