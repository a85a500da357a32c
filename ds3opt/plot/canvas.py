"""The one style that every picture has, and pictures as bytes that never differ between runs.

Curves differ by line and marker, bars by hatch, so that a copy without colour can be read.
matplotlib is imported inside the functions: it is an extra, and slow to import.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ds3opt.errors import Problem, UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from numpy.typing import ArrayLike

PictureFormat = Literal["svg", "png"]
PICTURE_FORMATS: tuple[PictureFormat, ...] = ("svg", "png")

_COLOURS = ("#0072b2", "#d55e00", "#007a5a", "#9e4a84", "#6b5b00", "#3d3d3d", "#1f9ac9", "#b08a00")
"""Readable on white and told apart by colour-blind readers (after Okabe and Ito)."""
_LINES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (8, 2)), (0, (5, 1, 1, 1, 1, 1)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")
_HATCHES = ("", "///", "...", "\\\\\\", "xxx", "---", "ooo", "+++")
_FILLS = ("#d9e6f2", "#fbe3d3", "#d8efe7", "#efdeea", "#ece8cf", "#e4e4e4", "#d7edf6", "#f6ecc9")

_STYLE: dict[str, Any] = {
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "savefig.dpi": 150,
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.titlelocation": "left",
    "axes.labelsize": 9.0,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": False,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "hatch.linewidth": 0.6,
    "legend.frameon": True,
    "legend.framealpha": 0.9,
    "legend.edgecolor": "#cccccc",
    "legend.fontsize": 8.0,
    "svg.fonttype": "none",
    "svg.hashsalt": "ds3opt",
}


def picture(
    draw: Callable[[Figure], None],
    picture_format: PictureFormat = "svg",
    *,
    width_inches: float = 6.4,
    height_inches: float = 4.2,
) -> bytes:
    """The bytes of the picture that `draw` puts on an empty figure, the same in every run.

    Parameters
    ----------
    draw : called once with the figure, in the style of the house; adds axes and draws.
    picture_format : svg (text stays text) or png (150 dots per inch).

    Raises
    ------
    UsageError : when matplotlib is not installed.
    """
    with _style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(width_inches, height_inches), layout="constrained")
        draw(figure)
        stream = io.BytesIO()
        nothing = {"Date": None, "Creator": None} if picture_format == "svg" else {"Software": None}
        figure.savefig(stream, format=picture_format, metadata=nothing)
    return stream.getvalue()


def picture_format_of(path: str | Path) -> PictureFormat:
    """The format that a file's ending asks for.

    Raises
    ------
    UsageError : for an ending other than .svg and .png.
    """
    ending = Path(path).suffix.lower().removeprefix(".")
    for known in PICTURE_FORMATS:
        if ending == known:
            return known
    endings = " or ".join(f".{known}" for known in PICTURE_FORMATS)
    raise UsageError(Problem(f"{path} has no picture's ending", hint=f"use {endings}"))


@contextlib.contextmanager
def _style() -> Iterator[None]:
    """matplotlib's own defaults and our style, whatever a matplotlibrc says; undone at the end."""
    require_matplotlib()
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        parameters: Any = matplotlib.rcParams
        parameters.update(_STYLE)
        yield


def require_matplotlib() -> None:
    """Import matplotlib, or say how to get it; to be called before any long work.

    Raises
    ------
    UsageError : when matplotlib is not installed.
    """
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        hint = "pip install 'ds3opt[plot]'"
        raise UsageError(Problem("pictures need matplotlib, which is missing", hint=hint)) from None


def curve(
    axes: Axes,
    x: ArrayLike,
    y: ArrayLike,
    index: int,
    label: str = "",
    *,
    markers: int = 7,
    **options: Any,
) -> Line2D:
    """Draw the `index`-th curve of a family, told from its neighbours by line, marker and colour.

    Parameters
    ----------
    x, y : points of one curve, (point,); where y is not finite the curve has a gap.
    markers : about how many points carry a marker; 0 for none.
    options : passed on to matplotlib, over the family's own.
    """
    count = np.size(np.asarray(x))
    style: dict[str, Any] = {**curve_style(index), "label": label, **options}
    if markers <= 0:
        style["marker"] = None
    elif count > 2 * markers and "markevery" not in options:
        step = max(count // markers, 1)
        style["markevery"] = (min((index * step) // 5 % step, count - 1), step)
    return axes.plot(x, y, **style)[0]


def curve_style(index: int) -> dict[str, Any]:
    """Colour, line and marker of the `index`-th curve of a family."""
    return {
        "color": _COLOURS[index % len(_COLOURS)],
        "linestyle": _LINES[index % len(_LINES)],
        "marker": _MARKERS[index % len(_MARKERS)],
        "markerfacecolor": "white" if index % 2 else _COLOURS[index % len(_COLOURS)],
    }


def bar_style(index: int) -> dict[str, Any]:
    """Fill, hatch and edge of the `index`-th kind of bar or area."""
    return {
        "facecolor": _FILLS[index % len(_FILLS)],
        "hatch": _HATCHES[index % len(_HATCHES)],
        "edgecolor": _COLOURS[index % len(_COLOURS)],
        "linewidth": 0.8,
    }


def name_axes(axes: Axes, x: str, y: str, title: str = "") -> None:
    """Say what the axes show, each with its unit in brackets, such as ``Compute (FLOP)``."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if title:
        axes.set_title(title)


def legend_beside(axes: Axes, title: str = "", *, columns: int = 1) -> None:
    """A legend to the right of the axes, where it hides no data."""
    axes.legend(title=title or None, loc="upper left", bbox_to_anchor=(1.02, 1.0), ncols=columns)


def legend_below(
    figure: Figure, axes: Sequence[Axes], title: str = "", *, columns: int = 3
) -> None:
    """One legend for all axes under the figure, each label once."""
    handles: dict[str, Any] = {}
    for one in axes:
        for handle, label in zip(*one.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    figure.legend(
        list(handles.values()),
        list(handles),
        title=title or None,
        loc="outside lower center",
        ncols=columns,
    )
