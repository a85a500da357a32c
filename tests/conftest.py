"""What all tests share: reference material if it is at hand, oracles, settings of Hypothesis."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings

settings.register_profile("ds3opt", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("ds3opt")

_TESTS = Path(__file__).resolve().parent
_ORACLES = ModuleType("oracles", "A package, so that oracles may be made of each other.")
_ORACLES.__path__ = [str(_TESTS / "oracles")]
sys.modules["oracles"] = _ORACLES


@pytest.fixture(scope="session")
def shared() -> Callable[[str], Path]:
    """Path of a file of reference material kept beside the repository; skips where absent."""

    def locate(name: str) -> Path:
        path = _TESTS.parents[1] / "shared" / name
        if not path.exists():
            pytest.skip(f"reference material {name} is not at hand")
        return path

    return locate


@pytest.fixture(scope="session")
def oracle() -> Callable[[str], ModuleType]:
    """Module of `tests/oracles` by name: slow, literal computations to compare against."""
    return lambda name: import_module(f"oracles.{name}")
