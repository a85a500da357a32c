"""``ds3opt fit verifier``: scores and verdicts, the law file, and what names it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

SERVED = """\
workload:
  tasks: 1e6
  mix: [{name: a, share: 1, difficulty: 2, skills: 3, verifier: judge.yaml}]
model:
  train: false
  candidates:
    - name: Old
      shape: llama-3.1-8b
      measured:
        a: {population: {alpha: 0.6, beta: 1.0}, output_tokens: 300}
reasoning: {policies: [{best_of_n: {samples: 8}}]}
hardware:
  inference: {accelerator: h100-sxm}
limits: {cost: 1 kUSD}
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    generator = np.random.default_rng(4)
    rows = []
    for i, psi in enumerate(generator.beta(0.6, 1.0, 60)):
        for _ in range(16):
            right = bool(generator.random() < psi)
            score = round(float(generator.normal(1.2 * right)), 4)
            verdict = int(generator.random() < (0.9 if right else 0.2))
            rows.append(
                {"problem": i, "correct": right, "score": score, "verdict": verdict, "tokens": 200}
            )
    path = tmp_path / "s.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


USUAL = ("--bootstrap", "50")


def test_scores(said, log) -> None:
    found = json.loads(said("fit", "verifier", "s.jsonl", *USUAL, "-f", "json")[1])
    low, high = found["intervals"]["discrimination"]
    assert low < 1.2 < high
    assert found["form"] == "scores"
    assert found == yaml.safe_load(said("fit", "verifier", "s.jsonl", *USUAL, "-f", "yaml")[1])
    code, out, _ = said("fit", "verifier", "s.jsonl", *USUAL, "--parameters", "7B")
    assert code == 0
    # 2 x 7e9 x 200
    assert "2.80e12 FLOP" in out
    for words in ("AUC", "goodness of fit", "never errs", "the scores, unless"):
        assert words in out


def test_verdicts(said, log) -> None:
    usual = ("fit", "verifier", "s.jsonl", "--column", "score=verdict", *USUAL, "-f", "json")
    found = json.loads(said(*usual)[1])
    assert (found["form"], found["threshold"]) == ("rates", 1.0)
    assert found["values"]["true_positive_rate"] == pytest.approx(0.9, abs=0.05)
    assert found["values"]["false_positive_rate"] == pytest.approx(0.2, abs=0.05)


def test_lower_scores_may_be_better(said, log, tmp_path) -> None:
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    turned = [{**row, "score": -row["score"]} for row in rows]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in turned))
    code, out, err = said("fit", "verifier", "t.jsonl", *USUAL)
    assert (code, out) == (2, "")
    assert "wrong samples score above right ones" in err
    assert "--lower-is-better" in err
    usual = (*USUAL, "-f", "json")
    same = json.loads(said("fit", "verifier", "s.jsonl", *usual)[1])
    found = json.loads(said("fit", "verifier", "t.jsonl", "--lower-is-better", *usual)[1])
    assert found["values"] == same["values"]
    assert found["threshold"] == -same["threshold"]


@pytest.mark.parametrize("form", ["", "#rates", "#scores"])
def test_a_law_file_serves_a_scenario(said, log, tmp_path, form) -> None:
    arguments = ("s.jsonl", *USUAL, "--parameters", "1B", "-o", "judge.yaml")
    assert said("fit", "verifier", *arguments)[0] == 0
    values = yaml.safe_load((tmp_path / "judge.yaml").read_text())["values"]
    names = ("true_positive_rate", "false_positive_rate") if form == "#rates" else None
    given = {"kind": "outcome", "parameters": 1e9}
    given |= {name: values[name] for name in names or ("discrimination",)}
    (tmp_path / "s.yaml").write_text(SERVED.replace("judge.yaml", f'"judge.yaml{form}"'))
    code, out, err = said("solve", "s.yaml", "-f", "json")
    assert code == 0, err
    (tmp_path / "t.yaml").write_text(SERVED.replace("judge.yaml", json.dumps(given)))
    again = said("solve", "t.yaml", "-f", "json")[1]
    assert json.loads(out)["allocation"] == json.loads(again)["allocation"]
    (tmp_path / "s.yaml").write_text(SERVED.replace("judge.yaml", '"judge.yaml#other"'))
    assert "write judge.yaml#rates or judge.yaml#scores" in said("solve", "s.yaml")[2]
    assert "discrimination" in said("laws", "show", "judge.yaml")[1]


@pytest.mark.parametrize(
    ("sample", "told"),
    [
        ({"correct": 1}, "the log has no scores"),
        ({"correct": 1, "score": 1}, "every scored sample is right"),
        ({"correct": 1, "score": "high"}, "'high' is no number"),
        ({"correct": 1, "score": float("nan")}, "'nan' is no number"),
    ],
)
def test_bad_input(said, tmp_path, sample, told) -> None:
    (tmp_path / "s.jsonl").write_text(json.dumps({"problem": 1, **sample}) + "\n")
    code, out, err = said("fit", "verifier", "s.jsonl")
    assert (code, out) == (2, "")
    assert told in err


def test_cost_needs_tokens(said, log, tmp_path) -> None:
    bare = log.read_text().replace(', "tokens": 200', "")
    (tmp_path / "b.jsonl").write_text(bare)
    assert "give --output-tokens" in said("fit", "verifier", "b.jsonl", "--parameters", "7B")[2]
    upside = said("fit", "verifier", "b.jsonl", "--threshold", "9")
    assert upside[0] == 2
    assert "0 % of the right ones" in upside[2]
