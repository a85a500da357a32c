"""Hundred-digit values straight from the definitions, by sums and recursions, not closed forms."""

from __future__ import annotations

from itertools import pairwise

from mpmath import mp, mpf

mp.dps = 100


def trace(r, skills, levels, branches=1, fatigue=0):
    """Success, failure, E[min(T, n)], its square and Pr(T = 0..n) of a trace, level by level."""
    with mp.workdps(400):  # the failure is taken from 1
        return _trace(mpf(r), skills, levels, branches, mpf(fatigue))


def _trace(r, skills, levels, branches, fatigue):
    q = 1 - r
    advance = 1 - q**branches
    stay = q**branches * (1 - fatigue**branches)
    state = [mpf(0)] * skills + [mpf(0)]
    state[0] = mpf(1)
    done = [state[skills]]
    for _ in range(levels):
        moved = [stay * p for p in state[:skills]] + [state[skills]]
        for have in range(skills):
            moved[have + 1] += advance * state[have]
        state = moved
        done.append(state[skills])
    masses = [done[0], *(after - before for before, after in pairwise(done))]
    spent = sum(t * p for t, p in enumerate(masses)) + levels * (1 - done[-1])
    squares = sum(t * t * p for t, p in enumerate(masses)) + levels**2 * (1 - done[-1])
    return done[-1], 1 - done[-1], spent, squares, masses


def success(r, skills, steps, branches=1, fatigue=0):
    """Success and failure probability by adding up binomial terms; for long budgets."""
    q = 1 - mpf(r)
    harmless = q**branches * (1 - mpf(fatigue) ** branches)
    x = 1 - harmless
    first = mp.exp(mp.log(mp.binomial(steps, skills)) + skills * mp.log(x))
    first *= mp.exp((steps - skills) * mp.log(harmless))
    if skills >= steps * x:  # skills, skills + 1, ... successes, falling from the first
        within, term, have = mpf(0), first, skills
        while term > within * mpf(10) ** -mp.dps:
            within += term
            term *= mpf(steps - have) / (have + 1) * x / harmless
            have += 1
        beyond = 1 - within
    else:  # skills - 1, skills - 2, ... successes
        beyond, have = mpf(0), skills
        term = first
        while have > 0 and (term > beyond * mpf(10) ** -mp.dps):
            term *= mpf(have) / (steps - have + 1) * harmless / x
            beyond += term
            have -= 1
        within = 1 - beyond
    kept = ((1 - q**branches) / x) ** skills
    return kept * within, (1 - kept) + kept * beyond


def logs(value, complement):
    """Logs of two probabilities that add up to 1, each from whichever has the digits."""
    return (
        mp.log(value) if value < 0.5 else mp.log1p(-complement),
        mp.log(complement) if complement < 0.5 else mp.log1p(-value),
    )


def relative_error(got, wanted) -> float:
    """Error of a float against a high-precision number, absolute where that underflows."""
    got, wanted = mpf(float(got)), mpf(wanted)
    return float(abs(got - wanted) / abs(wanted) if abs(wanted) > 1e-300 else abs(got))
