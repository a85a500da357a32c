"""Kernels as tables: what is refused, with what hint, and what is drawn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds3opt.simulate import Process, ProcessError, choose
from ds3opt.simulate.kernels import table


def process(**changes) -> Process:
    given = {
        "skills": ("a", "b"),
        "transition": {"idle": {"a": 1}, "a": {"a": 0.5, "b": 0.5}, "b": {"stop": 1}},
        "outcome": {"a": 0.5, "b": 0.25},
        "evaluate": lambda state, rng: np.zeros(state.shape[0]),
    }
    return Process(**{**given, **changes})


def problems(**changes) -> dict[str, str]:
    with pytest.raises(ProcessError) as error:
        process(**changes)
    assert error.value.exit_code == 2
    return {problem.message: problem.hint for problem in error.value.problems}


def rows(**changes):
    return {"idle": {"a": 1}, "a": {"a": 0.5, "b": 0.5}, "b": {"stop": 1}, **changes}


def test_a_row_that_does_not_sum_to_1_is_named_with_its_sum_and_the_nearest() -> None:
    found = problems(transition=rows(a={"a": 0.5, "b": 0.3}))
    assert found == {
        "transition: row 'a' sums to 0.8, not 1": "the nearest row in the same proportions is "
        "a: 0.625, b: 0.375; or give the missing 0.2 to another column"
    }
    found = problems(transition=rows(a={"a": 1.0, "b": 0.25}))
    assert found == {
        "transition: row 'a' sums to 1.25, not 1": "the nearest row in the same proportions is "
        "a: 0.8, b: 0.2"
    }


def test_every_wrong_row_is_found_at_once() -> None:
    found = problems(
        transition=rows(a={"a": 0.5}, b={"stop": 0.9}),
        outcome={"a": 1.5, "b": 0.5},
        tokens=(1, 2, 3),
    )
    assert [message.split(" ")[0] for message in found] == [
        "transition:", "transition:", "outcome:", "tokens",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"transition": rows(a={"a": -0.5, "b": 1.5})}, "row 'a' has -0.5 for 'a'"),
        ({"transition": rows(a={"a": np.nan, "b": 1.0})}, "row 'a' has nan for 'a'"),
        ({"transition": rows(a={"a": 0.0})}, "row 'a' is 0 throughout"),
        ({"transition": rows(stop={"a": 1.0})}, "row 'stop' leads elsewhere"),
        ({"transition": rows(c={"a": 1.0})}, "transition: row 'c' is not known"),
        ({"transition": rows(a={"bb": 1.0})}, "row 'a', column 'bb' is not known"),
        ({"transition": {"idle": {"a": 1}, "a": {"stop": 1}}}, "transition has no row 'b'"),
        ({"transition": np.eye(4)}, "transition has the shape (4, 4), expected (5, 5)"),
        ({"transition": [["x"]]}, "transition is no table of numbers"),
        ({"transition": rows(a=1.0)}, "row 'a' names no columns"),
        ({"transition": rows(a={"b": "x"})}, "row 'a' has 'x' for 'b'"),
        ({"outcome": {"a": 0.5, "b": "x"}}, "outcome: row 'b' has 'x' for 'success'"),
        ({"outcome": {"a": 0.5, "b": 1.5}}, "outcome: row 'b' has -0.5 for 'failure'"),
        ({"outcome": {"a": 0.5}}, "outcome has no row 'b'"),
        ({"outcome": [0.5]}, "outcome has the shape (1, 2), expected (2, 2)"),
        ({"outcome": [0.5, 0.5], "outcomes": ("x", "y", "z")}, "needs two outcomes"),
        ({"skills": ()}, "a process needs skills"),
        ({"skills": "ab"}, "skills must be a sequence of names"),
        ({"skills": ("a", "a")}, "a names two nodes"),
        ({"skills": ("a", "stop")}, "stop names two nodes"),
        ({"traces": 0}, "traces must be a whole number from 1"),
        ({"traces": 2.5}, "traces must be a whole number"),
        ({"max_traces": 0}, "max_traces must be a whole number from 1 to 65536"),
        ({"traces": 3, "max_traces": 2}, "max_traces must be a whole number from 3"),
        ({"max_steps": 0}, "max_steps must be a whole number from 1"),
        ({"children": -1}, "children must be a whole number from 0"),
        ({"start": "c"}, "start: no node is named 'c'"),
        ({"start": ("a", "b")}, "start has 2 nodes for 1 traces"),
        ({"tokens": -1.0}, "tokens must be at least 0"),
        ({"evaluate": {}}, 'evaluate has no function for "success"'),
        ({"memory": {"x": 0}, "environment": {"x": 0}}, "share a name"),
        ({"cost": {"steps": lambda state: 1}}, "cost: steps is taken"),
        ({"closed_form": {"steps": "3"}}, "closed_form: steps must be a finite number"),
        ({"closed_form": {"energy": 1.0}}, "closed_form: nothing is called 'energy'"),
    ],
)
def test_what_no_process_is(changes, said) -> None:
    assert any(said in message for message in problems(**changes))


def test_a_near_name_is_offered() -> None:
    assert "did you mean 'stop'?" in problems(transition=rows(b={"stopp": 1})).values()


def test_an_error_of_rounding_is_none() -> None:
    third = 1.0 / 3.0
    found = process(transition=rows(a={"a": third, "b": third, "stop": third * (1 + 1e-12)}))
    assert found.moves is not None
    assert np.allclose(found.moves.rows.sum(axis=1), 1.0, rtol=0, atol=1e-15)


def test_control_nodes_without_a_row_lead_to_stop() -> None:
    found = process(transition={"a": {"b": 1}, "b": {"branch": 1}}, start="a")
    assert found.moves is not None
    assert found.moves.rows[-3:, -1].tolist() == [1.0, 1.0, 1.0]


@given(st.lists(st.integers(0, 5), min_size=2, max_size=9).filter(any), st.integers(0, 8))
def test_a_column_without_chance_is_never_drawn(weights, others) -> None:
    row = np.array(weights) / sum(weights)
    names = [str(i) for i in range(row.size)]
    many = np.tile(row, (others + 1, 1))
    found = table("t", many, [str(i) for i in range(others + 1)], names)
    for number in range(others + 1):
        extremes = np.array([0.0, 0.5, np.nextafter(1.0, 0.0)])
        drawn = found.draw(np.full(3, number), extremes)
        assert np.all(row[drawn] > 0.0)
        assert drawn[0] == np.flatnonzero(row)[0]


def test_negative_rows_are_counted_from_the_end() -> None:
    found = table("t", [[1.0, 0.0], [0.0, 1.0]], "ab", "ab")
    assert found.draw(np.array([-1, -2]), np.array([0.3, 0.3])).tolist() == [1, 0]


def test_choose_refuses_rows_that_do_not_sum_to_1() -> None:
    with pytest.raises(ProcessError) as error:
        choose(np.random.default_rng(0), [[0.5, 0.5], [0.5, 0.4]])
    assert "row '(1,)' sums to 0.9" in str(error.value)
    with pytest.raises(ProcessError):
        choose(np.random.default_rng(0), [[1.5, -0.5]])


def test_choose_draws_by_its_rows() -> None:
    rng = np.random.default_rng(1)
    rows = np.broadcast_to([0.2, 0.0, 0.8], (50_000, 3))
    drawn = choose(rng, rows)
    assert set(np.unique(drawn)) == {0, 2}
    assert abs(np.mean(drawn == 0) - 0.2) < 5 * np.sqrt(0.2 * 0.8 / 50_000)
