"""The general process: small graphs solved by linear algebra, and what every node means."""

from __future__ import annotations

import numpy as np
import pytest

from ds3opt.simulate import BRANCH, IDLE, NOTHING, STOP, Process, ProcessError, choose, simulate
from ds3opt.simulate.statistics import deviation_bound

ALPHA = 1e-6
"""Chance that a right value is refused; the seeds are fixed."""

READ, PLAN, CODE = 0, 1, 2
GRAPH = {
    "idle": {"read": 0.7, "idle": 0.3},
    "read": {"read": 0.2, "plan": 0.5, "idle": 0.1, "stop": 0.2},
    "plan": {"code": 0.6, "read": 0.4},
    "code": {"plan": 0.3, "code": 0.3, "stop": 0.4},
}
"""Skills that lead back and forth, with a way to stop from two of them."""


def matrix(process: Process) -> np.ndarray:
    assert process.moves is not None
    return process.moves.rows


def graph(**changes) -> Process:
    given = {
        "skills": ("read", "plan", "code"),
        "transition": GRAPH,
        "outcome": (0.5, 0.5, 0.5),
        "evaluate": lambda state, rng: np.zeros(state.shape[0]),
        "max_traces": 1,
    }
    return Process(**{**given, **changes})


def close(values: np.ndarray, exact: float, most: float) -> None:
    bound = deviation_bound(float(values.std()), values.size, most, ALPHA)
    assert abs(values.mean() - exact) <= bound, (values.mean(), exact, bound)


# -- Markov chains ------------------------------------------------------------------------------


@pytest.mark.parametrize("time", [1, 2, 5, 11])
@pytest.mark.parametrize("node", [READ, PLAN, CODE, IDLE, STOP])
def test_the_node_at_a_time_has_the_power_of_the_matrix(time: int, node: int) -> None:
    process = graph(max_steps=time, evaluate=lambda state, rng: (state.node == node)[:, 0])
    exact = np.linalg.matrix_power(matrix(process), time)[IDLE, node]
    close(simulate(process, 8192, seed=3).success, exact, 1.0)


def test_time_and_steps_have_the_fundamental_matrix() -> None:
    process = graph()
    inner = [0, 1, 2, 4]  # without branch and stop
    visits = np.linalg.inv(np.eye(4) - matrix(process)[np.ix_(inner, inner)])[3]
    runs = simulate(process, 60_000, seed=1)
    assert not runs.cut.any()
    close(runs.steps, visits[:3].sum(), runs.steps.max())
    # the first step leaves idle; each visit is a step of time, and the last is the one to stop
    close(runs.time, visits.sum(), runs.time.max())


def test_where_a_walk_is_absorbed() -> None:
    transition = {
        "idle": {"a": 1.0},
        "a": {"a": 0.1, "b": 0.3, "good": 0.4, "bad": 0.2},
        "b": {"a": 0.5, "bad": 0.5},
        "good": {"stop": 1.0},
        "bad": {"stop": 1.0},
    }
    process = Process(
        skills=("a", "b", "good", "bad"),
        transition=transition,
        outcome={s: float(s == "good") for s in ("a", "b", "good", "bad")},
        evaluate=lambda state, rng: (state.last == 1).any(axis=1),
    )
    rows = matrix(process)
    absorbed = np.linalg.inv(np.eye(2) - rows[:2, :2]) @ rows[:2, 2:4]
    close(simulate(process, 60_000).success, absorbed[0, 0], 1.0)


def test_functions_and_tables_are_the_same_process() -> None:
    rows = matrix(graph())

    def transition(state, rng):
        return choose(rng, rows[state.node])

    table, function = simulate(graph(), 40_000), simulate(graph(transition=transition), 40_000, 5)
    both = np.concatenate([table.steps, function.steps])
    bound = deviation_bound(float(both.std()), 20_000, float(both.max()), ALPHA)
    assert abs(table.steps.mean() - function.steps.mean()) <= 2 * bound


def test_outcomes_follow_their_table() -> None:
    process = graph(
        outcomes=("wrong", "half", "right"),
        outcome=[[0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]],
        max_steps=1,
        start="idle",
        transition={**GRAPH, "idle": {"read": 0.5, "plan": 0.25, "code": 0.25}},
        evaluate={
            "success": lambda state, rng: state.last[:, 0] == 2,
            "half": lambda state, rng: state.last[:, 0] == 1,
        },
    )
    runs = simulate(process, 40_000)
    close(runs.success, 0.5 * 0.5 + 0.25, 1.0)
    close(runs.values["half"], 0.5 * 0.3, 1.0)
    assert np.all(runs.steps == 1.0)


