"""One solution in every format."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace
from decimal import Decimal

import pytest
import yaml

from ds3opt.optimise.solution import (
    Baseline,
    Certificate,
    FrontierPoint,
    LimitUse,
    Note,
    Solution,
    Status,
)
from ds3opt.report.document import Document
from ds3opt.report.formats import RENDERERS, render
from ds3opt.report.pareto_document import pareto_document
from ds3opt.report.solution_document import solution_document


def point(limit: float, accuracy: float) -> FrontierPoint:
    return FrontierPoint(
        limit, Status.OPTIMAL, accuracy, accuracy + 5e-5, 2.1e7, 1.5e11, 2e19, 8e19, 150.0
    )


def document(solution: Solution, **options: bool) -> Document:
    return solution_document(solution, version="1.2.3", sha256="abc", **options)


@pytest.mark.parametrize("form", RENDERERS)
def test_every_format_ends_with_one_newline_and_repeats_itself(
    solution: Solution, form: str
) -> None:
    text = render(document(solution), form)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert render(document(solution), form) == text


def test_blocks_stand_in_the_order_in_which_they_are_read(solution: Solution) -> None:
    text = render(document(solution), "table")
    assert text.splitlines()[0] == (
        "Coding assistant, first year: highest accuracy, optimal within the requested gap"
    )
    titles = [line for line in text.splitlines()[1:] if line and not line.startswith(" ")]
    assert titles == [
        "Answer",
        "Classes and policies",
        "Limits and shadow prices",
        "Baselines under the same limits",
        "Pareto table over total FLOP",
        "Warnings",
    ]


def test_the_answer_carries_ranges_bounds_and_shares(solution: Solution) -> None:
    lines = {" ".join(line.split()) for line in render(document(solution), "table").splitlines()}
    assert "model size N 118 M parameters 110 to 126 M parameters within the gap" in lines
    assert "accuracy 53.43 % certified 53.4282 to 53.4309 %, gap 0.0027 points" in lines
    assert "inference FLOP 4.50e21 FLOP 81.8 % of the total" in lines
    assert (
        "total FLOP at most 5.50e21 FLOP 5.50e21 FLOP yes +3.00 points of accuracy per doubling"
        in lines
    )
    assert "the loss law's own ratio 47.00 % -6.43 points 300 M parameters 8.00 B tokens" in lines
    assert "20 tokens per parameter infeasible - - -" in lines


def test_a_class_of_many_tasks_is_one_line_unless_every_row_is_asked(solution: Solution) -> None:
    short = render(document(solution), "table")
    assert short.count("\n  refactor") == 1
    assert "best of 8 (40 %); chain of thought (20 %); 2 others" in short
    assert "0.5 to 2 k tokens" in short
    long = render(document(solution, every_row=True), "table")
    assert long.count("\n  refactor") == 5
    assert "tree of thought, 2 branches" in long


def test_plain_text_has_no_box_no_colour_and_no_trailing_blanks(solution: Solution) -> None:
    text = render(document(solution), "table")
    assert text.isascii()
    assert "\x1b" not in text
    assert all(line == line.rstrip() for line in text.splitlines())
    assert "\x1b[1m" in render(document(solution), "table", color=True)


def test_json_keeps_its_promise(solution: Solution) -> None:
    data = json.loads(render(document(solution), "json"))
    assert list(data)[:3] == ["schema_version", "status", "scenario"]
    assert data["schema_version"] == 1
    assert data["status"] == "optimal"
    assert data["certificate"]["accuracy_lower"] == 0.534282
    assert data["certificate"]["accuracy_upper"] == 0.534309
    assert data["allocation"]["tokens_per_parameter"] == pytest.approx(1.42e12 / 118.3e6)
    first, *_, last = data["allocation"]["tasks"]
    assert first["policy"] == {"name": "chain_of_thought"}
    assert first["alternatives"] == ["tree of thought, 2 branches"]
    assert last["policy"] is None
    assert data["outcome"]["total_flop"] == 5.5e21
    assert data["outcome"]["energy_joule"] is None
    assert data["limits"][0]["shadow_price_per_doubling"] == 0.03
    assert data["baselines"][0]["accuracy"] == 0.47
    assert data["frontier"][0]["total_flop"] == 1e20
    assert data["frontier"][0]["accuracy_upper"] == pytest.approx(0.26895)
    assert data["frontier"][1]["accuracy"] is None
    assert data["warnings"][0]["code"] == "extrapolation"
    assert data["provenance"] == {
        "ds3opt_version": "1.2.3",
        "scenario_sha256": "abc",
        "loss_law": "besiroglu2024",
        "loss_law_source": "arXiv:2404.10102",
    }


def test_yaml_says_what_json_says(solution: Solution) -> None:
    shown = document(solution)
    assert yaml.safe_load(render(shown, "yaml")) == json.loads(render(shown, "json"))


def test_json_has_no_nan_and_names_infinite_data(least_flop: Solution) -> None:
    text = render(document(replace(least_flop, accuracy=math.nan)), "json")
    data = json.loads(text, parse_constant=lambda word: pytest.fail(word))
    assert data["outcome"]["accuracy"] is None
    assert data["allocation"]["training_tokens"] == "infinite"
    assert data["certificate"]["total_flop_upper"] == 1.2349e24
    assert data["target"] == {"loss": 1.99}


def test_the_minimised_resource_is_the_headline(least_flop: Solution) -> None:
    lines = render(document(least_flop), "table").splitlines()
    assert lines[0].startswith(
        "Demand: least total FLOP for a pretraining loss of 1.9900 nats/token"
    )
    assert lines[3].split("  ")[1] == "total FLOP"
    assert "certified 1.23410e24 to 1.23490e24 FLOP, gap 0.065 %" in lines[3]
    assert "Classes and policies" not in lines


def test_an_infeasible_scenario_names_the_limit_and_what_would_do(infeasible: Solution) -> None:
    text = render(document(infeasible), "table")
    assert "limits.total_flop" in text
    assert "smallest feasible  3.20e20 FLOP" in text
    data = json.loads(render(document(infeasible), "json"))
    assert data["status"] == "infeasible"
    assert data["certificate"] is None
    assert data["infeasibility"]["smallest_feasible"] == 3.2e20


def test_csv_has_one_record_a_task_with_the_answer_repeated(solution: Solution) -> None:
    records = list(csv.DictReader(io.StringIO(render(document(solution), "csv"))))
    assert len(records) == len(solution.tasks)
    assert {record["training_flop"] for record in records} == {"1e+21"}
    assert records[0]["policy"] == "chain_of_thought"
    assert records[-1]["policy"] == ""
    assert float(records[1]["task_difficulty_nats_per_token"]) == 2.4


def test_csv_of_a_solution_without_tasks_has_one_record(least_flop: Solution) -> None:
    (record,) = csv.DictReader(io.StringIO(render(document(least_flop), "csv")))
    assert record["training_tokens"] == "infinite"
    assert record["task"] == ""


def test_csv_of_a_frontier_is_its_rows(solution: Solution) -> None:
    text = render(pareto_document(solution), "csv")
    first, second = csv.DictReader(io.StringIO(text))
    assert float(first["total_flop"]) == 1e20
    assert float(first["accuracy"]) == 0.2689
    assert (first["status"], second["status"]) == ("optimal", "infeasible")


def test_markdown_escapes_bars_and_aligns_numbers(solution: Solution) -> None:
    text = render(document(replace(solution, scenario="a")), "markdown")
    assert "### Limits and shadow prices" in text
    table = text.split("### Baselines under the same limits\n\n")[1].splitlines()
    assert table[1] == "| :-- | --: | --: | --: | --: |"
    odd = replace(solution, tasks=(replace(solution.tasks[0], name="a|b"),))
    assert "a\\|b" in render(document(odd), "markdown")


def test_control_characters_never_reach_the_terminal(solution: Solution) -> None:
    odd = replace(solution, tasks=(replace(solution.tasks[0], name="a\x1b[31m\nb"),))
    assert "\x1b" not in render(document(odd), "table")


@pytest.mark.parametrize("status", Status)
def test_every_status_has_its_words_in_the_title(solution: Solution, status: Status) -> None:
    text = render(document(replace(solution, status=status)), "table")
    assert status.value in text.splitlines()[0]


def test_repeated_data_is_counted_in_epochs(solution: Solution) -> None:
    repeated = replace(solution, training_tokens=237.25e9, unique_tokens=25e9)
    lines = [" ".join(line.split()) for line in render(document(repeated), "table").splitlines()]
    assert "epochs over unique tokens 9.49" in lines
    assert json.loads(render(document(repeated), "json"))["outcome"]["epochs"] == 9.49
    for unique in (None, 300e9):
        once = document(replace(repeated, unique_tokens=unique))
        assert "epochs" not in render(once, "table")
        assert json.loads(render(once, "json"))["outcome"]["epochs"] is None


def test_losses_have_four_decimals_and_their_differences_too(solution: Solution) -> None:
    loss = replace(
        solution,
        objective="loss",
        certificate=Certificate("loss", 2.22206, 2.22206, 1e-6, relative=False),
        loss=2.22206,
        baselines=(Baseline("a", "a rule", 2.22416, 9e9, 181e9),),
    )
    lines = {" ".join(line.split()) for line in render(document(loss), "table").splitlines()}
    assert "pretraining loss 2.2221 nats/token certified to the last digit" in lines
    assert "a rule 2.2242 nats/token +0.0021 nats/token 9.00 B parameters 181 B tokens" in lines


def split(solution: Solution, *parts: float, **changes: object) -> Solution:
    """One class, its requests split between token budgets."""
    row = solution.tasks[0]
    tasks = tuple(
        replace(
            row,
            share=part,
            fraction=part,
            token_budget=1900.0 + 100 * index,
            accuracy=0.5 + 0.25 * index,
            inference_flop=part * 1e21,
            **(changes if index else {}),
        )
        for index, part in enumerate(parts)
    )
    return replace(solution, tasks=tasks, classes=())


def test_budgets_of_one_policy_share_a_line_unless_every_row_is_asked(solution: Solution) -> None:
    halves = split(solution, 0.75, 0.25)
    (line,) = (
        " ".join(line.split())
        for line in render(document(halves), "table").splitlines()
        if line.startswith("  completion")
    )
    assert line == "completion 100.0 % chain of thought 1.9 to 2 k tokens 212 56.25 % 100.0 %"
    every = render(document(halves, every_row=True), "table")
    assert every.count("\n  completion") == 2
    assert "(75.00 % of requests)" in every
    assert len(json.loads(render(document(halves), "json"))["allocation"]["tasks"]) == 2
    assert render(document(halves), "csv").count("\n") == 3


def test_a_sliver_of_requests_is_neither_all_nor_nothing(solution: Solution) -> None:
    slivers = split(solution, 0.9998, 0.0002, policy=None)
    text = render(document(slivers), "table")
    assert "chain of thought (>99 % of requests)" in text
    assert "not attempted (<1 % of requests)" in text
    assert ">99.9 %" in text
    assert "<0.1 %" in text
    assert "difficulty" not in text
    every = render(document(slivers, every_row=True), "table")
    assert "(99.980 % of requests)" in every
    assert "(0.0200 % of requests)" in every


def frontier_lines(solution: Solution) -> list[list[str]]:
    text = render(document(solution), "table").split("\nPareto table")[1]
    return [line.split() for line in text.splitlines()[1:] if line.startswith("  ")]


def test_a_pareto_row_adds_up_and_leaves_units_to_the_header(solution: Solution) -> None:
    rows = (
        point(1e20, 0.2689),
        replace(point(1e19, 6.2e-8), upper=3.5e-6),
        replace(point(1e26, 0.99998), upper=0.999991),
        replace(point(1e26, 0.43216), upper=0.43216),
    )
    header, *lines = frontier_lines(replace(solution, frontier=rows))[: len(rows) + 1]
    assert " ".join(header) == (
        "total FLOP accuracy upper bound gap, points N D D/N tokens/task training FLOP "
        "inference FLOP status"
    )
    assert lines[0][:8] == ["1.00e20", "26.8900", "%", "26.8950", "%", "0.0050", "21.0", "M"]
    assert lines[0][8:12] == ["150", "B", "7.14", "k"]
    for line in lines:
        low, high, gap = (Decimal(line[i]) for i in (1, 3, 5))
        assert low + gap == high
    assert lines[2][1] == "99.9980"


def test_rows_that_stopped_early_are_counted_below_the_table(solution: Solution) -> None:
    sentence = "stopped before the requested gap"
    assert f"row {sentence}" not in render(document(solution), "table")
    early = replace(point(1e21, 0.3), status=Status.NOT_CONVERGED)
    one, two = (replace(solution, frontier=(early,) * count) for count in (1, 2))
    for form in ("table", "markdown"):
        assert f"1 row {sentence}\n" in render(document(one), form)
        assert f"2 rows {sentence}\n" in render(pareto_document(two), form)


def test_binding_limits_come_first_under_the_words_of_a_planner(solution: Solution) -> None:
    uses = (
        LimitUse("max_parameters", 1e12, 1e9, False, 0.0, "parameters"),
        LimitUse("max_tokens_per_parameter", 2000.0, 702.0, False, 0.0, "tokens/parameter"),
        LimitUse("min_accuracy of bug_fix", 0.8, 0.8, True, 0.01, "accuracy", "at least"),
        LimitUse("total_flop", 5.5e21, 5.5e21, True, 0.03, "FLOP"),
    )
    limited = replace(solution, limits=uses)
    text = render(document(limited), "table").split("shadow prices\n")[1].split("\n\n")[0]
    assert [" ".join(line.split()) for line in text.splitlines()[1:]] == [
        "accuracy of bug_fix at least 80.00 % 80.00 % yes +1.00 points of accuracy per doubling",
        "total FLOP at most 5.50e21 FLOP 5.50e21 FLOP yes +3.00 points of accuracy per doubling",
        "max model size at most 1 T parameters 1 B parameters no none",
        "max tokens per parameter at most 2.00 k 702 no none",
    ]
    kept = json.loads(render(document(limited), "json"))["limits"]
    assert [use["name"] for use in kept] == [use.name for use in uses]
    given = render(document(replace(limited, status=Status.EVALUATED)), "table")
    assert "max model size" not in given
    assert "accuracy of bug_fix" in given


def test_long_sentences_go_on_below_and_lose_no_word(solution: Solution) -> None:
    words = " ".join(f"word{i}" for i in range(60))
    noted = replace(solution, warnings=(Note("code", "model.loss_law", words),), scenario=words)
    text = render(document(noted), "table")
    sentences = [line for line in text.splitlines() if "word" in line]
    assert max(map(len, sentences)) <= 120
    assert " ".join(text.split("Warnings")[1].split()).endswith(words)
    assert " ".join(text.split("Answer")[0].split()).startswith(words)
