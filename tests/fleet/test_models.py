"""The shapes that may be trained: by rule, listed and of one size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import yaml

from ds3opt.errors import ScenarioError
from ds3opt.fleet.models import Models, one_model, trainable_models
from ds3opt.io.loader import validate
from ds3opt.io.yaml_source import load_yaml
from ds3opt.problem import compile_problem
from ds3opt.schema import Scenario

SCENARIO = """\
workload: {tasks: 1e6, mix: [{name: a, share: 1, difficulty: 2.4, skills: 3}]}
hardware: {training: {accelerator: h100-sxm}, inference: {accelerator: h100-sxm}}
limits: {cost: 1 MUSD}
"""
LIST = [
    {"name": "large", "parameters": 7e9, "layers": 32, "width": 4096, "heads": 32, "kv_heads": 8},
    {"name": "sparse", "parameters": 3e9, "active_parameters": 8e8, "experts": 16,
     "active_experts": 2, "layers": 20, "width": 1536, "heads": 12, "kv_heads": 4},
    {"parameters": 3e8, "layers": 12, "width": 1280, "heads": 10, "dense_equivalent": 2.5e8},
]  # fmt: skip


def read(model: dict[str, Any], **inference: Any) -> Scenario:
    data = yaml.safe_load(SCENARIO)
    data["model"] = model
    data["hardware"]["inference"] |= inference
    return validate(load_yaml(yaml.safe_dump(data), "s.yaml"))


def models(model: dict[str, Any], **inference: Any) -> Models:
    found = trainable_models(read(model, **inference))
    assert found is not None
    return found


def by_rule(low: float, high: float, ratio: float, head: int, group: int) -> list[Any]:
    """Layers, width, parameters and cached elements of a token, layer by layer."""
    found = []
    for layers in range(1, 3000):
        heads = max(1, round(ratio * layers / head))
        width = heads * head
        size = 12 * layers * width**2
        if low <= size <= high:
            kv_heads = max(1, heads // group)
            found.append((layers, width, size, 2 * layers * kv_heads * head))
    return found


@pytest.mark.parametrize(
    ("low", "high", "ratio", "head", "group"),
    [(1e8, 1e10, 128, 128, 8), (1e9, 3e9, 100, 64, 4), (1e7, 1e11, 60, 128, 1)],
)
def test_shapes_by_rule(low: float, high: float, ratio: float, head: int, group: int) -> None:
    spec = {"width_per_layer": ratio, "head_width": head, "query_heads_per_kv_head": group}
    found = models({"parameters": [low, high], "shape": spec})
    wanted = by_rule(low, high, ratio, head, group)
    shape = found.shape
    columns = np.array(wanted, dtype=float).T
    assert np.array_equal(shape.layers, columns[0])
    assert np.array_equal(shape.width, columns[1])
    assert np.array_equal(found.loss_parameters, columns[2])
    assert np.array_equal(shape.parameters, columns[2])
    assert np.array_equal(found.active, columns[2])
    assert np.array_equal(shape.kv_elements_per_token, columns[3])
    assert found.nested
    assert np.all(np.diff(found.loss_parameters) > 0)
    assert f"{len(wanted)} dense shapes of width {ratio:g} x layers" in found.scope


def test_the_usual_rule_is_the_default() -> None:
    found = models({"parameters": [1e8, 1e10]})
    assert found.loss_parameters.tolist() == [s[2] for s in by_rule(1e8, 1e10, 128, 128, 8)]


@pytest.mark.parametrize(
    ("weights", "cache", "sizes"), [("bf16", "fp8", (2, 1)), ("fp8", "bf16", (1, 2))]
)
def test_number_formats_of_the_server(weights: str, cache: str, sizes: tuple[int, int]) -> None:
    found = models({"parameters": [1e9, 2e9]}, weights=weights, kv_cache=cache)
    assert np.allclose(found.shape.bytes_per_weight, sizes[0], rtol=0.07)
    assert np.allclose(found.shape.bytes_per_kv_element, sizes[1], rtol=0.07)


def test_listed_shapes_come_smallest_first() -> None:
    found = models({"shape": {"list": LIST}})
    assert found.names == ("300 M parameters", "sparse", "large")
    assert not found.nested
    assert np.asarray(found.shape.parameters).tolist() == [3e8, 3e9, 7e9]
    assert found.active.tolist() == [3e8, 8e8, 7e9]
    # given, the geometric mean of all and active, all
    assert found.loss_parameters == pytest.approx([2.5e8, np.sqrt(3e9 * 8e8), 7e9])
    assert found.scope.startswith("3 listed shapes: ")


def test_some_of_a_list() -> None:
    found = models({"shape": {"list": LIST}}).only(np.array([True, False, True]))
    assert len(found) == 2
    assert found.names == ("300 M parameters", "large")
    assert np.asarray(found.shape.layers).tolist() == [12.0, 32.0]


def test_training_flop_of_every_shape() -> None:
    tokens = np.array([[1e9], [3e10]])
    plain = read({"shape": {"list": LIST}})
    found = models({"shape": {"list": LIST}})
    flop = found.training_flop(compile_problem(plain).space, tokens)
    assert flop.shape == (2, 3)
    # six for every active parameter and token
    assert flop == pytest.approx(6.0 * tokens * np.array([3e8, 8e8, 7e9]))
    endless = found.training_flop(compile_problem(plain).space, np.array([[np.inf]]))
    assert np.isposinf(endless).all()
    long = read({"shape": {"list": LIST}, "training_sequence_tokens": 4096})
    attended = found.training_flop(compile_problem(long).space, tokens)
    attention = np.array([12 * 1280, 20 * 1536, 32 * 4096])
    # DS3 (6): and three for every layer, width and token of the sequence
    assert attended - flop == pytest.approx(3.0 * tokens * attention * 4096)


def test_nothing_is_trained() -> None:
    candidate = {"name": "x", "loss": 2.1, "shape": LIST[0]}
    assert trainable_models(read({"train": False, "candidates": [candidate]})) is None


def test_one_size_need_not_have_whole_layers() -> None:
    found = one_model(read({"parameters": [1e8, 1e10]}), 7e9)
    assert len(found) == 1
    layers, width = float(found.shape.layers[0]), float(found.shape.width[0])
    assert width == pytest.approx(128 * layers)
    assert 12 * layers * width**2 == pytest.approx(7e9)


def test_one_size_of_a_list_is_that_shape() -> None:
    found = one_model(read({"shape": {"list": LIST}}), 3e9)
    assert found.names == ("sparse",)
    assert float(found.active[0]) == 8e8


@pytest.mark.parametrize(
    ("model", "words", "path"),
    [
        ({"parameters": 7e9}, "no model of 128 width per layer has", "model.parameters"),
        ({"shape": {"layers": 9, "attention_width": 9}}, "follow its size", "model.shape.layers"),
        ({"parameters": [1e8, 1e10], "shape": {"width_per_layer": 1e-3}}, "more than 10,000 models",
         "model.shape.width_per_layer"),
        ({"parameters": [1e5, 1e14], "shape": {"width_per_layer": 1, "head_width": 1}},
         "more than 10,000 models", "model.shape.width_per_layer"),
        ({"parameters": [1, 2]}, "no model of 128 width per layer", "model.parameters"),
    ],
)  # fmt: skip
def test_ranges_without_shapes(model: dict[str, Any], words: str, path: str) -> None:
    with pytest.raises(ScenarioError, match=words) as caught:
        read(model)
    (problem,) = caught.value.problems
    assert problem.path == path
