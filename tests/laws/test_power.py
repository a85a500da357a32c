"""Power of boards and energy of buildings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds3opt.laws.power import board_power_watts, facility_joules
from ds3opt.laws.roofline import Device, Efficiency

H100 = Device(989e12, 3.35e12, 80e9, 450e9, 700)
share = st.floats(0.0, 1.0)
amount = st.floats(0.0, 1e15)


def test_hand_values():
    shares = Efficiency(base_power=0.54, memory_power=0.21, compute_power=1.14)
    assert board_power_watts(H100, shares, 0.6, 0.05) == pytest.approx(
        700 * (0.54 + 0.126 + 0.057), rel=1e-14
    )
    assert board_power_watts(H100, shares, 1.0, 1.0) == 700
    # Google's boundary: 58 % accelerators, 25 % host, 8 % overhead of the whole (arXiv 2508.15734)
    assert facility_joules(
        58, 1, host_watts_per_accelerator=25, power_usage_effectiveness=1 / 0.92
    ) == pytest.approx(83 / 0.92, rel=1e-14)
    assert facility_joules(5, 3) == 5


@given(share, share, share, share, share, share)
def test_power_rises_with_work_up_to_the_limit(base, a, b, memory, compute, more):
    shares = Efficiency(base_power=base, memory_power=a, compute_power=b)
    watts = board_power_watts(H100, shares, memory, compute)
    assert 700 * base * (1 - 1e-12) <= watts <= 700
    assert board_power_watts(H100, shares, memory + more, compute + more) >= watts * (1 - 1e-12)


@given(amount, amount, st.floats(0, 1e4), st.floats(1, 3), st.floats(1, 10))
def test_facility_scales_and_never_saves(joules, held, host, pue, factor):
    total = facility_joules(
        joules, held, host_watts_per_accelerator=host, power_usage_effectiveness=pue
    )
    assert total >= joules * (1 - 1e-12)
    assert facility_joules(
        factor * joules,
        factor * held,
        host_watts_per_accelerator=host,
        power_usage_effectiveness=pue,
    ) == pytest.approx(factor * total, rel=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: board_power_watts(H100, Efficiency(), -0.1, 0),
            r"memory_utilisation must be in \[0, inf\], got -0.1",
        ),
        (
            lambda: facility_joules(1, 1, power_usage_effectiveness=0.9),
            r"power_usage_effectiveness must be in \[1, inf\)",
        ),
        (lambda: facility_joules(-1, 1), r"board_joules must be in \[0, inf\]"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
