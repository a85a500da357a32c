"""YAML 1.2 values, places, and everything that is refused."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ds3opt.errors import Problem, ScenarioError
from ds3opt.io.problem_text import render_problems
from ds3opt.io.yaml_compose import MAX_DEPTH, MAX_NODES
from ds3opt.io.yaml_scalars import plain_scalar
from ds3opt.io.yaml_source import load_yaml, load_yaml_bytes

SCENARIO = """\
name: Coding assistant
workload:
  tasks: 1e9
  mix:
    - name: completion
      share: 0.70
      difficulty: {normal: {mean: 2.1, sd: 0.1}}
    - &second
      name: refactor
      skills: [5, 30]
    - <<: *second
      share: 0.25
limits: {energy: 1.2 GWh}
notes: |
  two lines
  of text
nothing:
"""


def refusals(text: str) -> tuple[Problem, ...]:
    with pytest.raises(ScenarioError) as caught:
        load_yaml(text, "s.yaml")
    return caught.value.problems


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("1e24", 1e24), ("1E+24", 1e24), ("1.e24", 1e24), ("+1e24", 1e24), ("-1e-3", -1e-3)),
        *((".5", 0.5), ("1.", 1.0), ("0.70", 0.7), (".inf", math.inf), ("-.Inf", -math.inf)),
        *(("12", 12), ("-12", -12), ("+12", 12), ("007", 7), ("0o17", 15), ("0x1F", 31)),
        *(("1_000", "1_000"), ("12:30", "12:30"), ("2026-01-01", "2026-01-01"), ("0b11", "0b11")),
        *(("true", True), ("False", False), ("yes", "yes"), ("no", "no"), ("on", "on"), ("y", "y")),
        *(("null", None), ("~", None), ("", None), ("NULL", None), ("inf", "inf"), (".", ".")),
        *(("9" * 400, math.inf), ("-" + "9" * 400, -math.inf), ("0x" + "f" * 9000, math.inf)),
        *(("1e999", math.inf), ("=", "="), ("5.5e21 FLOP", "5.5e21 FLOP"), ("٣", "٣")),
    ],
)
def test_plain_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    assert plain_scalar(text) == value
    read = load_yaml(f"a: {text}", "s.yaml").data["a"]
    assert read == value
    assert type(read) is type(value)


def test_quoted_and_tagged_scalars() -> None:
    data = load_yaml("""a: '1'\nb: "true"\nc: !!str 1\nd: !!float 1\ne: ! 2\nf: .nan""", "s").data
    assert [data[key] for key in "abcde"] == ["1", "true", "1", 1.0, "2"]
    assert isinstance(data["d"], float)
    assert math.isnan(data["f"])


def test_merge_keys() -> None:
    text = """
base: &base {a: 1, b: 2}
other: &other {b: 3, c: 4}
one: {<<: *base, b: 9}
both:
  <<: [*base, *other]
  d: 5
