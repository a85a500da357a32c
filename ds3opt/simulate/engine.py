"""The process itself, DS3 (12)-(15): many runs side by side, one time step after another.

Runs are simulated in blocks of a size that only the process decides, each with random numbers of
its own, and always to a full block. So a run does not depend on how many others are asked for, and
memory does not grow with them but for what is returned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ds3opt.errors import Location, Problem
from ds3opt.simulate.kernels import BRANCH, NOTHING, STOP, FloatArray, IntArray, ProcessError
from ds3opt.simulate.process import Process
from ds3opt.simulate.state import BoolArray, State

_COMPACT = 0.25
"""Part of the runs that must have ended before they are taken out of the arrays."""


@dataclass(frozen=True)
class Ensemble:
    """What became of every run; arrays (run,)."""

    success: FloatArray
    """1 or 0, or what `evaluate` says in between."""
    steps: FloatArray
    """Steps at skills, over all traces."""
    tokens: FloatArray
    """Tokens emitted, over all traces, none counted twice."""
    time: FloatArray
    """Time steps until all traces had stopped, (15), or until the run was cut off."""
    traces: FloatArray
    """Traces that were made."""
    cut: BoolArray
    """Whether the run was cut off before all its traces had stopped."""
    refused: BoolArray
    """Whether a branch found no room for a new trace."""
    cost: dict[str, FloatArray]
    values: dict[str, FloatArray]
    """What the other functions of `evaluate` said."""

    def __len__(self) -> int:
        return int(self.success.size)

    def quantities(self) -> dict[str, FloatArray]:
        """Everything that has a mean, by name."""
        return {
            "success": self.success,
            "steps": self.steps,
            "tokens": self.tokens,
            **self.cost,
            **self.values,
        }


def simulate(
    process: Process,
    runs: int,
    seed: int = 0,
    *,
    stream: tuple[int, ...] = (),
    progress: Callable[[float], None] | None = None,
) -> Ensemble:
    """Runs of a process.

    Parameters
    ----------
    runs : at least 1. A smaller number gives the first of the same runs.
    seed : at least 0. The same seed gives the same runs, to the last bit.
    stream : keeps several simulations of one seed apart.
    progress : called with the part that is done.

    Raises
    ------
    ProcessError : where a kernel answers something that is no node, outcome or number.
    """
    if runs < 1:
        raise ProcessError(f"runs must be at least 1, got {runs}")
    size = process.block_runs
    blocks = []
    for block in range(-(-runs // size)):
        if progress is not None:
            progress(block * size / runs)
        found = _block(process, generator(seed, stream, block))
        blocks.append({name: values[: runs - block * size] for name, values in found.items()})
    every = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    return Ensemble(
        success=every["success"],
        steps=every["steps"],
        tokens=every["tokens"],
        time=every["time"],
        traces=every["traces"],
        cut=every["cut"] > 0.0,
        refused=every["refused"] > 0.0,
        cost={name: every[f"cost {name}"] for name in process.cost},
        values={n: every[f"value {n}"] for n in process.evaluations if n != "success"},
    )


def generator(seed: int, stream: tuple[int, ...], block: int) -> np.random.Generator:
    """Random numbers of one block, independent of those of all others."""
    sequence = np.random.SeedSequence(seed, spawn_key=(*stream, block))
    return np.random.Generator(np.random.Philox(sequence))


def _block(process: Process, rng: np.random.Generator) -> dict[str, FloatArray]:
    runs = process.block_runs
    state = State.initial(process, runs, rng)
    found = {name: np.zeros(runs) for name in (*state.total, "time", "cut")}
    found |= {name: np.zeros(runs) for name in map(_value_name, process.evaluations)}
    open_runs = np.ones(runs, dtype=bool)
    for time in range(1, process.max_steps + 1):
        state.time = time
        before = state.alive
        _move(process, state, rng, before)
        _branch(process, state)
        if process.surround is not None:
            process.surround(state, rng)
        _emit(process, state, rng)
        if process.remember is not None:
            process.remember(state, rng)
        alive = state.alive
        _charge(process, state, alive, before)
        goes_on = np.asarray(alive.any(axis=1))
        ended = open_runs & ~goes_on
        if ended.any():
            found["time"][state.run[ended]] = time
            open_runs = goes_on
            if not goes_on.any() or np.mean(goes_on) < 1.0 - _COMPACT:
                _settle(process, state.take(~goes_on), rng, found)
                state, open_runs = state.take(goes_on), open_runs[goes_on]
        if not open_runs.any():
            return found
    found["time"][state.run[open_runs]] = process.max_steps
    found["cut"][state.run[open_runs]] = 1.0
    _settle(process, state, rng, found)
    return found


def _value_name(evaluation: str) -> str:
    return evaluation if evaluation == "success" else f"value {evaluation}"


def _move(process: Process, state: State, rng: np.random.Generator, alive: BoolArray) -> None:
    """X_t of every trace that has not stopped."""
    node = state.node
    if process.moves is not None:
        where = np.flatnonzero(alive)
        new = node.copy()
        drawn = process.moves.draw(node.ravel()[where], rng.random(where.size))
        new.ravel()[where] = _as_node(drawn, process)
    else:
        kernel = process.transition
        assert callable(kernel)
        given = _whole_numbers(kernel, "transition", kernel(state, rng), state.shape)
        _within(kernel, "transition", given, alive, BRANCH, len(process.skills) + 2)
        given = _as_node(given, process)
        new = np.where(alive, given, STOP)
        new = np.where(state.exists, new, node)
    state.put("node", new)


def _as_node(number: IntArray, process: Process) -> IntArray:
    """Columns of a table beyond the skills as control nodes."""
    count = len(process.skills)
    return np.where(number >= count, number - (count + 3), number)


def _branch(process: Process, state: State) -> None:
    at = state.alive & (state.node == BRANCH)
    if not at.any():
        return
    if callable(process.children):
        asked = process.children(state)
        wanted = _whole_numbers(process.children, "children", asked, state.shape)
        _within(process.children, "children", wanted, at, 0, process.max_traces)
    else:
        wanted = np.full(state.shape, process.children)
    forgettable = None
    if process.forget is not None:
        forgettable = _array(process.forget, "forget", process.forget(state), state.shape, bool)
    wanted = np.where(at, wanted, 0)
    before = state.alive.sum(axis=1)
    refused = state.branched(wanted, process.max_traces, forgettable)
    state.total["refused"][refused] = 1.0
    state.total["traces"] += state.alive.sum(axis=1) - before


def _emit(process: Process, state: State, rng: np.random.Generator) -> None:
    """O_t of every trace, and the tokens it takes."""
    node, shape = state.node, state.shape
    at_skill = (node >= 0) & state.exists
    if process.emits is not None:
        where = np.flatnonzero(at_skill)
        outcome = np.full(shape, NOTHING, dtype=np.intp)
        drawn = process.emits.draw(node.ravel()[where], rng.random(where.size))
        outcome.ravel()[where] = drawn
        emitted = at_skill
    else:
        kernel = process.outcome
        assert callable(kernel)
        given = _whole_numbers(kernel, "outcome", kernel(state, rng), shape)
        _within(kernel, "outcome", given, at_skill, NOTHING, len(process.outcomes) - 1)
        outcome = np.where(at_skill, given, NOTHING)
        emitted = outcome != NOTHING
    state.put("outcome", outcome)
    state.put("last", np.where(emitted, outcome, state.last))
    if callable(process.tokens):
        each = _amounts(process.tokens, "tokens", process.tokens(state), shape, emitted)
        taken = np.where(emitted, each, 0.0)
    elif np.ndim(process.tokens) == 0:
        taken = emitted * process.step_tokens[0]
    else:
        taken = np.where(emitted, process.step_tokens[np.maximum(node, 0)], 0.0)
    state.put("steps", state.steps + emitted)
    state.put("tokens", state.tokens + taken)
    state.total["steps"] += _over_traces(emitted)
    state.total["tokens"] += _over_traces(taken)


def _over_traces(values: NDArray[Any]) -> NDArray[Any]:
    """Sum of every run, (run,)."""
    return np.asarray(values[:, 0] if values.shape[1] == 1 else values.sum(axis=1))


def _charge(process: Process, state: State, alive: BoolArray, before: BoolArray) -> None:
    """What a step costs; the step into stop is one, those after it are none."""
    if not process.cost:
        return
    if before.shape != alive.shape:
        before = np.pad(before, ((0, 0), (0, alive.shape[1] - before.shape[1])))
    charged = alive | before
    for name, amount in process.cost.items():
        label, given = f"cost {name}", np.asarray(amount(state))
        if given.ndim == 1:
            rows = np.asarray(charged.any(axis=1))
            one = _amounts(amount, label, given, rows.shape, rows)
            state.total[label] += np.where(rows, one, 0.0)
        else:
            each = _amounts(amount, label, given, state.shape, charged)
            state.total[label] += _over_traces(np.where(charged, each, 0.0))


def _settle(
    process: Process, ended: State, rng: np.random.Generator, found: dict[str, FloatArray]
) -> None:
    """Keep what became of runs that have ended or are cut off, and evaluate them, (14)."""
    runs = ended.shape[0]
    if runs == 0:
        return
    for name, values in ended.total.items():
        found[name][ended.run] = values
    for name, kernel in process.evaluations.items():
        label = f"evaluate {name}"
        given = _array(kernel, label, kernel(ended, rng), (runs,), float)
        least, most = (0.0, 1.0) if name == "success" else (-np.inf, np.inf)
        wrong = ~(np.isfinite(given) & (given >= least) & (given <= most))
        if wrong.any():
            allowed = "from 0 to 1" if name == "success" else "a finite number"
            raise _refused(kernel, f"{label} gives {float(given[wrong][0]):g}, not {allowed}")
        found[_value_name(name)][ended.run] = given


# -- what users' functions may answer ---------------------------------------------------------


def _array(
    kernel: Callable[..., Any], name: str, given: Any, shape: tuple[int, ...], kind: type
) -> NDArray[Any]:
    try:
        return np.broadcast_to(np.asarray(given).astype(kind, copy=False), shape)
    except (TypeError, ValueError):
        found = f"the shape {np.shape(given)}" if given is not None else "nothing"
        raise _refused(kernel, f"{name} gives {found}, expected {shape}") from None


def _whole_numbers(
    kernel: Callable[..., Any], name: str, given: Any, shape: tuple[int, int]
) -> IntArray:
    if np.asarray(given).dtype.kind not in "biu":
        found = "nothing" if given is None else f"numbers of type {np.asarray(given).dtype}"
        raise _refused(kernel, f"{name} gives {found}, expected whole numbers")
    return _array(kernel, name, given, shape, np.intp)


def _amounts(
    kernel: Callable[..., Any], name: str, given: Any, shape: tuple[int, ...], where: BoolArray
) -> FloatArray:
    values = _array(kernel, name, given, shape, float)
    if not np.all(np.isfinite(values) | ~where):
        raise _refused(kernel, f"{name} gives a number that is not finite")
    return values


def _within(
    kernel: Callable[..., Any], name: str, given: IntArray, where: BoolArray, low: int, high: int
) -> None:
    if given.size == 0 or (given.min() >= low and given.max() <= high):
        return
    wrong = where & ((given < low) | (given > high))
    if wrong.any():
        run, trace = (int(i) for i in np.argwhere(wrong)[0])
        value = int(given[run, trace])
        raise _refused(
            kernel, f"{name} gives {value} for trace {trace} of run {run}, not {low} to {high}"
        )


def _refused(kernel: Callable[..., Any], message: str) -> ProcessError:
    """The error at the place where the user's function is defined."""
    code = getattr(kernel, "__code__", None)
    if code is None:
        return ProcessError(message)
    place = Location(code.co_filename, code.co_firstlineno, 1)
    return ProcessError(Problem(message, location=place))
