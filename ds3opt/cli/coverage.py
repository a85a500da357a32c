"""``ds3opt coverage``: samples, FLOP and dollars for a target, and where votes saturate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ds3opt.cli.view import ALL_FORMATS, View, with_view
from ds3opt.errors import ExitCode, Location, Problem, UsageError

if TYPE_CHECKING:
    from ds3opt.laws.populations import Population
    from ds3opt.optimise.selection import Budget, Prices
    from ds3opt.optimise.selection_draws import PopulationDraws

_SAMPLES = (1, 3, 10, 32, 100, 320, 1000, 10_000)
_MOST = 1_000_000_000


@with_view(*ALL_FORMATS, without=("verbose",))
def coverage(
    view: View,
    alpha: Annotated[
        float | None, typer.Option("--alpha", metavar="A", help="Beta fit of success: alpha > 0.")
    ] = None,
    beta: Annotated[
        float | None, typer.Option("--beta", metavar="B", help="Beta fit of success: beta > 0.")
    ] = None,
    solvable: Annotated[
        str | None,
        typer.Option("--solvable", metavar="C", help="Share that can be solved at all.  [1]"),
    ] = None,
    counts: Annotated[
        str | None,
        typer.Option(
            "--counts", metavar="FILE", help="A CSV of samples,correct by problem, - for input."
        ),
    ] = None,
    population: Annotated[
        str | None,
        typer.Option("--population", metavar="FILE", help="A file of `ds3opt fit coverage`."),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--target", metavar="P,...", help="Accuracies to reach, such as 0.5,80%."),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget", metavar="B,...", help="For one question: 1e15 in FLOP, or '0.05 USD'."
        ),
    ] = None,
    samples: Annotated[
        str | None,
        typer.Option("--samples", metavar="K,...", help="Numbers of samples for the curve."),
    ] = None,
    parameters: Annotated[
        str | None,
        typer.Option("--parameters", metavar="N", help="Model size, for FLOP, such as 8B."),
    ] = None,
    prompt_tokens: Annotated[
        str, typer.Option("--prompt-tokens", metavar="TOKENS", help="Of a question.")
    ] = "0",
    output_tokens: Annotated[
        str | None, typer.Option("--output-tokens", metavar="TOKENS", help="Of one sample.")
    ] = None,
    shared_prompt: Annotated[
        bool, typer.Option("--shared-prompt", help="The prompt is read once for all samples.")
    ] = False,
    input_price: Annotated[
        str | None,
        typer.Option("--input-price", metavar="USD", help="Of a token, such as '0.06 USD/Mtok'."),
    ] = None,
    output_price: Annotated[
        str | None, typer.Option("--output-price", metavar="USD", help="Of a generated token.")
    ] = None,
    wrong_answers: Annotated[
        str | None,
        typer.Option(
            "--wrong-answers", metavar="...", help="For votes: count=9,decay=0.75 or 0.5,0.3,0.2."
        ),
    ] = None,
    weight_ratio: Annotated[
        float | None,
        typer.Option(
            "--weight-ratio", metavar="G", help="Also a weighted vote: right over wrong weight."
        ),
    ] = None,
    verifier: Annotated[
        str | None,
        typer.Option(
            "--verifier", metavar="...", help="tpr=0.9,fpr=0.1 or discrimination=1.2; parameters=."
        ),
    ] = None,
) -> int:
    """How many samples solve how many problems, what they cost, and where votes saturate.

    The population is a Beta fit (alpha, beta, and the share that is solvable at all, or a file of
    `ds3opt fit coverage`) or counts of problems that were each tried several times. A perfect
    verifier, a vote and the verifier given are set side by side. Exit code 3 where no target is
    within reach of any of them.

    A file with draws of the fit also says how sure the answer is: 95 % intervals, and the samples
    with which a target is reached in 95 % of the draws.
    """
    from ds3opt.optimise.selection import Prices, select
    from ds3opt.optimise.selection_draws import how_sure
    from ds3opt.report.selection import selection_document

    problems, given, draws = _population(alpha, beta, solvable, counts, population)
    targets = [_number("--target", part, "ratio", most=1.0) for part in _parts(target)]
    rates, discrimination, judge = _verifier(verifier)
    shares = _wrong_answers(wrong_answers)
    if weight_ratio is not None and shares is None:
        raise UsageError(
            Problem("a weighted vote needs to know what else is voted for", hint=_WRONG_HINT)
        )
    if weight_ratio is not None and not 0.0 < weight_ratio <= 1000.0:
        raise _refused("--weight-ratio", str(weight_ratio), "must be above 0 and at most 1000")
    prices = Prices(
        _number("--prompt-tokens", prompt_tokens, "tokens"),
        None
        if output_tokens is None
        else _number("--output-tokens", output_tokens, "tokens", above=0.0),
        None
        if parameters is None
        else _number("--parameters", parameters, "parameters", above=0.0),
        None if input_price is None else _number("--input-price", input_price, "price_per_token"),
        None
        if output_price is None
        else _number("--output-price", output_price, "price_per_token"),
        shared_prompt,
        judge,
    )
    if prices.output_tokens is None and (parameters is not None or output_price is not None):
        raise UsageError(
            Problem("FLOP and cost need --output-tokens", hint="such as --output-tokens 400")
        )
    if input_price is not None and output_price is None:
        raise UsageError("--input-price goes with --output-price")
    budgets = [_budget(part, prices) for part in _parts(budget)]
    asked = [_whole(part) for part in _parts(samples)] or _usual(problems)
    found = select(
        problems,
        targets=targets,
        budgets=budgets,
        samples=asked,
        prices=prices,
        wrong_answers=shares,
        weight_ratio=weight_ratio,
        rates=rates,
        discrimination=discrimination,
    )
    sure = None
    if draws is not None:
        sure = how_sure(
            found, draws, prices=prices, wrong_answers=shares, weight_ratio=weight_ratio
        )
    view.emit(selection_document(found, given, sure))
    return ExitCode.INFEASIBLE if found.hopeless else ExitCode.DONE


def _population(
    alpha: float | None,
    beta: float | None,
    solvable: str | None,
    counts: str | None,
    file: str | None,
) -> tuple[Population, dict[str, Any], PopulationDraws | None]:
    """Problems, what was given of them, and draws of the fit where a file holds any."""
    from pydantic import ValidationError

    from ds3opt.io.law_files import resolve_population
    from ds3opt.io.success_counts import read_success_counts
    from ds3opt.optimise.selection_draws import PopulationDraws
    from ds3opt.schema.candidates import Measured

    fitted = (alpha, beta, solvable)
    ways = (counts is not None, file is not None, any(one is not None for one in fitted))
    if sum(ways) > 1:
        raise UsageError("give one of --counts, --population, or --alpha, --beta and --solvable")
    if file is not None:
        spread = resolve_population(file, ())
        measured = Measured.model_validate({"population": spread, "output_tokens": 1})
        assert measured.population is not None
        beta_fit = measured.population
        told = {"population": beta_fit.name, "alpha": beta_fit.alpha, "beta": beta_fit.beta}
        drawn = beta_fit.drawn()
        return measured.over(), told, None if drawn is None else PopulationDraws(*drawn)
    if counts is not None:
        rows = read_success_counts(counts)
        measured = Measured.model_validate({"success_counts": rows, "output_tokens": 1})
        tried = [row["samples"] for row in rows]
        least, most = min(tried), max(tried)
        said = f"{least}" if least == most else f"{least} to {most}"
        return measured.over(), {"problems": len(rows), "samples_of_a_problem": said}, None
    if alpha is None or beta is None:
        raise UsageError(
            Problem(
                "which population?",
                hint="give --alpha and --beta of a Beta fit, --population FILE or --counts FILE",
            )
        )
    part = 1.0 if solvable is None else _number("--solvable", solvable, "ratio", most=1.0)
    spread = {"alpha": alpha, "beta": beta, "solvable": part}
    try:
        measured = Measured.model_validate({"population": spread, "output_tokens": 1})
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][-1])
        allowed = f"must be above 0 and at most {'1' if name == 'solvable' else '1e9'}"
        raise _refused(f"--{name}", f"{spread[name]:g}", allowed) from None
    return measured.over(), {"alpha": alpha, "beta": beta}, None


def _usual(population: Population) -> list[int]:
    return [k for k in _SAMPLES if population.covered(k) is not None]


def _parts(text: str | None) -> list[str]:
    return [] if text is None else [part.strip() for part in text.split(",") if part.strip()]


def _refused(option: str, text: str, message: str, hint: str = "") -> UsageError:
    return UsageError(Problem(message, hint=hint, location=Location(option, 1, 1, text)))


def _number(
    option: str, text: str, dimension: str, *, above: float | None = None, most: float = 1e30
) -> float:
    from ds3opt.units import UnitError, parse_quantity

    try:
        value = parse_quantity(text, dimension)
    except UnitError as error:
        raise _refused(option, text, error.message, error.hint) from None
    if above is not None and value <= above:
        raise _refused(option, text, f"must be above {above:g}")
    if not 0.0 <= value <= most:
        raise _refused(option, text, f"must be from 0 to {most:g}")
    return value


def _budget(text: str, prices: Prices) -> Budget:
    """FLOP or dollars, and what is needed to say how many samples they buy."""
    from ds3opt.optimise.selection import Budget

    money = "USD" in text or "$" in text
    amount = _number("--budget", text, "money" if money else "flop", most=1e60)
    found = Budget(amount, "USD" if money else "FLOP")
    if prices.bought(found, judged=False) is None:
        missing = "--output-price" if money else "--parameters"
        raise _refused("--budget", text, f"needs --output-tokens and {missing}")
    return found


def _whole(text: str) -> int:
    value = _number("--samples", text, "dimensionless", most=_MOST)
    if value < 1 or value != int(value):
        raise _refused("--samples", text, "must be a whole number from 1 up")
    return int(value)


def _named(option: str, text: str, names: tuple[str, ...]) -> dict[str, float]:
    """``name=value`` pairs of an option."""
    import difflib

    found: dict[str, float] = {}
    for part in _parts(text):
        name, equals, value = (one.strip() for one in part.partition("="))
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(names)}"
            raise _refused(option, text, f"{name!r} is none of its names", hint)
        if not equals or not value:
            raise _refused(option, text, f"{name} has no value", f"write {name}=...")
        if name in found:
            raise _refused(option, text, f"{name} is given twice")
        dimension = "parameters" if name == "parameters" else "dimensionless"
        found[name] = _number(option, value, dimension)
    return found


_WRONG_HINT = "such as --wrong-answers count=9,decay=0.75"


def _wrong_answers(text: str | None) -> list[float] | None:
    """Shares of wrong answers, from a count and a decay or listed."""
    from pydantic import ValidationError

    from ds3opt.problem import wrong_answer_shares
    from ds3opt.schema.workload import WrongAnswers

    if text is None:
        return None
    given: dict[str, Any]
    if "=" in text:
        named = _named("--wrong-answers", text, ("count", "decay"))
        if "count" not in named:
            raise _refused("--wrong-answers", text, "count is missing", _WRONG_HINT)
        count = named["count"]
        given = {**named, "count": int(count) if count == int(count) else count}
    else:
        given = {"shares": [_number("--wrong-answers", part, "ratio") for part in _parts(text)]}
    try:
        return list(wrong_answer_shares(WrongAnswers.model_validate(given)))
    except ValidationError as error:
        message = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        where = ".".join(str(step) for step in error.errors()[0]["loc"])
        words = f"{where}: {message}" if where else message
        raise _refused("--wrong-answers", text, words, _WRONG_HINT) from None


def _verifier(text: str | None) -> tuple[tuple[float, float] | None, float | None, float]:
    """Error rates or d' of a verifier, and the parameters of its model."""
    if text is None:
        return None, None, 0.0
    names = ("tpr", "fpr", "discrimination", "parameters")
    named = _named("--verifier", text, names)
    judge = named.pop("parameters", 0.0)
    scores = named.pop("discrimination", None)
    if scores is not None:
        if named:
            raise _refused("--verifier", text, "give either discrimination, or tpr and fpr")
        return None, scores, judge
    if not named:
        raise _refused("--verifier", text, "says nothing of how well it judges", "add tpr=, fpr=")
    true, false = named.get("tpr", 1.0), named.get("fpr", 0.0)
    if not 0.0 <= false <= true <= 1.0 or true == 0.0:
        raise _refused("--verifier", text, "0 <= fpr <= tpr <= 1 is expected, with tpr above 0")
    return (true, false), None, judge
