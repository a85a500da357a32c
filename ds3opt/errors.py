"""Everything ds3opt can refuse, with the place, the reason and a hint; and the exit codes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class ExitCode(IntEnum):
    """What the process returns to a script."""

    DONE = 0
    DRIFT = 1
    """Ran fine; the answer is no: `check` or `diff` found a difference."""
    USAGE = 2
    """The command line or the scenario is wrong."""
    INFEASIBLE = 3
    GAP_NOT_REACHED = 4
    BUG = 70
    INTERRUPTED = 130


@dataclass(frozen=True)
class Location:
    """A place in a text; lines and columns count from 1, 0 where unknown."""

    source: str
    line: int = 0
    column: int = 0
    text: str = ""
    """The source line itself, for the caret."""

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, where it is wrong, and what would be right."""

    message: str
    path: str = ""
    """The key's path, such as ``workload.mix[0].share``."""
    hint: str = ""
    location: Location | None = None


class Ds3optError(Exception):
    """Anything a user can cause; carries every problem found, never just the first."""

    exit_code = ExitCode.USAGE

    def __init__(self, *problems: Problem | str) -> None:
        self.problems = tuple(Problem(p) if isinstance(p, str) else p for p in problems)
        super().__init__("; ".join(p.message for p in self.problems))


class UsageError(Ds3optError):
    """A command, option or file that cannot be used."""


class ScenarioError(Ds3optError):
    """A scenario that cannot be understood or is not consistent."""
