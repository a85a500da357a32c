"""What each command answers."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from pydantic import ValidationError

from ds3opt.cli.check import read_result
from ds3opt.cli.new import TEMPLATE
from ds3opt.cli.schema import scenario_schema
from ds3opt.errors import UsageError
from ds3opt.io.loader import catalogue, load_scenario
from ds3opt.schema import Scenario, accelerator, calibration, model_shape


def test_solve_answers_in_json(result: str) -> None:
    data = json.loads(result)
    assert data["status"] == "optimal"
    assert {task["name"] for task in data["allocation"]["tasks"]} == {"short", "long"}
    assert data["outcome"]["total_flop"] <= 1e20 * (1 + 1e-9)
    assert [b["name"] for b in data["baselines"]] == [
        "training_optimal_ratio",
        "tokens_per_parameter_20",
    ]
    assert len(data["provenance"]["scenario_sha256"]) == 64


@pytest.mark.parametrize("form", ["csv", "yaml", "markdown"])
def test_solve_answers_in_every_format(run, scenario, form: str) -> None:
    done = run("solve", "small.yaml", "-f", form, "--no-frontier", "-v")
    assert (done.returncode, done.stderr) == (0, "")
    if form == "yaml":
        assert yaml.safe_load(done.stdout)["status"] == "optimal"
    elif form == "csv":
        assert next(csv.DictReader(io.StringIO(done.stdout)))["status"] == "optimal"
    else:
        assert done.stdout.startswith("## Small")


def test_pareto_over_a_limit_grows_with_the_limit(run, scenario) -> None:
    done = run("pareto", "small.yaml", "--vary", "limits.total_flop=1e19:1e20:3", "-f", "json")
    assert (done.returncode, done.stderr) == (0, "")
    data = json.loads(done.stdout)
    assert data["over"] == "total_flop"
    assert [row["total_flop"] for row in data["frontier"]] == pytest.approx([1e19, 10**19.5, 1e20])
    accuracies = [row["accuracy"] for row in data["frontier"]]
    assert accuracies == sorted(accuracies)


def test_pareto_over_any_key_solves_again(run, scenario) -> None:
    done = run("pareto", "small.yaml", "--vary", "workload.mix.long.skills=2,16", "-f", "csv")
    assert (done.returncode, done.stderr) == (0, "")
    few, many = csv.DictReader(io.StringIO(done.stdout))
    assert float(few["workload.mix.long.skills"]) == 2
    assert float(few["accuracy"]) > float(many["accuracy"])


def test_pareto_over_an_unknown_key_is_placed_at_its_option(run, scenario) -> None:
    done = run("pareto", "small.yaml", "--vary", "limits.total_flops=1e19:1e20:3")
    assert done.returncode == 2
    assert "--vary" in done.stderr
    assert "--set" not in done.stderr


def test_evaluate_scores_no_better_than_the_optimum(run, scenario, result: str) -> None:
    arguments = ("--parameters", "100 M", "--training-tokens", "2e10")
    done = run("evaluate", "small.yaml", *arguments, "-f", "json")
    assert (done.returncode, done.stderr) == (0, "")
    data = json.loads(done.stdout)
    assert data["status"] == "evaluated"
    assert data["allocation"]["parameters"] == 1e8
    best = json.loads(result)["certificate"]["accuracy_upper"]
    assert data["outcome"]["accuracy"] <= best + 1e-12
    fixed = run(
        "evaluate", "small.yaml", *arguments, "-f", "json",
        "--policy", "long=best_of_n:4", "--token-budget", "long=4000",
    )  # fmt: skip
    rows = json.loads(fixed.stdout)["allocation"]["tasks"]
    tried = [row for row in rows if row["name"] == "long" and row["policy"]]
    assert all(row["policy"] == {"name": "best_of_n", "samples": 4} for row in tried)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--parameters", "big"), "--parameters"),
        (("--parameters", "-1"), "above 0"),
        (("--parameters", "1e9", "--training-tokens", "1 GWh"), "--training-tokens"),
        (("--parameters", "1e9", "--policy", "best_of_n:8"), "class=value"),
        (("--parameters", "1e9", "--policy", "a=x", "--policy", "a=y"), "given twice"),
        (("--parameters", "1e9", "--token-budget", "long=many"), "--token-budget"),
    ],
)
def test_evaluate_refuses_in_words(run, scenario, arguments, words: str) -> None:
    done = run("evaluate", "small.yaml", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_check_keeps_compares_and_reports_drift(run, scenario: Path) -> None:
    missing = run("check", "small.yaml")
    assert missing.returncode == 2
    assert "--update" in missing.stderr
    written = run("check", "small.yaml", "--update")
    assert (written.returncode, written.stderr) == (0, "")
    kept = scenario.with_name("small.expected.json")
    expected = json.loads(kept.read_text())
    assert set(expected["provenance"]) == {"loss_law", "loss_law_source"}
    expected["certificate"]["accuracy_lower"] += 0.01
    expected["certificate"]["accuracy_upper"] += 0.01
    kept.write_text(json.dumps(expected))
    drifted = run("check", "small.yaml", "-f", "json")
    assert drifted.returncode == 1
    (one,) = json.loads(drifted.stdout)["scenarios"]
    assert [drift["path"] for drift in one["drifts"]] == ["certificate.accuracy_lower"]
    github = run("check", "small.yaml", "-f", "github")
    assert github.returncode == 1
    assert github.stdout.startswith("::error file=small.yaml,line=1,col=1::certificate.accuracy")


def test_check_refuses_what_is_no_result(run, scenario: Path) -> None:
    scenario.with_name("small.expected.json").write_text("[]")
    done = run("check", "small.yaml")
    assert done.returncode == 2
    assert "not a result" in done.stderr


@pytest.mark.parametrize(
    "changes",
    [
        {"allocation": 5},
        {"allocation": {"tasks": [1]}},
        {"allocation": {"tasks": [{"name": ["a"]}]}},
        {"allocation": {"tasks": [{"name": "a", "share": "all", "policy": 3}]}},
        {"allocation": {"classes": [None]}},
        {"certificate": []},
        {"outcome": {"accuracy": {}}},
        {"limits": {}},
        {"resources": 5},
        {"resources": [{"total": []}]},
        {"training_plan": []},
        {"periods": {}},
        {"frontier": "x"},
        {"objective": ["accuracy"]},
    ],
)
def test_what_has_the_wrong_shape_is_no_result(changes: dict[str, object], result: str) -> None:
    assert read_result("r.json", result)["status"] == "optimal"
    with pytest.raises(UsageError, match="not a result"):
        read_result("r.json", json.dumps({**json.loads(result), **changes}))


def test_a_result_nested_without_end_is_refused() -> None:
    with pytest.raises(UsageError, match="nested"):
        read_result("r.json", "[" * 100_000)


def test_diff_of_a_result_and_its_scenario_is_the_same(run, scenario: Path, result: str) -> None:
    scenario.with_name("old.json").write_text(result)
    done = run("diff", "old.json", "small.yaml", "-f", "json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["same"] is True


def test_diff_shows_old_new_and_change(run, scenario: Path, result: str) -> None:
    data = json.loads(result)
    data["certificate"] = {"accuracy_lower": 0.1, "accuracy_upper": 0.1, "gap": 0.0}
    data["outcome"]["accuracy"] = 0.1
    scenario.with_name("old.json").write_text(result)
    scenario.with_name("new.json").write_text(json.dumps(data))
    done = run("diff", "old.json", "new.json")
    assert done.returncode == 1
    assert "10.00 %" in done.stdout
    assert "Beyond tolerance" in done.stdout


def test_laws_list_their_own_optimum(run) -> None:
    laws = json.loads(run("laws", "list", "-f", "json").stdout)["laws"]
    ratio = {law["name"]: law["compute_optimal"][1]["tokens_per_parameter"] for law in laws}
    assert ratio["besiroglu2024"] == pytest.approx(18.4, abs=0.1)
    assert ratio["hoffmann2022_rounded"] == pytest.approx(93, abs=0.5)
    shown = run("laws", "show", "muennighoff2023")
    assert "repetition" in shown.stdout
    wrong = run("laws", "show", "hofmann2022")
    assert wrong.returncode == 2
    assert "hoffmann2022" in wrong.stderr


def test_scenarios_are_listed_and_shown(run) -> None:
    listed = json.loads(run("scenarios", "list", "-f", "json").stdout)["scenarios"]
    assert [one["name"] for one in listed] == list(catalogue())
    for name, path in list(catalogue().items())[:1]:
        assert run("scenarios", "show", name).stdout == path.read_text()
    assert run("scenarios", "show", "nope").returncode == 2


def test_scenarios_are_listed_under_whole_titles(run) -> None:
    lines = run("scenarios", "list").stdout.splitlines()[1:]
    for line, (name, path) in zip(lines, catalogue().items(), strict=True):
        assert line.split(maxsplit=1) == [name, load_scenario(str(path)).scenario.name]
    records = list(csv.DictReader(io.StringIO(run("scenarios", "list", "-f", "csv").stdout)))
    described = {one["name"]: one["description"] for one in records}
    assert "et al. (2023)" in described["data_constrained"]


def test_schema_is_a_schema(run) -> None:
    schema = json.loads(run("schema").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


SHORT_FORMS = {
    "workload": {
        "tasks": "1e9",
        "mix": [{"name": "a", "share": 1, "difficulty": [2.3, 2.5], "skills": [3, 4]}],
    },
    "model": {
        "parameters": "7 B",
        "training_tokens": [1e9, "1 T"],
        "tokens_per_parameter": 20,
    },
    "reasoning": {
        "budgets": "shared",
        "token_budget": 500,
        "policies": ["chain_of_thought", {"best_of_n": {"samples": 4}}],
    },
    "limits": {"total_flop": "5 ZFLOP"},
}


def test_schema_accepts_what_ds3opt_accepts() -> None:
    validator = jsonschema.Draft202012Validator(scenario_schema())
    Scenario.model_validate(SHORT_FORMS)
    validator.validate(SHORT_FORMS)
    for path in [TEMPLATE, *catalogue().values()]:
        validator.validate(load_scenario(str(path)).source.data)


ON_HARDWARE = """
workload:
  tasks: 1e9
  horizon: 365 days
  mix: [{name: a, share: 1, difficulty: 2.3, skills: 3, value: 0.02 USD, max_latency: 30 s}]