text: {"<<": 1}
"""
    source = load_yaml(text, "s.yaml")
    assert source.data["one"] == {"a": 1, "b": 9}
    assert source.data["both"] == {"a": 1, "b": 2, "c": 4, "d": 5}
    assert source.data["text"] == {"<<": 1}
    assert source.location(("both", "c"), key=True).line == 3
    assert source.location(("one", "b")).line == 4


@pytest.mark.parametrize(
    ("path", "value_at", "key_at"),
    [
        (("name",), (1, 7), (1, 1)),
        (("workload",), (3, 3), (2, 1)),
        (("workload", "tasks"), (3, 10), (3, 3)),
        (("workload", "mix", 0), (5, 7), (5, 7)),
        (("workload", "mix", 0, "share"), (6, 14), (6, 7)),
        (("workload", "mix", 0, "difficulty", "normal", "sd"), (7, 44), (7, 40)),
        (("workload", "mix", 2, "share"), (12, 14), (12, 7)),
        (("workload", "mix", 2, "skills", 1), (10, 19), (10, 19)),
        (("limits", "energy"), (13, 18), (13, 10)),
        (("nothing",), (17, 9), (17, 1)),
        ((), (1, 1), (1, 1)),
        (("workload", "mix", 9, "share"), (5, 5), (4, 3)),
        (("workload", "tasks", "deeper"), (3, 10), (3, 3)),
        (("absent",), (1, 1), (1, 1)),
    ],
)
def test_places(
    path: tuple[str | int, ...], value_at: tuple[int, int], key_at: tuple[int, int]
) -> None:
    source = load_yaml(SCENARIO, "s.yaml")
    value, key = source.location(path), source.location(path, key=True)
    assert ((value.line, value.column), (key.line, key.column)) == (value_at, key_at)
    assert value.text == SCENARIO.splitlines()[value.line - 1]


@pytest.mark.parametrize("text", [SCENARIO.replace("\n", "\r\n"), "\ufeff" + SCENARIO])
def test_line_ends_and_byte_order_mark_do_not_move_places(text: str) -> None:
    source = load_yaml(text, "s.yaml")
    assert source.data == load_yaml(SCENARIO, "s.yaml").data
    place = source.location(("workload", "mix", 0, "share"))
    assert (place.line, place.column, place.text) == (6, 14, "      share: 0.70")
    assert source.location(("name",)).column == 7


def test_data_of_aliases_is_not_shared() -> None:
    data = load_yaml("a: &x {p: 1}\nb: *x", "s").data
    data["a"]["p"] = 2
    assert data["b"] == {"p": 1}


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("a: 1\nb: 2\na: 3", 3, 1, 'the key "a" is given twice; first on line 1'),
        ("1: x", 1, 1, "a key must be text, not 1"),
        ("a: {true: x}", 1, 5, "a key must be text, not true"),
        ("? [a]\n: b", 1, 3, "a key must be a word"),
        ("a: !!python/object/apply:os.system [ls]", 1, 4, 'the YAML tag "!!python/object/app'),
        ("a: !secret x", 1, 4, 'the YAML tag "!secret" is not accepted'),
        ("a: !!timestamp 2026-01-01", 1, 4, 'the YAML tag "!!timestamp" is not accepted'),
        ("a: !!int x", 1, 4, '"x" is not of type !!int'),
        ("a: 1\n---\nb: 2", 2, 1, "a second document starts here"),
        ("- a", 1, 1, "the top level must be a mapping"),
        ("just words", 1, 1, "the top level must be a mapping"),
        ("a: &a [*a]", 1, 8, 'the alias "*a" contains itself'),
        ("a: *b", 1, 4, 'the alias "*b" is not defined above'),
        ("a: {<<: 3}", 1, 9, '"<<" takes a mapping'),
        ("a:\n\tb: 1", 2, 1, "a tab cannot be used here"),
        ('a: "x\n', 1, 4, "this quote is never closed"),
        ("a: b: c", 1, 5, 'this ":" makes no sense here'),
        ("a:\n  b: 1\n c: 2", 3, 2, "this does not line up"),
        ("a: [1, 2\nb: 3", 2, 2, 'a "," or a closing "]" is missing'),
        ("a: @x", 1, 4, "this character cannot start a value"),
        ("a: 1\nb\nc: 3", 2, 1, "a key without a colon"),
        ('a: "\\ud800"', 1, 4, "half of a surrogate pair"),
        ("a: x\0", 1, 5, "the character U+0000 cannot stand in a text file"),
        ("a: 1\nb: \x1b[0m", 2, 4, "the character U+001B"),
        ("a: " + "[" * 3000, 1, 103, f"nested more than {MAX_DEPTH} levels deep"),
    ],
)
def test_refusals_are_located(text: str, line: int, column: int, message: str) -> None:
    problem = refusals(text)[0]
    assert problem.message.startswith(message)
    assert problem.location is not None
    assert (problem.location.line, problem.location.column) == (line, column)


def test_every_problem_at_once() -> None:
    found = refusals("a: 1\na: 2\n3: x\nb: !!set {x}\nc: {d: 1, d: 2}\ne: [oops")
    assert [p.location.line for p in found if p.location] == [2, 3, 4, 5, 6]


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n", "null"])
def test_empty_text_says_how_to_start(text: str) -> None:
    (problem,) = refusals(text)
    assert problem.message == "the scenario is empty"
    assert "ds3opt new" in problem.hint


def test_alias_bombs_are_refused_early() -> None:
    nines = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    bomb = "\n".join(["a0: &a0 [x, x, x, x, x, x, x, x, x]", *nines])
    assert "counting aliases" in refusals(bomb)[0].message
    assert f"{MAX_NODES:,}" in refusals("a: [" + "1," * (MAX_NODES + 1) + "]")[0].message


def test_depth_counts_through_aliases() -> None:
    deep = "[" * 60 + "]" * 60
    text = f"a: &a {deep}\nb: {'[' * 60}*a{']' * 60}"
    assert "levels deep" in refusals(text)[0].message


def test_too_large() -> None:
    assert "larger than 4 MB" in refusals("a: " + "é" * (2 * 2**20 + 9))[0].message


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"a: 1\nb: \xff\xfa", "byte 0xFF at offset 8 (line 2)"),
        (b"\xff\xfea\0", "is UTF-16"),
        (b"a: \0", "NUL byte at offset 3"),
    ],
)
def test_bytes_that_are_not_text(data: bytes, words: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        load_yaml_bytes(data, "s.yaml")
    assert words in str(caught.value)


def test_bytes_that_are_text() -> None:
    assert load_yaml_bytes(b"\xef\xbb\xbfa: \xc3\xa9", "s").data == {"a": "é"}


def accepted_or_refused(text: str) -> None:
    try:
        source = load_yaml(text, "s.yaml")
    except ScenarioError as error:
        problems = error.problems
    else:
        assert isinstance(source.data, dict)
        return
    assert problems
    assert all(p.message and p.location for p in problems)
    assert render_problems(problems)


@settings(deadline=None)
@given(st.text())
def test_any_text(text: str) -> None:
    accepted_or_refused(text)


@settings(deadline=None)
@given(st.text(alphabet="ab1 \n\t:-[]{},&*!|>'\"#%@?<~\\u\r\u2028"))
def test_any_punctuation(text: str) -> None:
    accepted_or_refused(text)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, len(SCENARIO)), st.integers(0, 3), st.sampled_from("\n \t:-[]{}&*!'\"<x")
        ),
        max_size=5,
    )
)
def test_mutated_scenario(edits: list[tuple[int, int, str]]) -> None:
    text = SCENARIO
    for position, removed, added in edits:
        text = text[:position] + added + text[position + removed :]
    accepted_or_refused(text)


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    with contextlib.suppress(ScenarioError):
        assert isinstance(load_yaml_bytes(data, "s.yaml").data, dict)
