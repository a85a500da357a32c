"""The table of ``ds3opt fit tasks``: measured accuracies, each cell checked at its place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ds3opt.cli.fit import arguments as options
from ds3opt.errors import Problem, UsageError

if TYPE_CHECKING:
    from ds3opt.cli.fit.table import Given
    from ds3opt.fit.observed import ObservedRow, Setting
    from ds3opt.fit.task_model import Observations
    from ds3opt.io.columns import Column, Rows
    from ds3opt.laws.loss import LossLaw
    from ds3opt.policies import Policy

_SHOWN = 20


@dataclass(frozen=True)
class Observed:
    """Rows of a table that take part in the fit, or that are to be predicted."""

    given: Given
    rows: tuple[ObservedRow, ...]
    models: tuple[str, ...]
    names: tuple[str, ...]
    """Class of each row."""
    setting: Setting
    loss: str
    """Where losses are from, in words."""

    def classes(self) -> dict[str, Observed]:
        """The rows of each class, in the order of the table."""
        return {
            name: self._take([i for i, other in enumerate(self.names) if other == name])
            for name in dict.fromkeys(self.names)
        }

    def _take(self, chosen: Sequence[int]) -> Observed:
        return replace(
            self,
            given=self.given.take(chosen),
            rows=tuple(self.rows[i] for i in chosen),
            models=tuple(self.models[i] for i in chosen),
            names=tuple(self.names[i] for i in chosen),
        )

    @property
    def of_measured(self) -> list[int]:
        """Positions of the rows that were measured."""
        return [i for i, row in enumerate(self.rows) if not math.isnan(row.accuracy)]

    @property
    def every(self) -> Observations:
        """All rows as arrays."""
        from ds3opt.fit.observed import observations

        return observations(self.rows, self.setting)

    @property
    def measured(self) -> Observations:
        """The rows that were measured as arrays."""
        return self.every.take(self.of_measured)


def setting_of(tokens_per_step: str, wrong_answers: str | None, verifier: str | None) -> Setting:
    """What the options say of every class.

    Raises
    ------
    UsageError : an option of another form.
    """
    from ds3opt.fit.observed import Setting
    from ds3opt.laws.voting import truncated_geometric_shares
    from ds3opt.units import UnitError, parse_quantity

    try:
        per_step = parse_quantity(tokens_per_step, "tokens")
    except UnitError as error:
        raise UsageError(f"--tokens-per-step: {error.message}") from None
    if not 0.0 < per_step <= 1e9:
        raise UsageError(f"--tokens-per-step is above 0, not {tokens_per_step}")
    shares = None
    if wrong_answers is not None:
        count, _, decay = wrong_answers.partition(":")
        try:
            many, ratio = int(count), float(decay or 1.0)
        except ValueError:
            many, ratio = 0, math.nan
        if not (1 <= many <= 1000 and 0.0 < ratio <= 1.0):
            hint = "COUNT distinct wrong answers, each DECAY times as frequent as the one before"
            message = f"--wrong-answers takes COUNT or COUNT:DECAY, not {wrong_answers!r}"
            raise UsageError(Problem(message, hint=hint))
        shares = tuple(float(c) for c in truncated_geometric_shares(ratio, many))
    right, wrong = 1.0, 0.0
    if verifier is not None:
        first, _, second = verifier.partition(":")
        try:
            right, wrong = float(first), float(second)
        except ValueError:
            right = wrong = math.nan
        if not 0.0 <= wrong < right <= 1.0:
            raise UsageError(f"--verifier takes RIGHT:WRONG, such as 0.95:0.02, not {verifier!r}")
    return Setting(per_step, right, wrong, wrong_answer_shares=shares)


def read_observed(
    path: str,
    column: Sequence[str] | None,
    drop: Sequence[str] | None,
    law: str | None,
    setting: Setting,
) -> Observed:
    """The rows of a table.

    Raises
    ------
    UsageError : with the place of every cell that cannot be used.
    """
    from ds3opt.cli.fit.table import read_table
    from ds3opt.cli.laws import named_law
    from ds3opt.fit.observed import ObservedRow
    from ds3opt.io.columns import lacking
    from ds3opt.io.observed_csv import COLUMNS, ONE_CLASS
    from ds3opt.laws.loss import DEFAULT_LOSS_LAW

    known = {one.name: one for one in COLUMNS}
    given = read_table(
        path,
        tuple(known.values()),
        called=options.called(column, list(known)),
        drop=options.lines(drop),
    )
    rows = given.rows
    if not rows.records:
        raise UsageError("no row is left")
    missing = [lacking(rows, known[one]) for one in ("accuracy", "problems") if not rows.has(one)]
    by_size = rows.has("parameters") and rows.has("training_tokens")
    if not rows.has("loss") and not by_size:
        lacks = [one for one in ("parameters", "training_tokens") if not rows.has(one)]
        told = lacking(rows, known[lacks[0]])
        hint = f"or give a column loss, nats/token; {told.hint}"
        missing.append(replace(told, hint=hint))
    if not rows.has("token_budget") and not rows.has("max_output_tokens"):
        missing.append(lacking(rows, known["token_budget"]))
    if missing:
        raise UsageError(*missing)
    chosen = named_law(law or DEFAULT_LOSS_LAW)
    problems: list[Problem] = []
    numbers = {
        name: _numbers(rows, known[name], problems)
        for name in known
        if known[name].dimension != "text" and name != "share"
    }
    texts = {
        name: rows.words(known[name]) if rows.has(name) else [""] * len(rows.records)
        for name in ("policy", "class", "model")
    }
    if problems:
        raise UsageError(*problems[:_SHOWN])
    found = []
    for index in range(len(rows.records)):
        cells = {name: values[index] for name, values in numbers.items()}
        try:
            policy, unjudged = _policy(rows, index, texts["policy"][index], cells)
            found.append(
                ObservedRow(
                    _loss(rows, index, cells, chosen, measured=law is None),
                    policy,
                    unjudged,
                    _budget(rows, index, cells, policy.width),
                    _accuracy(rows, index, cells),
                    cells["problems"],
                )
            )
        except UsageError as error:
            problems += error.problems
    if problems:
        raise UsageError(*problems[:_SHOWN])
    names = texts["class"] if rows.has("class") else [ONE_CLASS] * len(rows.records)
    problems += [rows.problem(i, "class", "is empty") for i, name in enumerate(names) if not name]
    problems += _refused(rows, found, setting)
    problems += _mixed(rows, found, texts["model"])
    if problems:
        raise UsageError(*problems[:_SHOWN])
    by_law = not rows.has("loss") or law is not None
    where = f"law {chosen.name}" if by_law else f"column {rows.found['loss']}"
    return Observed(given, tuple(found), tuple(texts["model"]), tuple(names), setting, where)


def _numbers(rows: Rows, column: Column, problems: list[Problem]) -> list[float]:
    """A column of numbers, NaN where a cell is empty or there is no such column."""
    if not rows.has(column.name):
        return [math.nan] * len(rows.records)
    try:
        return rows.numbers(column, empty=math.nan)
    except UsageError as error:
        problems += error.problems
        return [math.nan] * len(rows.records)


def _policy(rows: Rows, index: int, text: str, cells: dict[str, float]) -> tuple[Policy, bool]:
    from ds3opt.policies.short_form import measured_policy

    counts: list[int | None] = []
    for name in ("samples", "branches"):
        value = cells[name]
        if not math.isnan(value) and value != int(value):
            raise UsageError(rows.problem(index, name, f"is a whole number, not {value:g}"))
        counts.append(None if math.isnan(value) else int(value))
    try:
        return measured_policy(text, *counts)
    except UsageError as error:
        place = "policy" if rows.has("policy") else "samples"
        told = error.problems[0]
        raise UsageError(rows.problem(index, place, told.message, told.hint)) from None


def _loss(
    rows: Rows, index: int, cells: dict[str, float], law: LossLaw, *, measured: bool
) -> float:
    """Of the model: as the table has it, else by the law."""
    if measured and not math.isnan(cells["loss"]):
        return cells["loss"]
    size, tokens = cells["parameters"], cells["training_tokens"]
    for name, value in (("parameters", size), ("training_tokens", tokens)):
        if math.isnan(value):
            if not rows.has(name):
                raise UsageError(rows.problem(index, "loss", "is empty"))
            raise UsageError(rows.problem(index, name, "is empty"))
    return float(law.loss(size, tokens))


def _budget(rows: Rows, index: int, cells: dict[str, float], width: float) -> float:
    """Tokens of all traces of a task."""
    from ds3opt.fit.observed import total_budget

    total, one = cells["token_budget"], cells["max_output_tokens"]
    if math.isnan(total) and math.isnan(one):
        name = "token_budget" if rows.has("token_budget") else "max_output_tokens"
        raise UsageError(rows.problem(index, name, "is empty"))
    return total_budget(
        None if math.isnan(total) else total, None if math.isnan(one) else one, width
    )


def _accuracy(rows: Rows, index: int, cells: dict[str, float]) -> float:
    found, count = cells["accuracy"], cells["problems"]
    if math.isnan(found):
        return found
    if found > 1.0:
        hint = "write 45 % or 0.45"
        raise UsageError(rows.problem(index, "accuracy", f"is above 1: {found:g}", hint))
    if math.isnan(count):
        raise UsageError(rows.problem(index, "problems", "is empty: how many were tried?"))
    if count < 1.0 or count != int(count):
        raise UsageError(rows.problem(index, "problems", f"is a whole number, not {count:g}"))
    return max(found, 0.0)


def _refused(rows: Rows, found: Sequence[ObservedRow], setting: Setting) -> list[Problem]:
    from ds3opt.fit.observed import refusals

    problems = []
    for index, row in enumerate(found):
        why = refusals(row, setting)
        if why is not None:
            name = "policy" if "wrong answers" in why else "token_budget"
            place = next(n for n in (name, "max_output_tokens", "samples") if rows.has(n))
            hint = "give --wrong-answers 9" if name == "policy" else "see --tokens-per-step"
            problems.append(rows.problem(index, place, why, hint))
    return problems


def _mixed(rows: Rows, found: Sequence[ObservedRow], models: Sequence[str]) -> list[Problem]:
    """Rows that give one model two losses."""
    from ds3opt.fit.observed import two_losses

    return [
        rows.problem(
            index,
            "model",
            f"{models[index]} has a loss of {found[index].loss:.4g} here and of "
            f"{found[known].loss:.4g} in line {rows.records[known].line}: are two models mixed?",
        )
        for index, known in two_losses(models, found)
    ]