model:
  shape: {list: [qwen3-8b, {name: qwen3-14b, dense_equivalent: 14 B}]}
  candidates:
    - {name: b, shape: {name: qwen3-32b, context_tokens: 40000}, loss: 1.9}
    - name: c
      shape:
        {parameters: 8 B, layers: 32, width: 4096, heads: 32, kv_heads: 8}
      measured: {a: {success_counts: counts.csv, output_tokens: 300}}
hardware:
  training: {accelerator: h100-sxm, calibration: h100}
  inference:
    accelerator: {name: h200-sxm, price_per_hour: 2.1 USD/h, board_power_watts: null}
    accelerators_per_replica: 8
limits: {cost: 1 MUSD}
objective: net_value
frontier: {over: cost, from: 100 kUSD, to: 1 MUSD, points: 2}
"""


def test_schema_accepts_the_short_forms_of_hardware(tmp_path: Path) -> None:
    (tmp_path / "counts.csv").write_text("samples,correct\n4,2\n4,1\n")
    (tmp_path / "s.yaml").write_text(ON_HARDWARE)
    scenario = load_scenario(str(tmp_path / "s.yaml")).scenario
    assert scenario.frontier is not None
    assert scenario.frontier.from_ == 1e5
    validator = jsonschema.Draft202012Validator(scenario_schema())
    data = yaml.safe_load(ON_HARDWARE)
    validator.validate(data)
    for wrong in ({"layers": 32}, {"nam": "qwen3-8b"}, 8):
        data["model"]["candidates"][0]["shape"] = wrong
        assert not validator.is_valid(data)


def test_schema_refuses_what_ds3opt_refuses() -> None:
    validator = jsonschema.Draft202012Validator(scenario_schema())
    for wrong in ({"parameters": [1, 2, 3]}, {"parameters": {"least": 1}}, {"size": 1}):
        with pytest.raises(ValidationError):
            Scenario.model_validate({**SHORT_FORMS, "model": wrong})
        assert not validator.is_valid({**SHORT_FORMS, "model": wrong})


def test_new_is_a_scenario_that_explains_every_key(run, tmp_path: Path) -> None:
    text = run("new").stdout
    assert text == TEMPLATE.read_text()
    loaded = load_scenario(str(TEMPLATE))
    assert loaded.scenario.frontier is not None
    assert {name for name in _keys(Scenario) if not re.search(rf"\b{name}\b", text)} == set()
    assert all(len(line) <= 100 for line in text.splitlines())
    assert run("new", "-o", "mine.yaml").returncode == 0
    assert (tmp_path / "mine.yaml").read_text() == text
    assert run("new", "--from", "nope").returncode == 2


def test_what_new_leaves_commented_out_is_a_scenario_too(tmp_path: Path) -> None:
    text = TEMPLATE.read_text()
    for first in ("# hardware:", "  # candidates:"):
        text = _uncommented(text, first)
    for limit in (
        "cost: 100 kUSD",
        "accelerator_hours: 50 k",
        "training_time: 30 days",
        "max_latency: 30 s",
    ):
        text, found = re.subn(rf"# ({limit})", r"\1", text)
        assert found == 1, limit
    (tmp_path / "all.yaml").write_text(text)
    scenario = load_scenario(str(tmp_path / "all.yaml")).scenario
    assert scenario.hardware is not None
    assert scenario.hardware.electricity.periods is not None
    assert len(scenario.model.candidates) == 2
    validator = jsonschema.Draft202012Validator(scenario_schema())
    validator.validate(yaml.safe_load(text))


def _uncommented(text: str, first: str) -> str:
    """The text without the comment sign before the block that starts with a line."""
    indent = first[: first.index("#")]
    before, found, rest = text.partition(f"\n{first}")
    assert found, first
    lines = (first + rest).splitlines()
    count = next(i for i, line in enumerate(lines) if not line.startswith(f"{indent}#"))
    block = [indent + line.removeprefix(f"{indent}# ") for line in lines[:count]]
    return "\n".join([before, *block, *lines[count:], ""])


@pytest.mark.slow
def test_new_is_a_scenario_that_solves(run) -> None:
    done = run("solve", "-", "-f", "json", stdin=TEMPLATE.read_text())
    assert (done.returncode, done.stderr) == (0, "")
    assert len(json.loads(done.stdout)["frontier"]) == 4


def _elsewhere() -> set[str]:
    """Parts of accelerators, shapes and calibrations, which are files of their own."""
    described = {
        name
        for module in (accelerator, calibration, model_shape)
        for name, part in vars(module).items()
        if isinstance(part, type) and part.__module__ == module.__name__
    }
    return {*described, "TrainableShape"}


def _keys(model: type) -> set[str]:
    """Every key that a scenario may have, through all its parts."""
    definitions = model.model_json_schema(by_alias=True)  # type: ignore[attr-defined]
    elsewhere = _elsewhere()
    assert {"Accelerator", "Calibration", "ModelShapeSpec"} <= elsewhere
    names = set(definitions["properties"]) | {"dense_equivalent"}
    for name, part in definitions["$defs"].items():
        if name not in elsewhere:
            names |= set(part.get("properties", {}))
    return names
