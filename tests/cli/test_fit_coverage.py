"""``ds3opt fit coverage``: counts good and bad, the law file, and what names it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
import yaml

SERVED = """\
workload: {tasks: 1e6, mix: [{name: a, share: 1, difficulty: 2.4, skills: 3}]}
model:
  train: false
  candidates:
    - name: Old
      shape: llama-3.1-8b
      measured: {a: {population: ours.yaml, output_tokens: 300}}
hardware:
  inference: {accelerator: h100-sxm}
limits: {cost: 1 kUSD}
"""


def lines(seed: int = 0, model: str = "small", problems: int = 60) -> list[str]:
    generator = np.random.default_rng(seed)
    right = generator.binomial(100, generator.beta(0.5, 1.5, problems))
    return [f"{model},p{i},100,{c}" for i, c in enumerate(right)]


@pytest.fixture
def counts(tmp_path: Path) -> Path:
    path = tmp_path / "counts.csv"
    path.write_text("\n".join(["model,problem,n,c", *lines()]) + "\n")
    return path


def test_a_population_from_counts(run, counts) -> None:
    done = run("fit", "coverage", "counts.csv", "--bootstrap", "100")
    assert (done.returncode, done.stderr) == (0, "")
    assert "fitted to 60 problems of counts.csv" in " ".join(done.stdout.split())
    for words in ("alpha", "profile", "likelihood ratio", "measured", "90.00 %", "resamples"):
        assert words in done.stdout


def test_every_format_says_the_same(said, counts) -> None:
    usual = ("fit", "coverage", "counts.csv", "--bootstrap", "30", "--samples", "1,50,100")
    found = json.loads(said(*usual, "-f", "json")[1])
    assert found == yaml.safe_load(said(*usual, "-f", "yaml")[1])
    rows = {
        row["constant"]: float(row["value"])
        for row in csv.DictReader(io.StringIO(said(*usual, "-f", "csv")[1]))
    }
    assert rows == found["values"]
    assert [one["samples"] for one in found["curve"]] == [1, 50, 100]
    assert all(one["low"] <= one["fitted"] <= one["high"] for one in found["curve"])
    assert "| alpha |" in said(*usual, "-f", "markdown")[1]


def test_a_law_file_serves_scenarios_and_commands(said, counts, tmp_path) -> None:
    assert said("fit", "coverage", "counts.csv", "-o", "ours.yaml", "--bootstrap", "30")[0] == 0
    alpha = yaml.safe_load((tmp_path / "ours.yaml").read_text())["values"]["alpha"]
    asked = said("coverage", "--population", "ours.yaml", "--target", "0.8", "-f", "json")
    assert asked[0] == 0
    code, out, _ = said("laws", "show", "ours.yaml")
    assert code == 0
    assert "beta" in out
    assert f"{alpha:.3g}" in out
    (tmp_path / "s.yaml").write_text(SERVED)
    code, out, err = said("solve", "s.yaml", "-f", "json")
    assert code == 0, err
    in_place = SERVED.replace("population: ours.yaml", f"population: {values(tmp_path)}")
    (tmp_path / "t.yaml").write_text(in_place)
    again = said("solve", "t.yaml", "-f", "json")[1]
    assert json.loads(out)["allocation"] == json.loads(again)["allocation"]


def values(folder: Path) -> str:
    return json.dumps(yaml.safe_load((folder / "ours.yaml").read_text())["values"])


def test_same_seed_same_bytes(said, counts) -> None:
    usual = ("fit", "coverage", "counts.csv", "--bootstrap", "20", "-o", "-")
    assert said(*usual)[1] == said(*usual)[1] != said(*usual, "--seed", "1")[1]


def test_models_are_not_mixed(said, tmp_path) -> None:
    text = "\n".join(["model,problem,n,c", *lines(), *lines(1, "large")]) + "\n"
    (tmp_path / "counts.csv").write_text(text)
    code, _, err = said("fit", "coverage", "counts.csv")
    assert code == 2
    assert "counts.csv:62:1: model: 2 models are mixed" in err
    assert "--model" in err
    assert said("fit", "coverage", "counts.csv", "--model", "large", "--bootstrap", "0")[0] == 0
    assert "did you mean large?" in said("fit", "coverage", "counts.csv", "--model", "larg")[2]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("n,c\n10,3\n10,11\n10,2\n10,4\n", "bad.csv:3:1: 11 of 10 samples cannot be correct"),
        ("n,c\n10,3\n10,1.5\n", "bad.csv:3:4: c: is no whole number"),
        ("n,c\n10,3\n10,x\n", "bad.csv:3:4"),
        ("n,c\n10,0\n10,0\n10,0\n10,0\n", "none solved"),
        ("n,c\n10,10\n10,10\n10,10\n10,10\n", "all solved"),
        ("n,c\n1,0\n1,1\n1,1\n1,0\n", "tried once"),
        ("n,c\n10,3\n10,1\n", "2 problems are too few"),
        ("id,n,c\na,10,3\nb,9,1\na,10,2\n", "problem a stands twice (bad.csv:2, 4)"),
        ("n,right\n10,3\n", "there is no column correct"),
        ("n,c\n", "there is a header but no row"),
    ],
)
def test_bad_tables(said, tmp_path, text, told) -> None:
    (tmp_path / "bad.csv").write_text(text)
    code, out, err = said("fit", "coverage", "bad.csv")
    assert (code, out) == (2, "")
    assert told in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--target", "2"), "--target 2"),
        (("--samples", "1.5"), "--samples 1.5"),
        (("--column", "tokens=x"), "no such column"),
        (("--benchmark", "MATH"), "there is no column benchmark"),
        (("--drop", "99"), "line 99"),
    ],
)
def test_bad_options(said, counts, options, told) -> None:
    code, out, err = said("fit", "coverage", "counts.csv", *options)
    assert (code, out) == (2, "")
    assert told in err


def test_a_population_is_not_mistaken(said, counts, tmp_path) -> None:
    said("fit", "coverage", "counts.csv", "-o", "ours.yaml", "--bootstrap", "0")
    code, _, err = said("coverage", "--population", "ours.yaml", "--alpha", "1")
    assert code == 2
    assert "give one of" in err
    (tmp_path / "s.yaml").write_text(
        "workload: {served_tokens: 1 T}\nmodel: {loss_law: ours.yaml}\n"
        "objective: {minimise: total_flop, loss: 2.1}\n"
    )
    code, _, err = said("solve", "s.yaml")
    assert code == 2
    assert "ours.yaml holds a population of problems, a loss law is expected" in err


def sample_lines(problems: int = 40, tries: int = 30) -> str:
    generator = np.random.default_rng(3)
    psi = generator.beta(0.6, 1.2, problems)
    records = [
        {"problem": f"p{i}", "correct": int(generator.random() < p), "answer": "4", "tokens": 9}
        for i, p in enumerate(psi)
        for _ in range(tries)
    ]
    return "".join(json.dumps(one) + "\n" for one in records)


def test_samples_and_their_counts_give_the_same(said, run, tmp_path) -> None:
    text = sample_lines()
    (tmp_path / "s.jsonl").write_text(text)
    tally: dict[str, list[int]] = {}
    for line in text.splitlines():
        one = json.loads(line)
        held = tally.setdefault(one["problem"], [0, 0])
        held[0] += 1
        held[1] += one["correct"]
    rows = [f"{k},{n},{c}" for k, (n, c) in tally.items()]
    (tmp_path / "c.csv").write_text("\n".join(["problem,n,c", *rows]) + "\n")
    usual = ("--bootstrap", "20", "-f", "json")
    logged = json.loads(said("fit", "coverage", "s.jsonl", *usual)[1])
    counted = json.loads(said("fit", "coverage", "c.csv", *usual)[1])
    assert logged["values"] == counted["values"]
    assert logged["intervals"] == counted["intervals"]
    assert logged["diagnostics"]["mean_output_tokens"] == 9
    assert logged["data"]["rows"] == 1200
    piped = run("fit", "coverage", "-", "--bootstrap", "0", "-f", "json", stdin=text)
    assert json.loads(piped.stdout)["values"] == counted["values"]


def test_a_log_with_broken_lines(said, tmp_path) -> None:
    (tmp_path / "s.jsonl").write_text(sample_lines() + '{"problem": \n')
    code, out, err = said("fit", "coverage", "s.jsonl")
    assert (code, out) == (2, "")
    assert "s.jsonl:1201:1: not JSON" in err
    assert "--skip-corrupt" in err
    code, out, _ = said("fit", "coverage", "s.jsonl", "--skip-corrupt", "--bootstrap", "0")
    assert code == 0
    assert "1 record was left out" in out
    assert "--drop is for tables" in said("fit", "coverage", "s.jsonl", "--drop", "3")[2]


def test_a_curve(said, tmp_path) -> None:
    rows = [f"{k},{1 - 1 / (k + 1):.6f}" for k in (1, 2, 5, 10, 30, 100)]
    (tmp_path / "curve.csv").write_text("\n".join(["k,pass_at_k", *rows]) + "\n")
    code, out, _ = said("fit", "coverage", "curve.csv", "-f", "json")
    found = json.loads(out)
    assert code == 0
    assert found["values"] == pytest.approx({"alpha": 1, "beta": 1, "solvable": 1}, rel=1e-4)
    assert (found["intervals"], found["standard_errors"]) == ({}, {})
    assert [one["code"] for one in found["warnings"]] == ["no_interval"]
    assert "no interval follows from a curve" in said("fit", "coverage", "curve.csv")[1]
    assert "are for logs" in said("fit", "coverage", "curve.csv", "--metric", "x")[2]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("k,pass_at_k\n1,0.1\n1,0.2\n3,0.4\n5,0.6\n", "c.csv:2:1: k = 1 stands twice (c.csv:2, 3)"),
        ("k,pass_at_k\n1,0.5\n2,0.6\n3,0.5\n5,0.6\n", "coverage falls with more samples"),
        ("k,pass_at_k\n1,0.5\n2,0.6\n3,0.7\n", "3 points are too few for 3 constants"),
        ("k,pass_at_k\n1,1\n2,1\n3,1\n4,1\n", "all solved"),
        ("k,pass_at_k\n1,1.5\n2,1\n3,1\n4,1\n", "c.csv:2:3"),
    ],
)
def test_bad_curves(said, tmp_path, text, told) -> None:
    (tmp_path / "c.csv").write_text(text)
    code, out, err = said("fit", "coverage", "c.csv")
    assert (code, out) == (2, "")
    assert told in err


def test_rows_are_chosen(said, tmp_path) -> None:
    rows = [f"coverage,{k},{1 - 1 / (k + 1):.6f}" for k in (1, 2, 5, 10, 30, 100)]
    rows += [f"vote,{k},0.4" for k in (1, 2, 5)]
    (tmp_path / "c.csv").write_text("\n".join(["metric,k,value", *rows]) + "\n")
    usual = ("fit", "coverage", "c.csv", "-f", "json")
    assert "--where metric=coverage" in said(*usual)[2]
    assert said(*usual, "--where", "metric=coverage")[0] == 0
    assert "there are coverage, vote" in said(*usual, "--where", "metric=cover")[2]
    assert "did you mean metric?" in said(*usual, "--where", "metrik=vote")[2]


def test_published_curves(shared, said) -> None:
    """Least squares by another program, on the same digitised figure."""
    path = str(shared("data/selection_curves_digitised.csv"))
    usual = ("fit", "coverage", path, "--where", "metric=coverage", "--benchmark", "MATH")
    small = json.loads(said(*usual, "--model", "Llama-3-8B-Instruct", "-f", "json")[1])
    large = json.loads(said(*usual, "--model", "Llama-3-70B-Instruct", "-f", "json")[1])
    assert list(small["values"].values()) == pytest.approx([0.3205, 0.981, 1.0], abs=5e-4)
    assert list(large["values"].values()) == pytest.approx([0.405, 0.508, 0.973], abs=5e-4)
