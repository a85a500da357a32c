"""Solving many draws on several processors, each draw once, whatever is interrupted."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context

from ds3opt.errors import Problem, UsageError
from ds3opt.fleet import needs_fleet
from ds3opt.optimise.solution import Solution
from ds3opt.problem import compile_problem
from ds3opt.schema import Scenario
from ds3opt.uncertainty.draws import Sample, drawn
from ds3opt.uncertainty.outcome import Outcome, outcomes_of

Progress = Callable[[str, float], None]
Keep = Callable[[Sequence[Outcome]], None]
_LARGEST_BLOCK = 32
"""Draws that are solved side by side: more bring little, and are lost together."""
_PAIRS = 4000
"""Pairs of task and policy in a block, for memory."""
_AHEAD = 2
"""Blocks that wait for each process: enough to keep it busy, few enough to stop quickly."""


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
    workers = min(workers or processors(), max(len(missing), 1))
    told = progress or _silent
    told("draws", len(found) / count)
    make = _solved_here if workers == 1 else _solved_apart
    for block in make(scenario, sample, point, missing, workers):
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


def processors() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _silent(stage: str, fraction: float) -> None:
    """Nobody watches."""


def _draws(scenario: Scenario, sample: Sample, block: Sequence[int]) -> list[tuple[int, Scenario]]:
    return [(index, drawn(scenario, sample, index)) for index in block]


def _solved_here(
    scenario: Scenario,
    sample: Sample,
    point: Solution,
    missing: Sequence[Sequence[int]],
    workers: int,
) -> Iterator[list[Outcome]]:
    for block in missing:
        yield outcomes_of(_draws(scenario, sample, block), point)


def _solved_apart(
    scenario: Scenario,
    sample: Sample,
    point: Solution,
    missing: Sequence[Sequence[int]],
    workers: int,
) -> Iterator[list[Outcome]]:
    # a fork has everything imported already; elsewhere it is not safe
    context = get_context("fork" if sys.platform.startswith("linux") else "spawn")
    # an interrupt is the concern of the process that started the others
    pool = ProcessPoolExecutor(
        workers, context, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN)
    )
    waiting: set[Future[list[Outcome]]] = set()
    try:
        for block in missing:
            waiting.add(pool.submit(outcomes_of, _draws(scenario, sample, block), point))
            if len(waiting) >= workers * _AHEAD:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
    except BrokenProcessPool:
        hint = "free some memory, or use --workers 1; what was solved is kept"
        raise UsageError(Problem("a process that solved draws was ended", hint=hint)) from None
    except BaseException:
        # nobody waits for blocks that are being solved when the run is interrupted
        for process in active_children():
            process.terminate()
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
