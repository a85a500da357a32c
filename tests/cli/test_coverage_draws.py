"""``ds3opt coverage --population`` with a file that holds draws: every format, and broken draws."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from ds3opt.cli.main import main
from ds3opt.laws.coverage import samples_for_coverage
from ds3opt.schema.fitted import parsed_draws

SMALL = Path(__file__).resolve().parents[2] / "docs" / "fitting" / "small.yaml"
PRICED = ("--parameters", "8B", "--output-tokens", "300", "--output-price", "0.8 USD/Mtok")


@pytest.fixture
def said(tmp_path, monkeypatch, capsys) -> Callable[..., tuple[int, str, str]]:
    """Exit code, output and errors of the command on a file, small.yaml unless it is edited."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SMALL.read_text())

    def go(*arguments: str) -> tuple[int, str, str]:
        code = main(("coverage", "--population", "small.yaml", *arguments))
        return code, *capsys.readouterr()

    return go


def edited(folder: Path, old: str, new: str) -> None:
    text = SMALL.read_text()
    assert old in text
    (folder / "small.yaml").write_text(text.replace(old, new, 1))


def test_json_has_the_draws_of_the_file(said) -> None:
    code, out, err = said("--target", "0.8,0.9", "--samples", "10", *PRICED, "-f", "json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    _, rows = parsed_draws(yaml.safe_load(SMALL.read_text())["draws"])
    assert (found["draws"], found["interval_level"]) == (len(rows), 0.95) == (200, 0.95)
    for row in found["targets"]:
        needed = np.sort(samples_for_coverage(row["target"], *rows.T))
        told = row["over_draws"]
        ends = [told[name]["samples"] for name in ("low", "high", "to_be_95_percent_sure")]
        # ranks 5, 195 and 190 of 200
        expected = [needed[4], needed[194], needed[189]]
        assert ends == [k if np.isfinite(k) else None for k in expected]
        assert told["out_of_reach_in"] == np.mean(np.isinf(needed))
        assert told["samples_enough_in"] == np.mean(needed <= row["samples"])
        assert told["low"]["flop"] == 16e9 * 300 * ends[0]
        assert told["low"]["usd"] == pytest.approx(0.8e-6 * 300 * ends[0])
        assert told["high"]["out_of_reach"] == (ends[1] is None) == (row["target"] == 0.9)
    (at_ten,) = found["curve"]
    low, high = at_ten["intervals"]["coverage"]
    assert low < at_ten["coverage"] < high
    assert found["plateaus"][0]["accuracy_interval"] == found["population"]["solvable_interval"]
    assert found["population"]["single_interval"][0] < found["population"]["single"]


def test_table_csv_and_the_others(said) -> None:
    asked = ("--target", "0.8,0.9", "--wrong-answers", "0.5,0.3", "--budget", "1e14", *PRICED)
    code, out, _ = said(*asked)
    assert code == 0
    plain = " ".join(out.split())
    for words in (
        "draws of the fit 200",
        "How sure: samples for the verifier that never errs, over 200 draws of the fit",
        "to be 95 % sure",
        "out of reach out of reach 54.5 % 16.0 %",
        "FLOP, 95 % from",
        "cost, 95 % from",
    ):
        assert words in plain
    assert "FLOP, 95" not in said("--target", "0.8")[1]
    rows = list(csv.DictReader(io.StringIO(said(*asked, "-f", "csv")[1])))
    assert [row["samples_high"] for row in rows] == ["70", "", "out of reach", ""]
    assert next(row["samples_to_be_95_percent_sure"] for row in rows) == "53"
    assert rows[2]["flop_high"] == rows[2]["usd_high"] == "out of reach"
    assert float(rows[0]["usd_low"]) == pytest.approx(17 * 300 * 0.8e-6)
    assert rows[2]["out_of_reach_in"] == "0.16"
    curve = said("-f", "csv")[1].splitlines()
    assert curve[0] == "samples,coverage,coverage_low,coverage_high"
    assert yaml.safe_load(said(*asked, "-f", "yaml")[1])["draws"] == 200
    assert "### How sure: samples" in said(*asked, "-f", "markdown")[1]


def test_codes_go_by_the_point_figure(said) -> None:
    code, out, _ = said("--target", "0.99", "-f", "json")
    assert code == 3
    (row,) = json.loads(out)["targets"]
    assert row["samples"] is None
    assert row["over_draws"]["samples_enough_in"] is None
    # many a draw has all problems solvable
    assert 0 < row["over_draws"]["out_of_reach_in"] < 1
    assert row["over_draws"]["low"]["samples"] > 1


@pytest.mark.parametrize("kept", [0, 1])
@pytest.mark.parametrize("form", ["table", "json", "csv", "markdown", "yaml"])
def test_without_draws_as_by_constants(said, tmp_path, capsys, kept: int, form: str) -> None:
    """Fewer than two draws say nothing of how sure a number is."""
    head, drawn = SMALL.read_text().split("draws: |\n")
    few = "" if not kept else "draws: |\n" + "".join(drawn.splitlines(keepends=True)[: 1 + kept])
    (tmp_path / "small.yaml").write_text(head + few)
    values = yaml.safe_load(head)["values"]
    asked = ("--target", "0.8,0.9", "--wrong-answers", "0.5,0.3", *PRICED, "-f", form)
    code, out, _ = said(*asked)
    by_hand = ("--alpha", "--beta", "--solvable")
    given = [word for pair in zip(by_hand, map(str, values.values()), strict=True) for word in pair]
    assert main(("coverage", *given, *asked)) == code == 0
    lines = [line for line in out.splitlines() if "small" not in line]
    expected = capsys.readouterr().out.splitlines()
    if form == "markdown" or form == "table":
        lines = [" ".join(line.split()) for line in lines]
        expected = [" ".join(line.split()) for line in expected]
    assert lines == expected
    assert "draws" not in out
    assert "95 %" not in out


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("  0.505125998 ", "  -0.5 ", "draw 1 has alpha = -0.5: must be above 0"),
        (" 0.976023114", " 1.2", "draw 2 has solvable = 1.2: must be above 0 and at most 1"),
        ("  0.505125998 ", "  nan ", "draws are finite numbers"),
        ("  0.505125998 ", "  ", "draw 1 has 2 numbers for 3 constants"),
    ],
)
def test_broken_draws_are_named(said, tmp_path, old: str, new: str, told: str) -> None:
    edited(tmp_path, old, new)
    code, out, err = said("--target", "0.8")
    assert (code, out) == (2, "")
    assert "small.yaml:" in err
    assert told in err
    assert "Traceback" not in err