def test_every_row_of_a_wide_table_is_drawn_by_its_own_chances() -> None:
    count = 60
    names = tuple(f"s{i}" for i in range(count))
    rng = np.random.default_rng(0)
    rows = np.zeros((count + 3, count + 3))
    rows[:count, :count] = rng.dirichlet(np.full(count, 0.2), size=count)
    rows[[count, count + 1, count + 2], [0, 0, count + 2]] = 1.0
    process = Process(
        skills=names,
        transition=rows,
        outcome=np.zeros(count),
        evaluate=lambda state, rng: state.node[:, 0] == 7,
        max_steps=4,
    )
    exact = np.linalg.matrix_power(rows, 4)[IDLE, 7]
    close(simulate(process, 60_000).success, exact, 1.0)


# -- branch, idle, stop -------------------------------------------------------------------------


def test_branching_has_the_mean_of_its_population() -> None:
    again = 0.3
    process = Process(
        skills=("try",),
        transition={
            "idle": {"try": 1.0},
            "try": {"branch": again, "stop": 1.0 - again},
            "branch": {"try": 1.0},
        },
        outcome=[0.5],
        evaluate=lambda state, rng: np.zeros(state.shape[0]),
        max_traces=512,
    )
    runs = simulate(process, 20_000)
    assert not runs.refused.any()
    close(runs.steps, 1.0 / (1.0 - 2.0 * again), runs.steps.max())
    # each visit to branch adds one trace, and leads to two tries
    assert np.all(runs.steps == 2.0 * runs.traces - 1.0)


def test_children_inherit_history_and_tokens_are_counted_once() -> None:
    contexts = []

    def transition(state, rng):
        plan = [0, BRANCH, 0, STOP]
        return np.full(state.shape, plan[state.time - 1])

    def remember(state, rng):
        state["seen"] += state.time * (state.outcome != NOTHING)
        contexts.append(state.tokens.copy())

    process = Process(
        skills=("write",),
        transition=transition,
        outcome=[1.0],
        evaluate=lambda state, rng: np.all(state["seen"] == 1 + 3, axis=1),
        memory={"seen": 0},
        remember=remember,
        tokens=10.0,
        children=2,
    )
    runs = simulate(process, 5)
    assert np.all(runs.success == 1.0)  # all three remember the step before the fork
    assert np.all(runs.traces == 3.0)
    assert np.all(runs.steps == 1.0 + 3.0)
    assert np.all(runs.tokens == 10.0 + 3 * 10.0)
    assert np.all(contexts[2] == 20.0)  # of each trace's own history


def test_a_child_knows_its_parent_and_stands_at_branch() -> None:
    seen = []

    def remember(state, rng):
        seen.append((state.node.copy(), state.parent.copy(), state.outcome.copy()))

    process = Process(
        skills=("a",),
        transition=lambda state, rng: np.full(state.shape, BRANCH if state.time == 1 else STOP),
        outcome=[1.0],
        evaluate=lambda state, rng: np.ones(state.shape[0]),
        remember=remember,
        children=lambda state: np.array([[3, 0]]),
        traces=2,
    )
    simulate(process, 1)
    node, parent, outcome = (array[0] for array in seen[0])
    assert node.tolist() == [BRANCH] * 5
    assert parent.tolist() == [-1, -1, 0, 0, 0]
    assert outcome.tolist() == [NOTHING] * 5


def test_room_for_traces_is_bounded_and_said() -> None:
    process = Process(
        skills=("a",),
        transition=lambda state, rng: np.full(state.shape, BRANCH),
        outcome=[1.0],
        evaluate=lambda state, rng: np.ones(state.shape[0]),
        max_traces=10,
        max_steps=6,
    )
    runs = simulate(process, 3)
    assert np.all(runs.traces == 10.0)
    assert runs.refused.all()
    assert runs.cut.all()


def test_stopped_traces_give_up_their_place_only_if_they_may() -> None:
    def transition(state, rng):
        # the parent stops after each fork, its child goes on
        newest = state.parent == np.max(state.parent, axis=1, keepdims=True)
        oldest = ~newest if state.time % 2 == 0 else np.zeros(state.shape, dtype=bool)
        return np.where(oldest, STOP, BRANCH if state.time % 2 else 0)

    given = {
        "skills": ("a",),
        "transition": transition,
        "outcome": [1.0],
        "evaluate": lambda state, rng: np.ones(state.shape[0]),
        "max_traces": 2,
        "max_steps": 9,
    }
    kept = simulate(Process(**given), 2)
    reused = simulate(Process(**given, forget=lambda state: state.exists), 2)
    assert kept.refused.all()
    assert np.all(kept.traces == 2.0)
    assert np.all(reused.traces > 2.0)


