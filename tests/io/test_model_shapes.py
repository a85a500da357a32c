"""Shapes by name, by config.json and in place."""

import csv
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds3opt.errors import Ds3optError, ScenarioError
from ds3opt.io.model_shapes import load_model, model_names, models_by_id, resolve_shape
from ds3opt.io.yaml_source import load_yaml
from ds3opt.schema.model_shape import ModelShapeSpec

OWN = {"parameters": 1e9, "layers": 20, "width": 2048, "heads": 16}


@pytest.fixture
def folder(tmp_path):
    models = tmp_path / "models"
    models.mkdir()
    lines = [f"{key}: {value}" for key, value in OWN.items()]
    (models / "house.yaml").write_text("\n".join(lines))
    (models / "llama-3.1-8b.yaml").write_text("\n".join(lines))
    config = {
        "model_type": "llama",
        "hidden_size": 64,
        "intermediate_size": 100,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "vocab_size": 10,
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


@pytest.mark.parametrize("name", model_names())
def test_shipped_model_is_told_apart(name):
    model = load_model(name)
    assert model.name
    assert model.model_id
    assert model.source
    assert f"huggingface.co/{model.model_id}/" in model.source
    assert model.vocabulary
    assert model.context_tokens
    assert name == name.lower()


def test_names_of_the_hub_are_unique():
    given_names = [
        identifier
        for name in model_names()
        for model in [load_model(name)]
        for identifier in (model.model_id, *model.aliases)
    ]
    assert len(set(given_names)) == len(given_names)
    assert set(models_by_id()) == set(given_names)


def test_measured_models_are_known(shared):
    with open(shared("data/serving_measured.csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    known = models_by_id()
    for row in rows:
        model = load_model(known[row["model"]])
        # published totals are rounded, and count vision encoders
        assert model.parameters / 1e9 == pytest.approx(float(row["total_B"]), rel=0.06)


def test_spellings():
    model = load_model("llama-3.1-8b")
    for name in ("Llama-3.1-8B", " llama_3.1 8b ", "meta-llama/Llama-3.1-8B-Instruct"):
        assert load_model(name) == model


def test_own_folder_comes_first(folder):
    assert load_model("llama-3.1-8b", [folder]).parameters == 1e9
    assert load_model("house", [folder]).layers == 20
    assert "house" in model_names([folder])
    assert "house" not in model_names()
    path = folder / "models" / "llama-3.1-8b.yaml"
    path.write_text(path.read_text() + "\nmodel_id: mine/own")
    assert models_by_id([folder])["mine/own"] == "llama-3.1-8b"
    assert load_model("mine/own", [folder]).parameters == 1e9
    assert "meta-llama/Llama-3.1-8B" not in models_by_id([folder])


def test_changed_file_is_read_again(folder):
    path = folder / "models" / "house.yaml"
    assert load_model("house", [folder]).layers == 20
    path.write_text(path.read_text().replace("layers: 20", "layers: 2100"))
    assert load_model("house", [folder]).layers == 2100


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("llama-3.1-7b", "did you mean llama-3.1-70b?"),
        ("Qwen/Qwen3-8", "did you mean qwen3-8b?"),
        ("config.json", "{config:"),
        ("zzzzzz", "known are deepseek-r1"),
        ("", "known are"),
        ("..", "known are"),
        ("../models/qwen3-8b", "did you mean qwen3-8b?"),
        ("a\\b", "known are"),
        ("a\0b", "known are"),
        ("x" * 5000, "known are"),
    ],
)
def test_unknown_name(name, hint):
    with pytest.raises(ScenarioError, match="no model is named") as caught:
        load_model(name)
    assert hint in caught.value.problems[0].hint


def test_broken_file_is_placed(folder):
    path = folder / "models" / "house.yaml"
    path.write_text("parameters: 1 B\nlayers: 20\nwidht: 2048\nheads: 16 GB\n")
    with pytest.raises(ScenarioError) as caught:
        load_model("house", [folder])
    places = {(p.location.line, p.path) for p in caught.value.problems}
    assert places == {(3, "widht"), (4, "heads")}
    assert 'did you mean "width"?' in caught.value.problems[0].hint
    path.write_text("")
    with pytest.raises(ScenarioError, match="shape of a model is empty"):
        load_model("house", [folder])


def test_resolved_name():
    plain = resolve_shape("qwen3-235b-a22b")
    assert ModelShapeSpec.model_validate(plain) == load_model("qwen3-235b-a22b")
    plain["layers"] = 1
    assert resolve_shape("qwen3-235b-a22b")["layers"] == 94


def test_resolved_config(folder):
    plain = resolve_shape({"config": "config.json", "name": "tiny"}, [folder])
    layer = 4 * 64 * 64 + 3 * 64 * 100 + 2 * 64
    assert plain["parameters"] == 2 * layer + 64 + 2 * 10 * 64
    assert ModelShapeSpec.model_validate(plain).name == "tiny"
    assert resolve_shape({"config": str(folder / "config.json")})["layers"] == 2


def test_config_in_any_of_the_folders(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    assert resolve_shape({"config": "config.json"}, [other, folder])["layers"] == 2
    with pytest.raises(Ds3optError, match=str(other)):
        resolve_shape({"config": "none.json"}, [other, folder])


def test_resolved_with_replacements():
    plain = resolve_shape({"name": "llama-3.1-8b", "context_tokens": 1000})
    model = ModelShapeSpec.model_validate(plain)
    assert (model.context_tokens, model.parameters) == (1000, 8_030_261_248)


def test_own_description_stays():
    named = OWN | {"name": "llama-3.1-8b"}
    assert resolve_shape(named) == named
    assert resolve_shape({}) == {}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (7, "a shape is a name, or a mapping"),
        (None, "a shape is a name, or a mapping"),
        (["llama-3.1-8b"], "a shape is a name, or a mapping"),
        ({"config": 3}, "config is the path"),
        ({"config": ""}, "config is the path"),
        ({"name": "llama-9"}, "no model is named"),
        ({"config": "a\0b"}, "cannot read"),
    ],
)
def test_values_of_no_use(value, words):
    with pytest.raises(Ds3optError, match=words):
        resolve_shape(value)


@given(
    st.dictionaries(
        st.sampled_from(sorted(ModelShapeSpec.model_fields)), st.integers() | st.text(max_size=9)
    )
)
def test_any_mapping_is_resolved_or_refused(value):
    """Never a traceback: what is wrong with the figures is for the schema to say."""
    try:
        plain = resolve_shape(value)
    except Ds3optError:
        assert isinstance(value.get("name"), str)
        assert "parameters" not in value
    else:
        assert plain.items() >= value.items()


def test_shapes_of_the_documentation(folder):
    """Every way to write a shape that docs/hardware.md shows is accepted."""
    page = (Path(__file__).parents[2] / "docs" / "hardware.md").read_text()
    blocks = re.findall(r"```yaml\n(.*?)```", page.split("## Model shapes")[1], re.DOTALL)
    own = folder / "models" / "my"
    own.mkdir()
    (folder / "config.json").rename(own / "config.json")
    found = [load_yaml(block, "docs").data["shape"] for block in blocks]
    shapes = [ModelShapeSpec.model_validate(resolve_shape(one, [folder])) for one in found]
    assert [shape.layers for shape in shapes] == [80, 2, 32]
