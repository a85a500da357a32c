"""Calibrations by name, and what is said of broken ones."""

from pathlib import Path

import pytest

from ds3opt.errors import ScenarioError
from ds3opt.io.accelerators import accelerator_names, load_accelerator
from ds3opt.io.calibration import calibration_files, load_calibration
from ds3opt.io.catalogue import catalogue_folder


def text_of(name: str) -> str:
    return (catalogue_folder("hardware") / "calibration" / f"{name}.yaml").read_text()


def own(folder: Path, name: str, text: str) -> Path:
    (folder / "calibration").mkdir(exist_ok=True)
    path = folder / "calibration" / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_shipped_set_loads_and_is_physical():
    assert list(calibration_files()) == ["a100", "b200", "default", "h100"]
    for name in calibration_files():
        efficiency = load_calibration(name).efficiency()
        assert 0.5 <= efficiency.memory <= 1
        assert 1e-6 <= efficiency.layer_seconds <= 1e-3
        assert 0.2 <= efficiency.base_power <= 1
        assert efficiency.usable_memory == 0.9
        assert efficiency.reserve_bytes == 3.5 * 2**30


def test_every_accelerator_has_its_set():
    for name in accelerator_names():
        load_calibration(load_accelerator(name).calibration)
    assert load_accelerator("h200-sxm").calibration == "h100"
    assert load_accelerator("mi300x").calibration == "default"


def test_constants_by_precision():
    calibration = load_calibration("h100")
    experts = calibration.serving.expert_layer_seconds
    assert calibration.efficiency("bf16").expert_layer_seconds == experts.sixteen_bit
    assert calibration.efficiency("mxfp4").expert_layer_seconds == experts.sixteen_bit
    assert calibration.efficiency("fp8").expert_layer_seconds == experts.eight_bit
    compute = calibration.serving.compute
    assert calibration.efficiency("fp8").compute == compute.narrow
    assert calibration.efficiency("fp8", "bf16").compute == compute.sixteen_bit
    assert calibration.efficiency("int4").compute == compute.sixteen_bit
    assert calibration.efficiency("mxfp4", "fp8").compute == compute.narrow
    assert calibration.utilisation("bf16") == pytest.approx(calibration.training.bf16.matrix)
    assert calibration.utilisation("fp16", 1.0) == pytest.approx(
        calibration.training.bf16.attention
    )
    assert calibration.utilisation("fp4") is None
    assert load_calibration("a100").utilisation("fp8") is None


def test_own_folder_comes_first(tmp_path):
    own(tmp_path, "h100", text_of("h100").replace("goodput: 0.85", "goodput: 0.9"))
    assert load_calibration("h100", [tmp_path]).training.goodput == 0.9
    assert load_calibration("b200", [tmp_path]).training.goodput == 0.85
    assert load_calibration("h100").training.goodput == 0.85


def test_a_changed_file_is_read_again(tmp_path):
    path = own(tmp_path, "mine", text_of("h100"))
    assert load_calibration("mine", [tmp_path]).training.goodput == 0.85
    path.write_text(text_of("h100").replace("goodput: 0.85", "goodput: 0.123"), encoding="utf-8")
    assert load_calibration("mine", [tmp_path]).training.goodput == 0.123


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("h1000", "did you mean h100?"),
        ("xyz", "known are a100, b200, default, h100"),
        ("../h100", "h100"),
        ("", "known are"),
        ("x" * 5000, "known are"),
        ("a\0b", "known are"),
    ],
)
def test_unknown_names(name, hint):
    with pytest.raises(ScenarioError) as refused:
        load_calibration(name)
    (problem,) = refused.value.problems
    assert "no calibration is named" in problem.message
    assert hint in problem.hint


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  memory: 0.", "  memory: 1.", "memory"),
        ("  memory: 0.", "  memmory: 0.", "memmory"),
        ("  goodput: 0.85", "  goodput: none", "goodput"),
    ],
)
def test_broken_files_are_refused_at_their_line(tmp_path, old, new, message):
    text = text_of("h100")
    assert old in text
    path = own(tmp_path, "broken", text.replace(old, new, 1))
    expected = 1 + text[: text.index(old)].count("\n")
    with pytest.raises(ScenarioError) as refused:
        load_calibration("broken", [tmp_path])
    problem = refused.value.problems[0]
    assert message in f"{problem.path} {problem.message}"
    assert (problem.location.source, problem.location.line) == (str(path), expected)


def test_an_empty_file(tmp_path):
    own(tmp_path, "empty", "")
    with pytest.raises(ScenarioError, match="the calibration is empty"):
        load_calibration("empty", [tmp_path])
