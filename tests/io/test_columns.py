"""Columns by their usual names, numbers with units, every bad cell at its place."""

from __future__ import annotations

import math

import pytest

from ds3opt.errors import UsageError
from ds3opt.io.columns import Column, lacking, read_rows

SIZE = Column("parameters", ("params", "model_size"), "parameters")
LOSS = Column("loss", ("val_loss",), "loss")
KIND = Column("group", (), "text")
COLUMNS = (SIZE, LOSS, KIND)


def refused(text: str, called: dict[str, str] | None = None):
    with pytest.raises(UsageError) as caught:
        both(text, called)
    return caught.value.problems


def both(text: str, called: dict[str, str] | None):
    rows = read_rows(text, "t.csv", COLUMNS, called)
    return rows.numbers(SIZE), rows.numbers(LOSS)


def test_usual_names_units_and_further_columns():
    text = "note,Model Size, val-loss \nx,7B,2.1\ny,1.3e9,2.5 nats\n\n"
    rows = read_rows(text, "t.csv", COLUMNS)
    assert rows.numbers(SIZE) == [7e9, 1.3e9]
    assert rows.numbers(LOSS) == [2.1, 2.5]
    assert not rows.has("group")
    assert [one.line for one in rows.records] == [2, 3]


def test_an_exact_name_wins_and_a_told_one_too():
    text = "params,parameters,mine\n1,2,3\n"
    assert read_rows(text, "t.csv", COLUMNS).numbers(SIZE) == [2.0]
    assert read_rows(text, "t.csv", COLUMNS, {"parameters": "mine"}).numbers(SIZE) == [3.0]


def test_two_usual_names_are_refused():
    text = "params,model_size,loss\n1,2,3\n"
    (problem,) = refused(text, {})
    assert problem.message == "params and model_size may both be parameters"
    assert problem.hint == "say which: --column parameters=params"
    (problem,) = refused(text)  # of a command that has no such option
    assert problem.hint == "rename one, or call it parameters"


def test_a_told_name_that_is_not_there():
    (problem,) = refused("params,loss\n1,2\n", {"loss": "lss"})
    assert (problem.message, problem.hint) == ("no column is called 'lss'", "did you mean 'loss'?")


def test_a_column_that_lacks_is_described():
    rows = read_rows("params,los\n1,2\n", "t.csv", COLUMNS)
    problem = lacking(rows, LOSS)
    assert problem.message == "there is no column loss"
    assert problem.hint == "usual names are loss, val_loss; or say which: --column loss=los"


def test_every_bad_cell_is_told_at_its_place():
    text = "group,params,loss\na,7B,2\nb,many,2\nc,-1,2\nd,,2\n"
    found = [(p.location.line, p.location.column, p.path) for p in refused(text)]
    assert found == [(3, 3, "params"), (4, 3, "params"), (5, 3, "params")]


def test_a_bad_cell_says_what_would_be_right():
    (commas,) = refused('params,loss\n"1,300,000,000",2\n')
    assert commas.hint == "write digits without commas"
    score = Column("score", (), "ratio", least=-1e-300, most=1.0)
    rows = read_rows("score\n-4%\n", "t.csv", (score,))
    with pytest.raises(UsageError) as caught:
        rows.numbers(score)
    assert caught.value.problems[0].message == "must be at least 0 and at most 1, not -4%"


@pytest.mark.parametrize("sign", [";", "\t"])
def test_other_separators_are_named_with_what_to_do(sign):
    rows = read_rows(f"params{sign}loss\n1{sign}2\n", "t.csv", COLUMNS)
    assert lacking(rows, LOSS).hint.endswith("save the table with commas")


def test_empty_cells_may_stand_for_something():
    rows = read_rows("params,loss\n,2\n5,2\n", "t.csv", COLUMNS)
    assert rows.numbers(SIZE, empty=math.inf) == [math.inf, 5.0]


@pytest.mark.parametrize(
    "text", ["", "params,loss\n", "params,params\n1,2\n", 'params,loss\n"1,2\n']
)
def test_what_is_no_table_is_refused(text):
    assert refused(text)[0].location.source == "t.csv"
