"""The `--set` option: what it reaches, what it refuses, and where its values stand."""

from __future__ import annotations

import contextlib
import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ds3opt.errors import UsageError
from ds3opt.io.overrides import apply_overrides, get_path, parse_path, resolve_path, set_path
from ds3opt.io.problem_text import format_path
from ds3opt.io.yaml_source import YamlSource, load_yaml

TEXT = """\
workload:
  tasks: 1e9
  mix:
    - {name: completion, share: 0.7}
    - {name: refactor, share: 0.3}
reasoning:
  policies:
    - chain_of_thought
    - tree_of_thought: {branches: [2, 4]}
limits:
"""


@pytest.fixture
def source() -> YamlSource:
    return load_yaml(TEXT, "s.yaml")


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("workload.tasks=1e22", ("workload", "tasks"), 1e22),
        ("workload.mix[0].share=0.5", ("workload", "mix", 0, "share"), 0.5),
        ("workload.mix.refactor.share=0.5", ("workload", "mix", 1, "share"), 0.5),
        ("workload.mix.1.share=0.5", ("workload", "mix", 1, "share"), 0.5),
        ("workload.mix.refactor.skills=[1, 2]", ("workload", "mix", 1, "skills"), [1, 2]),
        (
            "reasoning.policies.tree_of_thought.branches=[8]",
            ("reasoning", "policies", 1, "tree_of_thought", "branches"),
            [8],
        ),
        (
            "reasoning.policies.chain_of_thought=majority_vote",
            ("reasoning", "policies", 0),
            "majority_vote",
        ),
        ("limits.total_flop=5.5e21 FLOP", ("limits", "total_flop"), "5.5e21 FLOP"),
        ("a.b.c={x: {y: 1}}", ("a", "b", "c"), {"x": {"y": 1}}),
        ("name=", ("name",), None),
        ("name= yes", ("name",), "yes"),
        ("name='a = b'", ("name",), "a = b"),
        ('a["x.y=z"]=1', ("a", "x.y=z"), 1),
        ("workload={tasks: 3}", ("workload", "tasks"), 3),
    ],
)
def test_sets(
    source: YamlSource, override: str, path: tuple[str | int, ...], value: object
) -> None:
    before = copy.deepcopy(source.data)
    changed = apply_overrides(source, [override])
    assert get_path(changed.data, path) == value
    assert source.data == before
    place = changed.location(path)
    assert place.source == "--set #1"
    assert place.text == override


def test_places_of_overrides(source: YamlSource) -> None:
    texts = ["workload.tasks=2", "limits.power_cap= {a: 20 MW}"]
    changed = apply_overrides(source, texts)
    assert str(changed.location(("limits", "power_cap", "a"))) == "--set #2:1:23"
    assert str(changed.location(("limits", "power_cap"), key=True)) == "--set #2:1:8"
    assert str(changed.location(("limits",), key=True)) == "s.yaml:10:1"
    assert str(changed.location(("workload", "mix", 0, "share"))) == "s.yaml:4:33"


def test_later_overrides_see_earlier_ones(source: YamlSource) -> None:
    changed = apply_overrides(source, ["a.b=1", "a.c=2", "a.b=3"])
    assert changed.data["a"] == {"b": 3, "c": 2}


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("tasks", '"=" is missing'),
        ("=1", "the path is empty"),
        ("  =1", "the path is empty"),
        *(
            (f"{path}=1", "is not a path")
            for path in (".a", "a.", "a..b", "a[", "a[x]", "a]", "[0]")
        ),
        ("a[-1]=1", "is not a path"),
        ("workload.mix[2].share=1", "position 2 is out of range"),
        ("workload.mix.refactr.share=1", 'no item is named "refactr"'),
        ("workload.tasks.x=1", 'is a single value here and has no key "x"'),
        ("workload[0]=1", "not a list"),
        ("a=[1", "is missing"),
        ("a=x: y: z", "makes no sense here"),
        ("a=!!python/name:x y", "is not accepted"),
        ("a={b: 1, b: 2}", "given twice"),
        ("a" + ".a" * 5000 + "=1", "at most 100 steps"),
        ("a=#1", '"#" starts a comment'),
        ("a=\0", "U+0000"),
        ("a=\udcff", "U+DCFF"),
    ],
)
def test_refuses(source: YamlSource, override: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        apply_overrides(source, ["workload.tasks=1", override])
    (problem,) = caught.value.problems
    assert words in problem.message
    assert problem.location is not None
    assert problem.location.source == "--set #2"


def test_all_bad_overrides_at_once(source: YamlSource) -> None:
    with pytest.raises(UsageError) as caught:
        apply_overrides(source, ["x", "a=1", "workload.mix.refactr.share=1"])
    places = [p.location.source for p in caught.value.problems if p.location]
    assert places == ["--set #1", "--set #3"]
    assert caught.value.problems[1].hint == 'did you mean "refactor"?'


def test_paths_of_plain_data() -> None:
    data = {"a": [{"name": "x", "v": 1}], "b": {"c": 2}}
    assert resolve_path(data, ("a", "x", "v")) == ("a", 0, "v")
    assert set_path(data, ("a", "x", "v"), 5) == {"a": [{"name": "x", "v": 5}], "b": {"c": 2}}
    assert set_path(data, ("n", "m"), 5)["n"] == {"m": 5}
    assert data["a"] == [{"name": "x", "v": 1}]
    with pytest.raises(UsageError) as caught:
        get_path({"share": 1}, ("shre",))
    assert caught.value.problems[0].hint == 'did you mean "share"?'


NAMES = st.text("abcxyz_", min_size=1, max_size=8)


@settings(deadline=None)
@given(st.lists(st.one_of(NAMES, st.integers(0, 99)), max_size=5), NAMES)
def test_paths_read_back(rest: list[str | int], first: str) -> None:
    path = (first, *rest)
    assert parse_path(format_path(path)) == path


@settings(deadline=None)
@given(st.text())
def test_any_override_is_taken_or_refused(text: str) -> None:
    source = load_yaml(TEXT, "s.yaml")
    for override in (text, f"a={text}", f"{text}=1", f"workload.{text}=1"):
        with contextlib.suppress(UsageError):
            assert isinstance(apply_overrides(source, [override]).data, dict)
