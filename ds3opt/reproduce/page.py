"""The page that collects every claim, what we get and the verdict, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ds3opt.reproduce.findings import Reproduction, Verdict
from ds3opt.reproduce.registry import Item

_MEANING = {
    Verdict.REPRODUCED: "the claim holds, or our numbers agree within the rounding of print",
    Verdict.PARTLY: "it holds in part, or our numbers are close but not the same",
    Verdict.NOT_FROM_TEXT: "what it needs is not stated, or is in pixels only",
    Verdict.PAPER_WRONG: "it contradicts the paper's own definitions",
}


def page(
    results: Mapping[Item, Reproduction], introduction: str, *, picture: str | None = None
) -> str:
    """Summary and one section per figure.

    Parameters
    ----------
    results : in the order in which they are shown.
    introduction : Markdown under the title.
    picture : show the pictures that lie beside the page, with this ending.
    """
    parts = ["# The papers, computed again", "", introduction.strip(), "", *_summary(results)]
    for item, result in results.items():
        parts += ["", f'<a id="{item.name}"></a>', "", *_section(item, result, picture)]
    return "\n".join(parts) + "\n"


def leaf(item: Item, result: Reproduction, picture: str) -> str:
    """The page of one figure."""
    return "\n".join(_section(item, result, picture, level=1)) + "\n"


def counts(results: Sequence[Reproduction]) -> dict[Verdict, int]:
    """Claims by verdict."""
    return {verdict: sum(one.count(verdict) for one in results) for verdict in Verdict}


def _summary(results: Mapping[Item, Reproduction]) -> list[str]:
    told = counts(list(results.values()))
    lines = ["| verdict | claims | meaning |", "|---|--:|---|"]
    lines += [f"| {v.value} | {told[v]} | {_MEANING[v]} |" for v in Verdict]
    lines += [
        "",
        "A figure has the verdict of its main claim, the first one; the other columns count all of "
        "its claims.",
        "",
        "| figure | shows | verdict | reproduced | partly | not from the text | wrong "
        "| the paper says | we get |",
        "|---|---|---|--:|--:|--:|--:|---|---|",
    ]
    for item, result in results.items():
        first = result.findings[0]
        cells = (
            f"[{item.source}](#{item.name})",
            item.title,
            result.verdict.value,
            *(str(result.count(verdict) or "") for verdict in Verdict),
            first.claim,
            first.result,
        )
        lines.append(_row(cells))
    return lines


def _section(item: Item, result: Reproduction, picture: str | None, level: int = 2) -> list[str]:
    lines = [f"{'#' * level} {item.source}: {item.title}", ""]
    if picture is not None:
        lines += [f"![{item.source}]({item.name}.{picture})", ""]
    lines += ["| the paper says | we get | verdict |", "|---|---|---|"]
    lines += [_row((f.claim, f.result, f.verdict.value)) for f in result.findings]
    return lines


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