def test_idle_takes_time_but_no_step_and_no_tokens() -> None:
    process = Process(
        skills=("work",),
        transition=lambda state, rng: np.full(
            state.shape, IDLE if state.time < 4 else 0 if state.time == 4 else STOP
        ),
        outcome=[1.0],
        evaluate=lambda state, rng: state.last[:, 0] == 1,
        tokens=7.0,
        cost={
            "waiting": lambda state: state.node == IDLE,
            "held": lambda state: np.ones(state.shape[0]),
        },
    )
    runs = simulate(process, 3)
    assert np.all(runs.time == 5.0)
    assert np.all(runs.steps == 1.0)
    assert np.all(runs.tokens == 7.0)
    assert np.all(runs.cost["waiting"] == 3.0)
    assert np.all(runs.cost["held"] == 5.0)
    assert np.all(runs.success == 1.0)


def test_stop_absorbs_whatever_a_kernel_says() -> None:
    def transition(state, rng):
        early = np.arange(2) == 0
        return np.where((state.time == 2) & early, STOP, np.where(state.time == 6, STOP, 0))

    process = Process(
        skills=("work",),
        transition=transition,
        outcome=[1.0],
        evaluate=lambda state, rng: np.all(state.node == STOP, axis=1),
        traces=2,
        cost={"step": lambda state: np.ones(state.shape)},
    )
    runs = simulate(process, 4)
    assert np.all(runs.steps == 1.0 + 5.0)
    assert np.all(runs.cost["step"] == 2.0 + 6.0)  # the step into stop is the last that is charged
    assert np.all(runs.success == 1.0)


@pytest.mark.parametrize("kind", ["table", "function"])
def test_what_never_stops_is_cut_off(kind: str) -> None:
    table = {"idle": {"a": 1.0}, "a": {"a": 1.0}}
    process = Process(
        skills=("a",),
        transition=table if kind == "table" else lambda state, rng: np.zeros(state.shape, int),
        outcome=[0.3],
        evaluate=lambda state, rng: state.steps[:, 0] == 25,
        max_steps=25,
    )
    runs = simulate(process, 10)
    assert runs.cut.all()
    assert np.all(runs.time == 25.0)
    assert np.all(runs.success == 1.0)  # evaluated where it stood
    assert process.can_stop is (False if kind == "table" else None)


def test_a_process_that_may_stop_says_so() -> None:
    assert graph().can_stop is True
    assert graph(start="read").can_stop is True


# -- environment, costs, memory -----------------------------------------------------------------


def test_traces_share_an_environment() -> None:
    def surround(state, rng):
        state["left"] -= np.sum(state.node >= 0, axis=1)

    def transition(state, rng):
        enough = state["left"][:, None] >= state.alive.sum(axis=1, keepdims=True)
        return np.where(enough, 0, STOP)

    process = Process(
        skills=("work",),
        transition=transition,
        outcome=[0.5],
        evaluate=lambda state, rng: state["left"] < 3,
        environment={"left": lambda rng, runs: rng.integers(3, 30, runs), "price": 2.0},
        surround=surround,
        traces=3,
        cost={"money": lambda state: state["price"][:, None] * (state.node >= 0)},
    )
    runs = simulate(process, 500)
    assert np.all(runs.success == 1.0)
    assert np.all(runs.steps % 3 == 0)
    assert len(np.unique(runs.steps)) == 9
    assert np.array_equal(runs.cost["money"], 2.0 * runs.steps)


def test_an_outcome_sees_the_environment_of_its_own_step() -> None:
    process = Process(
        skills=("work",),
        transition=lambda state, rng: np.where(state["day"][:, None] == 3, STOP, 0),
        outcome=lambda state, rng: np.broadcast_to(state["day"][:, None] == 2, state.shape),
        evaluate=lambda state, rng: state["hit"][:, 0] == 2,
        environment={"day": 0},
        surround=lambda state, rng: np.add(state["day"], 1, out=state["day"]),
        memory={"hit": 0},
        remember=lambda state, rng: np.copyto(state["hit"], state.time, where=state.outcome == 1),
    )
    assert np.all(simulate(process, 3).success == 1.0)


def test_initial_traces_may_differ() -> None:
    process = Process(
        skills=("a", "b"),
        transition=lambda state, rng: np.full(state.shape, STOP),
        outcome=[0.5, 0.5],
        evaluate=lambda state, rng: (state["weight"] @ [1.0, 1.0, 1.0]) == 6.0,
        memory={"weight": [1.0, 2.0, 3.0]},
        traces=3,
        start=("a", "b", "idle"),
    )
    assert np.all(simulate(process, 2).success == 1.0)


