"""Exit codes, streams, files and pipes of the real console script."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ds3opt.cli.outcome import exit_code
from ds3opt.optimise.solution import Certificate, FrontierPoint, Solution, Status

HEAVY = ("numpy", "scipy", "pydantic", "rich", "yaml", "cvxpy")


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from ds3opt.cli.main import main\n"
        "assert main(['--help']) == 0\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stderr.strip() == "[]"
    assert "solve" in done.stdout


def test_version_is_one_line(run) -> None:
    done = run("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("ds3opt ")
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("nonsense",),
        ("solve",),
        ("solve", "small.yaml", "--format", "xml"),
        ("solve", "small.yaml", "--precision", "0"),
        ("solve", "small.yaml", "--nonsense"),
        ("pareto", "small.yaml"),
        ("evaluate", "small.yaml"),
    ],
)
def test_wrong_usage_is_2_without_a_traceback(run, scenario, arguments) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Usage:" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_scenario_is_2_with_its_place(run, scenario: Path) -> None:
    text = scenario.read_text().replace("tasks: 1e9", "task: 1e9")
    done = run("solve", "-", stdin=text)
    assert (done.returncode, done.stdout) == (2, "")
    assert "<stdin>:3:3: workload.task" in done.stderr
    assert 'did you mean "tasks"?' in done.stderr


def test_a_wrong_setting_is_placed_at_its_option(run, scenario) -> None:
    done = run("solve", "small.yaml", "--set", "limits.total_flops=1")
    assert done.returncode == 2
    assert "--set #1" in done.stderr


def test_an_unknown_scenario_is_2(run) -> None:
    done = run("solve", "nope")
    assert done.returncode == 2
    assert "ds3opt scenarios list" in done.stderr


def test_standard_input_gives_the_same_allocation(run, scenario: Path, result: str) -> None:
    done = run("solve", "-", "--format", "json", stdin=scenario.read_text())
    assert done.returncode == 0
    assert done.stdout == result


def test_the_table_is_whole_when_piped(run, scenario) -> None:
    done = run("solve", "small.yaml", env={"COLUMNS": "40", "FORCE_COLOR": "1"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) > 80
    for block in ("Answer", "Classes and policies", "Limits and shadow prices", "Baselines"):
        assert f"\n{block}" in done.stdout


def test_color_is_given_where_it_is_asked_for(run) -> None:
    assert "\x1b[" in run("laws", "list", "--color", "always", env={"NO_COLOR": "1"}).stdout
    assert "\x1b[" not in run("laws", "list", "--color", "never").stdout


def test_an_infeasible_scenario_is_3_and_still_json(run, scenario) -> None:
    low = ("--set", "limits.total_flop=1e13")  # less than training the smallest model takes
    done = run("solve", "small.yaml", *low, "-f", "json")
    assert done.returncode == 3
    data = json.loads(done.stdout)
    assert data["status"] == "infeasible"
    assert data["infeasibility"]["limit"] == "limits.total_flop"
    assert "limits.total_flop" in done.stderr
    table = run("solve", "small.yaml", *low)
    assert table.returncode == 3
    assert table.stderr == ""
    assert "smallest feasible" in table.stdout


def test_a_gap_that_is_not_reached_is_4(run, scenario) -> None:
    done = run(
        "solve",
        "small.yaml",
        "--set",
        "solver.max_cells=1",
        "--set",
        "solver.gap=1e-9",
        "-f",
        "json",
    )
    assert done.returncode == 4
    data = json.loads(done.stdout)
    assert data["status"] == "not_converged"
    assert data["certificate"]["accuracy_upper"] >= data["certificate"]["accuracy_lower"]


def test_a_file_is_written_whole_and_never_over_another(run, tmp_path: Path) -> None:
    out = tmp_path / "laws.json"
    assert run("laws", "list", "-f", "json", "-o", "laws.json").stdout == ""
    first = out.read_text()
    assert json.loads(first)["laws"]
    out.write_text("mine")
    refused = run("laws", "list", "-f", "json", "-o", "laws.json")
    assert refused.returncode == 2
    assert "--force" in refused.stderr
    assert out.read_text() == "mine"
    assert run("laws", "list", "-f", "json", "-o", "laws.json", "--force").returncode == 0
    assert out.read_text() == first
    assert sorted(p.name for p in tmp_path.iterdir()) == ["laws.json"]


@pytest.mark.parametrize("target", ["missing/out.json", "."])
def test_an_impossible_file_is_2(run, target: str) -> None:
    done = run("laws", "list", "-o", target)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr


def test_an_existing_output_is_refused_before_the_work(run, scenario: Path) -> None:
    scenario.write_text("not even: a scenario\n")
    done = run("solve", "small.yaml", "-o", "small.yaml")
    assert done.returncode == 2
    assert "exists and is left as it is" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_said_in_words(ds3opt_script: str) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [ds3opt_script, "laws", "list"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=30,
            check=False,
        )
    assert done.returncode == 2
    assert "cannot write to standard output" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["laws list", "laws list -f json", "schema", "new", "--help"])
def test_a_closed_pipe_ends_quietly(ds3opt_script: str, command: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [ds3opt_script, *command.split()],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=30,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_interrupting_is_130_and_one_line(ds3opt_script: str, tmp_path: Path, scenario) -> None:
    slow = ["--set", "solver.gap=1e-12", "--set", "solver.max_cells=1000000000"]
    spread = ["--set", "workload.mix.long.difficulty={normal: {mean: 2.4, sd: 0.2}, points: 99}"]
    process = subprocess.Popen(
        [ds3opt_script, "solve", "small.yaml", *slow, *spread, "-o", "out.txt"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    time.sleep(1.5)
    if process.poll() is not None:
        pytest.skip("solved before it could be interrupted")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == ""
    assert err == "ds3opt: interrupted\n"
    assert [p.name for p in tmp_path.iterdir()] == ["small.yaml"]


def test_our_own_bugs_are_70_and_say_so(monkeypatch, capsys) -> None:
    import ds3opt.cli.new as new
    from ds3opt.cli.main import main

    monkeypatch.setattr(new, "TEMPLATE", None)
    assert main(["new"]) == 70
    said = capsys.readouterr().err
    assert "please report" in said
    assert "Traceback" not in said
    assert main(["new", "--debug"]) == 70
    assert "Traceback" in capsys.readouterr().err


def test_the_module_runs_too() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ds3opt", "--version"],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout.startswith("ds3opt ")


COMMANDS = {
    "solve": "SCENARIO",
    "pareto": "SCENARIO",
    "evaluate": "SCENARIO",
    "sensitivity": "SCENARIO",
    "simulate": "[SCENARIO]",
    "check": "[SCENARIO...]",
    "diff": "A B",
    "scenarios list": "",
    "scenarios show": "NAME",
    "laws list": "",
    "laws show": "NAME",
    "fit loss": "TABLE",
    "fit accuracy": "TABLE",
    "fit coverage": "FILE",
    "fit voting": "[FILE]",
    "fit verifier": "FILE",
    "fit directionality": "TABLE",
    "fit tasks": "TABLE",
    "hardware list": "",
    "hardware show": "NAME",
    "hardware lint": "[FILE...]",
    "validate": "",
    "schema": "",
    "new": "",
}


@pytest.mark.parametrize(("command", "arguments"), COMMANDS.items())
def test_help_names_arguments_describes_options_and_gives_an_example(
    run, command: str, arguments: str
) -> None:
    text = run(*command.split(), "--help").stdout
    assert text.splitlines()[0] == f"Usage: ds3opt {command} [OPTIONS] {arguments}".rstrip()
    assert not any(internal in text for internal in ("{", "<str>", "<list"))
    assert f"\n  Example:\n    ds3opt {command}" in text
    assert max(map(len, text.splitlines())) <= 80
    options = text.split("Options:\n")[1].split("\n\n")[0].splitlines()
    for line in options:
        assert not line.startswith("  -") or "  " in line.strip(), line


def test_commands_are_listed_in_the_order_of_use(run) -> None:
    listed = run("--help").stdout.split("Commands:\n")[1]
    assert [line.split()[0] for line in listed.splitlines()] == [
        "solve", "pareto", "evaluate", "explain", "sensitivity", "plot", "simulate", "coverage",
        "check", "diff", "scenarios", "laws", "fit", "hardware", "validate", "reproduce",
        "schema", "new",
    ]  # fmt: skip


def test_rows_that_stop_early_are_4_for_pareto(run, scenario) -> None:
    early = ("--set", "solver.max_cells=1", "--set", "solver.gap=1e-9")
    done = run("pareto", "small.yaml", *early, "--vary", "limits.total_flop=1e20,2e20")
    assert done.returncode == 4
    assert "\n  2 rows stopped before the requested gap\n" in done.stdout


def test_an_early_row_alone_does_not_change_the_code_of_solve() -> None:
    row = FrontierPoint(1e20, Status.NOT_CONVERGED, 0.5, 0.6, 1e9, 1e10, 1e19, 9e19, 100.0)
    certificate = Certificate("accuracy", 0.5, 0.5, 1e-4, relative=False)
    solution = Solution("a", "accuracy", None, Status.OPTIMAL, certificate)
    assert exit_code(replace(solution, frontier=(row,))) == 0
    assert exit_code(replace(solution, status=Status.NOT_CONVERGED)) == 4


def test_check_says_the_same_each_time(run, scenario) -> None:
    assert run("check", "small.yaml", "--update").returncode == 0
    first, second = run("check", "small.yaml"), run("check", "small.yaml")
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout == second.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("solve", "small.yaml", "--precision", "-1"),
        ("solve", "small.yaml", "--precision", "99"),
        ("solve", "small.yaml", "--set", "garbage"),
        ("solve", "small.yaml", "--set", "=1"),
        ("solve", "small.yaml", "--set", "limits.total_flop="),
        ("solve", "small.yaml", "--set", "workload.mix[99].share=1"),
        ("solve", "small.yaml", "--set", "limits=[1"),
        ("solve", "."),
        ("check", "."),
        ("diff", ".", "small.yaml"),
        ("solve", "x" * 250),
        ("laws", "list", "-o", "x" * 5000),
        ("laws", "list", "-o", "x/" * 5000),
        ("solve", "\u540d\u524d\U0001f600"),
        ("laws", "show", "\u540d\u524d" * 500),
        ("solve", "small.yaml", "-o", "missing/out.txt"),
    ],
)
def test_nonsense_is_2_in_words(run, scenario, arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("data", [b"\x00\xff" * 100, b"\xff\xfe\x00", bytes(range(256)), b""])
def test_binary_input_is_2_in_words(ds3opt_script: str, data: bytes) -> None:
    done = subprocess.run(
        [ds3opt_script, "solve", "-"], input=data, capture_output=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr
    assert b"Traceback" not in done.stderr


def test_an_interrupt_that_turns_into_another_error_is_still_one(monkeypatch, capsys) -> None:
    import signal

    from ds3opt.cli import main as script

    def loading(arguments: list[str]) -> int:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise ImportError("an extension module failed to load") from None
        return 0

    monkeypatch.setattr(script, "_run", loading)
    before = signal.getsignal(signal.SIGINT)
    assert script.main([]) == 130
    assert capsys.readouterr() == ("", "ds3opt: interrupted\n")
    assert signal.getsignal(signal.SIGINT) is before
