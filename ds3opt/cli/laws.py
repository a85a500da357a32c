"""``ds3opt laws``: the published loss laws and what each makes of compute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ds3opt.cli.help import Command, examples
from ds3opt.cli.view import ALL_FORMATS, View, with_view
from ds3opt.errors import ExitCode, Problem, UsageError

if TYPE_CHECKING:
    from ds3opt.laws.loss import LossLaw
    from ds3opt.report.document import Table
    from ds3opt.report.values import Value

laws = typer.Typer(
    help="The published loss laws: list them, or show one.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
BUDGETS = (1e21, 5.76e23, 1e25)
"""Training FLOP at which a law is asked for its own optimum; 5.76e23 is Gopher's."""


@laws.command("list", cls=Command, epilog=examples("laws list -f csv"))
@with_view(*ALL_FORMATS, without=("verbose",))
def list_laws(view: View) -> int:
    """Every law, its own optimum and its source.

    The optimum is its tokens per parameter, D/N, at three amounts of training FLOP.
    """
    from ds3opt.laws.loss import LOSS_LAWS
    from ds3opt.report.document import Column, Document, table_of

    listed = list(LOSS_LAWS.values())
    ratios = [
        (
            Column(
                f"tokens_per_parameter_at_{budget:.3g}_flop",
                f"D/N at {_flop(budget).removesuffix(' FLOP')}",
                "count, fixed",
            ),
            lambda law, budget=budget: tokens_per_parameter(law, budget),
        )
        for budget in BUDGETS
    ]
    table = table_of(
        "",
        listed,
        (Column("name", "law"), lambda law: law.name),
        *ratios,
        (Column("source", "source"), lambda law: law.source),
    )
    data = {"schema_version": 1, "laws": [law_data(law) for law in listed]}
    view.emit(Document("", (table,), data, table))
    return ExitCode.DONE


@laws.command(
    "show", cls=Command, epilog=examples("laws show besiroglu2024", "laws show mine.yaml")
)
@with_view(*ALL_FORMATS, without=("verbose",))
def show_law(
    view: View,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="As listed, or a file of `ds3opt fit`.")
    ],
) -> int:
    """Coefficients, source and fitted range of a law, and its own optimum."""
    from ds3opt.io.law_files import names_file
    from ds3opt.report.document import Document

    if names_file(name):
        from ds3opt.cli.fit.show import law_file_document
        from ds3opt.io.law_files import load_law_file

        view.emit(law_file_document(load_law_file(name), BUDGETS))
        return ExitCode.DONE
    law = published(name)
    table = _law_table(law)
    view.emit(Document(law.name, (table,), {"schema_version": 1, **law_data(law)}, table))
    return ExitCode.DONE


def published(name: str) -> LossLaw:
    """A published law by name.

    Raises
    ------
    UsageError : naming the nearest, if there is none.
    """
    import difflib

    from ds3opt.laws.loss import LOSS_LAWS

    if name not in LOSS_LAWS:
        near = difflib.get_close_matches(name, LOSS_LAWS, n=1)
        hint = f"did you mean {near[0]}?" if near else "`ds3opt laws list` names them"
        raise UsageError(Problem(f"no loss law is named {name!r}", hint=hint))
    return LOSS_LAWS[name]


def named_law(law: str) -> LossLaw:
    """A published law by name, or a fitted one by its file.

    Raises
    ------
    UsageError, ScenarioError : no such law or file.
    """
    from ds3opt.io.law_files import names_file, resolve_loss_law
    from ds3opt.schema.model import LossCoefficients

    if not names_file(law):
        return published(law)
    return LossCoefficients.model_validate(resolve_loss_law(law, ())).law()


def tokens_per_parameter(law: LossLaw, training_flop: float) -> float:
    """Training tokens per parameter of least loss, by the law itself."""
    parameters, tokens = law.compute_optimal(training_flop)
    return float(tokens / parameters)


def law_data(law: LossLaw) -> dict[str, Any]:
    """A law as plain data, under the names that a scenario uses."""
    fitted, repetition = law.fitted_range, law.repetition
    ranges = ("parameters", "training_tokens", "tokens_per_parameter")
    return {
        "name": law.name,
        "irreducible": law.irreducible,
        "parameter_coefficient": law.parameter_coefficient,
        "data_coefficient": law.data_coefficient,
        "parameter_exponent": law.parameter_exponent,
        "data_exponent": law.data_exponent,
        "source": law.source,
        "note": law.note,
        "fitted_range": None
        if fitted is None
        else {**{n: getattr(fitted, n) for n in ranges}, "source": fitted.source},
        "repetition": None
        if repetition is None
        else {
            "data_decay": repetition.data_decay,
            "parameter_decay": repetition.parameter_decay,
            "source": repetition.source,
        },
        "compute_optimal": [
            {
                "training_flop": budget,
                "parameters": float(law.compute_optimal(budget)[0]),
                "training_tokens": float(law.compute_optimal(budget)[1]),
                "tokens_per_parameter": tokens_per_parameter(law, budget),
            }
            for budget in BUDGETS
        ],
    }


def _law_table(law: LossLaw) -> Table:
    from ds3opt.report.document import Column, Table
    from ds3opt.report.values import Interval, Measure
    from ds3opt.report.words import dimension_shown, words_of

    rows: list[tuple[Value, Value]] = [
        ("loss", "E + A / N^alpha + B / D^beta, nats/token"),
        ("irreducible, E", _exact(law.irreducible)),
        ("parameter_coefficient, A", _exact(law.parameter_coefficient)),
        ("data_coefficient, B", _exact(law.data_coefficient)),
        ("parameter_exponent, alpha", _exact(law.parameter_exponent)),
        ("data_exponent, beta", _exact(law.data_exponent)),
        ("source", law.source),
        ("note", law.note),
    ]
    fitted = law.fitted_range
    if fitted is not None:
        for name in ("parameters", "training_tokens", "tokens_per_parameter"):
            ends = getattr(fitted, name)
            if ends is not None:
                span = Interval(ends[0], ends[1], dimension_shown(name))
                rows.append((f"fitted on {words_of(name)}", span))
        rows.append(("fitted range from", fitted.source))
    if law.repetition is not None:
        decays = f"{law.repetition.data_decay:g} repeats of data, "
        decays += f"{law.repetition.parameter_decay:g} of parameters"
        rows += [("repetition decays over", decays), ("repetition from", law.repetition.source)]
    for budget in BUDGETS:
        ratio = Measure(tokens_per_parameter(law, budget), "count, fixed")
        rows.append((f"own tokens per parameter at {_flop(budget)}", ratio))
    columns = (Column("property", ""), Column("value", ""))
    return Table("", columns, tuple(rows), header=False)


def _exact(value: float) -> str:
    return f"{value:.10g}"


def _flop(value: float) -> str:
    from ds3opt.units import format_quantity

    return format_quantity(value, "flop")
