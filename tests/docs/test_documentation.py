"""Every command that the documentation shows prints what the documentation shows."""

from __future__ import annotations

import difflib
import importlib.util
import re
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
