"""How many concepts a model learns from its texts: decoding of a random text-concept graph.

Texts mention concepts at random. A text teaches a concept once all other concepts in it are known,
so learning spreads as the decoding of an erasure code does: little below a threshold of texts per
concept, nearly everything above it. The number of concepts decides how sharp the step is.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from scipy import special

from ds3opt.laws._types import ArrayLike, FloatArray, interval, refuse

ConceptMode = Literal["density_evolution", "paper"]
CONCEPT_MODES: tuple[ConceptMode, ...] = ("density_evolution", "paper")

_SPARSE = 5.0
"""Texts per concept below which concepts that no text mentions are counted as not learned."""
_ROUNDS = 200
_NEWTON = 20


class ConceptTransition(NamedTuple):
    """Where learning sets in on graphs of one density; arrays over densities."""

    threshold: FloatArray
    """eps*, the largest share of unknown nodes from which learning goes through to the end."""
    unlearned: FloatArray
    """nu*, share of nodes that stay unknown when learning stops short at the threshold."""
    message: FloatArray
    """x*, chance that a concept is unknown to one of its texts, at the threshold."""
    spread: FloatArray
    """alpha, standard deviation of the threshold times the square root of the number of nodes."""


class EdgeDegrees(NamedTuple):
    """A degree distribution seen from an edge, as a generating function f at u and at u squared."""

    value: FloatArray
    """f(u)."""
    value_square: FloatArray
    """f(u**2)."""
    slope: FloatArray
    """f'(u)."""
    slope_square: FloatArray
    """f'(u**2)."""


def finite_length_spread(
    threshold: ArrayLike,
    message: ArrayLike,
    known: ArrayLike,
    texts: EdgeDegrees,
    concepts: EdgeDegrees,
    concept_degree: ArrayLike,
) -> FloatArray:
    """Width alpha of the decoding transition of graphs with finitely many nodes.

    Parameters
    ----------
    threshold, message : eps* and x* of the transition.
    known : y*, chance that a text leaves a concept unknown.
    texts : rho, at u = 1 - x*.
    concepts : lambda, at u = y*.
    concept_degree : mean number of texts of a concept, averaged over concepts.

    Notes
    -----
    Amraoui, Montanari, Richardson and Urbanke, "Finite-length scaling for iteratively decoded LDPC
    ensembles" (arXiv cs/0406050). DS3 (44) takes alpha from its reference [35].

    >>> x, eps = 0.260571073, 0.429439814    # every concept in 3 texts of 6 concepts
    >>> u, y = 1 - x, 1 - (1 - x)**5
    >>> texts = EdgeDegrees(u**5, u**10, 5 * u**4, 5 * u**8)
    >>> concepts = EdgeDegrees(y**2, y**4, 2 * y, 2 * y**2)
    >>> float(finite_length_spread(eps, x, y, texts, concepts, 3).round(6))
    0.560355
    """
    x, y = np.asarray(message, dtype=np.float64), np.asarray(known, dtype=np.float64)
    scale = np.asarray(concept_degree, dtype=np.float64) * concepts.value**2
    of_texts = (
        texts.value**2
        - texts.value_square
        + texts.slope * (1.0 - 2.0 * x * texts.value)
        - (1.0 - x) ** 2 * texts.slope_square
    )
    of_concepts = concepts.value**2 - concepts.value_square - y**2 * concepts.slope_square
    variance = of_texts / texts.slope**2 + np.asarray(threshold) ** 2 * of_concepts
    return np.asarray(np.sqrt(variance / scale))[()]


