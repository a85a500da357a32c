"""Pictures have the same bytes in every run, and ask politely for what is missing."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("matplotlib")

import matplotlib

from ds3opt.errors import UsageError
from ds3opt.plot import canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _draw(figure: Figure) -> None:
    left, right = figure.subplots(1, 2)
    for index in range(9):
        canvas.curve(left, range(60), [i * index for i in range(60)], index, f"curve {index}")
    canvas.curve(left, [], [], 0)
    right.bar(["a"], [1.0], **canvas.bar_style(1))
    canvas.name_axes(left, "Tokens (tokens)", "Success (probability)", "Nine curves")
    canvas.legend_below(figure, [left, right])
    canvas.legend_beside(left, "again")


@pytest.mark.parametrize("picture_format", canvas.PICTURE_FORMATS)
def test_the_same_drawing_has_the_same_bytes(picture_format: canvas.PictureFormat) -> None:
    assert canvas.picture(_draw, picture_format) == canvas.picture(_draw, picture_format)


def test_text_of_a_vector_picture_stays_text_and_has_no_date() -> None:
    svg = canvas.picture(_draw, "svg").decode()
    assert ">Success (probability)</text>" in svg
    assert "dc:date" not in svg


def test_a_bitmap_is_one() -> None:
    assert canvas.picture(_draw, "png").startswith(b"\x89PNG")


def test_a_users_own_style_is_neither_used_nor_lost() -> None:
    plain = canvas.picture(_draw)
    with matplotlib.rc_context({"lines.linewidth": 7.0, "svg.fonttype": "path"}):
        assert canvas.picture(_draw) == plain
        assert matplotlib.rcParams["lines.linewidth"] == 7.0


def test_neighbouring_curves_differ_without_colour() -> None:
    styles = [canvas.curve_style(index) for index in range(24)]
    looks = {(str(s["linestyle"]), s["marker"]) for s in styles}
    assert len(looks) == 24


def test_the_format_follows_the_ending() -> None:
    assert canvas.picture_format_of("a/b.SVG") == "svg"
    assert canvas.picture_format_of("b.png") == "png"
    with pytest.raises(UsageError, match="ending"):
        canvas.picture_format_of("b.pdf")


def test_without_matplotlib_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError) as caught:
        canvas.picture(_draw)
    assert caught.value.exit_code == 2
    assert caught.value.problems[0].hint == "pip install 'ds3opt[plot]'"


def test_matplotlib_is_not_imported_before_it_is_needed() -> None:
    code = "import sys, ds3opt.plot.canvas, ds3opt.cli.main; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
