import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds3opt.laws import compute, shapes

sizes = st.floats(1e5, 1e13)
FIELDS = (
    "parameters",
    "layers",
    "width",
    "heads",
    "kv_heads",
    "attention_width",
    "kv_elements_per_token",
)


def test_published_dense_counts():
    """Counts of the checkpoints: Llama 2 7B (multi-head) and Llama 3.1 405B (grouped-query)."""
    llama2 = {"layers": 32, "width": 4096, "heads": 32, "head_width": 128, "kv_heads": 32}
    assert shapes.dense_parameters(**llama2, inner_width=11008, vocabulary=32000) == 6_738_415_616
    llama3 = {"layers": 126, "width": 16384, "heads": 128, "head_width": 128, "kv_heads": 8}
    count = shapes.dense_parameters(**llama3, inner_width=53248, vocabulary=128256)
    assert count == 405_853_388_800


def test_rule_of_twelve():
    """Multi-head attention and a plain inner layer of 4 widths make DS3's 12 layers width^2."""
    attention = shapes.attention_parameters(512, 8, 64, 8)
    feed_forward = shapes.feed_forward_parameters(512, 2048, matrices=2)
    assert attention + feed_forward == 12 * 512**2


def test_tied_embeddings_are_one_table():
    assert shapes.embedding_parameters(1000, 7) == 14000
    assert shapes.embedding_parameters(1000, 7, tied=True) == 7000


def test_latent_attention_by_its_matrices():
    """DeepSeek-V2-Lite, which does not compress queries: every matrix written out."""
    matrices = [
        (2048, 16 * (128 + 64)),  # queries
        (2048, 512 + 64),  # down to the latent, and the shared key
        (512, 16 * (128 + 128)),  # up to keys and values
        (16 * 128, 2048),  # out
    ]
    count = shapes.latent_attention_parameters(
        2048, 16, latent_rank=512, rope_width=64, content_width=128, value_width=128
    )
    assert count == sum(rows * columns for rows, columns in matrices)


def test_state_space_by_its_matrices():
    inner, groups_states, heads = 128 * 80, 8 * 128, 128
    mixed = inner + 2 * groups_states
    parts = [4480 * (2 * inner + 2 * groups_states + heads), inner * 4480, 4 * mixed, mixed]
    parts += [heads, heads, heads, inner]
    assert shapes.state_space_parameters(4480, 128, 80, 128, groups=8) == sum(parts)
    elements = shapes.state_space_elements(27, 128, 80, 128, groups=8)
    assert elements == 27 * (inner * 128 + 3 * mixed)
    assert shapes.state_space_elements(3, 2, 5, 7, kernel=0) == 3 * 2 * 5 * 7


@pytest.mark.parametrize(
    ("layers", "kv_heads", "head_width", "kibibytes"),
    [(80, 8, 128, 320), (32, 8, 128, 128), (126, 8, 128, 504), (32, 32, 128, 512)],
)
def test_cache_of_a_token_in_bf16(layers, kv_heads, head_width, kibibytes):
    elements = shapes.kv_elements_per_token(layers, kv_heads, head_width)
    assert elements * shapes.BYTES_PER_ELEMENT["bf16"] == kibibytes * 1024


def test_cache_of_latent_attention():
    assert 2 * shapes.latent_kv_elements_per_token(61, 512, 64) == 70_272
    # scores over 576 and sums over 512 of 128 heads, as one width for both
    assert shapes.latent_attention_width(128, 512, 64) == 128 * (576 + 512) / 2


def test_bytes_of_formats():
    size = shapes.BYTES_PER_ELEMENT
    assert (size["bf16"], size["fp16"], size["fp8"], size["int8"]) == (2, 2, 1, 1)
    # one byte of scale for a block of 16 (NVFP4) or 32 (MXFP4) elements of half a byte
    assert 16 * size["fp4"] == 8 + 1
    assert 32 * size["mxfp4"] == 16 + 1


@given(
    fixed=st.floats(1e6, 1e12),
    routed=st.floats(1e6, 1e12),
    experts=st.integers(2, 512),
    data=st.data(),
)
def test_active_and_routed_are_inverse(fixed, routed, experts, data):
    used = data.draw(st.integers(1, experts - 1))
    total = fixed + routed
    active = shapes.active_parameters(total, routed, experts, used)
    assert active == pytest.approx(fixed + routed * used / experts, rel=1e-12)
    back = shapes.routed_parameters(total, active, experts, used)
    # total - active cancels: its error is a few roundings of the total, over the idle share
    assert abs(back - routed) <= 8e-16 * total * experts / (experts - used) + 1e-12 * routed