def test_tokens_may_depend_on_skill_or_state() -> None:
    plan = [0, 1, 1, STOP]
    given = {
        "skills": ("a", "b"),
        "transition": lambda state, rng: np.full(state.shape, plan[state.time - 1]),
        "outcome": [1.0, 1.0],
        "evaluate": lambda state, rng: np.ones(state.shape[0]),
    }
    assert np.all(simulate(Process(**given, tokens=(3.0, 5.0)), 2).tokens == 13.0)
    rising = simulate(Process(**given, tokens=lambda state: np.full(state.shape, state.time)), 2)
    assert np.all(rising.tokens == 6.0)


def test_a_skill_may_have_no_outcome_and_then_takes_nothing() -> None:
    process = graph(outcome=lambda state, rng: np.where(state.node == READ, 1, NOTHING))
    runs = simulate(process, 2000)
    assert runs.steps.mean() < simulate(graph(), 2000).steps.mean()
    assert np.array_equal(runs.steps, runs.tokens)


# -- the same again -----------------------------------------------------------------------------


def everything(runs) -> list[bytes]:
    named = {**runs.quantities(), "time": runs.time, "traces": runs.traces, "cut": runs.cut}
    return [values.tobytes() for values in named.values()]


def test_the_same_seed_gives_the_same_bytes() -> None:
    process = graph(cost={"x": lambda state: state.steps})
    assert everything(simulate(process, 3000, 4)) == everything(simulate(process, 3000, 4))
    assert everything(simulate(process, 3000, 4)) != everything(simulate(process, 3000, 5))
    other = simulate(process, 3000, 4, stream=(1,))
    assert everything(simulate(process, 3000, 4)) != everything(other)


@pytest.mark.parametrize("runs", [1, 100, 8192, 8193, 20_000])
def test_fewer_runs_are_the_first_of_more(runs: int) -> None:
    more, less = simulate(graph(), 20_000, 2), simulate(graph(), runs, 2)
    assert np.array_equal(more.steps[:runs], less.steps)
    assert np.array_equal(more.time[:runs], less.time)
    assert len(less) == runs


def test_blocks_do_not_repeat_each_other() -> None:
    process = graph(max_traces=64)
    size = process.block_runs
    runs = simulate(process, 2 * size)
    assert not np.array_equal(runs.steps[:size], runs.steps[size:])


def test_progress_is_reported() -> None:
    seen: list[float] = []
    simulate(graph(), 20_000, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[0] == 0.0
    assert max(seen) < 1.0


# -- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"transition": lambda state, rng: 9}, "transition gives 9 for trace 0 of run 0"),
        ({"transition": lambda state, rng: -4}, "transition gives -4"),
        ({"transition": lambda state, rng: [0, 0, 0]}, "the shape (3,), expected (8192, 1)"),
        ({"transition": lambda state, rng: None}, "transition gives nothing"),
        ({"transition": lambda state, rng: 0.5}, "expected whole numbers"),
        ({"outcome": lambda state, rng: 2}, "outcome gives 2"),
        ({"outcome": lambda state, rng: "x"}, "expected whole numbers"),
        ({"evaluate": lambda state, rng: np.nan}, "evaluate success gives nan, not from 0 to 1"),
        ({"evaluate": lambda state, rng: 1.5}, "evaluate success gives 1.5"),
        ({"evaluate": lambda state, rng: [0, 1]}, "the shape (2,)"),
        ({"tokens": lambda state: np.inf}, "tokens gives a number that is not finite"),
        ({"cost": {"x": lambda state: np.nan}}, "cost x gives a number that is not finite"),
        ({"cost": {"x": lambda state: np.ones((2, 2))}}, "cost x gives the shape (2, 2)"),
        ({"memory": {"x": [1, 2]}}, "memory: x has the shape (2,)"),
        ({"environment": {"x": [1, 2]}}, "environment: x has the shape (2,)"),
        (
            {"remember": lambda state, rng: state["gained"]},
            "neither memory nor environment has 'gained'",
        ),
    ],
)
def test_what_a_function_may_not_answer(changes, said) -> None:
    with pytest.raises(ProcessError) as error:
        simulate(graph(**changes), 10)
    assert said in str(error.value)


def test_a_wrong_answer_is_placed_where_the_function_is() -> None:
    def transition(state, rng):
        return 77

    with pytest.raises(ProcessError) as error:
        simulate(graph(transition=transition), 10)
    (problem,) = error.value.problems
    assert problem.location is not None
    assert problem.location.source == __file__
    assert problem.location.line == transition.__code__.co_firstlineno


def test_memory_keeps_its_shape() -> None:
    def remember(state, rng):
        state["x"] = np.ones((3, 3))

    with pytest.raises(ProcessError, match="'x' has the shape"):
        simulate(graph(memory={"x": 0.0}, remember=remember), 10)


@pytest.mark.parametrize("runs", [0, -1])
def test_no_runs_are_refused(runs: int) -> None:
    with pytest.raises(ProcessError, match="runs must be at least 1"):
        simulate(graph(), runs)
