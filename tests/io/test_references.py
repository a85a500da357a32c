"""What a scenario names: accelerators, calibrations, shapes and counts put in their places."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ds3opt.errors import ScenarioError, UsageError
from ds3opt.io.loader import load_scenario, validate
from ds3opt.io.references import with_references
from ds3opt.io.yaml_source import load_yaml

SERVED = """\
workload: {tasks: 1e6, mix: [{name: a, share: 1, difficulty: 2.4, skills: 3}]}
model:
  train: false
  candidates:
    - name: Old
      shape: llama-3.1-8b
      measured: {a: {success_counts: counts.csv, output_tokens: 300}}
hardware:
  inference: {accelerator: h100-sxm}
limits: {cost: 1 kUSD}
"""
COUNTS = [{"samples": 10, "correct": 3}, {"samples": 20, "correct": 0}]


def put(text: str, folder: Path) -> dict[str, Any]:
    return with_references(load_yaml(text, "s.yaml"), [folder])


def refusals(text: str, folder: Path) -> list[tuple[str, str, int, int]]:
    """Path, message, line and column of every problem."""
    with pytest.raises(ScenarioError) as caught:
        put(text, folder)
    found = []
    for problem in caught.value.problems:
        assert problem.location is not None
        place = problem.location
        found.append((problem.path, problem.message, place.line, place.column))
    return found


def one(text: str, folder: Path) -> tuple[str, str, int, int]:
    (found,) = refusals(text, folder)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "counts.csv").write_text("samples,correct\n10,3\n20,0\n", encoding="utf-8")
    return tmp_path


def test_names_become_figures(folder: Path) -> None:
    data = put(SERVED, folder)
    chip = data["hardware"]["inference"]["accelerator"]
    assert (chip["name"], chip["memory_bytes"]) == ("h100-sxm", 80e9)
    # the accelerator's own calibration, as nothing else is named
    assert data["hardware"]["inference"]["calibration"].name.startswith("NVIDIA H100")
    candidate = data["model"]["candidates"][0]
    assert candidate["shape"]["layers"] == 32
    assert candidate["measured"]["a"]["success_counts"] == COUNTS


def test_the_text_itself_stays_as_it_was(folder: Path) -> None:
    source = load_yaml(SERVED, "s.yaml")
    with_references(source, [folder])
    assert source.data["hardware"]["inference"]["accelerator"] == "h100-sxm"
    assert source.data["model"]["candidates"][0]["shape"] == "llama-3.1-8b"


def test_a_named_calibration_comes_before_the_accelerators_own(folder: Path) -> None:
    text = SERVED.replace("h100-sxm}", "h100-sxm, calibration: b200}")
    assert put(text, folder)["hardware"]["inference"]["calibration"].name.startswith("NVIDIA B200")
    text = SERVED.replace("h100-sxm}", "h100-sxm, calibration: null}")
    assert put(text, folder)["hardware"]["inference"]["calibration"] is None


def test_an_accelerator_in_place_has_the_default_calibration(folder: Path) -> None:
    chip = "{dense_flop_per_s: {bf16: 1e14}, memory_bytes: 8e10, bandwidth_bytes_per_s: 1e12}"
    text = SERVED.replace("accelerator: h100-sxm", f"accelerator: {chip}")
    assert put(text, folder)["hardware"]["inference"]["calibration"].name.startswith("Any")


def test_figures_replace_those_of_a_name(folder: Path) -> None:
    chip = "{name: h100-sxm, memory_bytes: 94 GB}"
    text = SERVED.replace("accelerator: h100-sxm", f"accelerator: {chip}")
    scenario = validate(load_yaml(text, "s.yaml"), [folder])
    assert scenario.hardware is not None
    assert scenario.hardware.inference is not None
    accelerator = scenario.hardware.inference.accelerator
    assert accelerator.memory_bytes == 94e9
    assert accelerator.bandwidth_bytes_per_s == 3.35e12


@pytest.mark.parametrize(
    ("old", "new", "path", "words", "place"),
    [
        ("h100-sxm", "h100-smx", "hardware.inference.accelerator",
         "no accelerator is named 'h100-smx'", (9, 28)),
        ("h100-sxm}", "h100-sxm, calibration: h10}", "hardware.inference.calibration",
         "no calibration is named 'h10'", (9, 51)),
        ("llama-3.1-8b", "llama-3.1-7b", "model.candidates[0].shape",
         "no model is named 'llama-3.1-7b'", (6, 14)),
        ("llama-3.1-8b", "{config: config.json}", "model.candidates[0].shape",
         "there is no file", (6, 14)),
        ("counts.csv", "other.csv", "model.candidates[0].measured.a.success_counts",
         "there is no file", (7, 38)),
        ("h100-sxm", "null", "hardware.inference.accelerator", "an accelerator is a name", (9, 28)),
        ("h100-sxm", "[h100-sxm]", "hardware.inference.accelerator", "an accelerator is a name",
         (9, 28)),
    ],
)  # fmt: skip
def test_a_name_that_nobody_answers_to(
    folder: Path, old: str, new: str, path: str, words: str, place: tuple[int, int]
) -> None:
    found = one(SERVED.replace(old, new), folder)
    assert found[0] == path
    assert words in found[1]
    assert found[2:] == place


def test_every_unknown_name_is_reported(folder: Path) -> None:
    text = SERVED.replace("h100-sxm", "h100-smx").replace("3.1-8b", "3.1-7b")
    text = text.replace("counts.csv", "none.csv")
    assert [path for path, *_ in refusals(text, folder)] == [
        "hardware.inference.accelerator",
        "model.candidates[0].shape",
        "model.candidates[0].measured.a.success_counts",
    ]


def test_listed_shapes_are_found_too(folder: Path) -> None:
    text = "model: {shape: {list: [qwen3-8b, qwen3-9b, {config: gone.json}]}}\n"
    assert [path for path, *_ in refusals(text, folder)] == [
        "model.shape.list[1]",
        "model.shape.list[2]",
    ]


def test_a_broken_sheet_keeps_its_own_place(folder: Path) -> None:
    (folder / "ours.yaml").write_text("name: Ours\ndense_flop_per_s: {}\n", encoding="utf-8")
    with pytest.raises(ScenarioError) as caught:
        put(SERVED.replace("h100-sxm", "ours"), folder)
    places = [problem.location for problem in caught.value.problems]
    assert places
    assert all(place is not None and place.source.endswith("ours.yaml") for place in places)


@pytest.mark.parametrize(
    "text",
    [
        "hardware: 3\n", "hardware: []\n", "hardware: {training: h100-sxm}\n",
        "hardware: {inference: {count: 3}}\n", "model: {candidates: 7}\n",
        "model: {candidates: [x, null]}\n", "model: {candidates: [{measured: [1]}]}\n",
        "model: {candidates: [{measured: {a: 3, b: null, c: {success_counts: 3}}}]}\n",
        "model: {shape: {list: {}}}\n", "model: {shape: []}\nhardware: null\n",
        "model: {shape: {list: null}, candidates: null}\n",
    ],
)  # fmt: skip
def test_what_has_another_form_is_left_to_the_schema(tmp_path: Path, text: str) -> None:
    assert put(text, tmp_path) == load_yaml(text, "s.yaml").data


# ------------------------------------------------------------------------------- counts


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "has no column 'samples'"),
        ("samples\n3\n", "has no column 'correct'"),
        ("tried,correct\n3,1\n", "has no column 'samples'"),
        ("samples,correct\n10,3\n10,three\n", "counts.csv:3: samples and correct are whole"),
        ("samples,correct\n10,2.5\n", "counts.csv:2: samples and correct are whole numbers"),
        ("samples,correct\n10\n", "counts.csv:2: samples and correct are whole numbers"),
        ("samples,correct\nnan,1\n", "counts.csv:2: samples and correct are whole numbers"),
        ("samples,correct\n,\n", "counts.csv:2: samples and correct are whole numbers"),
        ("samples;correct\n10;3\n", "has no column 'samples'"),
    ],
)
def test_a_broken_file_of_counts(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "counts.csv").write_text(content, encoding="utf-8")
    path, message, line, column = one(SERVED, tmp_path)
    assert path == "model.candidates[0].measured.a.success_counts"
    assert words in message
    assert (line, column) == (7, 38)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("samples,correct\n3,4\n", "4 of 3 samples cannot be correct"),
        ("samples,correct\n0,0\n", "must be at least 1"),
        ("samples,correct\n3,-1\n", "must be at least 0"),
        ("samples,correct\n", "success_counts is empty"),
        (f"samples,correct\n{'9' * 400},1\n", ""),
    ],
)
def test_counts_that_cannot_be(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "counts.csv").write_text(content, encoding="utf-8")
    with pytest.raises(ScenarioError) as caught:
        validate(load_yaml(SERVED, "s.yaml"), [tmp_path])
    (problem,) = caught.value.problems
    assert words in problem.message
    assert problem.path == "model.candidates[0].measured.a.success_counts"
    assert problem.location is not None
    assert problem.location.line == 7


def test_other_columns_and_a_mark_at_the_start_do_no_harm(tmp_path: Path) -> None:
    text = "\ufeffproblem,correct,samples\nfirst, 3 ,10\nsecond,0,20\n"
    (tmp_path / "counts.csv").write_text(text, encoding="utf-8")
    counts = put(SERVED, tmp_path)["model"]["candidates"][0]["measured"]["a"]["success_counts"]
    assert counts == COUNTS


def test_a_folder_or_other_bytes_are_no_counts(tmp_path: Path) -> None:
    (tmp_path / "counts.csv").write_bytes(b"samples,correct\n\xff\xfe\x00")
    with pytest.raises(ScenarioError):
        put(SERVED, tmp_path)
    (tmp_path / "counts.csv").unlink()
    (tmp_path / "counts.csv").mkdir()
    with pytest.raises(ScenarioError):
        put(SERVED, tmp_path)


# ------------------------------------------------------------------------------- folders


def test_the_scenarios_own_folder_is_searched_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, other, away = (tmp_path / name for name in ("own", "other", "away"))
    for place, correct in ((own, 3), (other, 5)):
        place.mkdir()
        (place / "counts.csv").write_text(f"samples,correct\n10,{correct}\n", encoding="utf-8")
    away.mkdir()
    monkeypatch.chdir(away)
    (own / "s.yaml").write_text(SERVED, encoding="utf-8")
    loaded = load_scenario(str(own / "s.yaml"), folders=[other])
    counts = loaded.scenario.model.candidates[0].measured["a"].success_counts
    assert counts is not None
    assert counts[0].correct == 3
    (own / "counts.csv").unlink()
    loaded = load_scenario(str(own / "s.yaml"), folders=[other])
    counts = loaded.scenario.model.candidates[0].measured["a"].success_counts
    assert counts is not None
    assert counts[0].correct == 5


def test_a_config_json_beside_the_scenario(folder: Path) -> None:
    config = {
        "model_type": "llama", "hidden_size": 1024, "intermediate_size": 4096,
        "num_hidden_layers": 8, "num_attention_heads": 16, "vocab_size": 32000,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    data = put(SERVED.replace("llama-3.1-8b", "{config: config.json}"), folder)
    assert data["model"]["candidates"][0]["shape"]["layers"] == 8
    (folder / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises((ScenarioError, UsageError)):
        put(SERVED.replace("llama-3.1-8b", "{config: config.json}"), folder)
