"""How sure the answers of repeated samples are: tables, columns and keys of the draws."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ds3opt.optimise.selection import ORACLE, Reach, Selection
from ds3opt.optimise.selection_draws import Amount, Ends, Sureness, SureReach
from ds3opt.report.document import Column, Table, table_of
from ds3opt.report.values import Value

OUT_OF_REACH = "out of reach"
_ENDS = ("low", "high", "sure")


def samples_text(samples: float, log10_samples: float | None) -> str:
    """A number of samples in digits, or as a power of ten beyond 1e15.

    >>> samples_text(104.0, 2.017), samples_text(float("inf"), 400.25)
    ('104', '10^400.2')
    """
    if samples >= 1e15 and log10_samples is not None:
        return f"10^{log10_samples:.4g}"
    return f"{samples:.0f}"


def sure_tables(selection: Selection, sure: Sureness | None) -> list[Table]:
    """Samples, and what they cost, of the targets whose rule was drawn."""
    if sure is None:
        return []
    drawn = [
        (row, one) for row, one in zip(selection.reach, sure.reach, strict=True) if one is not None
    ]
    samples = table_of(
        f"How sure: samples for the {ORACLE}, over {sure.draws} draws of the fit",
        drawn,
        (Column("target", "target", "percent"), lambda pair: pair[0].target),
        (Column("low", "95 % from", "count, fixed"), _cell("samples", "low")),
        (Column("high", "to", "count, fixed"), _cell("samples", "high")),
        (Column("sure", "to be 95 % sure", "count, fixed"), _cell("samples", "sure")),
        (Column("enough", "samples above are enough in", "share"), lambda pair: pair[1].enough),
        (Column("out", "out of reach in", "share"), lambda pair: pair[1].out_of_reach),
    )
    return [samples, _costs(drawn)]


def _costs(drawn: Sequence[tuple[Reach, SureReach]]) -> Table:
    table = table_of(
        "How sure: what they cost, for one question",
        drawn,
        (Column("target", "target", "percent"), lambda pair: pair[0].target),
        *(
            (Column(f"{unit}_{end}", words, dimension), _cell(unit, end))
            for unit, name, dimension in (("flop", "FLOP", "flop, short"), ("usd", "cost", "money"))
            for end, words in zip(
                _ENDS, (f"{name}, 95 % from", "to", "to be 95 % sure"), strict=True
            )
        ),
    ).without_empty(keep=("target",))
    return table if len(table.columns) > 1 else replace(table, rows=())


def _cell(unit: str, end: str) -> Callable[[tuple[Reach, SureReach]], Value]:
    def cell(pair: tuple[Reach, SureReach]) -> Value:
        return _amount(getattr(pair[1], end), unit)

    return cell


def _amount(amount: Amount, name: str) -> Value:
    """Samples, FLOP or dollars; nothing where there is no price."""
    found: float | None = getattr(amount, name)
    if found is None:
        return None
    if amount.out_of_reach:
        return OUT_OF_REACH
    return samples_text(found, amount.log10_samples) if name == "samples" else found


def reach_columns(table: Table, sure: Sureness | None) -> Table:
    """The records of targets, with what the draws say of each beside it."""
    if sure is None:
        return table
    pairs = [(name, end) for name in ("samples", "flop", "usd") for end in _ENDS]
    columns = [Column(f"{name}_{_NAMES[end]}", "") for name, end in pairs]
    columns += [Column("samples_enough_in", ""), Column("out_of_reach_in", "")]

    def cells(one: SureReach | None) -> list[Value]:
        if one is None:
            return [None] * len(columns)
        found = [_amount(getattr(one, end), name) for name, end in pairs]
        return [*found, one.enough, one.out_of_reach]

    rows = tuple((*row, *cells(one)) for row, one in zip(table.rows, sure.reach, strict=True))
    whole = replace(table, columns=(*table.columns, *columns), rows=rows)
    return whole.without_empty(keep=[c.name for c in table.columns])


_NAMES = {"low": "low", "high": "high", "sure": "to_be_95_percent_sure"}
"""Of the ends for machines."""


def ends_columns(table: Table, drawn: Mapping[str, Sequence[Ends | None]]) -> Table:
    """A table with the 95 % interval of some columns to their right; none where none is known.

    Parameters
    ----------
    drawn : by name of the column, an interval for each row.
    """
    columns: list[Column] = []
    cells: list[Sequence[Value]] = []
    for index, column in enumerate(table.columns):
        columns.append(column)
        cells.append([row[index] for row in table.rows])
        ends = drawn.get(column.name, ())
        if not any(ends):
            continue
        for place, (name, words) in enumerate((("low", "95 % from"), ("high", "to"))):
            columns.append(Column(f"{column.name}_{name}", words, column.dimension))
            cells.append([None if pair is None else pair[place] for pair in ends])
    rows = tuple(zip(*cells, strict=True))
    return replace(table, columns=tuple(columns), rows=rows)


def reach_data(one: SureReach | None) -> dict[str, Any] | None:
    """What the draws say of a target, for JSON; None stands for out of reach, see the shares."""
    if one is None:
        return None

    def amount(part: Amount) -> dict[str, Any]:
        return {
            "samples": part.samples,
            "log10_samples": part.log10_samples,
            "flop": part.flop,
            "usd": part.usd,
            "out_of_reach": part.out_of_reach,
        }

    return {
        "low": amount(one.low),
        "high": amount(one.high),
        "to_be_95_percent_sure": amount(one.sure),
        "samples_enough_in": one.enough,
        "out_of_reach_in": one.out_of_reach,
    }
