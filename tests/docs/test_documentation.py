"""Every command that the documentation shows prints what the documentation shows."""

from __future__ import annotations

import difflib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest


def _blocks() -> ModuleType:
    path = Path(__file__).with_name("blocks.py")
    spec = importlib.util.spec_from_file_location("ds3opt_doc_blocks", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


blocks = _blocks()
COMMANDS = [command for page in blocks.pages() for command in blocks.commands(page)]
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(#[^)]*)?\)")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.place)
def test_a_command_prints_what_is_shown(command):
    printed = blocks.output(command.text)
    if not blocks.matches(command.shown, printed):
        difference = "\n".join(
            difflib.unified_diff(command.shown, printed, "shown", "printed", lineterm="", n=1)
        )
        pytest.fail(
            f"{command.place}: $ {command.text}\n{difference}\n"
            "if the new output is right: python tests/docs/update.py",
            pytrace=False,
        )


def test_the_scenario_reference_is_up_to_date():
    done = subprocess.run(
        [sys.executable, str(blocks.ROOT / "docs" / "generate.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    text = (blocks.ROOT / "docs" / "scenario.md").read_text(encoding="utf-8")
    for key, unit in (
        ("total_flop", "FLOP"),
        ("tokens_per_step", "tokens"),
        ("horizon", "seconds"),
        ("tasks", "tasks"),
        ("min", "parameters"),
    ):
        assert re.search(rf"^\| `{key}` \| [^|]+ \| {unit} \|", text, re.MULTILINE), key


def test_scenarios_of_the_documentation_are_right(tmp_path):
    from ds3opt.io.loader import load_scenario

    written = sorted((blocks.ROOT / "docs" / "questions").glob("*.yaml"))
    for page in blocks.pages():
        for line, body in blocks.fences(page.read_text(encoding="utf-8"), "yaml"):
            if re.search("^workload:", body, re.MULTILINE):
                written.append(tmp_path / f"{page.stem}-{line}.yaml")
                written[-1].write_text(body, encoding="utf-8")
    assert any(path.stem.startswith("README") for path in written)
    for path in written:
        load_scenario(str(path))


def test_the_readme_names_every_command():
    from ds3opt.cli.app import app

    text = (blocks.ROOT / "README.md").read_text(encoding="utf-8")
    callbacks = [command.callback for command in app.registered_commands]
    names = [callback.__name__ for callback in callbacks if callback is not None]
    names += [group.name for group in app.registered_groups]
    assert len(names) >= 9
    for name in names:
        assert f"| `ds3opt {name}" in text, name


def test_the_readme_shows_commands():
    assert [c for c in COMMANDS if c.page.name == "README.md"]


def test_make_targets_exist():
    makefile = (blocks.ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for page in blocks.pages():
        for _, body in blocks.fences(page.read_text(encoding="utf-8"), "sh", "console"):
            for line in body.splitlines():
                words = line.removeprefix("$ ").split("#")[0].split()
                if words[:1] == ["make"]:
                    assert set(words[1:]) <= targets, f"{page.name}: {line}"


def test_links_between_pages_lead_somewhere():
    for page in blocks.pages():
        for target, _ in LINK.findall(page.read_text(encoding="utf-8")):
            if not target.startswith(("http://", "https://")):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_an_ellipsis_stands_for_any_number_of_lines():
    assert blocks.matches(("a", "...", "d"), ["a", "b", "c", "d"])
    assert blocks.matches(("a", "...", "d"), ["a", "d"])
    assert not blocks.matches(("a", "...", "d"), ["a", "b"])
    assert not blocks.matches(("a",), ["a", "b"])


def test_renewal_keeps_what_is_left_out():
    shown = ("Answer", "  size  5", "...", "Limits", "  cap  1 FLOP")
    printed = ["Title", "Answer", "  size  6", "  more", "", "Limits", "  cap  2 FLOP"]
    assert blocks.renewed(("...", *shown), printed) == [
        "...",
        "Answer",
        "  size  6",
        "...",
        "Limits",
        "  cap  2 FLOP",
    ]


def test_a_paragraph_is_renewed_to_its_end():
    shown = ("...", "Rows", "  a  1", "", "...")
    printed = ["Title", "Rows", "  a  2", "  b  3", "", "More"]
    assert blocks.renewed(shown, printed) == ["...", "Rows", "  a  2", "  b  3", "", "..."]
