"""The reader of config.json against the weights that published checkpoints hold."""

import contextlib
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ds3opt.errors import Ds3optError
from ds3opt.io.model_config import shape_from_config
from ds3opt.io.model_shapes import load_model, model_names
from ds3opt.schema.model_shape import ModelShapeSpec

SIZES = (
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "vocab_size",
    "max_position_embeddings",
)


def decoder(kind, *sizes, **more):
    return {"model_type": kind, **dict(zip(SIZES, sizes, strict=True)), **more}


def llama4(experts, step, context):
    text = decoder(
        "llama4_text",
        *(5120, 8192, 48, 40, 8, 202048, context),
        intermediate_size_mlp=16384,
        attention_chunk_size=8192,
        num_local_experts=experts,
        num_experts_per_tok=1,
        interleave_moe_layer_step=step,
    )
    return {"model_type": "llama4", "text_config": text, "vision_config": {"hidden_size": 1408}}


def gpt_oss(layers, experts):
    return decoder(
        "gpt_oss",
        *(2880, 2880, layers, 64, 8, 201088, 131072),
        head_dim=64,
        attention_bias=True,
        sliding_window=128,
        layer_types=["sliding_attention", "full_attention"] * (layers // 2),
        num_local_experts=experts,
        num_experts_per_tok=4,
        quantization_config={"quant_method": "mxfp4"},
    )


def nemotron(pattern, width, inner):
    return decoder(
        "nemotron_h",
        *(width, inner, len(pattern), 40, 8, 131072, 131072),
        head_dim=128,
        hybrid_override_pattern=pattern,
        mamba_num_heads=128,
        mamba_head_dim=80,
        ssm_state_size=128,
        n_groups=8,
        mamba_ssm_cache_dtype="float32",
    )


def gemma3(**text):
    return {"model_type": "gemma3", "text_config": {"model_type": "gemma3_text", **text}}


def deepseek(kind, *sizes, query_rank, experts, inner, first_dense, shared, per_token, **more):
    return decoder(
        kind,
        *sizes,
        kv_lora_rank=512,
        q_lora_rank=query_rank,
        qk_rope_head_dim=64,
        qk_nope_head_dim=128,
        v_head_dim=128,
        n_routed_experts=experts,
        n_shared_experts=shared,
        num_experts_per_tok=per_token,
        moe_intermediate_size=inner,
        first_k_dense_replace=first_dense,
        moe_layer_freq=1,
        **more,
    )


DEEPSEEK_V3 = deepseek(
    "deepseek_v3",
    *(7168, 18432, 61, 128, 128, 129280, 163840),
    query_rank=1536,
    experts=256,
    inner=2048,
    first_dense=3,
    shared=1,
    per_token=8,
    topk_method="noaux_tc",
)
QWEN_MIXTURE = {"num_experts": 128, "num_experts_per_tok": 8, "head_dim": 128}
CATALOGUE = {
    "llama-3-8b": decoder("llama", 4096, 14336, 32, 32, 8, 128256, 8192),
    "llama-3.1-8b": decoder("llama", 4096, 14336, 32, 32, 8, 128256, 131072),
    "llama-3.1-70b": decoder("llama", 8192, 28672, 80, 64, 8, 128256, 131072),
    "llama-3.1-405b": decoder("llama", 16384, 53248, 126, 128, 8, 128256, 131072),
    "llama-4-scout": llama4(16, 1, 10485760),
    "llama-4-maverick": llama4(128, 2, 1048576),
    "llemma-7b": decoder("llama", 4096, 11008, 32, 32, 32, 32016, 4096),
    "llemma-34b": decoder("llama", 8192, 22016, 48, 64, 8, 32000, 4096),
    "mistral-7b": decoder("mistral", 4096, 14336, 32, 32, 8, 32000, 32768, sliding_window=4096),
    "mixtral-8x7b": decoder(
        "mixtral",
        *(4096, 14336, 32, 32, 8, 32000, 32768),
        num_local_experts=8,
        num_experts_per_tok=2,
        sliding_window=None,
    ),
    "qwen2.5-7b": decoder("qwen2", 3584, 18944, 28, 28, 4, 152064, 131072, sliding_window=131072),
    "qwen2.5-72b": decoder("qwen2", 8192, 29568, 80, 64, 8, 152064, 131072),
    "qwen3-8b": decoder("qwen3", 4096, 12288, 36, 32, 8, 151936, 40960, head_dim=128),
    "qwen3-14b": decoder("qwen3", 5120, 17408, 40, 40, 8, 151936, 40960, head_dim=128),
    "qwen3-32b": decoder("qwen3", 5120, 25600, 64, 64, 8, 151936, 40960, head_dim=128),
    "qwen3-30b-a3b": decoder(
        "qwen3_moe", 2048, 6144, 48, 32, 4, 151936, 40960, moe_intermediate_size=768, **QWEN_MIXTURE
    ),
    "qwen3-coder-30b-a3b": decoder(
        "qwen3_moe",
        *(2048, 5472, 48, 32, 4, 151936, 262144),
        moe_intermediate_size=768,
        shared_expert_intermediate_size=0,
        **QWEN_MIXTURE,
    ),
    "qwen3-235b-a22b": decoder(
        "qwen3_moe",
        *(4096, 12288, 94, 64, 4, 151936, 40960),
        moe_intermediate_size=1536,
        **QWEN_MIXTURE,
    ),
    "qwen3-coder-480b-a35b": decoder(
        "qwen3_moe",
        *(6144, 8192, 62, 96, 8, 151936, 262144),
        moe_intermediate_size=2560,
        **QWEN_MIXTURE | {"num_experts": 160},
    ),
    "gemma-3-27b": gemma3(
        hidden_size=5376,
        intermediate_size=21504,
        num_hidden_layers=62,
        num_attention_heads=32,
        num_key_value_heads=16,
        head_dim=128,
        sliding_window=1024,
    ),
    "deepseek-v3": DEEPSEEK_V3,
    "deepseek-r1": DEEPSEEK_V3,
    "gpt-oss-20b": gpt_oss(24, 32),
    "gpt-oss-120b": gpt_oss(36, 128),
    "nemotron-nano-9b-v2": nemotron(
        "M-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-M-M-", 4480, 15680
    ),
    "nemotron-nano-12b-v2": nemotron(
        "M-M-M-M*" + "-M-M-M-M*" * 5 + "-M-M-M-M-",
        5120,
        20480,
    ),
}
OTHERS = {
    "gemma-7b": decoder("gemma", 3072, 24576, 28, 16, 16, 256000, 8192),
    "gemma-2-9b": decoder("gemma2", 3584, 14336, 42, 16, 8, 256000, 8192, sliding_window=4096),
    "gemma-3-12b": gemma3(
        hidden_size=3840,
        intermediate_size=15360,
        num_hidden_layers=48,
        num_attention_heads=16,
        num_key_value_heads=8,
        sliding_window=1024,
    ),
    "phi-3-mini": decoder("phi3", 3072, 8192, 32, 32, 32, 32064, 4096, sliding_window=2047),
    "qwen1.5-moe-a2.7b": decoder(
        "qwen2_moe",
        *(2048, 5632, 24, 16, 16, 151936, 8192),
        num_experts=60,
        num_experts_per_tok=4,
        moe_intermediate_size=1408,
        shared_expert_intermediate_size=5632,
        sliding_window=32768,
        max_window_layers=21,
        use_sliding_window=False,
    ),
    "deepseek-v2": deepseek(
        "deepseek_v2",
        *(5120, 12288, 60, 128, 128, 102400, 163840),
        query_rank=1536,
        experts=160,
        inner=1536,
        first_dense=1,
        shared=2,
        per_token=6,
    ),
    "deepseek-v2-lite": deepseek(
        "deepseek_v2",
        *(2048, 10944, 27, 16, 16, 102400, 163840),
        query_rank=None,
        experts=64,
        inner=1408,
        first_dense=1,
        shared=2,
        per_token=6,
    ),
    "nemotron-3-nano-30b-a3b": decoder(
        "nemotron_h",
        *(2688, 1856, 52, 32, 2, 131072, 262144),
        head_dim=128,
        hybrid_override_pattern="MEMEM*" + "EMEMEM*" * 4 + "EMEMEMEM*EMEMEMEME",
        mamba_num_heads=64,
        mamba_head_dim=64,
        ssm_state_size=128,
        n_groups=8,
        n_routed_experts=128,
        n_shared_experts=1,
        num_experts_per_tok=6,
        moe_intermediate_size=1856,
        moe_shared_expert_intermediate_size=3712,
    ),
}

# Weights in the files of each model, as its page on the Hugging Face Hub counts them; of gemma-3
# the language model, of DeepSeek-V3 without the layer for multi-token prediction.
CHECKPOINTS = {
    "llama-3-8b": 8_030_261_248,
    "llama-3.1-8b": 8_030_261_248,
    "llama-3.1-70b": 70_553_706_496,
    "llama-3.1-405b": 405_853_388_800,
    "llemma-7b": 6_738_546_688,
    "llemma-34b": 33_743_970_304,
    "mistral-7b": 7_241_732_096,
    "mixtral-8x7b": 46_702_792_704,
    "qwen2.5-7b": 7_615_616_512,
    "qwen2.5-72b": 72_706_203_648,
    "qwen3-8b": 8_190_735_360,
    "qwen3-14b": 14_768_307_200,
    "qwen3-32b": 32_762_123_264,
    "qwen3-30b-a3b": 30_532_122_624,
    "qwen3-coder-30b-a3b": 30_532_122_624,
    "qwen3-235b-a22b": 235_093_634_560,
    "qwen3-coder-480b-a35b": 480_154_875_392,
    "gemma-7b": 8_537_680_896,
    "gemma-2-9b": 9_241_705_984,
    "phi-3-mini": 3_821_079_552,
    "qwen1.5-moe-a2.7b": 14_315_784_192,
    "deepseek-v2": 235_741_434_880,
    "deepseek-v2-lite": 15_706_484_224,
    "nemotron-nano-9b-v2": 8_888_227_328,
    "gemma-3-27b": 27_009_346_304,
    "deepseek-v3": 671_026_419_200,
    "gpt-oss-20b": 20_914_757_184,
    "gpt-oss-120b": 116_829_156_672,
}

# Totals and active parameters in 1e9 as papers and model cards round them, and to which digit.
PUBLISHED = {
    "mixtral-8x7b": (46.7, 12.9, 0.1),
    "qwen3-30b-a3b": (30.5, 3.3, 0.1),
    "qwen3-235b-a22b": (235, 22, 1),
    "qwen3-coder-480b-a35b": (480, 35, 1),
    "qwen1.5-moe-a2.7b": (14.3, 2.7, 0.1),
    "deepseek-v2": (236, 21, 1),
    "llama-4-scout": (109, 17, 1.3),  # the total counts a vision encoder of 0.9e9 too
    "llama-4-maverick": (400, 17, 1),
    "nemotron-nano-12b-v2": (12.3, 12.3, 0.1),
    "nemotron-3-nano-30b-a3b": (31.6, 3.6, 0.1),
}
# These leave the token embedding out of what is active.
PUBLISHED_WITHOUT_LOOKUP = {
    "gpt-oss-20b": (20.91, 3.61, 0.01),
    "gpt-oss-120b": (116.83, 5.13, 0.01),
    "deepseek-v3": (671, 37, 1),
}


@pytest.fixture
def read(tmp_path):
    def reader(config):
        path = tmp_path / "config.json"
        path.write_text(config if isinstance(config, str) else json.dumps(config, indent=2))
        return shape_from_config(path)

    return reader


@pytest.fixture
def spec(read):
    return lambda config: ModelShapeSpec.model_validate(read(config))


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_weights_of_the_checkpoint(spec, name):
    assert spec((CATALOGUE | OTHERS)[name]).parameters == CHECKPOINTS[name]


@pytest.mark.parametrize("name", PUBLISHED)
def test_active_as_published(spec, name):
    model = spec((CATALOGUE | OTHERS)[name])
    total, active, digit = PUBLISHED[name]
    # half a digit of rounding, and half for those who cut instead
    assert model.parameters / 1e9 == pytest.approx(total, abs=digit)
    assert model.active / 1e9 == pytest.approx(active, abs=digit)


@pytest.mark.parametrize("name", PUBLISHED_WITHOUT_LOOKUP)
def test_active_as_published_without_lookup(spec, name):
    model = spec(CATALOGUE[name])
    total, active, digit = PUBLISHED_WITHOUT_LOOKUP[name]
    assert model.parameters / 1e9 == pytest.approx(total, abs=digit / 2)
    multiplied = model.active - model.lookup_parameters
    assert multiplied / 1e9 == pytest.approx(active, abs=digit / 2)


def test_gemma_as_its_report_splits_it(spec):
    """arXiv 2503.19786, table 1: millions of embedding and of other parameters, without vision."""
    assert spec(CATALOGUE["gemma-3-27b"]).parameters / 1e6 == pytest.approx(1416 + 25600, abs=10)
    # the table counts the embedding of 12B with 5e6 more than its vocabulary makes
    assert spec(OTHERS["gemma-3-12b"]).parameters / 1e6 == pytest.approx(1012 + 10759, abs=10)


@pytest.mark.parametrize("name", CATALOGUE)
def test_shipped_figures_follow_from_the_config(spec, name):
    told = {"name", "model_id", "aliases", "source", "note"}
    shipped = load_model(name).model_dump(exclude=told)
    assert shipped == spec(CATALOGUE[name]).model_dump(exclude=told)


def test_every_shipped_model_is_tested():
    assert set(model_names()) == set(CATALOGUE)


def test_cache_per_token(spec):
    llama = spec(CATALOGUE["llama-3.1-70b"]).model_shape()
    assert llama.cached_bytes(1) == 320 * 1024
    assert spec(DEEPSEEK_V3).model_shape().cached_bytes(1) == 70_272


def test_windows(spec):
    def windowed(config):
        model = spec(config)
        return (model.windowed.layers, model.windowed.window_tokens) if model.windowed else None

    assert windowed(CATALOGUE["gpt-oss-120b"]) == (18, 128)
    assert windowed(CATALOGUE["gemma-3-27b"]) == (52, 1024)
    assert windowed(CATALOGUE["llama-4-scout"]) == (36, 8192)
    assert windowed(CATALOGUE["mistral-7b"]) == (32, 4096)
    assert windowed(CATALOGUE["qwen2.5-7b"]) is None
    assert windowed(CATALOGUE["mixtral-8x7b"]) is None
    partly = OTHERS["qwen1.5-moe-a2.7b"] | {"use_sliding_window": True}
    assert windowed(partly) == (3, 32768)


def test_hybrid_keeps_a_state(spec):
    model = spec(CATALOGUE["nemotron-nano-9b-v2"])
    assert (model.layers, model.attention_layers) == (56, 4)
    # 27 layers of 128 heads, each 80 x 128, and 3 tokens for the convolution; 4 bytes each
    elements = 27 * (128 * 80 * 128 + 3 * (128 * 80 + 2 * 8 * 128))
    assert model.model_shape().cached_bytes(0) == pytest.approx(4 * elements)
    assert model.model_shape().kv_elements_per_token == 4 * 2 * 8 * 128


def test_experts_in_four_bits(spec):
    """The checkpoint of gpt-oss-120b has 65.2e9 bytes; its card says 60.8 GiB (table 1)."""
    model = spec(CATALOGUE["gpt-oss-120b"])
    assert model.routed_precision == "mxfp4"
    # biases of the experts stay in bf16, which 0.1 % more than covers
    assert float(model.model_shape("bf16").weight_bytes) / 2**30 == pytest.approx(60.8, rel=2e-3)


def test_sparse_layers_at_multiples(spec):
    """Of 61 layers, 3 dense first, every fourth routes: layers 4, 8, ..., 60."""
    model = spec(DEEPSEEK_V3 | {"moe_layer_freq": 4})
    assert model.routed_parameters == 15 * 256 * 3 * 7168 * 2048


def test_tied_by_the_outer_config(spec):
    outer = {"model_type": "llava", "tie_word_embeddings": True}
    tied = spec(outer | {"text_config": CATALOGUE["llama-3.1-8b"]})
    assert tied.parameters == 8_030_261_248 - 128256 * 4096
    assert tied.tied_embeddings is True


def test_biases(spec):
    """`attention_bias` of a llama adds them to the output too, `mlp_bias` to all three matrices."""
    plain = CATALOGUE["llama-3.1-8b"]
    biased = plain | {"attention_bias": True, "mlp_bias": True}
    extra = 32 * ((4096 + 2 * 1024 + 4096) + (2 * 14336 + 4096))
    assert spec(biased).parameters == 8_030_261_248 + extra


SMALL = CATALOGUE["llama-3.1-8b"]


def without(config, key):
    return {k: v for k, v in config.items() if k != key}


@pytest.mark.parametrize(
    ("config", "message", "line"),
    [
        ("", "is empty", 1),
        ("{\n  'model_type': 1}", "not valid JSON: expecting property name", 2),
        ('{"model_type": "llama",\n "hidden_size": NaN}', "NaN is no number", 1),
        ("[1, 2]", "no config.json of a model: the list [1, 2]", 1),
        ("3", "no config.json of a model: a single value", 1),
        ('{"version": "1.0", "added_tokens": []}', "a mapping with version, added_tokens", 1),
        ("[" * 100_000, "nested too deeply", 1),
        ('{"hidden_size": ' + "9" * 5000 + "}", "not usable JSON", 1),
        (without(SMALL, "model_type"), "the key model_type is missing", 1),
        (without(SMALL, "hidden_size"), "the key hidden_size is missing", 1),
        (without(SMALL, "vocab_size"), "the key vocab_size is missing", 1),
        (SMALL | {"model_type": 7}, "model_type must be text, not 7", 2),
        (SMALL | {"model_type": "rwkv"}, '"rwkv" is not known here', 2),
        (SMALL | {"hidden_size": "4096"}, 'must be a whole number, not "4096"', 3),
        (SMALL | {"hidden_size": True}, "must be a whole number, not true", 3),
        (SMALL | {"hidden_size": 4096.5}, "must be a whole number, not 4096.5", 3),
        (SMALL | {"hidden_size": -1}, "must be from 1 to 1,000,000,000, not -1", 3),
        (SMALL | {"hidden_size": 10**30}, "must be from 1 to", 3),
        (SMALL | {"num_key_value_heads": 7}, "7 does not divide 32 heads", 7),
        (SMALL | {"hidden_size": 4097}, "the key head_dim is missing", 1),
        (SMALL | {"tie_word_embeddings": "no"}, "must be true or false", 10),
        (SMALL | {"text_config": 5}, "text_config must be a mapping, not 5", 10),
        (
            {"model_type": "llava", "text_config": without(SMALL, "num_hidden_layers")},
            "the key num_hidden_layers is missing in text_config",
            3,
        ),
        (
            {"hidden_size": 1, "text_config": SMALL | {"hidden_size": 0}},
            "must be from 1 to",
            5,
        ),
        (SMALL | {"sliding_window": 9, "layer_types": [1]}, "must be a list of texts", 11),
        (SMALL | {"sliding_window": 9, "layer_types": ["a"]}, "names 1 layers, not 32", 11),
        (CATALOGUE["mixtral-8x7b"] | {"num_experts_per_tok": 9}, "9 is above the 8 experts", 11),
        (CATALOGUE["qwen3-30b-a3b"] | {"mlp_only_layers": [1]}, "must be empty", 14),
        (DEEPSEEK_V3 | {"first_k_dense_replace": 62}, "62 is above num_hidden_layers 61", 19),
        (without(DEEPSEEK_V3, "kv_lora_rank"), "the key kv_lora_rank is missing", 1),
        (nemotron("M-*X", 4480, 9), "must be text of M, *, - and E", 11),
        (nemotron("M-*", 4480, 9) | {"num_hidden_layers": 4}, "names 3 layers", 11),
        (
            without(nemotron("M-*", 4480, 9), "hybrid_override_pattern"),
            "the key hybrid_override_pattern is missing",
            1,
        ),
    ],
)
def test_refusals(read, config, message, line):
    with pytest.raises(Ds3optError) as caught:
        read(config)
    (problem,) = caught.value.problems
    assert message in problem.message
    assert problem.location.line == line
    assert problem.location.source.endswith("config.json")


def test_place_within_the_line(read):
    with pytest.raises(Ds3optError) as caught:
        read(json.dumps(SMALL | {"hidden_size": 0}, indent=2).replace("\n", "\r\n"))
    place = caught.value.problems[0].location
    assert (place.line, place.column, place.text) == (3, 3, '  "hidden_size": 0,')
    with pytest.raises(Ds3optError) as caught:
        read('{"model_type": "llama",\r\n "hidden_size": }')
    place = caught.value.problems[0].location
    assert (place.line, place.column, place.text) == (2, 17, ' "hidden_size": }')


def test_not_a_text(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b'\x08\x00\x00\x00\x00\x00\x00\x00{"a": 1}')
    with pytest.raises(Ds3optError, match="not text: NUL byte"):
        shape_from_config(path)
    with pytest.raises(Ds3optError, match="there is no file"):
        shape_from_config(tmp_path / "missing.json")
    with pytest.raises(Ds3optError, match="is a folder"):
        shape_from_config(tmp_path)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(name=st.sampled_from(sorted(CATALOGUE | OTHERS)), data=st.data())
def test_any_config_is_read_or_refused(spec, name, data):
    """One key of a good config with another value, or gone: a shape or a problem, no traceback."""
    config = json.loads(json.dumps((CATALOGUE | OTHERS)[name]))
    inside = config.get("text_config", config)
    key = data.draw(st.sampled_from(sorted(inside)))
    if data.draw(st.booleans()):
        inside[key] = data.draw(anything)
    else:
        del inside[key]
    with contextlib.suppress(Ds3optError, ValidationError):
        assert spec(config).parameters > 0
