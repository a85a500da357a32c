"""What a user describes: a graph of skills, its kernels, environment, costs and evaluation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ds3opt.errors import Problem
from ds3opt.simulate.kernels import (
    CONTROL,
    FloatArray,
    IntArray,
    ProcessError,
    Table,
    from_mapping,
    table,
)

if TYPE_CHECKING:
    from ds3opt.simulate.state import State

Kernel = Callable[["State", np.random.Generator], ArrayLike]
Update = Callable[["State", np.random.Generator], None]
Amount = Callable[["State"], ArrayLike]

MOST_TRACES = 65_536
_CELLS = 2**16
_MOST_RUNS = 8192
_ABSENT = {"branch": "stop", "idle": "stop", "stop": "stop"}


@dataclass(frozen=True)
class Process:
    """A directed stochastic skill search, DS3 section II, eqs (12)-(15).

    Kernels are tables or functions. A function gets a `State` of arrays (run, trace) and a
    generator of random numbers, and answers for all traces at once.
    """

    skills: Sequence[str]
    """Names of the skills; with branch, idle and stop they are the nodes of the graph."""
    transition: Mapping[str, Mapping[str, float]] | ArrayLike | Kernel
    """Where a trace goes next, (12): ``{node: {node: probability}}``; an array whose rows and
    columns are the skills in order, then branch, idle, stop; or a function that returns nodes,
    (run, trace): numbers of skills, BRANCH, IDLE or STOP. In a mapping, control nodes without a
    row lead to stop."""
    outcome: Mapping[str, Any] | ArrayLike | Kernel
    """What a step at a skill brings, (13): ``{skill: {outcome: probability}}`` or ``{skill:
    chance of the last outcome}``; an array (skill, outcome), or (skill,) with the chance of the
    last outcome; or a function that returns numbers of outcomes, (run, trace)."""
    evaluate: Kernel | Mapping[str, Kernel]
    """What an ended run is worth, (14): whether it succeeded, (run,), as bool or a number from 0
    to 1; or several such functions by name, one of them "success"."""
    outcomes: Sequence[str] = ("failure", "success")
    tokens: float | Sequence[float] | Amount = 1.0
    """Tokens that a step emits: a number, one for each skill, or a function."""
    memory: Mapping[str, Any] = field(default_factory=dict)
    """What a trace remembers of its history, by name: the value it starts with, or one for each
    initial trace. Children inherit it."""
    remember: Update | None = None
    """Changes the memory after every step, knowing the outcome."""
    environment: Mapping[str, Any] = field(default_factory=dict)
    """State outside the traces, one value a run, by name: what it starts with, or a function
    ``(rng, runs)`` that draws it."""
    surround: Update | None = None
    """Changes the environment, after the traces have moved and before the outcomes."""
    cost: Mapping[str, Amount] = field(default_factory=dict)
    """Costs by name, (14): what a step takes, (run, trace) or (run,), added up over the run."""
    children: int | Amount = 1
    """New traces that a trace makes when it comes to branch."""
    start: str | Sequence[str] = "idle"
    """Node of the initial traces before the first step: one, or one for each."""
    traces: int = 1
    """Initial traces."""
    max_traces: int = 64
    """Traces of a run that there is room for, ended ones included unless they are forgotten."""
    forget: Amount | None = None
    """Which stopped traces may make room for new ones, (run, trace); None for none."""
    max_steps: int = 10_000
    """Time steps after which a run is cut off, and counted as such."""
    closed_form: Mapping[str, float] = field(default_factory=dict)
    """Exact means that the simulation is compared with, by name: success, steps, tokens, costs."""

    def __post_init__(self) -> None:
        problems = [p for p in self._problems() if p is not None]
        if problems:
            raise ProcessError(*problems)
        worked_out: dict[str, Callable[[], Any]] = {
            "moves": self._moves,
            "emits": self._emits,
            "first_nodes": self._first_nodes,
            "step_tokens": self._step_tokens,
        }
        for name, work in worked_out.items():
            try:
                # frozen: what is worked out of the fields is set once, here
                object.__setattr__(self, name, work())
            except ProcessError as error:
                problems += error.problems
        if problems:
            raise ProcessError(*problems)

    moves: Table | None = field(init=False, default=None, repr=False)
    emits: Table | None = field(init=False, default=None, repr=False)
    first_nodes: IntArray = field(init=False, repr=False)
    step_tokens: FloatArray = field(init=False, repr=False)

    @property
    def nodes(self) -> tuple[str, ...]:
        """The skills, then branch, idle and stop."""
        return (*self.skills, *CONTROL)

    @property
    def block_runs(self) -> int:
        """Runs that are simulated at once and share a stream of random numbers."""
        return max(1, min(_MOST_RUNS, _CELLS // self.max_traces))

    @property
    def evaluations(self) -> Mapping[str, Kernel]:
        """Every evaluation function by name."""
        if isinstance(self.evaluate, Mapping):
            return self.evaluate
        return {"success": self.evaluate}

    @property
    def can_stop(self) -> bool | None:
        """Whether some way leads to stop; None where a function decides on it."""
        if self.moves is None:
            return None
        reached = np.zeros(len(self.nodes), dtype=bool)
        reached[self.first_nodes] = True
        for _ in self.nodes:
            reached |= (self.moves.rows[reached] > 0.0).any(axis=0)
        return bool(reached[-1])

    def _problems(self) -> list[Problem | None]:
        skills = list(self.skills)
        doubled = {s for s in skills if skills.count(s) > 1} | (set(skills) & set(CONTROL))
        names = [*self.memory, *self.environment]
        measured = [*self.cost, *self.evaluations]
        taken = {"success", "steps", "tokens", "time", "traces"}
        return [
            None if skills else Problem("a process needs skills", hint='such as ("solve",)'),
            _unless(not isinstance(self.skills, str), "skills must be a sequence of names"),
            _unless(not doubled, f"skills: {', '.join(sorted(doubled))} names two nodes"),
            _unless(len(self.outcomes) >= 1, "a process needs outcomes"),
            _whole("traces", self.traces, 1, MOST_TRACES),
            _whole("max_traces", self.max_traces, self.traces, MOST_TRACES),
            _whole("max_steps", self.max_steps, 1, 10**9),
            None if callable(self.children) else _whole("children", self.children, 0, MOST_TRACES),
            _unless(len(set(names)) == len(names), "memory and environment share a name"),
            _unless("success" in self.evaluations, 'evaluate has no function for "success"'),
            _unless(
                not (set(self.cost) & (taken | set(self.evaluations))),
                f"cost: {', '.join(sorted(set(self.cost) & taken))} is taken",
            ),
            *(
                _unless(name in {*measured, *taken}, f"closed_form: nothing is called {name!r}")
                for name in self.closed_form
            ),
            *(
                _unless(_is_number(value), f"closed_form: {name} must be a finite number")
                for name, value in self.closed_form.items()
            ),
        ]

    def _moves(self) -> Table | None:
        given = self.transition
        if callable(given):
            return None
        if isinstance(given, Mapping):
            given = from_mapping("transition", given, self.nodes, self.nodes, _ABSENT)
        found = table("transition", given, self.nodes, self.nodes)
        if found.rows[-1, -1] != 1.0:
            raise ProcessError(
                Problem("transition: row 'stop' leads elsewhere", hint="stop absorbs: stop: 1")
            )
        return found

    def _emits(self) -> Table | None:
        given = self.outcome
        if callable(given):
            return None
        if isinstance(given, Mapping):
            given = from_mapping("outcome", given, self.skills, self.outcomes, {})
        elif np.ndim(np.asarray(given)) == 1:
            chance = np.asarray(given, dtype=np.float64)
            if len(self.outcomes) != 2:
                raise ProcessError("outcome: one chance a skill needs two outcomes")
            given = np.stack([1.0 - chance, chance], axis=-1)
        return table("outcome", given, self.skills, self.outcomes)

    def _first_nodes(self) -> IntArray:
        given = [self.start] if isinstance(self.start, str) else list(self.start)
        wrong = [Problem(f"start: no node is named {one!r}") for one in given]
        wrong = [p for p, one in zip(wrong, given, strict=True) if one not in self.nodes]
        if len(given) not in (1, self.traces):
            wrong.append(Problem(f"start has {len(given)} nodes for {self.traces} traces"))
        if wrong:
            raise ProcessError(*wrong)
        numbers = np.array([self.nodes.index(one) for one in given], dtype=np.intp)
        numbers = np.where(numbers >= len(self.skills), numbers - len(self.nodes), numbers)
        return np.broadcast_to(numbers, (self.traces,))

    def _step_tokens(self) -> FloatArray:
        if callable(self.tokens):
            return np.zeros(0)
        values = np.asarray(self.tokens, dtype=np.float64)
        if values.shape not in ((), (len(self.skills),)):
            raise ProcessError(f"tokens has {values.size} values for {len(self.skills)} skills")
        if not np.all(np.isfinite(values) & (values >= 0.0)):
            raise ProcessError("tokens must be at least 0")
        return np.broadcast_to(values, (len(self.skills),))


def _unless(holds: bool, message: str) -> Problem | None:
    return None if holds else Problem(message)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and bool(np.isfinite(value))


def _whole(name: str, value: Any, least: int, most: int) -> Problem | None:
    if isinstance(value, (int, np.integer)) and least <= value <= most:
        return None
    return Problem(f"{name} must be a whole number from {least} to {most}, got {value!r}")
