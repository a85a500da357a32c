"""Tables of measurements: what is read, and where what cannot be read stands."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds3opt.errors import UsageError
from ds3opt.io.measured_csv import read_measurements

HEADER = "model,gpu,num_gpus,prec,task,avg_batch,avg_out,med_itl_ms,tok_s,J_per_tok,par\n"
ROW = 'meta/llama,H100,4,bf16,gpqa,8,350,16.57,470,3.76,"{data_parallel: 1, notes: a}"\n'


def refused(text: str):
    with pytest.raises(UsageError) as error:
        read_measurements(text, "mine.csv")
    return error.value.problems


def test_serving_and_training_rows():
    text = (
        "model,gpu,num_gpus,prec,prompt_tokens,avg_batch,avg_out,tok_s,precision,params,seq_len,MFU\n"
        "a,H100,1,bf16,100,,50,1000,,,,\n"
        "\n"
        "b,H100,,,,,,,bf16,7e9,2048,40.5\n"
    )
    serving, training = read_measurements(text, "mine.csv")
    (one,), (other,) = serving, training
    assert (one.word("model"), one.number("tok_s"), one.line) == ("a", 1000.0, 2)
    assert math.isnan(one.number("avg_batch"))
    assert math.isnan(one.number("J_per_tok"))
    assert (other.required("MFU"), other.line) == (40.5, 4)


def test_cells_know_their_place():
    serving, _ = read_measurements(HEADER + ROW + ROW.replace("16.57", "fast"), "mine.csv")
    with pytest.raises(UsageError) as error:
        serving[1].number("med_itl_ms")
    (problem,) = error.value.problems
    place = problem.location
    assert (place.source, place.line) == ("mine.csv", 3)
    assert place.text[place.column - 1 :].startswith("fast,")
    assert problem.path == "med_itl_ms"
    assert "fast" in problem.message


def test_places_behind_quoted_cells():
    header = "model,notes,gpu,num_gpus,prec,avg_batch,avg_out,tok_s\n"
    row = 'a,"x, ""y"", z",H100,1,bf16,8,10,-3\n'
    serving, _ = read_measurements(header + row, "mine.csv")
    assert serving[0].word("gpu") == "H100"
    with pytest.raises(UsageError, match="must be above 0 and at most") as error:
        serving[0].number("tok_s")
    place = error.value.problems[0].location
    assert place.text[place.column - 1 :] == "-3"


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_line_ends(newline):
    text = (HEADER + ROW).replace("\n", newline)
    serving, _ = read_measurements(text, "mine.csv")
    assert serving[0].required("avg_out") == 350
    assert serving[0].text == ROW.rstrip("\n")


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 0, "the file is empty"),
        ("\n\n", 0, "the file is empty"),
        (HEADER, 0, "there is a header but no row"),
        ("a,b\n1,2\n", 1, "lacks column model, gpu, num_gpus, prec, avg_batch, avg_out"),
        (HEADER.replace("model", "gpu"), 1, "column gpu stands twice"),
        (HEADER.replace("avg_out", "avgout") + ROW, 1, "serving lacks column avg_out"),
        ("gpu,precision,params,MFU\nH100,bf16,1,2\n", 1, "training lacks column seq_len"),
        (
            "model,gpu,num_gpus,prec,avg_batch,avg_out\na,b,1,bf16,1,1\n",
            1,
            "lacks column one of med_itl_ms, tok_s, J_per_tok",
        ),
        (HEADER + "a,b,c\n", 2, "3 cells under a header of 11"),
        (HEADER + ROW.replace("16.57,470,3.76", ",,"), 2, "a row needs one of med_itl_ms"),
        (HEADER + ROW.replace("H100", " "), 2, "is empty"),
        (HEADER + ROW + ROW.replace('"', "", 1), 3, "under a header"),
        (HEADER + 'a,"b\n', 2, "not CSV"),
    ],
)
def test_what_is_no_table(text, line, message):
    problem = refused(text)[0]
    assert message in problem.message
    assert problem.location.source == "mine.csv"
    assert problem.location.line == line


def test_near_names_are_proposed():
    (problem,) = refused(HEADER.replace("avg_out", "avgout") + ROW)
    assert problem.hint == "did you mean avg_out for avgout?"


def test_every_empty_cell_is_told_up_to_a_limit():
    problems = refused(HEADER + ROW.replace("H100", "") * 3)
    assert [problem.location.line for problem in problems] == [2, 3, 4]
    assert len(refused(HEADER + ROW.replace("H100", "") * 100)) == 20


@pytest.mark.parametrize("cell", ["nan", "inf", "1e400", "1,5", "0x10", "-1", "0", "1e16"])
def test_numbers_that_are_none(cell):
    quoted = f'"{cell}"' if "," in cell else cell
    serving, _ = read_measurements(HEADER + ROW.replace("16.57", quoted), "mine.csv")
    with pytest.raises(UsageError):
        serving[0].number("med_itl_ms")


cell = st.one_of(
    st.sampled_from(["1", "x", "-2.5e3", '"a,b"', '"q""r"', " "]),
    st.text(st.sampled_from('a1.,"\r\n \x0b\x85\u2028-e'), max_size=6),
)
row = st.lists(cell, min_size=11, max_size=11).map(",".join)
table = st.one_of(st.text(), row, st.lists(row, max_size=4).map(lambda rows: "\n".join(rows)))


@given(table, st.booleans())
def test_any_text_is_read_or_refused(text, headed):
    """Nothing but a UsageError, whose places lie in the text."""
    whole = HEADER + text if headed else text
    records, problems = [], []
    try:
        records = [record for part in read_measurements(whole, "mine.csv") for record in part]
    except UsageError as error:
        problems += error.problems
    for record in records:
        for column in record.order:
            try:
                record.number(column)
            except UsageError as error:
                problems += error.problems
    lines = whole.count("\n") + whole.count("\r") + 1
    assert all(0 <= problem.location.line <= lines for problem in problems)
    assert all(p.location.column <= len(p.location.text) + 1 for p in problems if p.location.text)
