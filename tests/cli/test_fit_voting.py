"""``ds3opt fit voting``: logs, curves and plateaus, the law file, and what names it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from ds3opt.laws.voting import truncated_geometric_shares

SERVED = """\
workload:
  tasks: 1e6
  mix: [{name: a, share: 1, difficulty: 2, skills: 3, wrong_answers: split.yaml}]
model:
  train: false
  candidates:
    - name: Old
      shape: llama-3.1-8b
      measured:
        a: {population: {alpha: 0.6, beta: 1.0}, output_tokens: 300}
reasoning: {policies: [{majority_vote: {samples: 20}}]}
hardware:
  inference: {accelerator: h100-sxm}
limits: {cost: 1 kUSD}
"""
POPULATION = """\
kind: coverage
version: 1
name: ours
data: {file: c.csv, sha256: "%s", rows: 9}
values: {alpha: 0.6, beta: 1.0, solvable: 1.0}
""" % ("0" * 64)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    generator = np.random.default_rng(2)
    shares = truncated_geometric_shares(0.7, 9)
    rows = []
    for i, psi in enumerate(generator.beta(0.6, 1.0, 60)):
        for _ in range(24):
            right = bool(generator.random() < psi)
            answer = "gold" if right else f"w{generator.choice(9, p=shares)}"
            rows.append({"problem": f"p{i}", "correct": right, "answer": answer})
    path = tmp_path / "s.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


USUAL = ("--bootstrap", "40", "--samples", "3,10")


def test_answers(said, log) -> None:
    code, out, _ = said("fit", "voting", "s.jsonl", *USUAL)
    assert code == 0
    for words in ("decay", "goodness of fit", "right answer leads", "share, fitted", "measured"):
        assert words in out
    found = json.loads(said("fit", "voting", "s.jsonl", *USUAL, "-f", "json")[1])
    low, high = found["intervals"]["decay"]
    assert low < 0.7 < high
    assert found == yaml.safe_load(said("fit", "voting", "s.jsonl", *USUAL, "-f", "yaml")[1])


def test_a_law_file_serves_a_scenario(said, log, tmp_path) -> None:
    assert said("fit", "voting", "s.jsonl", *USUAL, "-o", "split.yaml")[0] == 0
    written = yaml.safe_load((tmp_path / "split.yaml").read_text())
    assert written["kind"] == "voting"
    assert written["draws"].startswith("decay top_share plateau\n")
    (tmp_path / "s.yaml").write_text(SERVED)
    code, out, err = said("solve", "s.yaml", "-f", "json")
    assert code == 0, err
    place = json.dumps({"count": 9, "decay": written["values"]["decay"]})
    (tmp_path / "t.yaml").write_text(SERVED.replace("split.yaml", place))
    again = said("solve", "t.yaml", "-f", "json")[1]
    assert json.loads(out)["allocation"] == json.loads(again)["allocation"]
    assert "top_share" in said("laws", "show", "split.yaml")[1]
    (tmp_path / "s.yaml").write_text(SERVED.replace("split.yaml", "split.txt"))
    assert "says nothing of wrong answers" in said("solve", "s.yaml")[2]


def test_a_plateau_and_a_curve(said, tmp_path) -> None:
    (tmp_path / "ours.yaml").write_text(POPULATION)
    usual = ("--population", "ours.yaml", "-f", "json", "--samples", "3,20,60")
    flat = json.loads(said("fit", "voting", "--plateau", "50%", *usual)[1])
    assert flat["values"]["plateau"] == 0.5
    assert flat["fixed"] == ["plateau"]
    rows = [f"{one['votes']:.0f},{one['fitted']:.9f}" for one in flat["votes"]]
    (tmp_path / "curve.csv").write_text("\n".join(["k,accuracy", *rows]) + "\n")
    curve = json.loads(said("fit", "voting", "curve.csv", *usual)[1])
    assert curve["values"]["decay"] == pytest.approx(flat["values"]["decay"], abs=1e-5)
    one = str(flat["votes"][1]["fitted"])
    single = json.loads(said("fit", "voting", "--plateau", one, "--votes", "20", *usual)[1])
    assert single["values"]["decay"] == pytest.approx(flat["values"]["decay"], abs=1e-5)
    (tmp_path / "counts.csv").write_text("samples,correct\n10,1\n10,5\n10,9\n10,3\n")
    counted = said("fit", "voting", "--plateau", "0.5", "--counts", "counts.csv", *USUAL)
    assert counted[0] == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "what was measured?"),
        (("s.jsonl", "--plateau", "0.5"), "what was measured?"),
        (("--plateau", "0.5"), "which problems are voted on?"),
        (("--plateau", "0.99", "--population", "ours.yaml"), "saturate between"),
        (("s.jsonl", "--votes", "5"), "--votes goes with --plateau"),
        (("bare.jsonl",), "the log has no answers"),
        (("few.jsonl",), "a problem has 2 samples"),
        (("right.jsonl",), "no wrong answer"),
        (("wrong.jsonl",), "none solved"),
        (("twice.csv", "--population", "ours.yaml"), "3 votes stand twice"),
        (("short.csv", "--population", "ours.yaml"), "more are needed"),
    ],
)
def test_bad_input(said, log, tmp_path, arguments, told) -> None:
    def put(name: str, tries: int, **sample: object) -> None:
        rows = [{"problem": p, **sample} for p in "abc" for _ in range(tries)]
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))

    (tmp_path / "ours.yaml").write_text(POPULATION)
    put("bare.jsonl", 4, correct=1)
    put("few.jsonl", 2, correct=0, answer="1")
    (tmp_path / "few.jsonl").write_text(
        (tmp_path / "few.jsonl").read_text().replace('"correct": 0', '"correct": 1', 1)
    )
    put("right.jsonl", 4, correct=1, answer="1")
    put("wrong.jsonl", 4, correct=0, answer="1")
    (tmp_path / "twice.csv").write_text("k,accuracy\n3,0.5\n3,0.6\n")
    (tmp_path / "short.csv").write_text("k,accuracy\n1,0.5\n2,0.5\n")
    code, out, err = said("fit", "voting", *arguments)
    assert (code, out) == (2, "")
    assert told in err


def test_doubts(said, tmp_path) -> None:
    rows = []
    for p in range(8):
        rows += [{"problem": p, "correct": i < 3, "answer": f"a{i}"} for i in range(5)]
        rows.append({"problem": p, "correct": False, "answer": "a0"})
    (tmp_path / "s.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = json.loads(said("fit", "voting", "s.jsonl", *USUAL, "-f", "json")[1])
    codes = {one["code"] for one in found["warnings"]}
    assert {"texts_differ", "verdicts_differ", "few_problems", "few_samples"} <= codes
