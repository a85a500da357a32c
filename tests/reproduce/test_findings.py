"""Verdicts follow from numbers, and tables hold what is plotted."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from ds3opt.errors import UsageError
from ds3opt.reproduce import findings as f
from ds3opt.reproduce.findings import Block, Finding, Reproduction, Verdict
from ds3opt.reproduce.registry import ITEMS, named


def _result(*verdicts: Verdict) -> Reproduction:
    told = [Finding("claim", "result", verdict) for verdict in verdicts]
    return Reproduction([Block({"a": 1.0})], told, lambda figure: None)


def test_a_claim_that_holds_is_reproduced_and_another_is_what_it_is_called() -> None:
    assert f.check("c", True, "r").verdict is Verdict.REPRODUCED
    assert f.check("c", False, "r").verdict is Verdict.PARTLY
    assert f.statement("c", np.bool_(False), "r").verdict is Verdict.PAPER_WRONG
    assert f.statement("c", np.bool_(True), "r").verdict is Verdict.REPRODUCED
    assert f.missing("c", "r").verdict is Verdict.NOT_FROM_TEXT


def test_numbers_agree_within_the_stated_difference_only() -> None:
    assert f.agree("c", 2.0, 2.0049, within=0.005).verdict is Verdict.REPRODUCED
    assert f.agree("c", 2.0, 2.0051, within=0.005).verdict is Verdict.PARTLY
    assert f.agree("c", [1.0, 100.0], [1.0, 101.0], within=0.011, relative=True).verdict is (
        Verdict.REPRODUCED
    )
    many = f.agree("c", [1.0, 2.0], [1.0, 2.5], within=0.1, unit="tokens")
    assert many.result == "2 values, the farthest 0.5 tokens away"
    assert f.agree("c", 1.0, 1.25, within=1.0).result == "1.25, 0.25 away"


def test_a_number_that_is_not_one_is_never_reproduced() -> None:
    assert f.agree("c", 1.0, np.nan, within=1.0).verdict is Verdict.PARTLY


def test_a_figure_has_the_verdict_of_its_main_claim() -> None:
    result = _result(Verdict.REPRODUCED, Verdict.PAPER_WRONG, Verdict.PAPER_WRONG)
    assert result.verdict is Verdict.REPRODUCED
    assert result.count(Verdict.PAPER_WRONG) == 2


def test_blocks_become_one_table_with_gaps() -> None:
    blocks = [
        Block({"curve": "a", "x": np.array([1.0, 2.0])}),
        Block({"curve": "b", "x": np.array([3.0])[:, None], "y": np.array([np.nan, 0.1])}),
    ]
    text = Reproduction(blocks, [Finding("", "", Verdict.PARTLY)], lambda figure: None).csv()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(r["curve"], r["x"], r["y"]) for r in rows] == [
        ("a", "1", ""),
        ("a", "2", ""),
        ("b", "3", ""),
        ("b", "3", "0.1"),
    ]


def test_a_line_through_points_of_a_power_law_is_the_law() -> None:
    x = np.geomspace(1.0, 1e6, 7)
    slope, intercept, quality = f.log_slope(x, 100.0 * x**0.3)
    assert (slope, intercept, quality) == pytest.approx((0.3, 2.0, 1.0), abs=1e-12)
    _, _, poor = f.linear_fit([0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 0.0, 1.0])
    assert poor == pytest.approx(0.2)


def test_every_paper_is_in_the_list_once() -> None:
    names = [item.name for item in ITEMS]
    assert len(set(names)) == len(names)
    wanted = {f"ds3_fig{i}" for i in (3, 4, 5, *range(7, 17))}
    wanted |= {"ds3_table1", "ds3_table2", "levi_pass_at_k", "levi_compute"}
    wanted |= {"wu_fig1", "wu_table1", "wu_table3", "wu_table4"}
    assert set(names) == wanted


def test_names_are_found_in_the_order_of_the_papers() -> None:
    assert [item.name for item in named(["wu_fig1", "ds3_fig3"])] == ["ds3_fig3", "wu_fig1"]
    assert named(["all"]) == list(ITEMS)
    with pytest.raises(UsageError) as caught:
        named(["ds3_fg3", "zzz"])
    assert len(caught.value.problems) == 2
    assert caught.value.problems[0].hint == "did you mean ds3_fig3?"
