"""``ds3opt reproduce``: figures and tables of the papers, computed again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ds3opt.cli.view import ALL_FORMATS, View, with_view
from ds3opt.errors import ExitCode, Problem, UsageError

if TYPE_CHECKING:
    from ds3opt.cli.progress import Callback
    from ds3opt.reproduce.findings import Reproduction
    from ds3opt.reproduce.registry import Item

PAGE = "reproduction.md"
_INTRODUCTION = "What the papers say, what ds3opt gets, and the verdict that follows from both."


@with_view(*ALL_FORMATS, without=("output", "verbose", "precision"))
def reproduce(
    view: View,
    figures: Annotated[
        list[str] | None, typer.Argument(metavar="[FIGURE...]", help="As listed, or all.")
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="DIR", help="Folder for pictures and numbers."),
    ] = None,
    picture: Annotated[
        Literal["svg", "png"], typer.Option("--picture", metavar="KIND", help="svg or png.")
    ] = "svg",
    show_list: Annotated[bool, typer.Option("--list", help="List the figures.")] = False,
) -> int:
    """Figures and tables of the papers: a picture, a CSV file and a verdict on every claim.

    The folder gets NAME.svg, NAME.csv and NAME.md of each figure, and with all of them a page of
    every claim, reproduction.md. All take a minute or two. Pictures need matplotlib:
    pip install 'ds3opt[plot]'.
    """
    from ds3opt.cli.progress import progress_bar
    from ds3opt.plot.canvas import require_matplotlib
    from ds3opt.reproduce.registry import ITEMS, named

    if show_list:
        _emit_list(view, named(figures) if figures else list(ITEMS))
        return ExitCode.DONE
    items = _chosen(figures)
    folder = _folder(output)
    require_matplotlib()
    _refuse_existing(folder, items, picture, force=view.force)
    with progress_bar(view.quiet) as progress:
        results = {
            item: _made(item, folder, picture, view.force, progress, index, len(items))
            for index, item in enumerate(items)
        }
    if len(items) == len(ITEMS):
        _write_page(results, folder, picture, view.force)
    _emit_results(view, results, folder, picture)
    return ExitCode.DONE


def _chosen(figures: list[str] | None) -> list[Item]:
    from ds3opt.reproduce.registry import named

    if not figures:
        hint = "name them, or say all; `ds3opt reproduce --list` names them"
        raise UsageError(Problem("which figures?", hint=hint))
    return named(figures)


def _folder(output: str | None) -> Path:
    if output is None:
        raise UsageError(Problem("where to?", hint="-o DIR names the folder for the results"))
    folder = Path(output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise UsageError(f"{folder} is a file, the name of a folder is expected") from None
    except OSError as error:
        raise UsageError(f"cannot make the folder {folder}: {error.strerror}") from None
    return folder


def _files(item: Item, picture: str) -> tuple[str, str, str]:
    return f"{item.name}.csv", f"{item.name}.{picture}", f"{item.name}.md"


def _refuse_existing(folder: Path, items: list[Item], picture: str, *, force: bool) -> None:
    """Every file that is in the way, before any work is done."""
    from ds3opt.reproduce.registry import ITEMS

    names = [name for item in items for name in _files(item, picture)]
    names += [PAGE] if len(items) == len(ITEMS) else []
    taken = [folder / name for name in names if (folder / name).exists()]
    if taken and not force:
        shown = ", ".join(str(path) for path in taken[:3])
        rest = f" and {len(taken) - 3} more" if len(taken) > 3 else ""
        exist = "exists and is" if len(taken) == 1 else "exist and are"
        message = f"{shown}{rest} {exist} left as {'it is' if len(taken) == 1 else 'they are'}"
        raise UsageError(Problem(message, hint="use --force to overwrite"))


def _made(
    item: Item,
    folder: Path,
    picture: Literal["svg", "png"],
    force: bool,
    progress: Callback | None,
    index: int,
    count: int,
) -> Reproduction:
    """One figure, computed, drawn and written."""
    from ds3opt.io.files import write_atomic
    from ds3opt.plot.canvas import picture as drawn
    from ds3opt.reproduce.page import leaf

    def report(stage: str, fraction: float) -> None:
        if progress is not None:
            progress(f"{item.name}: {stage}", (index + fraction) / count)

    report("laws", 0.0)
    result = item.run(report)
    report("picture", 0.9)
    width, height = result.size_inches
    content = drawn(result.draw, picture, width_inches=width, height_inches=height)
    contents: tuple[str | bytes, ...] = (result.csv(), content, leaf(item, result, picture))
    for name, written in zip(_files(item, picture), contents, strict=True):
        write_atomic(folder / name, written, force=force)
    return result


def _write_page(results: dict[Item, Reproduction], folder: Path, picture: str, force: bool) -> None:
    from ds3opt.io.files import write_atomic
    from ds3opt.reproduce.page import page

    text = page(results, _INTRODUCTION, picture=picture)
    write_atomic(folder / PAGE, text, force=force)


def _emit_list(view: View, items: list[Item]) -> None:
    from ds3opt.report.document import Column, Document, table_of

    table = table_of(
        "",
        items,
        (Column("name", "name"), lambda item: item.name),
        (Column("source", "source"), lambda item: item.source),
        (Column("title", "shows"), lambda item: item.title),
    )
    data = [{"name": one.name, "source": one.source, "title": one.title} for one in items]
    view.emit(Document("", (table,), {"schema_version": 1, "figures": data}, table))


def _claims(result: Reproduction) -> str:
    """How many claims have which verdict."""
    from ds3opt.reproduce.findings import Verdict

    words = ("hold", "partly", "not from text", "wrong")
    counted = zip(Verdict, words, strict=True)
    return ", ".join(f"{result.count(v)} {word}" for v, word in counted if result.count(v))


def _emit_results(
    view: View, results: dict[Item, Reproduction], folder: Path, picture: str
) -> None:
    from ds3opt.report.document import Column, Document, table_of
    from ds3opt.reproduce.page import counts

    told = counts(list(results.values()))
    table = table_of(
        "",
        list(results.items()),
        (Column("figure", "figure"), lambda pair: pair[0].source),
        (Column("verdict", "verdict"), lambda pair: pair[1].verdict.value),
        (Column("claims", "claims"), lambda pair: _claims(pair[1])),
        (Column("claim", "the paper says"), lambda pair: pair[1].findings[0].claim),
        (Column("result", "we get"), lambda pair: pair[1].findings[0].result),
    )
    claims = [(item, finding) for item, result in results.items() for finding in result.findings]
    records = table_of(
        "",
        claims,
        (Column("figure", "figure"), lambda pair: pair[0].name),
        (Column("claim", "the paper says"), lambda pair: pair[1].claim),
        (Column("result", "we get"), lambda pair: pair[1].result),
        (Column("verdict", "verdict"), lambda pair: pair[1].verdict.value),
    )
    data: dict[str, Any] = {
        "schema_version": 1,
        "figures": [
            {
                "name": item.name,
                "source": item.source,
                "verdict": result.verdict.value,
                "files": [str(folder / name) for name in _files(item, picture)],
                "findings": [
                    {"claim": f.claim, "result": f.result, "verdict": f.verdict.value}
                    for f in result.findings
                ],
            }
            for item, result in results.items()
        ],
        "claims": {verdict.name.lower(): count for verdict, count in told.items()},
    }
    view.emit(Document("", (table,), data, records))
    view.say(f"written to {folder}")