def test_fit_and_coverage_agree(said, tmp_path, capsys) -> None:
    generator = np.random.default_rng(3)
    right = generator.binomial(50, generator.beta(0.6, 1.5, 60))
    rows = [f"p{i},50,{c}" for i, c in enumerate(right)]
    (tmp_path / "counts.csv").write_text("\n".join(["problem,n,c", *rows]) + "\n")
    fit = ("fit", "coverage", "counts.csv", "--bootstrap", "60", "--target", "0.5,0.9")
    assert main((*fit, "-f", "json", "--samples", "1,40")) == 0
    fitted = json.loads(capsys.readouterr().out)
    assert main((*fit, "-o", "ours.yaml")) == 0
    capsys.readouterr()
    asked = ("--target", "0.5,0.9", "--samples", "1,40", "-f", "json")
    assert main(("coverage", "--population", "ours.yaml", *asked)) == 0
    found = json.loads(capsys.readouterr().out)
    for row, one in zip(found["targets"], fitted["targets"], strict=True):
        told = row["over_draws"]
        assert [told["low"]["samples"], told["high"]["samples"]] == [one["low"], one["high"]]
    for at, one in zip(found["curve"], fitted["curve"], strict=True):
        assert at["intervals"]["coverage"] == pytest.approx([one["low"], one["high"]], rel=1e-7)
