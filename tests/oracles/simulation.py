"""Monte Carlo of the search itself, branch by branch."""

from __future__ import annotations

import numpy as np


def traces(r, skills, levels, *, branches=1, fatigue=0.0, runs=200_000, seed=1):
    """Levels used by each of many traces and whether each finished."""
    rng = np.random.default_rng(seed)
    gained = np.zeros(runs, dtype=int)
    ruined = np.zeros(runs, dtype=bool)
    used = np.full(runs, levels)
    for level in range(1, levels + 1):
        active = (gained < skills) & ~ruined
        if not active.any():
            break
        hits = rng.random((int(active.sum()), branches)) < r
        spoiled = rng.random(hits.shape) < fatigue
        gained[active] += hits.any(axis=1)
        ruined[active] = ~hits.any(axis=1) & spoiled.all(axis=1)
        used[active & (gained == skills)] = level
    return used, gained == skills


def verified_choices(psi, samples, t, f, *, runs=200_000, seed=2):
    """Whether the sample handed over by a fallible verifier is correct, run by run."""
    rng = np.random.default_rng(seed)
    right = rng.random((runs, samples)) < psi
    accepted = rng.random((runs, samples)) < np.where(right, t, f)
    candidates = np.where(accepted.any(axis=1, keepdims=True), accepted, True)
    picked = np.argmax(candidates * rng.random((runs, samples)), axis=1)
    return right[np.arange(runs), picked]


def votes(psi, samples, shares, *, runs=100_000, seed=3):
    """Whether the correct answer wins the vote, ties drawn by lot, run by run."""
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(samples, [psi, *((1 - psi) * np.asarray(shares))], size=runs)
    return np.argmax(counts + 0.5 * rng.random(counts.shape), axis=1) == 0
