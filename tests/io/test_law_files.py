"""Law files: written, read again, named by scenarios, refused at their place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from ds3opt.errors import Ds3optError, ScenarioError
from ds3opt.io.law_files import draws_text, law_file_text, load_law_file
from ds3opt.io.loader import load_scenario
from ds3opt.problem import compile_problem
from ds3opt.schema.fitted import parsed_draws
from ds3opt.schema.law_file import CapabilityFile, LossLawFile

DATA = {"file": "runs.csv", "sha256": "ab" * 32, "rows": 40, "left_out": 2}
VALUES = {
    "irreducible": 1.8,
    "parameter_coefficient": 480.0,
    "data_coefficient": 2100.0,
    "parameter_exponent": 0.35,
    "data_exponent": 0.37,
}
LOSS: dict[str, Any] = {
    "kind": "loss_law",
    "name": "ours",
    "data": DATA,
    "values": VALUES,
    "standard_errors": {"irreducible": 0.1},
    "intervals": {"irreducible": [1.7, 1.9]},
    "fitted_range": {
        "parameters": [1e7, 1e9],
        "training_tokens": [1e9, 1e11],
        "tokens_per_parameter": [5, 200],
        "loss": [2.0, 3.5],
    },
    "diagnostics": {"huber_sum": 0.001},
    "draws": draws_text(list(VALUES), np.array([[1.8, 480, 2100, 0.35, 0.37], [2, 3, 4, 5, 6]])),
}
SIGMOID = {"difficulty": 2.3, "slope": 4.0, "scale": 0.8, "offset": 0.1}
MAPS: dict[str, Any] = {
    "kind": "capability",
    "name": "skills",
    "data": DATA,
    "tasks": {
        "code": {"form": "sigmoid", "values": SIGMOID, "fitted_range": {"loss": [2.0, 3.0]}},
        "chat": {
            "form": "exponential",
            "values": {"floor": 0.1, "coefficient": 2.0, "rate": 0.7},
        },
    },
}
SCENARIO = """\
workload: {tasks: 1e9, mix: [{name: a, share: 1, difficulty: DIFFICULTY, skills: 1}]}
model: {loss_law: LAW, capability: CAPABILITY}
limits: {total_flop: 1e20}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    loss = law_file_text(LossLawFile.model_validate(LOSS), "ds3opt fit loss")
    maps = law_file_text(CapabilityFile.model_validate(MAPS), "ds3opt fit accuracy")
    (tmp_path / "ours.yaml").write_text(loss, encoding="utf-8")
    (tmp_path / "maps.yaml").write_text(maps, encoding="utf-8")
    return tmp_path


def scenario(folder: Path, law: str = "ours.yaml", capability: str = "maps.yaml#code", **more: str):
    text = SCENARIO.replace("LAW", law).replace("CAPABILITY", capability)
    (folder / "s.yaml").write_text(text.replace("DIFFICULTY", more.get("difficulty", "2.4")))
    return load_scenario(str(folder / "s.yaml")).scenario


def refusal(folder: Path, **named: str):
    with pytest.raises(Ds3optError) as caught:
        scenario(folder, **named)
    (problem,) = caught.value.problems
    return problem


def test_what_is_written_is_read_again(folder: Path):
    assert load_law_file(folder / "ours.yaml") == LossLawFile.model_validate(LOSS)
    assert load_law_file(folder / "maps.yaml") == CapabilityFile.model_validate(MAPS)
    plain = yaml.safe_load((folder / "ours.yaml").read_text(encoding="utf-8"))
    assert list(plain)[:4] == ["kind", "version", "name", "data"]
    assert plain["draws"].count("\n") == 3


def test_draws_keep_nine_digits():
    draws = np.random.default_rng(0).lognormal(3, 4, (50, 2))
    names, read = parsed_draws(draws_text(["a", "b"], draws))
    assert names == ("a", "b")
    assert read == pytest.approx(draws, rel=5e-9)
    assert draws_text(["a"], np.empty((0, 1))) == ""


def test_a_scenario_takes_a_law_with_its_range_and_draws(folder: Path):
    problem = compile_problem(scenario(folder, difficulty="maps.yaml#code"))
    law = problem.space.law
    assert (problem.space.law_name, law.data_exponent) == ("ours", 0.37)
    assert law.fitted_range.parameters == (1e7, 1e9)
    assert "runs.csv" in law.source
    assert (problem.capability_slope, problem.capability_offset) == (4.0, 0.1)
    assert problem.capability_loss == (2.0, 3.0)
    assert problem.tasks.difficulty.tolist() == [2.3]
    assert scenario(folder).model.loss_law.draws == LOSS["draws"]


def test_repetition_of_a_file_serves_unique_tokens(folder: Path):
    values = {**VALUES, "data_decay": 9.0, "parameter_decay": 5.0}
    found = LossLawFile.model_validate({**LOSS, "values": values, "draws": ""})
    (folder / "again.yaml").write_text(law_file_text(found, "x"))
    text = SCENARIO.replace("LAW", "again.yaml, training_tokens: {unique: 1 B}")
    text = text.replace("CAPABILITY", "{slope: 5}").replace("DIFFICULTY", "2.4")
    (folder / "u.yaml").write_text(text)
    problem = compile_problem(load_scenario(str(folder / "u.yaml")).scenario)
    assert problem.space.law.repetition.data_decay == 9.0
    (folder / "u.yaml").write_text(text.replace("again.yaml", "ours.yaml"))
    with pytest.raises(ScenarioError, match="what repeated tokens are worth"):
        load_scenario(str(folder / "u.yaml"))


def test_names_that_nothing_answers_to(folder: Path):
    problem = refusal(folder, law="our.yaml")
    assert (problem.path, problem.location.line, problem.location.column) == (
        "model.loss_law",
        2,
        19,
    )
    assert "ours.yaml" in problem.hint
    assert "holds maps from loss to scores" in refusal(folder, law="maps.yaml").message
    assert "holds a loss law" in refusal(folder, capability="ours.yaml").message
    assert "has 2 tasks" in refusal(folder, capability="maps.yaml").message
    assert refusal(folder, capability="maps.yaml#cod").hint == "write for example maps.yaml#code"
    assert "is exponential" in refusal(folder, capability="maps.yaml#chat").message
    problem = refusal(folder, difficulty="maps.yaml#x")
    assert problem.path == "workload.mix[0].difficulty"
    assert "is no capability" in refusal(folder, capability="steep").message


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("irreducible: 1.8", "irreducible: -1", "at least 0"),
        ("kind: loss_law", "kind: lawn", "not a law file"),
        ("  data_exponent: 0.37\n", "", "lacks data_exponent"),
        ("data_exponent: 0.37", "data_exponent: steep", "is not a plain number"),
        ("1.8 480 2100 0.35 0.37", "1.8 480 2100 0.35", "draw 1 has 4 numbers for 5 constants"),
        ("1.8 480 2100 0.35 0.37", "1.8 480 2100 0.35 x", "draws are numbers"),
        ("irreducible parameter_coefficient data", "irreducible data_x data", "lacks data_x"),
        ("rows: 40", "rows: forty", "rows"),
        ("fitted_range:", "fited_range:", "fited_range"),
    ],
)
def test_a_broken_file_is_told_at_its_own_place(folder: Path, old: str, new: str, message: str):
    text = (folder / "ours.yaml").read_text()
    assert old in text
    (folder / "ours.yaml").write_text(text.replace(old, new))
    problem = refusal(folder)
    assert problem.location.source.endswith("ours.yaml")
    assert message in f"{problem.path}: {problem.message}"
    assert "Traceback" not in problem.message
