"""Running the real console script, and a scenario small enough to solve in a moment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ds3opt.cli.main import main

SCENARIO = """\
name: Small
workload:
  tasks: 1e9
  mix:
    - {name: short, share: 0.6, difficulty: 2.5, skills: 3, max_output_tokens: 2000}
    - {name: long, share: 0.4, difficulty: 2.4, skills: 8, verifier: {kind: outcome}}
model:
  parameters: [1e7, 1e12]
reasoning:
  policies: [chain_of_thought, best_of_n: {samples: [2, 4]}]
limits: {total_flop: 1e20}
solver: {gap: 1e-3}
"""

UNCERTAIN = """\
name: Unsure
workload:
  tasks: 1e9
  mix:
    - {name: short, share: 0.6, difficulty: {value: 2.5, interval: [2.4, 2.6]}, skills: 3,
       max_output_tokens: 2000}
    - {name: long, share: 0.4, difficulty: 2.4, skills: 8, verifier: {kind: outcome}}
model:
  parameters: [1e7, 1e12]
  capability: {slope: {value: 5, interval: [4, 6]}}
reasoning:
  policies: [chain_of_thought, best_of_n: {samples: [2, 4]}]
limits: {total_flop: 1e20}
solver: {gap: 1e-3}
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


def environment(**changes: str) -> dict[str, str]:
    """The environment without what would colour or widen the output."""
    dropped = {"NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM"}
    return {**{k: v for k, v in os.environ.items() if k not in dropped}, **changes}


def script() -> str:
    """The console script beside the interpreter that runs the tests."""
    found = Path(sys.executable).parent / "ds3opt"
    if not found.exists():
        pytest.skip("the console script is not installed")
    return str(found)


@pytest.fixture(scope="session")
def ds3opt_script() -> str:
    return script()


@pytest.fixture
def run(tmp_path: Path, ds3opt_script: str) -> Run:
    """Run ``ds3opt`` with arguments in a folder of its own; no terminal anywhere."""

    def go(
        *arguments: str, stdin: str = "", env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [ds3opt_script, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment(**(env or {})),
            timeout=60,
            check=False,
        )

    return go


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SCENARIO, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def result(tmp_path_factory: pytest.TempPathFactory, ds3opt_script: str) -> str:
    """The JSON of the small scenario, solved once."""
    folder = tmp_path_factory.mktemp("solved")
    (folder / "small.yaml").write_text(SCENARIO, encoding="utf-8")
    done = subprocess.run(
        [ds3opt_script, "solve", "small.yaml", "-f", "json"],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment(),
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.fixture
def unsure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A scenario with two uncertain numbers, by its name; the test has a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "unsure.yaml").write_text(UNCERTAIN, encoding="utf-8")
    return "unsure.yaml"


@pytest.fixture
def said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Exit code, output and errors of a command in this process."""

    def go(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.chdir(tmp_path)
        code = main(arguments)
        return code, *capsys.readouterr()

    return go
