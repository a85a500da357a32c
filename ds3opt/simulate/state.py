"""What kernels see: the traces of many runs as arrays (run, trace), and their environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ds3opt.simulate.kernels import BRANCH, NOTHING, STOP, FloatArray, IntArray, ProcessError

if TYPE_CHECKING:
    from ds3opt.simulate.process import Process

BoolArray = NDArray[np.bool_]
AnyArray = NDArray[Any]


class State:
    """The runs of an ensemble at one time step; traces that have not been made yet are blank.

    ``state["name"]`` is an array of the memory, (run, trace), or of the environment, (run,).
    """

    def __init__(
        self,
        time: int,
        run: IntArray,
        cells: dict[str, AnyArray],
        own: dict[str, Any],
        total: dict[str, FloatArray],
    ):
        self.time = time
        """t, 0 before the first step."""
        self.run = run
        """Number of each run, (run,)."""
        self._cells = cells  # (run, trace) by name: the fields and the memory
        self._own = own  # (run,) by name: the environment
        self.total = total
        """What every run has taken so far, (run,) by name."""

    @classmethod
    def initial(cls, process: Process, runs: int, rng: np.random.Generator) -> State:
        """The runs before the first step."""
        shape = (runs, process.traces)
        cells: dict[str, AnyArray] = {
            "node": np.broadcast_to(process.first_nodes, shape).copy(),
            "outcome": np.full(shape, NOTHING, dtype=np.intp),
            "last": np.full(shape, NOTHING, dtype=np.intp),
            "exists": np.ones(shape, dtype=bool),
            "steps": np.zeros(shape),
            "tokens": np.zeros(shape),
            "parent": np.full(shape, -1, dtype=np.intp),
        }
        for name, value in process.memory.items():
            try:
                cells[f".{name}"] = np.broadcast_to(np.asarray(value), shape).copy()
            except ValueError:
                raise ProcessError(
                    f"memory: {name} has the shape {np.shape(value)}, "
                    f"expected one value or {process.traces}"
                ) from None
        own: dict[str, Any] = {}
        for name, value in process.environment.items():
            drawn = value(rng, runs) if callable(value) else value
            try:
                own[name] = np.broadcast_to(np.asarray(drawn), (runs,)).copy()
            except ValueError:
                raise ProcessError(
                    f"environment: {name} has the shape {np.shape(drawn)}, expected ({runs},)"
                ) from None
        names = ["steps", "tokens", "refused", *(f"cost {name}" for name in process.cost)]
        total = {name: np.zeros(runs) for name in names}
        total["traces"] = np.full(runs, float(process.traces))
        return cls(0, np.arange(runs, dtype=np.intp), cells, own, total)

    # -- what kernels read ------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, int]:
        """Runs and traces."""
        runs, traces = self._cells["node"].shape
        return runs, traces

    @property
    def node(self) -> IntArray:
        """X_t: number of a skill, BRANCH, IDLE or STOP, (run, trace)."""
        return self._cells["node"]

    @property
    def outcome(self) -> IntArray:
        """O_t: number of an outcome, NOTHING at a control node, (run, trace)."""
        return self._cells["outcome"]

    @property
    def last(self) -> IntArray:
        """The trace's last outcome at a skill, NOTHING before the first, (run, trace)."""
        return self._cells["last"]

    @property
    def exists(self) -> BoolArray:
        """Whether the trace has been made, (run, trace)."""
        return self._cells["exists"]

    @property
    def alive(self) -> BoolArray:
        """Whether the trace has been made and has not stopped, (run, trace)."""
        return np.asarray(self.exists & (self.node != STOP))

    @property
    def steps(self) -> FloatArray:
        """Steps at skills in the trace's history, those inherited included, (run, trace)."""
        return self._cells["steps"]

    @property
    def tokens(self) -> FloatArray:
        """Tokens in the trace's history, those inherited included, (run, trace)."""
        return self._cells["tokens"]

    @property
    def parent(self) -> IntArray:
        """The trace that it branched from, -1 for an initial one, (run, trace)."""
        return self._cells["parent"]

    def __getitem__(self, name: str) -> AnyArray:
        found = self._cells.get(f".{name}")
        if found is None:
            found = self._own.get(name)
        if found is None:
            known = [one[1:] for one in self._cells if one.startswith(".")] + [*self._own]
            raise ProcessError(
                f"neither memory nor environment has {name!r}; there "
                + (f"is {', '.join(known)}" if known else "is none")
            )
        return found

    def __setitem__(self, name: str, value: Any) -> None:
        held = self[name]
        if value is held:
            return
        try:
            held[...] = value
        except (ValueError, TypeError):
            raise ProcessError(
                f"{name!r} has the shape {held.shape}, not {np.shape(value)}"
            ) from None

    # -- what the engine does ---------------------------------------------------------------

    def put(self, name: str, value: AnyArray) -> None:
        """Replace a field."""
        self._cells[name] = value

    def take(self, rows: IntArray | BoolArray) -> State:
        """Some of the runs."""
        return State(
            self.time,
            self.run[rows],
            {name: values[rows] for name, values in self._cells.items()},
            {name: values[rows] for name, values in self._own.items()},
            {name: values[rows] for name, values in self.total.items()},
        )

    def widened(self, traces: int) -> None:
        """Make room for so many traces."""
        runs, now = self.shape
        blank = {"node": STOP, "outcome": NOTHING, "last": NOTHING, "parent": -1}
        for name, values in self._cells.items():
            more = np.full((runs, traces - now), blank.get(name, 0), dtype=values.dtype)
            self._cells[name] = np.concatenate([values, more], axis=1)

    def branched(self, wanted: IntArray, most: int, forgettable: BoolArray | None) -> BoolArray:
        """Make children with their parents' history, and say which runs had no room for all.

        Parameters
        ----------
        wanted : children of every trace, (run, trace).
        most : traces that a run may have.
        forgettable : stopped traces whose room may be used.
        """
        asked = wanted.sum(axis=1)
        free = ~self.exists if forgettable is None else ~self.exists | (forgettable & ~self.alive)
        short = int(np.max(asked - free.sum(axis=1), initial=0))
        now = self.shape[1]
        if short > 0 and now < most:
            self.widened(min(most, max(now + short, min(2 * now, most))))
            wider = self.shape[1] - now
            wanted = np.pad(wanted, ((0, 0), (0, wider)))
            free = np.pad(free, ((0, 0), (0, wider)), constant_values=True)
        run, parent = np.nonzero(wanted)
        many = wanted[run, parent]
        run, parent = np.repeat(run, many), np.repeat(parent, many)
        # the n-th child of a run takes the run's n-th free place
        first = np.concatenate([[0], np.cumsum(asked)[:-1]])
        number = np.arange(run.size) - first[run]
        room = free.sum(axis=1)
        fits = number < room[run]
        _, places = np.nonzero(free)
        first_free = np.concatenate([[0], np.cumsum(room)[:-1]])
        run, parent, number = run[fits], parent[fits], number[fits]
        child = places[first_free[run] + number]
        for values in self._cells.values():
            values[run, child] = values[run, parent]
        self.node[run, child] = BRANCH
        self.outcome[run, child] = NOTHING
        self.parent[run, child] = parent
        return np.asarray(asked > room)
