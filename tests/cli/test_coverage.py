"""``ds3opt coverage``: Levi's and DS3's cases from the command line, and mistakes in words."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ds3opt.cli.main import main

LEVI = (
    "--parameters", "8e9", "--prompt-tokens", "100", "--output-tokens", "400", "--shared-prompt",
    "--input-price", "0.06 USD/Mtok", "--output-price", "0.80 USD/Mtok",
)  # fmt: skip
LLAMA = ("coverage", "--alpha", "0.3205", "--beta", "0.981")


@pytest.fixture
def run(tmp_path: Path, monkeypatch, capsys):
    """Run the command in this process, which starts no interpreter for each line."""

    def go(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        code = main(arguments)
        printed = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, code, printed.out, printed.err)

    return go


def test_the_console_script_answers(ds3opt_script: str) -> None:
    done = subprocess.run(
        [ds3opt_script, *LLAMA], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "solved by one sample  24.63 %" in done.stdout


def answer(run, *arguments: str, code: int = 0) -> dict:
    done = run(*arguments, "-f", "json")
    assert (done.returncode, done.stderr) == (code, "")
    return json.loads(done.stdout)


def test_levis_pipeline_from_targets_to_dollars(run) -> None:
    """The example of the notes: 6, 104 and 7,899 samples, with unrounded fits, for 8B."""
    data = answer(run, *LLAMA, "--target", "0.5,80%,0.95", *LEVI)
    rows = data["targets"]
    assert [row["samples"] for row in rows] == [6.0, 104.0, 7892.0]
    assert [row["flop"] for row in rows] == pytest.approx(
        [16e9 * (100 + 400 * k) for k in (6, 104, 7892)]
    )
    assert [row["usd"] for row in rows] == pytest.approx(
        [(100 * 0.06 + 400 * k * 0.8) / 1e6 for k in (6, 104, 7892)]
    )
    assert data["population"]["single"] == pytest.approx(0.3205 / 1.3015)


def test_votes_saturate_and_the_answer_says_what_would_do(run) -> None:
    arguments = (*LLAMA, "--target", "0.35,0.8", "--wrong-answers", "count=9,decay=0.752")
    data = answer(run, *arguments, "--verifier", "tpr=0.83,fpr=0.49,parameters=8B", *LEVI)
    by_rule = {(row["rule"], row["target"]): row for row in data["targets"]}
    assert by_rule["majority_vote", 0.35]["samples"] > 3
    beyond = by_rule["majority_vote", 0.8]
    assert (beyond["samples"], beyond["flop"], beyond["usd"]) == (None, None, None)
    assert beyond["note"] == (
        "unreachable: saturates at 39.63 %; a verifier that never errs takes 104"
    )
    plateaus = {row["rule"]: row for row in data["plateaus"]}
    assert plateaus["majority_vote"]["accuracy"] == pytest.approx(0.39631, abs=1e-4)
    settled = plateaus["majority_vote"]["within_1_percent_from"]
    curve = answer(run, *arguments, "--samples", f"{settled - 1},{settled}")["curve"]
    away = [abs(row["majority_vote"] / plateaus["majority_vote"]["accuracy"] - 1) for row in curve]
    assert away[0] > 0.01 >= away[1]
    assert plateaus["verifier_given"]["accuracy"] == pytest.approx(0.3042, abs=1e-4)


def test_a_budget_buys_samples(run) -> None:
    data = answer(run, *LLAMA, "--budget", "6.656e14,0.0333 USD,1", *LEVI)
    flop, usd, nothing = data["budgets"]
    assert (flop["unit"], flop["samples"]) == ("FLOP", 103.0)  # 100 tokens read, 400 each
    assert flop["accuracy"] == pytest.approx(0.8, abs=2e-3)
    assert (usd["unit"], usd["samples"]) == ("USD", 104.0)
    assert (nothing["samples"], nothing["accuracy"]) == (0.0, 0.0)
    judged = answer(run, *LLAMA, "--budget", "1e14", *LEVI, "--verifier", "tpr=1,parameters=8B")
    oracle, given = judged["budgets"]
    assert oracle["samples"] == (1e14 / 16e9 - 100) // 400
    assert given["samples"] == (1e14 - 16e9 * 100) // (16e9 * 400 + 16e9 * 500)
    table = run(*LLAMA, "--budget", "1e14", *LEVI).stdout
    assert "What a budget for one question reaches" in table


def test_a_judge_is_charged(run) -> None:
    population = ("--alpha", "1", "--beta", "1", "--target", "0.6")
    sizes = ("--parameters", "1e9", "--output-tokens", "10", "--prompt-tokens", "5")
    arguments = ("coverage", *population, *sizes)
    data = answer(run, *arguments, "--verifier", "discrimination=5,parameters=2e9")
    oracle, judged = data["targets"]
    assert oracle["samples"] == judged["samples"] == 2.0
    assert oracle["flop"] == 2 * 2e9 * 15
    assert judged["flop"] == 2 * (2e9 + 4e9) * 15


def test_counts_of_a_file_and_of_standard_input(run, tmp_path: Path) -> None:
    text = "problem,samples,correct\na,10,0\nb,10,5\nc,10,10\n"
    (tmp_path / "counts.csv").write_text(text)
    arguments = ("--target", "0.6,0.9", "--wrong-answers", "1")
    data = answer(run, "coverage", "--counts", "counts.csv", *arguments)
    rows = {(row["rule"], row["target"]): row for row in data["targets"]}
    # 1 - C(5, 4) / C(10, 4) = 1 - 5 / 210 of the second problem
    assert rows["coverage", 0.6]["samples"] == 3.0
    assert rows["coverage", 0.9]["samples"] is None
    assert "more samples than were measured" in rows["coverage", 0.9]["note"]
    plateaus = {row["rule"]: row["accuracy"] for row in data["plateaus"]}
    # of a problem that is solved half of the time every other vote is lost
    assert plateaus["majority_vote"] == pytest.approx(0.5)
    assert [row["samples"] for row in data["curve"]] == [1, 3, 10]
    piped = run("coverage", "--counts", "-", *arguments, "-f", "json", stdin=text)
    assert json.loads(piped.stdout) == data


def test_measured_counts_vote_as_digitised(run, tmp_path: Path, shared) -> None:
    """Llama-3-8B-Instruct on MATH: 51 of 128 problems, the plateau of DS3 Fig. 10."""
    with shared("data/success_counts.csv").open() as file:
        rows = [
            (row["n_samples"], row["n_correct"])
            for row in csv.DictReader(file)
            if (row["model"], row["benchmark"]) == ("Llama-3-8B-Instruct", "MATH")
        ]
    lines = ["samples,correct", *(",".join(row) for row in rows)]
    (tmp_path / "counts.csv").write_text("\n".join(lines))
    data = answer(
        run, "coverage", "--counts", "counts.csv", "--wrong-answers", "count=9,decay=0.752"
    )
    plateaus = {row["rule"]: row["accuracy"] for row in data["plateaus"]}
    assert plateaus["majority_vote"] == pytest.approx(51 / 128)


def test_every_format(run) -> None:
    arguments = (*LLAMA, "--target", "0.5,1", "--wrong-answers", "0.5,0.3,0.2", *LEVI)
    table = run(*arguments)
    assert (table.returncode, table.stderr) == (0, "")
    assert "With ever more samples" in table.stdout
    assert "6.40e13" not in table.stdout.split("Samples for a target")[0]
    rows = list(csv.DictReader(io.StringIO(run(*arguments, "-f", "csv").stdout)))
    assert [row["target"] for row in rows] == ["0.5", "0.5", "1.0", "1.0"]
    assert rows[0]["samples"] == "6"
    assert yaml.safe_load(run(*arguments, "-f", "yaml").stdout)["targets"][0]["samples"] == 6.0
    assert run(*arguments, "-f", "markdown").stdout.startswith("## Repeated samples")
    without = run(*LLAMA, "-f", "csv").stdout.splitlines()
    assert without[0].startswith("samples,coverage")


def test_beyond_everything_is_no(run) -> None:
    done = run(
        "coverage", "--alpha", "1", "--beta", "2", "--solvable", "60%", "--target", "0.6,0.7"
    )
    assert (done.returncode, done.stderr) == (3, "")
    assert "60 % of problems can be solved at all" in done.stdout
    assert "reached by endless samples only" in done.stdout


def test_numbers_beyond_doubles_are_told_by_their_logarithm(run) -> None:
    data = answer(run, "coverage", "--alpha", "1e-4", "--beta", "1", "--target", "0.9")
    (row,) = data["targets"]
    assert row["samples"] is None
    assert row["log10_samples"] == pytest.approx(1e4, rel=1e-3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", "which population?"),
        ("--alpha 1", "which population?"),
        ("--alpha 0 --beta 1", "--alpha:1:1: must be above 0 and at most 1e9"),
        ("--alpha nan --beta 1", "--alpha:1:1"),
        ("--alpha 1 --beta 1 --solvable 1.2", "--solvable:1:1: must be from 0 to 1"),
        ("--alpha 1 --beta 1 --solvable 0", "--solvable:1:1: must be above 0 and at most 1"),
        ("--alpha 1 --beta 1 --target 1.2", "--target:1:1: must be from 0 to 1"),
        ("--alpha 1 --beta 1 --target half", "--target:1:1"),
        ("--alpha 1 --beta 1 --samples 0", "must be a whole number from 1 up"),
        ("--alpha 1 --beta 1 --samples 2.5", "must be a whole number from 1 up"),
        ("--alpha 1 --beta 1 --parameters 8B --target 0.5", "need --output-tokens"),
        ("--alpha 1 --beta 1 --output-tokens 9 --input-price 1e-6", "goes with --output-price"),
        ("--alpha 1 --beta 1 --output-tokens 0", "must be above 0"),
        ("--alpha 1 --beta 1 --wrong-answers 0.6,0.6", "shares sum to 1.2; at most 1"),
        ("--alpha 1 --beta 1 --wrong-answers decay=0.5", "count is missing"),
        ("--alpha 1 --beta 1 --wrong-answers count=9,dekay=1", "did you mean decay?"),
        ("--alpha 1 --beta 1 --wrong-answers count=1.5", "integer"),
        ("--alpha 1 --beta 1 --wrong-answers count=9,count=8", "given twice"),
        ("--alpha 1 --beta 1 --weight-ratio 2", "needs to know what else is voted for"),
        ("--alpha 1 --beta 1 --wrong-answers 1 --weight-ratio 0", "must be above 0"),
        ("--alpha 1 --beta 1 --verifier tpr=0.2,fpr=0.4", "0 <= fpr <= tpr <= 1"),
        ("--alpha 1 --beta 1 --verifier tpr=0.2,discrimination=1", "either discrimination, or"),
        ("--alpha 1 --beta 1 --verifier parameters=8B", "says nothing of how well it judges"),
        ("--alpha 1 --beta 1 --verifier tpr", "tpr has no value"),
        ("--alpha 1 --beta 1 --budget 1e14", "needs --output-tokens and --parameters"),
        (
            "--alpha 1 --beta 1 --budget 1USD --output-tokens 9",
            "needs --output-tokens and --output",
        ),
        ("--counts missing.csv", "there is no file"),
        ("--counts missing.csv --alpha 1", "give one of --counts, --population, or --alpha"),
        ("--counts empty.csv", "has no column 'samples'"),
        ("--counts header.csv", "has a header but no problem"),
        ("--counts wrong.csv", "wrong.csv:3: 4 of 3 samples cannot be correct"),
        ("--counts wrong.csv", "wrong.csv:4: samples and correct are whole numbers"),
        ("--counts wrong.csv", "wrong.csv:5: samples must be at least 1"),
    ],
)
def test_mistakes_are_named(run, tmp_path: Path, arguments: str, words: str) -> None:
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "header.csv").write_text("samples,correct\n")
    (tmp_path / "wrong.csv").write_text("samples,correct\n3,3\n3,4\n2,x\n0,0\n")
    done = run("coverage", *arguments.split())
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
