import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds3opt.laws.capability import directionality, step_skill_success

losses = st.floats(0.0, 20.0)


def test_hand_values():
    assert step_skill_success(2.0, 2.0, slope=5) == 0.5
    assert step_skill_success(2.0, 2.0, slope=5, scale=0.6, offset=0.25) == 0.55
    assert step_skill_success(np.inf, 2.0, slope=5, scale=0.6, offset=0.25) == 0.25
    # 1 / (1 + e) one nat above the difficulty
    assert step_skill_success(3.0, 2.0, slope=1) == pytest.approx(1 / (1 + np.e), rel=1e-15)
    assert directionality(1, 0.0) == 1.0
    assert directionality(10, 0.5) == pytest.approx(0.55, rel=1e-15)


@given(loss=losses, difficulty=losses, slope=st.floats(0.1, 100.0), scale=st.floats(0.0, 1.0))
def test_sigmoid(oracle, loss, difficulty, slope, scale):
    exact = oracle("exact")
    offset = (1.0 - scale) / 2
    with np.errstate(all="raise"):
        p = step_skill_success(loss, difficulty, slope=slope, scale=scale, offset=offset)
        plain = step_skill_success(loss, difficulty, slope=slope)
    assert offset <= p <= scale + offset + 1e-15
    z = exact.mpf(slope) * (exact.mpf(difficulty) - exact.mpf(loss))
    # Rounding the exponent costs |z| ulp.
    assert exact.relative_error(plain, 1 / (1 + exact.mp.exp(-z))) < 4e-16 * (2 + abs(z))
    worse = step_skill_success(loss + 0.5, difficulty, slope=slope, scale=scale, offset=offset)
    assert worse <= p


@given(m=st.integers(1, 10**6), delta=st.floats(0.0, 1.0))
def test_directionality_bounds(m, delta):
    value = directionality(m, delta)
    assert max(delta, 1 / m) * (1 - 1e-15) <= value <= 1.0 + 1e-15
    # The other skills share what is left evenly.
    assert value + (m - 1) * (1 - delta) / m == pytest.approx(1.0, rel=1e-12)


def test_broadcasting():
    p = step_skill_success(np.array([2.0, 3.0])[:, np.newaxis], [1.0, 2.0, 3.0], slope=5)
    assert p.shape == (2, 3)
    assert np.ndim(step_skill_success(2.0, 2.0, slope=5)) == 0
    assert directionality([[1], [2]], [0.0, 0.5, 1.0]).shape == (2, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scale": 0.9, "offset": 0.2}, r"scale \+ offset must be in \[0, 1\], got 1.1"),
        ({"offset": -0.1}, r"offset must be in \[0, 1\], got -0.1"),
        ({"scale": -0.1}, r"scale must be in \[0, 1\], got -0.1"),
        ({"slope": 0.0}, r"slope must be in \(0, inf\), got 0"),
        ({"loss": np.nan}, r"loss must be in \(-inf, inf\], got nan"),
    ],
)
def test_refusals(change, message):
    good = {"loss": 2.0, "difficulty": 2.0, "slope": 5.0, "scale": 1.0, "offset": 0.0}
    with pytest.raises(ValueError, match=message):
        step_skill_success(**{**good, **change})
    with pytest.raises(ValueError, match="delta"):
        directionality(2, 1.5)
