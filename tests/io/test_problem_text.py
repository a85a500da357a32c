"""Problems as text: caret under the column, long and wide lines, annotations."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ds3opt.errors import Location, Problem
from ds3opt.io.problem_text import format_path, render_problems, render_problems_github

PLACE = Location("s.yaml", 3, 8, "  share: 1.5")


def test_one_problem() -> None:
    text = render_problems([Problem("must be at most 1", "mix[0].share", "lower it", PLACE)])
    assert text.split("\n") == [
        "s.yaml:3:8: mix[0].share: must be at most 1",
        "      share: 1.5",
        "           ^",
        "  hint: lower it",
    ]


def test_without_a_place() -> None:
    assert render_problems([Problem("no"), Problem("no", "a.b")]) == "no\na.b: no"
    assert render_problems([Problem("no", location=Location("s.yaml"))]) == "s.yaml: no"


def test_limit() -> None:
    problems = [Problem(f"p{n}") for n in range(25)]
    assert render_problems(problems).split("\n")[-2:] == ["p19", "... and 5 more"]
    assert "more" not in render_problems(problems[:20])


def test_tabs_and_wide_characters() -> None:
    _, line, caret = render_problems(
        [Problem("no", location=Location("s", 1, 8, "a:\t日本: x"))]
    ).split("\n")
    assert line == "    a: 日本: x"
    assert caret.index("^") == line.index("x") + len("日本")


def test_terminal_controls_are_shown_not_sent() -> None:
    text = render_problems([Problem("bad \x1b[31m", location=Location("s", 1, 1, "\x1b[0m"))])
    assert "\x1b" not in text
    assert "bad \\x1b[31m" in text


@settings(deadline=None)
@given(st.text("ab c:", max_size=400), st.data())
def test_caret_is_under_the_column(text: str, data: st.DataObject) -> None:
    text += "!"
    column = data.draw(st.integers(1, len(text)))
    marked = text[: column - 1] + "X" + text[column:]
    place = Location("s", 1, column, marked)
    _, line, caret = render_problems([Problem("no", location=place)]).split("\n")
    assert line[caret.index("^")] == "X"
    assert len(line) <= 4 + 120 + 6


@settings(deadline=None)
@given(st.text(), st.integers(0, 50), st.text(max_size=300), st.text(), st.text())
def test_any_problem(message: str, column: int, line: str, path: str, hint: str) -> None:
    problem = Problem(message, path, hint, Location("s", 1, column, line))
    text = render_problems([problem])
    assert all(c.isprintable() or c == "\n" for c in text)
    assert "\n" not in render_problems_github([problem])


def test_annotations() -> None:
    problem = Problem("100% wrong\nreally", "a.b", "fix: it", Location("d,e:f/s.yaml", 3, 8, "x"))
    assert render_problems_github([problem]) == (
        "::error file=d%2Ce%3Af/s.yaml,line=3,col=8::a.b: 100%25 wrong%0Areally%0Ahint: fix: it"
    )
    typed = Problem("no", "a", location=Location("--set #2", 1, 3, "a=1"))
    assert render_problems_github([typed, Problem("no")]) == (
        "::error::--set #2:1:3: a: no\n::error::no"
    )


def test_paths() -> None:
    assert format_path(("workload", "mix", 0, "share")) == "workload.mix[0].share"
    assert format_path(()) == ""
