"""ds3opt: certified compute allocation for large language models.

>>> import ds3opt
>>> scenario = ds3opt.load_scenario("quickstart")    # doctest: +SKIP
>>> ds3opt.solve(scenario).accuracy                  # doctest: +SKIP
0.53
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ds3opt.optimise.evaluate import evaluate
    from ds3opt.optimise.solution import Solution
    from ds3opt.optimise.solve import solve
    from ds3opt.schema import Scenario

__all__ = ["Scenario", "Solution", "evaluate", "load_scenario", "solve"]

_HOMES = {
    "Scenario": "ds3opt.schema",
    "Solution": "ds3opt.optimise.solution",
    "evaluate": "ds3opt.optimise.evaluate",
    "solve": "ds3opt.optimise.solve",
}


def load_scenario(path: str, overrides: Sequence[str] = ()) -> Scenario:
    """Checked scenario from a file or, by name, the catalogue, with ``path=value`` overrides."""
    from ds3opt.io.loader import load_scenario as load

    return load(path, overrides).scenario


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
