"""``ds3opt fit``: no log of samples, however odd, is a bug of ours."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ds3opt.cli.main import main

COMMANDS = ("coverage", "voting", "verifier")


def odd_log(seed: int) -> str:
    """Problems of any number, tries, rates, answers, scores and verdicts."""
    generator = np.random.default_rng(seed)
    lines = []
    for problem in range(int(generator.integers(1, 12))):
        rate = float(generator.choice([0.0, 0.01, 0.5, 1.0]))
        for _ in range(int(generator.integers(1, 9))):
            right = bool(generator.random() < rate)
            lines.append(
                {
                    "problem": problem,
                    "correct": generator.choice([right, int(right), "CI"[not right]]).item(),
                    "answer": generator.choice(["", "42", "A", "B", "C" * 300]).item(),
                    "score": float(generator.choice([0.0, 1.0, -1e300, 1e300, generator.normal()])),
                    "tokens": float(generator.choice([0.0, 1.0, 1e6])),
                }
            )
    broken = int(generator.integers(0, 3))
    return "".join(json.dumps(one) + "\n" for one in lines) + "{\n" * broken


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1), command=st.sampled_from(COMMANDS), skip=st.booleans())
def test_no_log_is_a_bug(tmp_path, capsys, seed, command, skip) -> None:
    """Fitted, or refused in words."""
    (tmp_path / "s.jsonl").write_text(odd_log(seed))
    path, law = str(tmp_path / "s.jsonl"), str(tmp_path / "law.yaml")
    options = ["--bootstrap", "5", "--debug"] + ["--skip-corrupt"] * skip
    options += ["--samples", "2,9"] * (command != "verifier")
    code = main(["fit", command, path, "-o", law, "--force", *options])
    assert code in {0, 2}, capsys.readouterr().err
    if code == 0:
        assert main(["laws", "show", law]) == 0
        assert main(["fit", command, path, "-f", "json", *options]) == 0
    capsys.readouterr()


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200), command=st.sampled_from((*COMMANDS, "directionality")))
def test_no_file_is_a_bug(tmp_path, capsys, content, command) -> None:
    """Refused in words."""
    (tmp_path / "x").write_bytes(content)
    assert main(["fit", command, str(tmp_path / "x"), "--debug"]) == 2
    capsys.readouterr()


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    "content",
    [
        b'{"version": 2, "eval": 5, "samples": [3, null, {"id": 1, "scores": 4}]}',
        b'{"date": "d", "eval": {"a": [1], "b": {"base": [["x"]]}}}',
        b'{"doc_id": 1, "resps": 5, "filtered_resps": {"a": 1}, "metrics": 3}\n',
        b'{"doc_id": null, "resps": [], "metrics": ["acc"], "acc": [1]}\n',
        b'[[1], {"problem": [1], "correct": {}}]',
        b"problem,correct\n" + b"x" * 200_000 + b",1\n",
    ],
)
def test_records_of_other_shapes(tmp_path, capsys, command, content) -> None:
    (tmp_path / "x").write_bytes(content)
    assert main(["fit", command, str(tmp_path / "x"), "--debug"]) == 2
    capsys.readouterr()
