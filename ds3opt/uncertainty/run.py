"""Solving many draws on several processors, each draw once, whatever is interrupted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from ds3opt.fleet import needs_fleet
from ds3opt.optimise.solution import Solution
from ds3opt.problem import compile_problem
from ds3opt.schema import Scenario
from ds3opt.uncertainty.draws import Sample, drawn
from ds3opt.uncertainty.outcome import Outcome, outcomes_of, policies_of
from ds3opt.uncertainty.processes import done_by

Progress = Callable[[str, float], None]
Keep = Callable[[Sequence[Outcome]], None]
_LARGEST_BLOCK = 32
"""Draws that are solved side by side: more bring little, and are lost together."""
_PAIRS = 4000
"""Pairs of task and policy in a block, for memory."""
_HINT = "free some memory, or use --workers 1; what was solved is kept"


def solve_draws(
    scenario: Scenario,
    sample: Sample,
    point: Solution,
    *,
    known: Mapping[int, Outcome] | None = None,
    keep: Keep | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> tuple[Outcome, ...]:
    """The outcome of every draw, in their order; the same bytes whatever the number of processes.

    Parameters
    ----------
    point : the answer at the point estimate.
    known : outcomes that an earlier run has found. keep : called with each block of new ones.
    workers : processes; None for one on every processor.
    progress : called with a stage and the fraction of it that is done.

    Raises
    ------
    UsageError : where a process was ended from outside, such as for want of memory.
    """
    count = len(sample)
    found = {index: one for index, one in (known or {}).items() if index < count}
    size = block_size(scenario)
    blocks = [tuple(range(first, min(first + size, count))) for first in range(0, count, size)]
    # a block is solved as a whole or not at all: its draws share their rounding
    missing = [block for block in blocks if not all(index in found for index in block)]
    told = progress or _silent
    told("draws", len(found) / count)
    jobs = ([(index, drawn(scenario, sample, index)) for index in block] for block in missing)
    work = partial(outcomes_of, point=point, policies=policies_of(scenario))
    for _, block in done_by(work, jobs, len(missing), workers, hint=_HINT):
        found |= {one.index: one for one in block}
        if keep is not None:
            keep(block)
        told("draws", len(found) / count)
    return tuple(found[index] for index in range(count))


def block_size(scenario: Scenario) -> int:
    """Draws of a scenario that are solved side by side."""
    if needs_fleet(scenario) or scenario.workload.mix is None:
        return 1
    problem = compile_problem(scenario)
    assert problem.tasks is not None
    return max(1, min(_LARGEST_BLOCK, _PAIRS // max(problem.tasks.allowed.size, 1)))


def _silent(stage: str, fraction: float) -> None:
    """Nobody watches."""
