"""docs/reproduction.md says what the laws give now."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ds3opt.reproduce.page import page
from ds3opt.reproduce.registry import ITEMS, named

ROOT = Path(__file__).resolve().parents[2]
QUICK = ("ds3_fig3", "ds3_fig14", "ds3_fig16", "ds3_table1", "ds3_table2", "wu_table3")


def _text() -> str:
    return (ROOT / "docs" / "reproduction.md").read_text(encoding="utf-8")


def test_every_figure_has_its_section_in_order() -> None:
    text = _text()
    places = [text.index(f"\n## {item.source}: {item.title}\n") for item in ITEMS]
    assert places == sorted(places)
    for item in ITEMS:
        assert f"](#{item.name})" in text


@pytest.mark.parametrize("item", named(QUICK), ids=lambda item: item.name)
def test_the_section_of_a_figure_is_up_to_date(item) -> None:
    written = page({item: item.run()}, "")
    section = written[written.index(f'<a id="{item.name}"></a>') :]
    assert section.strip() in _text(), "run python docs/reproduction.py"


@pytest.mark.slow
def test_the_whole_page_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "reproduction.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
