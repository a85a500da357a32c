"""Both kinds of installation find the shipped scenarios and solve from any folder."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _run(*argv: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run with nothing of the checkout on the path."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    return subprocess.run(
        [str(word) for word in argv],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="session")
def wheel(tmp_path_factory) -> Path:
    """A wheel built from the checkout; without the network if hatchling is installed."""
    folder = tmp_path_factory.mktemp("wheel")
    offline = importlib.util.find_spec("hatchling") is not None
    done = _run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        *(["--no-build-isolation"] if offline else []),
        "--wheel-dir",
        folder,
        ROOT,
        cwd=folder,
    )
    if done.returncode and not offline:
        pytest.skip(f"no hatchling here, and none could be fetched: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel, tmp_path_factory) -> Path:
    """Folder of scripts of a fresh environment with the wheel in it.

    Dependencies come from the running environment, through a .pth file that is read after the
    environment's own packages; its editable ds3opt is shadowed by the wheel.
    """
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False, symlinks=os.name != "nt")
    paths = sysconfig.get_paths(
        scheme="venv", vars={"base": str(home), "platbase": str(home), "installed_base": str(home)}
    )
    python = Path(paths["scripts"]) / Path("python").with_suffix(".exe" if os.name == "nt" else "")
    library = Path(paths["purelib"])
    running = Path(sysconfig.get_path("purelib"))
    (library / "dependencies.pth").write_text(f"{running}\n", encoding="utf-8")
    done = _run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--no-index",
        "--ignore-installed",
        wheel,
        cwd=home,
    )
    assert done.returncode == 0, done.stderr
    return python.parent


@pytest.fixture(params=["wheel", "editable"])
def program(request) -> list[str | Path]:
    """The command line of ds3opt, installed from a wheel or from the checkout."""
    if request.param == "editable":
        return [sys.executable, "-m", "ds3opt"]
    return [request.getfixturevalue("installed") / "ds3opt"]


def test_the_wheel_carries_the_catalogue(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    carried = {Path(n).name for n in names if n.startswith("ds3opt/catalogue/scenarios/")}
    shipped = {path.name for path in (ROOT / "scenarios").glob("*.yaml")}
    assert shipped
    assert shipped <= carried
    assert "ds3opt/py.typed" in names
    assert "ds3opt/cli/template.yaml" in names
    assert not [name for name in names if name.startswith(("tests/", "docs/", "benchmarks/"))]


def test_the_wheel_carries_the_hardware(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    shipped = [path for path in (ROOT / "hardware").rglob("*") if path.is_file()]
    assert shipped
    for path in shipped:
        assert f"ds3opt/catalogue/hardware/{path.relative_to(ROOT / 'hardware')}" in names


def test_the_wheel_is_found_instead_of_the_checkout(installed, tmp_path):
    done = _run(installed / "python", "-c", "import ds3opt; print(ds3opt.__file__)", cwd=tmp_path)
    assert Path(done.stdout.strip()).is_relative_to(installed.parent), done.stdout + done.stderr


def test_the_version_is_the_one_of_the_package(program, tmp_path):
    done = _run(*program, "--version", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert importlib.metadata.version("ds3opt") in done.stdout


def test_shipped_scenarios_are_listed(program, tmp_path):
    done = _run(*program, "scenarios", "list", "--format", "json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    listed = {one["name"] for one in json.loads(done.stdout)["scenarios"]}
    assert listed == {path.stem for path in (ROOT / "scenarios").glob("*.yaml")}


def test_shipped_accelerators_are_listed(program, tmp_path):
    done = _run(*program, "hardware", "list", "--format", "json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    listed = {one["name"] for one in json.loads(done.stdout)["accelerators"]}
    assert listed == {path.stem for path in (ROOT / "hardware").glob("*.yaml")}
    linted = _run(*program, "hardware", "lint", "--today", "2026-11-01", cwd=tmp_path)
    assert linted.returncode == 0, linted.stdout


def test_a_shipped_scenario_is_solved(program, tmp_path):
    done = _run(*program, "solve", "data_constrained", "-f", "json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["status"] == "optimal"
    # least loss of Muennighoff et al.'s law at 1e22 FLOP and 25e9 distinct tokens
    assert result["outcome"]["loss"] == pytest.approx(2.222129, abs=1e-6)
    assert result["allocation"]["training_tokens"] / 25e9 == pytest.approx(9.488, abs=2e-3)
