"""A progress bar on standard error: for terminals, and only if the work takes a while."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ds3opt.cli.streams import is_terminal

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Callback = Callable[[str, float], None]
PATIENCE = 0.5
"""Seconds before a bar appears."""


class _Bar:
    """Shows itself once the work has gone on for longer than `PATIENCE`."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._shown: tuple[Progress, TaskID] | None = None

    def __call__(self, stage: str, fraction: float) -> None:
        if self._shown is None:
            if time.monotonic() - self._started < PATIENCE:
                return
            self._shown = self._open(stage)
        progress, task = self._shown
        progress.update(task, description=stage, completed=min(max(fraction, 0.0), 1.0))

    @staticmethod
    def _open(stage: str) -> tuple[Progress, TaskID]:
        from rich.console import Console
        from rich.progress import Progress

        progress = Progress(console=Console(stderr=True), transient=True)
        progress.start()
        return progress, progress.add_task(stage, total=1.0)

    def close(self) -> None:
        """Take the bar away."""
        if self._shown is not None:
            self._shown[0].stop()
            self._shown = None


@contextlib.contextmanager
def progress_bar(quiet: bool) -> Iterator[Callback | None]:
    """What to call with a stage and the fraction done; None where nobody would see it."""
    if quiet or not is_terminal(sys.stderr):
        yield None
        return
    bar = _Bar()
    try:
        yield bar
    finally:
        bar.close()
