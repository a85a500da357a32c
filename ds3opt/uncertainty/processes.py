"""Jobs on several processors, stopped at once where they are interrupted."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context
from typing import TypeVar

from ds3opt.errors import Problem, UsageError

Job = TypeVar("Job")
Result = TypeVar("Result")
_AHEAD = 2
"""Jobs that wait for each process: enough to keep it busy, few enough to stop quickly."""


def done_by(
    work: Callable[[Job], Result],
    jobs: Iterable[Job],
    count: int,
    workers: int | None,
    *,
    hint: str,
) -> Iterator[tuple[int, Result]]:
    """What `work` makes of every job, with the job's place, as soon as it is made.

    Parameters
    ----------
    work : a function of a module, so that it can be handed to another process.
    jobs : made only when their turn comes. count : how many there are.
    workers : processes; None for one on every processor, 1 for none beside this one.
    hint : what to do where a process was ended from outside.

    Raises
    ------
    UsageError : where a process was ended from outside, such as for want of memory.
    """
    workers = min(workers or processors(), max(count, 1))
    if workers == 1:
        yield from ((place, work(job)) for place, job in enumerate(jobs))
        return
    # a fork has everything imported already; elsewhere it is not safe
    context = get_context("fork" if sys.platform.startswith("linux") else "spawn")
    # an interrupt is the concern of the process that started the others
    pool = ProcessPoolExecutor(
        workers, context, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN)
    )
    others = set(active_children())
    waiting: dict[Future[Result], int] = {}
    try:
        for place, job in enumerate(jobs):
            waiting[pool.submit(work, job)] = place
            if len(waiting) >= workers * _AHEAD:
                yield from _finished(waiting)
        while waiting:
            yield from _finished(waiting)
    except BrokenProcessPool:
        raise UsageError(Problem("a process that solved draws was ended", hint=hint)) from None
    except BaseException:
        # nobody waits for jobs that are under way when the run is interrupted
        for process in set(active_children()) - others:
            process.terminate()
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _finished(waiting: dict[Future[Result], int]) -> Iterator[tuple[int, Result]]:
    done, _ = wait(waiting, return_when=FIRST_COMPLETED)
    for future in done:
        yield waiting.pop(future), future.result()


def processors() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