def test_no_idle_experts():
    assert shapes.active_parameters(10.0, 4.0, 8, 8) == 10
    assert shapes.routed_parameters(10.0, 10.0, 1, 1) == 0
    got = shapes.routed_parameters(10.0, [4.0, 10.0], [8, 1], [2, 1])
    np.testing.assert_array_equal(got, [8.0, 0.0])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: shapes.active_parameters(10, 5, 4, 5), "active_experts / experts"),
        (lambda: shapes.active_parameters(10, 5, 0, 0), "experts"),
        (lambda: shapes.kv_elements_per_token(-1, 8, 128), "layers"),
        (lambda: shapes.kv_elements_per_token(np.nan, 8, 128), "layers"),
        (lambda: shapes.shapes_by_rule(1e9, np.inf), "largest"),
        (lambda: shapes.shapes_by_rule(1e9, 1e10, width_per_layer=0), "width_per_layer"),
        (lambda: shapes.shapes_by_rule(1e9, 1e10, query_heads_per_kv_head=0.5), "query_heads"),
        (lambda: shapes.shapes_by_rule(1, 1e30, width_per_layer=1e-6), "narrow enough"),
    ],
)
def test_refusals(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def literal_rule(smallest, largest, ratio, head, group):
    """The rule shape by shape, without bisection."""
    found = []
    layers = 1
    while True:
        heads = max(1, round(ratio * layers / head))
        parameters = 12 * layers * (heads * head) ** 2
        if parameters > largest * (1 + 1e-9):
            return found
        if parameters >= smallest * (1 - 1e-9):
            kv = max(1, int(heads // group))
            found.append((parameters, layers, heads * head, heads, kv))
        layers += 1


@given(
    smallest=st.floats(1e4, 1e11),
    span=st.floats(1.0, 1e3),
    ratio=st.sampled_from((16, 64, 128, 200)),
    head=st.sampled_from((32, 64, 128)),
    group=st.sampled_from((1, 4, 8, 5.5)),
)
def test_rule_against_a_loop(smallest, span, ratio, head, group):
    got = shapes.shapes_by_rule(
        smallest,
        smallest * span,
        width_per_layer=ratio,
        head_width=head,
        query_heads_per_kv_head=group,
    )
    want = literal_rule(smallest, smallest * span, ratio, head, group)
    rows = zip(got.parameters, got.layers, got.width, got.heads, got.kv_heads, strict=True)
    assert [tuple(map(float, row)) for row in rows] == want
    np.testing.assert_array_equal(got.kv_elements_per_token, 2 * got.layers * got.kv_heads * head)
    np.testing.assert_array_equal(got.attention_width, got.width)


@given(
    smallest=sizes,
    span=st.floats(1.0, 1e3),
    ratio=st.floats(8, 512),
    head=st.floats(16, 512),
    group=st.floats(1, 64),
)
def test_no_size_falls_along_the_rule(smallest, span, ratio, head, group):
    """What the optimiser's bounds over a range of sizes rest on."""
    got = shapes.shapes_by_rule(
        smallest,
        smallest * span,
        width_per_layer=ratio,
        head_width=head,
        query_heads_per_kv_head=group,
    )
    for name in FIELDS:
        assert (np.diff(getattr(got, name)) >= 0).all(), name
    assert (np.diff(got.parameters) > 0).all()
    assert (got.parameters >= smallest * (1 - 1e-8)).all()
    assert (got.parameters <= smallest * span * (1 + 1e-8)).all()


def test_ends_belong_to_the_range():
    size = 12 * 128**2 * 32.0**3
    for wobble in (1 - 5e-10, 1.0, 1 + 5e-10):
        assert shapes.shapes_by_rule(size * wobble, size * wobble).layers.tolist() == [32]
    assert len(shapes.shapes_by_rule(size * 1.001, size * 1.002)) == 0
    assert len(shapes.shapes_by_rule(2e9, 1e9)) == 0
    assert len(shapes.shapes_by_rule(0, 0)) == 0


def test_rule_agrees_with_the_smooth_one():
    """Where heads come out whole, layers times width is that of the law of the size."""
    got = shapes.shapes_by_rule(1e8, 1e12)
    smooth = compute.layers_times_width(got.parameters, 128)
    np.testing.assert_allclose(got.layers * got.width, smooth, rtol=1e-12)


def test_as_the_laws_of_serving_take_it():
    got = shapes.shapes_by_rule(1e9, 1e11)
    model = got.model_shape(1.0, 2.0)
    np.testing.assert_array_equal(model.weight_bytes, got.parameters)
    np.testing.assert_array_equal(model.cached_bytes(10), 20 * got.kv_elements_per_token)
    np.testing.assert_array_equal(model.cache_shards, got.kv_heads)
    empty = shapes.shapes_by_rule(2e9, 1e9).model_shape(2.0, 2.0)
    assert empty.weight_bytes.shape == (0,)


def test_broadcasting():
    got = shapes.kv_elements_per_token(np.array([[1], [2]]), [1, 2, 4], 128)
    np.testing.assert_array_equal(got, 256 * np.array([[1, 2, 4], [2, 4, 8]]))
    latent = shapes.latent_attention_parameters(
        2048,
        16,
        latent_rank=512,
        rope_width=64,
        content_width=128,
        value_width=128,
        query_rank=[0, 1536],
    )
    assert latent.shape == (2,)
