"""``ds3opt plot`` as a user meets it."""

from __future__ import annotations

import pytest

pytest.importorskip("matplotlib")


@pytest.fixture
def kept(tmp_path, result):
    (tmp_path / "small.json").write_text(result, encoding="utf-8")
    return "small.json"


def test_a_picture_of_a_scenario(run, scenario, tmp_path):
    done = run("plot", "small.yaml", "--kind", "classes", "-o", "small.svg")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    text = (tmp_path / "small.svg").read_text(encoding="utf-8")
    assert text.rstrip().endswith("</svg>")
    assert "Accuracy (%)" in text
    assert "(tokens)" in text


def test_the_same_bytes_in_every_run(run, kept, tmp_path):
    for name in ("a", "b"):
        assert run("plot", kept, "--kind", "classes", "-o", f"{name}.svg").returncode == 0
    first, second = ((tmp_path / f"{name}.svg").read_bytes() for name in ("a", "b"))
    assert first == second


def test_a_file_is_not_overwritten_by_surprise(run, kept, tmp_path):
    (tmp_path / "mine.svg").write_text("mine", encoding="utf-8")
    done = run("plot", kept, "--kind", "classes", "-o", "mine.svg")
    assert done.returncode == 2
    assert "--force" in done.stderr
    assert (tmp_path / "mine.svg").read_text(encoding="utf-8") == "mine"
    assert run("plot", kept, "--kind", "classes", "-o", "mine.svg", "--force").returncode == 0
    assert (tmp_path / "mine.svg").read_text(encoding="utf-8") != "mine"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "-o frontier.svg"),
        (("-o", "x.pdf"), ".svg or .png"),
        (("-o", "no/such/folder/x.svg"), "no folder"),
        (("-o", "x.svg", "--kind", "contours"), "give the scenario instead"),
        (("-o", "x.svg", "--kind", "pie"), "pie"),
        (("-o", "x.svg"), "no frontier"),
        (("-o", "x.svg", "--kind", "classes", "--set", "limits.total_flop=1e20"), "--set goes"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_words(run, kept, arguments, told, tmp_path):
    done = run("plot", kept, *arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "x.svg").exists()


def test_a_table_of_pareto_is_a_frontier(run, scenario, tmp_path):
    table = run(
        *("pareto", "small.yaml", "--vary", "limits.total_flop=1e19:1e20:3", "-f", "json"),
        *("-o", "table.json"),
    )
    assert table.returncode == 0
    done = run("plot", "table.json", "-o", "table.svg")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Total compute (FLOP)" in (tmp_path / "table.svg").read_text(encoding="utf-8")


def test_what_is_no_result_is_refused(run, tmp_path):
    (tmp_path / "odd.json").write_text("[1, 2]", encoding="utf-8")
    done = run("plot", "odd.json", "-o", "x.svg")
    assert done.returncode == 2
    assert "not a result" in done.stderr


def test_without_matplotlib_the_extra_is_named(run, kept, tmp_path):
    fake = tmp_path / "fake" / "matplotlib"
    fake.mkdir(parents=True)
    (fake / "__init__.py").write_text("raise ImportError('not here')\n", encoding="utf-8")
    import os

    path = os.pathsep.join([str(tmp_path / "fake"), os.environ.get("PYTHONPATH", "")])
    done = run("plot", kept, "--kind", "classes", "-o", "x.svg", env={"PYTHONPATH": path})
    assert done.returncode == 2
    assert "pip install 'ds3opt[plot]'" in done.stderr
    assert not (tmp_path / "x.svg").exists()
