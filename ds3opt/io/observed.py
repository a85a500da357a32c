"""Classes of a scenario fitted to the accuracies that it states."""

from __future__ import annotations

from dataclasses import replace

from ds3opt.errors import Problem, ScenarioError
from ds3opt.io.law_files import draws_text
from ds3opt.io.yaml_source import YamlSource
from ds3opt.laws.loss import LOSS_LAWS
from ds3opt.schema import Scenario
from ds3opt.schema.observed import FittedClass
from ds3opt.schema.spread import Spread
from ds3opt.schema.workload import TaskClass

_SHOWN = 5
_DRAWS, _SEED = 500, 0

_SAYS = {
    "wrong answers": "give the class wrong_answers, such as {count: 9}",
    "one step": "a step has reasoning.tokens_per_step, or those of the class: give fewer",
}
"""What to do about a row that cannot be explained, by what is said of it."""


def with_fitted_classes(scenario: Scenario, source: YamlSource) -> Scenario:
    """The scenario with the constants of classes that state accuracies; the others as they are.

    Raises
    ------
    ScenarioError : accuracies that no class can be fitted to, at their places.
    """
    mix = scenario.workload.mix or ()
    if all(task.observed is None for task in mix):
        return scenario
    problems: list[Problem] = []
    fitted = []
    for index, task in enumerate(mix):
        try:
            fitted.append(task if task.observed is None else _fitted(scenario, task))
        except ScenarioError as error:
            path = ("workload", "mix", index, "observed")
            for problem in error.problems:
                row = (int(problem.path),) if problem.path else ()
                dotted = f"workload.mix[{index}].observed" + "".join(f"[{one}]" for one in row)
                place = source.location((*path, *row), key=not row)
                problems.append(replace(problem, path=dotted, location=place))
    if problems:
        raise ScenarioError(*problems)
    workload = scenario.workload.model_copy(update={"mix": tuple(fitted)})
    return scenario.model_copy(update={"workload": workload})


def _fitted(scenario: Scenario, task: TaskClass) -> TaskClass:
    from ds3opt.fit.observed import Setting, observations, observed_row, refusals, two_losses
    from ds3opt.fit.task_doubts import doubts_of_fit, doubts_of_rows, obstacles
    from ds3opt.fit.task_draws import likely_draws
    from ds3opt.fit.task_model import CONSTANTS
    from ds3opt.fit.tasks import fit_tasks
    from ds3opt.laws.voting import truncated_geometric_shares

    model, judge, wrong = scenario.model, task.verifier, task.wrong_answers
    shares = None
    if wrong is not None:
        shares = wrong.shares or tuple(
            float(c) for c in truncated_geometric_shares(wrong.decay, wrong.count or 1)
        )
    setting = Setting(
        task.tokens_per_step or scenario.reasoning.tokens_per_step,
        judge.true_positive_rate,
        judge.false_positive_rate,
        judge.discrimination,
        None if shares is None else tuple(sorted(shares, reverse=True)),
    )
    law = LOSS_LAWS[model.loss_law] if isinstance(model.loss_law, str) else model.loss_law.law()
    given = task.observed or ()
    rows = [observed_row(one, law) for one in given]
    problems = []
    for index, row in enumerate(rows):
        why = refusals(row, setting)
        if why is not None:
            key = next(one for one in _SAYS if one in why)
            problems.append(Problem(why, path=str(index), hint=_SAYS[key]))
    for index, known in two_losses([one.model for one in given], rows):
        message = (
            f"{given[index].model} has a loss of {rows[index].loss:.4g} here and of "
            f"{rows[known].loss:.4g} before: are two models mixed?"
        )
        problems.append(Problem(message, path=str(index)))
    if problems:
        raise ScenarioError(*problems)
    data, held = observations(rows, setting), task.held()
    found = list(obstacles(data, held, "skills: 10, directionality: 1, fatigue: 0"))
    if found:
        raise ScenarioError(*(Problem(one.message, hint=one.hint) for one in found))
    sigmoid = model.capability
    fit = fit_tasks(
        data,
        slope=sigmoid.slope,
        scale=sigmoid.scale,
        offset=sigmoid.offset,
        held=held,
        profiles=False,
    )
    drawn = likely_draws(fit, _DRAWS, _SEED)
    doubts = []
    for one in (*doubts_of_rows(data), *doubts_of_fit(data, fit)):
        places = ", ".join(f"observed[{row}]" for row in one.rows[:_SHOWN])
        more = f" and {len(one.rows) - _SHOWN} more" if len(one.rows) > _SHOWN else ""
        doubts.append(f"{one.message} ({places}{more})" if places else one.message)
    return task.model_copy(
        update={
            "difficulty": Spread(values=(fit.values["difficulty"],)),
            "skills": Spread(values=(fit.values["skills"],)),
            "directionality": fit.values["directionality"],
            "fatigue": fit.values["fatigue"],
            "fitted": FittedClass(
                source=f"fitted to {len(rows)} observed accuracies",
                fitted_loss=(float(data.loss.min()), float(data.loss.max())),
                doubts=tuple(doubts),
            ),
            "draws": draws_text(CONSTANTS, drawn),
        }
    )
