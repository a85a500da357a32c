import pytest
from pydantic import ValidationError

from ds3opt.schema.model_shape import ModelShapeSpec, bytes_per_element

LLAMA = {"parameters": "70.55 B", "layers": 80, "width": 8192, "heads": 64, "kv_heads": 8}
MIXTRAL = {
    "parameters": "46.7 B",
    "active_parameters": "12.9 B",
    "experts": 8,
    "active_experts": 2,
    "layers": 32,
    "width": 4096,
    "heads": 32,
    "kv_heads": 8,
}
LATENT = {"rank": 512, "rope_width": 64}


def read(base, **changes):
    return ModelShapeSpec.model_validate(
        {k: v for k, v in {**base, **changes}.items() if v is not None}
    )


def test_dense():
    model = read(LLAMA)
    assert (model.active, model.routed) == (70.55e9, 0.0)
    shape = model.model_shape("bf16", "fp8")
    assert shape.weight_bytes == 2 * 70.55e9
    assert shape.cached_bytes(1) == 2 * 80 * 8 * 128
    assert shape.attention_width == 8192


def test_multi_head_by_default():
    assert read(LLAMA, kv_heads=None).model_shape().kv_elements_per_token == 2 * 80 * 8192


def test_routed_follows_from_active_and_back():
    model = read(MIXTRAL)
    assert model.routed == pytest.approx((46.7e9 - 12.9e9) / (1 - 2 / 8), rel=1e-12)
    again = read(MIXTRAL, active_parameters=None, routed_parameters=model.routed)
    assert again.active == pytest.approx(12.9e9, rel=1e-12)
    shape = again.model_shape()
    # one token reads what is active; very many read everything
    assert shape.touched_weight_bytes(1) == pytest.approx(2 * 12.9e9, rel=1e-9)
    assert shape.touched_weight_bytes(1e4) == pytest.approx(2 * 46.7e9, rel=1e-9)


def test_latent_attention():
    shape = read(LLAMA, kv_heads=None, latent=LATENT).model_shape()
    assert shape.cached_bytes(1) == 2 * 80 * (512 + 64)
    assert shape.attention_width == 64 * (512 + 32)
    assert (shape.cache_shards, read(LLAMA).model_shape().cache_shards) == (1, 8)


def test_windowed_layers():
    shape = read(LLAMA, windowed={"layers": 60, "window_tokens": 100}).model_shape()
    layer = 2 * 8 * 128
    assert shape.cached_bytes(50) == 2 * layer * 80 * 50
    assert shape.cached_bytes(1000) == 2 * layer * (20 * 1000 + 60 * 100)
    short, long = shape.token_flop(50), shape.token_flop(1000)
    assert short - shape.token_flop(0) == pytest.approx(4 * 80 * 8192 * 50)
    assert long - shape.token_flop(0) == pytest.approx(4 * 8192 * (20 * 1000 + 60 * 100))


def test_hybrid_holds_state_in_its_own_format():
    changes = {"attention_layers": 4, "state_elements": 1e6, "state_precision": "fp32"}
    shape = read(LLAMA, **changes).model_shape("bf16", "fp8")
    # 4 bytes for each element of state, 1 for each cached one of the four layers
    assert shape.cached_bytes(10) == pytest.approx(4e6 + 10 * 2 * 4 * 8 * 128)
    same = read(LLAMA, **changes | {"state_precision": None}).model_shape("bf16", "fp8")
    assert same.cached_bytes(0) == pytest.approx(1e6)
    assert shape.token_flop(10) - shape.token_flop(0) == pytest.approx(4 * 4 * 8192 * 10)


