"""One solution in every format."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace

import pytest
import yaml

from ds3opt.optimise.solution import Solution, Status
from ds3opt.report.document import Document
from ds3opt.report.formats import RENDERERS, render
from ds3opt.report.pareto_document import pareto_document
from ds3opt.report.solution_document import solution_document


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
    assert "accuracy 53.43 % certified 53.42 to 53.44 %, gap 0.0027 points" in lines
    assert "inference FLOP 4.50e21 FLOP 81.8 % of the total" in lines
    assert (
        "total FLOP at most 5.50e21 FLOP 5.50e21 FLOP yes +3.00 points of accuracy per doubling"
        in lines
    )
    assert "the loss law's own ratio 47.00 % -6.43 points 300 M parameters 8 B tokens" in lines
    assert "20 tokens per parameter infeasible - - -" in lines


def test_a_class_of_many_tasks_is_one_line_unless_every_row_is_asked(solution: Solution) -> None:
    short = render(document(solution), "table")
    assert short.count("\n  refactor") == 1
    assert "best of 8 (40 %); chain of thought (20 %); not attempted (20 %); 1 other" in short
    assert "500 tokens to 2 k tokens" in short
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
    assert lines[0].startswith("Demand: least total FLOP for a pretraining loss of 1.99 nats/token")
    assert lines[3].split("  ")[1] == "total FLOP"
    assert "certified 1.234e24 to 1.235e24 FLOP, gap 0.065 %" in lines[3]
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