@np.errstate(under="ignore")
def concept_transition(concept_degree: ArrayLike, text_degree: ArrayLike) -> ConceptTransition:
    """Threshold of concept learning and its width, on random graphs of these mean degrees.

    Parameters
    ----------
    concept_degree : c > e, mean number of texts that mention a concept; at or below e learning sets
        in without a sudden transition. Beyond the c at which eps* is 1, where even what is not
        known at all is learned, the values are those at that c.
    text_degree : d > e, mean number of other unknown concepts in a text. Its texts have 2 d
        concepts in all, since half of the graph's nodes stand for what is known already.

    Notes
    -----
    Constants of DS3 (44), which takes them from its reference [35]. Texts per concept and concepts
    per text are Poisson; concepts that no text mentions are left out. With
    ``z = -W_{-1}(-1 / c)``: ``x* = z / (2 d)`` and ``eps* = x* exp(1 / z)``.

    >>> [round(float(part), 6) for part in concept_transition(30.0, 6.0)]
    [0.51, 0.417774, 0.417774, 0.590144]
    """
    c = interval("concept_degree", concept_degree, np.e, np.inf, bounds="()")
    check = 2.0 * _text_degree(text_degree)
    c = np.minimum(c, threshold_degree(check))
    z = -special.lambertw(-1.0 / c, k=-1).real
    # one Newton step of z - log(z) = log(c): next to the branch point lambertw has half the digits
    away = z - 1.0 > 1e-6
    z = np.where(away, z - (z - np.log(z) - np.log(c)) * z / np.where(away, z - 1.0, 1.0), z)
    return _transition_at(np.asarray(z), c, check)


def _transition_at(z: FloatArray, c: FloatArray, check: FloatArray) -> ConceptTransition:
    """Transition where ``c = exp(z) / z``; `check` concepts a text on average."""
    message = z / check
    threshold = message * np.exp(1.0 / z)
    mentioned = -np.expm1(-c)
    unlearned = threshold * (np.exp(-1.0 / z) - np.exp(-c)) / mentioned
    # y is next to 1, where c is large: c (1 - y) = c exp(-z) = 1 / z
    gap = np.exp(-z)
    value, value_square = np.exp(-1.0 / z), np.exp(-(2.0 - gap) / z)
    concepts = EdgeDegrees(value, value_square, c * value, c * value_square)
    text_value, text_square = np.exp(-z), np.exp(-z * (2.0 - message))
    texts = EdgeDegrees(text_value, text_square, check * text_value, check * text_square)
    spread = finite_length_spread(threshold, message, 1.0 - gap, texts, concepts, c / mentioned)
    return ConceptTransition(
        np.asarray(threshold)[()], np.asarray(unlearned)[()], np.asarray(message)[()], spread
    )


def threshold_degree(text_degree: ArrayLike) -> FloatArray:
    """Texts per concept from which concepts are learned: ``exp(z) / z``, ``z = -1 / W_0(-1 / d)``.

    The root of eps* = 1/2, whatever the number of concepts.

    >>> float(threshold_degree(6.0).round(6))
    27.197938
    """
    d = _text_degree(text_degree)
    z = -1.0 / special.lambertw(-1.0 / d, k=0).real
    return np.asarray(np.exp(z) / z)[()]


@np.errstate(under="ignore")
def stalled_share(concept_degree: ArrayLike, text_degree: ArrayLike) -> FloatArray:
    """Share of concepts that stay unknown below the threshold, on an endless graph.

    ``exp(-c exp(-2 d x))`` at the largest root of ``x = exp(-c exp(-2 d x)) / 2``, less the
    concepts that no text mentions unless c < 5, as there are too many of these to leave out.

    Parameters
    ----------
    concept_degree : c in [0, inf); above the threshold taken at the threshold.
    text_degree : d > e.

    >>> float(stalled_share(22.5, 6.0).round(6))
    0.907327
    """
    d = _text_degree(text_degree)
    c, d = np.broadcast_arrays(
        interval("concept_degree", concept_degree, 0, np.inf, bounds="[)"), d
    )
    most = -special.lambertw(-1.0 / d, k=0).real
    log_c = np.log(np.maximum(c, 1e-300))
    # With x = exp(-y) / 2 the root solves log(y) + d exp(-y) = log(c), concave and rising in
    # log(y) as far as its maximum: Newton from the left stays on the left.
    log_y = log_c - d
    for _ in range(_ROUNDS):
        y = np.exp(log_y)
        rest = log_c - log_y - d * np.exp(-y)
        slope = 1.0 - d * y * np.exp(-y)
        step = np.where((rest > 0.0) & (slope > 0.0), rest / np.where(slope > 0.0, slope, 1.0), 0.0)
        following = np.minimum(log_y + step, np.log(most))
        if np.all(following - log_y <= 1e-16 * np.abs(log_y)):
            break
        log_y = following
    unknown = np.exp(-np.exp(log_y))
    mentioned = (unknown - np.exp(-c)) / np.where(c > 0.0, -np.expm1(-c), 1.0)
    return np.asarray(np.where(c < _SPARSE, unknown, mentioned))[()]


