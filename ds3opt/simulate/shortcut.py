"""The idealised policies without their uneventful steps, for speed.

The levels of a walk are independent and alike until one matters: it gains a skill, or ruins the
walk. So the levels up to the next one that matters are geometric, and drawing their number is the
same process as drawing them one after another. What the answers become is drawn as ever.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ds3opt.simulate.engine import Ensemble, generator
from ds3opt.simulate.ideal import IdealTask, Walk, chosen
from ds3opt.simulate.kernels import FloatArray, ProcessError

_CELLS = 2**18
_MOST_RUNS = 2**13
_MANY_SKILLS = 24
"""From which the levels of all skills of a walk are drawn at once."""
_HOPELESS = 1e12
"""Mean levels for all skills beyond which no walk of at most 1e9 levels ends in time."""


def simulate_task(
    task: IdealTask,
    runs: int,
    seed: int = 0,
    *,
    stream: tuple[int, ...] = (),
    progress: Callable[[float], None] | None = None,
) -> Ensemble:
    """Runs of an idealised task; the law of `simulate(process_of(task), ...)`, sooner.

    Parameters and errors as in `simulate`. The random numbers are others, so single runs differ.
    """
    if runs < 1:
        raise ProcessError(f"runs must be at least 1, got {runs}")
    size = max(1, min(_MOST_RUNS, _CELLS // len(task.walks)))
    found = []
    for block in range(-(-runs // size)):
        if progress is not None:
            progress(block * size / runs)
        part = _block(task, size, generator(seed, stream, block))
        found.append(tuple(values[: runs - block * size] for values in part))
    success, steps, tokens, flop, time = (np.concatenate(v) for v in zip(*found, strict=True))
    never = np.zeros(runs, dtype=bool)
    walks = np.full(runs, float(len(task.walks)))
    return Ensemble(success, steps, tokens, time, walks, never, never, {"flop": flop}, {})


def _block(task: IdealTask, runs: int, rng: np.random.Generator) -> tuple[FloatArray, ...]:
    solvable = np.ones(runs, dtype=bool)
    if task.unsolvable > 0.0:
        solvable = rng.random(runs) >= task.unsolvable
    right = np.empty((runs, len(task.walks)), dtype=bool)
    steps, tokens, flop, time = (np.zeros(runs) for _ in range(4))
    first = 0
    for walk, count in Counter(task.walks).items():
        levels, done = _walks(walk, (runs, count), rng, solvable)
        right[:, first : first + count] = done
        first += count
        used, squares = levels.sum(axis=1), np.square(levels).sum(axis=1)
        steps += walk.branches * used
        tokens += walk.branches * walk.tokens_per_step * used
        flop += walk_flop(task, walk, count, used, squares)
        time = np.maximum(time, levels.max(axis=1))
    return chosen(task, right, rng), steps, tokens, flop, time


def _walks(
    walk: Walk, shape: tuple[int, int], rng: np.random.Generator, solvable: NDArray[np.bool_]
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Levels used by walks that are alike, and whether they finished, (run, walk)."""
    advance, ruin = level_chances(walk)
    matters = advance + ruin
    used = np.full(shape, float(walk.levels))
    done = np.zeros(shape, dtype=bool)
    if walk.skills == 0:
        return np.zeros(shape), ~done
    if matters <= 0.0 or walk.levels < walk.skills:
        return used, done
    if walk.skills >= _MANY_SKILLS:
        return _many_skills(walk, shape, rng, solvable, matters, advance / matters)
    harmless = -math.log1p(-matters) if matters < 1.0 else math.inf
    going = np.flatnonzero(np.broadcast_to(solvable[:, None], shape))
    level = np.zeros(going.size)
    for left in range(walk.skills - 1, -1, -1):
        # a geometric number by inversion
        level += np.floor(rng.standard_exponential(level.size) / harmless) + 1.0
        stays = level <= walk.levels - left
        if ruin > 0.0:
            stays &= rng.random(level.size) * matters < advance
        going, level = going[stays], level[stays]
    used.ravel()[going] = level
    done.ravel()[going] = True
    return used, done


def _many_skills(
    walk: Walk,
    shape: tuple[int, int],
    rng: np.random.Generator,
    solvable: NDArray[np.bool_],
    matters: float,
    sound: float,
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """The same for walks of many skills: a sum of geometric numbers is negative binomial.

    Whether a level that matters ruins does not depend on when it comes.
    """
    used = np.full(shape, float(walk.levels))
    done = np.zeros(shape, dtype=bool)
    if walk.skills > _HOPELESS * matters:
        return used, done
    level = walk.skills + rng.negative_binomial(walk.skills, min(matters, 1.0), shape)
    done[:] = solvable[:, None] & (level <= walk.levels)
    if sound < 1.0:
        done &= rng.random(shape) < sound**walk.skills
    return np.where(done, level, used), done


def level_chances(walk: Walk) -> tuple[float, float]:
    """Chance that a level gains the next skill, and that it ruins the walk, by enumeration.

    Over the number of right candidates, and of right and wrong ones among those accepted; nothing
    of `ds3opt.laws` is used, with which the simulation is compared.
    """
    r, h, b = walk.step_success, walk.fatigue, walk.branches
    if b == 1:
        return r, (1.0 - r) * h
    t, f = walk.true_positive_rate, walk.false_positive_rate
    advance = 0.0
    for right, chance in enumerate(_binomial(b, r)):
        if chance > 0.0 and right > 0:
            of_right, of_wrong = _binomial(right, t), _binomial(b - right, f)
            accepted = np.arange(right + 1.0)[:, None]
            among = accepted + np.arange(b - right + 1.0)
            share = np.divide(accepted, among, out=np.zeros_like(among), where=among > 0.0)
            share[0, 0] = right / b
            advance += chance * float(of_right @ share @ of_wrong)
    all_wrong = (1.0 - r) ** b
    misjudged = max(1.0 - advance - all_wrong, 0.0)
    return min(advance, 1.0), all_wrong * h**b + misjudged * h


def _binomial(count: int, chance: float) -> FloatArray:
    """Masses of 0 to `count` successes, by convolution."""
    masses = np.ones(1)
    for _ in range(count):
        masses = np.convolve(masses, [1.0 - chance, chance])
    return masses


def walk_flop(
    task: IdealTask, walk: Walk, count: int, levels: FloatArray, squared_levels: FloatArray
) -> FloatArray:
    """FLOP of walks that are alike, DS3 (18) with contexts added up: ``C - w/2`` a token, as (28).

    Parameters
    ----------
    count : of the walks.
    levels, squared_levels : that they used, summed over them.
    """
    step, prompt, b = walk.tokens_per_step, walk.prompt_tokens, walk.branches
    output, prompts = b * step * levels, count * prompt
    pairs = prompts * prompt + prompt * output + 0.5 * b * step * step * squared_levels
    read = output + (prompts if walk.prefill else 0.0)
    flop = 2.0 * (walk.parameters * read + walk.attention * pairs)
    check = 2.0 * task.verifier_parameters
    if task.judges_steps:
        flop = flop + check * (prompts + output) + task.flop_per_check * b * levels
    if task.judges_answers:
        flop = flop + check * (prompts + output / b) + task.flop_per_check * count
    return np.asarray(flop)