def test_published_format_of_experts():
    """Experts published in 4 bits stay so unless all weights are stored more tightly still."""
    model = read(MIXTRAL, routed_precision="mxfp4")
    fixed = 46.7e9 - model.routed
    wide = model.model_shape("bf16").weight_bytes
    assert wide == pytest.approx(2 * fixed + model.routed * 17 / 32)
    assert model.model_shape("fp4").weight_bytes == pytest.approx(
        fixed * 9 / 16 + model.routed * 17 / 32
    )
    wider = read(MIXTRAL, routed_precision="fp8").model_shape("fp4")
    assert wider.weight_bytes == pytest.approx(46.7e9 * 9 / 16)
    assert bytes_per_element("fp8") == 1


def test_table_that_is_looked_up():
    assert read(LLAMA, vocabulary=128256, tied_embeddings=False).lookup_parameters == 128256 * 8192
    assert read(LLAMA, vocabulary=128256, tied_embeddings=True).lookup_parameters == 0
    assert read(LLAMA, vocabulary=128256).lookup_parameters == 0


def test_rounded_totals_are_let_through():
    read(MIXTRAL, routed_parameters="45.1 B")
    read(LLAMA, active_parameters="70 B")
    # a quarter of 46.7 is 11.675: rounded down, it asks for more than all in experts
    assert read(MIXTRAL, active_parameters="11.6 B").routed == 46.7e9


@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        ({"kv_heads": 7}, "kv_heads", "64 heads cannot share 7 kv_heads evenly; kv_heads divides"),
        ({"kv_heads": 128}, "kv_heads", "64 heads cannot share 128 kv_heads"),
        ({"latent": LATENT}, "kv_heads", "latent attention has no kv_heads"),
        ({"heads": 60, "kv_heads": 6}, "heads", "no multiple of 60 heads; give head_width"),
        ({"head_width": 8}, "head_width", "heads x head_width is 512, beside a width of 8192"),
        ({"head_width": 2048}, "head_width", "is 131072, beside a width of 8192; from 0.125 to 8"),
        ({"attention_layers": 81}, "attention_layers", "81 layers with attention are more than"),
        (
            {"attention_layers": 4, "windowed": {"layers": 5, "window_tokens": 9}},
            "windowed.layers",
            "5 windowed layers are more than the 4 layers with attention",
        ),
        ({"active_parameters": "71 B"}, "active_parameters", "71 B is above the parameters, 70.55"),
        ({"routed_parameters": "71 B"}, "routed_parameters", "71 B is above the parameters, 70.55"),
        ({"active_experts": 2}, "active_experts", "2 is above the 1 experts of a layer"),
        ({"active_parameters": "13 B"}, "active_parameters", "though no expert is idle; give exp"),
        ({"experts": 8, "active_experts": 2}, "experts", "needs active_parameters or routed"),
        (
            {"experts": 8, "active_experts": 4, "active_parameters": "5 B"},
            "active_parameters",
            "5 B is too few: 4 of 8 experts alone would be 35.2",
        ),
        (
            {
                "experts": 8,
                "active_experts": 2,
                "active_parameters": "20 B",
                "routed_parameters": "60 B",
            },
            "active_parameters",
            "20 B contradicts routed_parameters 60 B: with 2 of 8 experts, 25.55 B are active",
        ),
    ],
)
def test_contradictions_name_their_key(changes, key, words):
    with pytest.raises(ValidationError, match=words) as caught:
        read(LLAMA, **changes)
    (error,) = caught.value.errors()
    assert ".".join(error["ctx"]["error"].path) == key


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"colour": "red"}, "Extra inputs"),
        ({"parameters": "70 GB"}, "a number of bytes"),
        ({"layers": 0}, "greater than or equal to 1"),
        ({"layers": 2.5}, "a whole number is expected, not 2.5"),
        ({"attention_layers": 0.5}, "a whole number is expected, not 0.5"),
        ({"routed_precision": "fp3"}, "routed_precision"),
        ({"latent": {"rank": 0}}, "latent.rank"),
    ],
)
def test_refusals(changes, words):
    with pytest.raises(ValidationError, match=words):
        read(LLAMA, **changes)


def test_frozen():
    with pytest.raises(ValidationError):
        read(LLAMA).layers = 3
