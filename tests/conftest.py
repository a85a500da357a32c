"""What all tests share: reference material if it is at hand, oracles, settings of Hypothesis."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings

settings.register_profile("ds3opt", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("ds3opt")

_TESTS = Path(__file__).resolve().parent


@pytest.fixture(scope="session")
def shared() -> Callable[[str], Path]:
    """Path of a file of reference material kept beside the repository; skips where absent."""

    def locate(name: str) -> Path:
        path = _TESTS.parents[1] / "shared" / name
        if not path.exists():
            pytest.skip(f"reference material {name} is not at hand")
        return path

    return locate


@cache
def _oracle(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        f"ds3opt_oracle_{name}", _TESTS / "oracles" / f"{name}.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def oracle() -> Callable[[str], ModuleType]:
    """Module of `tests/oracles` by name: slow, literal computations to compare against."""
    return _oracle
