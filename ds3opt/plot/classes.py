"""The allocation by class: its policy, what it spends and what it reaches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ds3opt.errors import UsageError
from ds3opt.plot.canvas import bar_style, legend_below, name_axes
from ds3opt.plot.scales import engineering_ticks
from ds3opt.policies import POLICIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW_INCHES = 0.62
_LONGEST = 46
"""Characters of a line of words beside a bar."""


@dataclass(frozen=True)
class ClassBar:
    """One class."""

    name: str
    policy: str
    share: float
    inference_share: float
    tokens: float
    accuracy: float
    min_accuracy: float


@dataclass(frozen=True)
class ClassesPicture:
    """What the picture shows."""

    title: str
    classes: tuple[ClassBar, ...]

    @property
    def height_inches(self) -> float:
        """Of a picture in which every class has room."""
        return 1.6 + _ROW_INCHES * len(self.classes)


def classes_of_result(data: Mapping[str, Any]) -> ClassesPicture:
    """The classes of a result.

    Raises
    ------
    UsageError : where it has none.
    """
    allocation = data.get("allocation") or {}
    classes = allocation.get("classes") or ()
    if not classes:
        raise UsageError("there are no task classes to draw")
    whole = sum(float(one.get("inference_flop") or 0.0) for one in classes)
    return ClassesPicture(
        str(data.get("scenario", "")),
        tuple(
            ClassBar(
                name=str(one["name"]),
                policy=_policies(one["name"], allocation.get("tasks") or ()),
                share=float(one["share"]),
                inference_share=float(one.get("inference_flop") or 0.0) / whole if whole else 0.0,
                tokens=float(one.get("expected_tokens") or 0.0),
                accuracy=float(one["accuracy"]),
                min_accuracy=float(one.get("min_accuracy") or 0.0),
            )
            for one in classes
        ),
    )


def _policies(name: str, tasks: Any) -> str:
    """The policy of most of a class, and how many others there are."""
    share: dict[str, float] = {}
    for row in tasks:
        if row.get("name") == name:
            words = _words(row)
            share[words] = share.get(words, 0.0) + float(row.get("share") or 0.0)
    if not share:
        return ""
    ranked = sorted(share, key=lambda words: (-share[words], words))
    others = len(ranked) - 1
    more = f" and {others} other{'s' if others > 1 else ''}" if others else ""
    return _cut(ranked[0], _LONGEST - len(more)) + more


def _words(row: Mapping[str, Any]) -> str:
    policy, way, model = row.get("policy"), row.get("way"), row.get("model")
    if policy:
        words = _policy_words(policy)
    elif way:
        words = str(way)
    else:
        return "not attempted"
    return f"{model}: {words}" if model else words


def _policy_words(policy: Mapping[str, Any]) -> str:
    """A policy as the tables call it."""
    kind = POLICIES.get(str(policy.get("name")))
    numbers = {name: value for name, value in policy.items() if name != "name"}
    try:
        return kind(**numbers).words() if kind is not None else str(policy["name"])
    except TypeError:  # of another version
        return str(policy["name"]).replace("_", " ")


def draw(figure: Figure, picture: ClassesPicture) -> None:
    """Three panels side by side: shares, tokens and accuracy."""
    shares, tokens, accuracy = figure.subplots(1, 3, sharey=True, width_ratios=(1.1, 1.0, 1.0))
    classes = picture.classes
    place = np.arange(len(classes), dtype=np.float64)
    of_tasks = 100.0 * np.array([one.share for one in classes])
    of_compute = 100.0 * np.array([one.inference_share for one in classes])
    shares.barh(place - 0.2, of_tasks, height=0.38, label="share of tasks", **bar_style(0))
    shares.barh(
        place + 0.2, of_compute, height=0.38, label="share of inference FLOP", **bar_style(1)
    )
    name_axes(shares, "Share (%)", "")
    figure.suptitle(picture.title, x=0.01, ha="left", fontsize=10)
    shares.set_yticks(place, [f"{_cut(one.name)}\n{one.policy}" for one in classes])
    shares.invert_yaxis()
    used = np.array([one.tokens for one in classes])
    tokens.barh(place, used, height=0.55, label="tokens per task", **bar_style(2))
    if np.any(used > 0.0):
        tokens.set_xscale("log")
        low = float(np.min(used[used > 0.0]))
        tokens.set_xlim(left=10.0 ** np.floor(np.log10(low) - 0.3))
        engineering_ticks(tokens.xaxis, "tokens")
    name_axes(tokens, "Generated per task (tokens)", "")
    reached = 100.0 * np.array([one.accuracy for one in classes])
    accuracy.barh(place, reached, height=0.55, label="accuracy", **bar_style(3))
    _required(accuracy, picture)
    accuracy.set_xlim(0.0, 118.0)
    accuracy.set_xticks([0, 25, 50, 75, 100])
    for y, value in zip(place, reached, strict=True):
        accuracy.annotate(
            f"{value:.4g}", (value, y), xytext=(3, 0), textcoords="offset points", va="center"
        )
    name_axes(accuracy, "Accuracy (%)", "")
    for axes in (shares, tokens, accuracy):
        axes.grid(visible=False, axis="y")
    legend_below(figure, [shares, accuracy], columns=4)


def _required(axes: Axes, picture: ClassesPicture) -> None:
    required = [(i, one.min_accuracy) for i, one in enumerate(picture.classes)]
    needy = [(i, least) for i, least in required if least > 0.0]
    if needy:
        axes.plot(
            [100.0 * least for _, least in needy],
            [i for i, _ in needy],
            linestyle="none",
            marker="|",
            markersize=16,
            markeredgewidth=2.0,
            color="black",
            label="required",
        )


def _cut(words: str, longest: int = _LONGEST) -> str:
    return words if len(words) <= longest else words[: longest - 1].rstrip() + "…"
