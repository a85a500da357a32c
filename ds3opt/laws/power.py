"""Watts of a board while it serves or trains, and joules of the building around it."""

from __future__ import annotations

import numpy as np

from ds3opt.laws._types import ArrayLike, FloatArray, interval
from ds3opt.laws.roofline import Device, Efficiency


def board_power_watts(
    device: Device,
    efficiency: Efficiency,
    memory_utilisation: ArrayLike,
    compute_utilisation: ArrayLike,
) -> FloatArray:
    """Power of one board: ``TDP min(1, base + a u_memory + b u_compute)``.

    Energy of a step never falls with a size of the model: power times time is
    ``TDP min(t, base t + a t_memory + b t_compute)``, of times at peak that never fall.

    Parameters
    ----------
    memory_utilisation, compute_utilisation : achieved over peak, as `decode_step` gives them.

    >>> h100 = Device(989e12, 3.35e12, 80e9, 450e9, 700)
    >>> shares = Efficiency(base_power=0.3, memory_power=0.4, compute_power=1.0)
    >>> board_power_watts(h100, shares, 0.5, [0.0, 0.1, 0.9]).round(6).tolist()
    [350.0, 420.0, 700.0]
    """
    memory = interval("memory_utilisation", memory_utilisation, 0, np.inf)
    compute = interval("compute_utilisation", compute_utilisation, 0, np.inf)
    work = efficiency.memory_power * memory + efficiency.compute_power * compute
    share = np.minimum(efficiency.base_power + work, 1.0)
    return np.asarray(device.board_power_watts * share)[()]


def facility_joules(
    board_joules: ArrayLike,
    accelerator_seconds: ArrayLike,
    *,
    host_watts_per_accelerator: ArrayLike = 0.0,
    power_usage_effectiveness: ArrayLike = 1.0,
) -> FloatArray:
    """Energy that the building draws: ``PUE (boards + host power x accelerator time)``, J.

    Parameters
    ----------
    board_joules : drawn by the accelerators themselves, >= 0.
    accelerator_seconds : accelerators x time they are held, >= 0.
    host_watts_per_accelerator : processors, memory, network cards and fans of the server, over its
        accelerators, >= 0.
    power_usage_effectiveness : PUE >= 1, of cooling and power supply.

    >>> joules = facility_joules(
    ...     700, 1, host_watts_per_accelerator=150, power_usage_effectiveness=1.2
    ... )
    >>> f"{joules:.1f}"    # 1.2 (700 + 150)
    '1020.0'
    """
    boards = interval("board_joules", board_joules, 0, np.inf)
    held = interval("accelerator_seconds", accelerator_seconds, 0, np.inf)
    host = interval(
        "host_watts_per_accelerator", host_watts_per_accelerator, 0, np.inf, bounds="[)"
    )
    pue = interval("power_usage_effectiveness", power_usage_effectiveness, 1, np.inf, bounds="[)")
    hosts = np.where(host > 0.0, held, 0.0) * host
    return np.asarray(pue * (boards + hosts))[()]