@np.errstate(under="ignore")
def unlearned_share(
    concepts: ArrayLike,
    concept_degree: ArrayLike,
    text_degree: ArrayLike,
    mode: ConceptMode = "density_evolution",
) -> FloatArray:
    """Chance that a concept is not learned, ``2 nu* Q(sqrt(2 R) (eps* - 1/2) / alpha)``.

    Parameters
    ----------
    concepts : R > 0, concepts that the model has room for.
    concept_degree : c > 0, mean number of texts that mention a concept.
    text_degree : d > e.
    mode : `density_evolution` replaces ``2 nu*`` below the threshold by what an endless graph
        leaves unknown there (`stalled_share`); `paper` keeps it, and so calls ever more concepts
        learned the fewer texts there are. At c <= e, where the formula has no constants, both take
        the endless graph.

    Notes
    -----
    DS3 (44). What it prints as the chance of learning is the chance of failing: taken as printed,
    no model of more than 18.2 tokens per parameter learns anything. Below the threshold DS3
    declares its theory out of scope (footnote 13).

    >>> unlearned_share([1e4, 1e8], 30.0, 6.0).round(6).tolist()
    [0.006917, 0.0]
    """
    if mode not in CONCEPT_MODES:
        raise refuse("mode", f"one of {', '.join(CONCEPT_MODES)}", mode)
    count = interval("concepts", concepts, 0, np.inf, bounds="()")
    c = interval("concept_degree", concept_degree, 0, np.inf, bounds="()")
    d = _text_degree(text_degree)
    sudden = c > np.e
    at = concept_transition(np.where(sudden, c, 3.0), d)
    missed = special.ndtr(-np.sqrt(2.0 * count) * (at.threshold - 0.5) / at.spread)
    short = c < threshold_degree(d)
    stalls = short if mode == "density_evolution" else ~sudden
    share = 2.0 * at.unlearned
    if np.any(stalls):
        share = np.where(stalls, stalled_share(np.where(short, c, 1.0), d), share)
    return np.asarray(np.where(sudden, share * missed, share))[()]


@np.errstate(under="ignore", divide="ignore", invalid="ignore")
def degree_for(unlearned: ArrayLike, concepts: ArrayLike, text_degree: float) -> FloatArray:
    """Fewest texts per concept, from the threshold up, that leave at most this share unlearned.

    The inverse of `unlearned_share` in its second argument; inf where no number of texts does.

    Parameters
    ----------
    unlearned : in [0, 1].
    concepts : R > 0.
    text_degree : d > e.

    >>> float(degree_for(unlearned_share(1e4, 30.0, 6.0), 1e4, 6.0).round(9))
    30.0
    """
    share, count = np.broadcast_arrays(
        interval("unlearned", unlearned, 0, 1),
        interval("concepts", concepts, 0, np.inf, bounds="()"),
    )
    check = 2.0 * _text_degree(text_degree)
    low = float(-1.0 / special.lambertw(-2.0 / check, k=0).real)
    high = float(-1.0 / special.lambertw(-1.0 / check, k=0).real)
    sharpness = np.sqrt(2.0 * count)

    def short(z: FloatArray) -> FloatArray:
        """How many standard deviations are missing; falls with z."""
        at = _transition_at(z, np.exp(z) / z, check)
        wanted = -special.ndtri(np.minimum(share / (2.0 * at.unlearned), 0.5))
        return np.asarray(wanted - sharpness * (at.threshold - 0.5) / at.spread)

    z = np.full(share.shape, low)
    missing = short(z)
    last = short(np.full(share.shape, high))
    for _ in range(_NEWTON):
        step = 1e-6 * z
        slope = (short(z + step) - missing) / step
        move = -missing / slope
        z = np.clip(np.where(np.isfinite(move), z + move, z), low, high)
        missing = short(z)
        if np.all(np.abs(move) <= 1e-15 * z):
            break
    degree = np.exp(z) / z
    return np.asarray(np.where(last > 0.0, np.inf, degree))[()]


def _text_degree(value: ArrayLike) -> FloatArray:
    return interval("text_degree", value, np.e, np.inf, bounds="()")
