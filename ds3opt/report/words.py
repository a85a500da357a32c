"""The words for quantities, limits and statuses: the same in every report."""

from __future__ import annotations

from ds3opt.optimise.solution import Solution, Status

_WORDS = {
    "accuracy": "accuracy",
    "value": "value per task",
    "net_value": "net value",
    "net_value_usd": "net value",
    "loss": "pretraining loss",
    "total_flop": "total FLOP",
    "training_flop": "training FLOP",
    "inference_flop": "inference FLOP",
    "parameters": "model size N",
    "training_tokens": "training tokens D",
    "tokens_per_parameter": "tokens per parameter",
    "expected_tokens": "tokens per task",
    "epochs": "epochs over unique tokens",
    "max_parameters": "max model size",
    "min_parameters": "min model size",
    "accelerator_hours": "accelerator-hours",
    "power": "site power",
    "inference_accelerators": "serving accelerators",
}
_DIMENSIONS = {
    "accuracy": "percent",
    "min_accuracy": "percent",
    "value": "dimensionless",
    "net_value": "money",
    "energy": "energy",
    "cost": "money",
    "carbon": "carbon",
    "accelerator_hours": "accelerator_hours",
    "power": "power",
    "host_power": "power",
    "training_time": "time",
    "max_latency": "time",
    "first_token": "time",
    "lifetime": "time",
    "duration": "time",
    "capital_cost": "money",
    "carbon_intensity": "carbon_intensity",
    "input_price": "price_per_token",
    "output_price": "price_per_token",
    "inference_accelerators": "accelerators",
    "loss": "loss",
    "difficulty": "loss",
    "parameters": "parameters",
    "tokens_per_parameter": "dimensionless",
    "tasks": "tasks",
    "horizon": "time",
    "skills": "count",
    "share": "percent",
}
_UNITS = {
    "FLOP": "flop",
    "tokens": "tokens",
    "tokens/parameter": "tokens per parameter",
    "parameters": "parameters",
    "J": "energy",
    "USD": "money",
    "kg": "carbon",
    "accelerator-hours": "accelerator_hours",
    "W": "power",
    "s": "time",
    "accelerators": "accelerators",
    "nats/token": "loss",
    "accuracy": "percent",
}
_REQUIRED = "min_accuracy of "
_JSON_NAMES = {"energy": "energy_joule", "cost": "cost_usd", "carbon": "carbon_kg"}


def leaf(path: str) -> str:
    """The last word of a path that says what is meant, without positions, `min` and `max`.

    >>> leaf("model.parameters.max"), leaf("limits.total_flop"), leaf("workload.mix[0].skills")
    ('parameters', 'total_flop', 'skills')
    """
    steps = [step.split("[")[0] for step in path.replace("]", "").split(".")]
    said = [step for step in steps if step not in {"min", "max", "from", "to"}]
    return said[-1] if said else path


def words_of(name: str) -> str:
    """A quantity or a limit in words.

    >>> words_of("limits.total_flop"), words_of("workload.mix[0].min_accuracy")
    ('total FLOP', 'workload.mix[0].min_accuracy')
    >>> words_of("max_parameters"), words_of("min_accuracy of bug_fix")
    ('max model size', 'accuracy of bug_fix')
    >>> words_of("power (at_night)")
    'site power (at_night)'
    """
    short = name.removeprefix("limits.")
    if short.startswith(_REQUIRED):  # the name of a class stands as it is
        return short.replace(_REQUIRED, "accuracy of ", 1)
    if short.endswith(")") and " (" in short:  # and so does that of a period
        first, _, period = short.partition(" (")
        return f"{words_of(first)} ({period}"
    return _WORDS.get(short, short if "." in short else short.replace("_", " "))


def dimension_of(name: str, unit: str = "") -> str:
    """The dimension of a quantity: by its unit where that is known, else by its name or path.

    >>> dimension_of("model.training_tokens.max"), dimension_of("min_accuracy of code", "accuracy")
    ('tokens', 'percent')
    """
    if unit in _UNITS:
        return _UNITS[unit]
    if name.endswith(".price") and "electricity" in name:
        return "price_per_energy"
    last = leaf(name).removesuffix("_lower").removesuffix("_upper")
    if last in _DIMENSIONS:
        return _DIMENSIONS[last]
    if last.endswith("flop"):
        return "flop"
    if "tokens" in last:
        return "tokens"
    return _UNITS.get(unit, "dimensionless")


def dimension_shown(name: str, unit: str = "") -> str:
    """The dimension of a quantity with the way its numbers are written.

    Model sizes, training tokens and their ratio have the same number of digits everywhere.

    >>> dimension_shown("max_tokens_per_parameter", "tokens"), dimension_shown("parameters")
    ('count, fixed', 'parameters, fixed')
    """
    last = leaf(name)
    if "tokens_per_parameter" in last:
        return "count, fixed"
    fixed = last in {"parameters", "training_tokens"}
    return dimension_of(name, unit) + (", fixed" if fixed else "")


def status_words(status: Status) -> str:
    """A status in one or two words, for a row of a table."""
    return status.code.replace("_", " ")


def objective_words(solution: Solution) -> str:
    """What is sought, such as ``least total FLOP for an accuracy of 80.00 %``."""
    from ds3opt.report.values import shown

    name = words_of(solution.objective)
    if solution.target is None:
        return f"{'lowest' if solution.objective == 'loss' else 'highest'} {name}"
    what, value = solution.target
    article = "an" if what == "accuracy" else "a"
    asked = shown(value, dimension_of(what))
    return f"least {name} for {article} {words_of(what)} of {asked}"


def outcome_key(resource: str) -> str:
    """The name of a resource's total in the JSON, with its unit.

    >>> outcome_key("cost"), outcome_key("accelerator_hours")
    ('cost_usd', 'accelerator_hours')
    """
    return _JSON_NAMES.get(resource, resource)


def is_maximised(objective: str) -> bool:
    """Whether more of the objective is better."""
    return objective in {"accuracy", "value", "net_value"}


def achieved(solution: Solution) -> float | None:
    """The objective of the allocation found."""
    certificate = solution.certificate
    if certificate is None:
        return _scored(solution)
    return certificate.lower if is_maximised(solution.objective) else certificate.upper


def _scored(solution: Solution) -> float | None:
    """The net value of a model that was given; other objectives have rows of their own."""
    cost = next((use.total for use in solution.resources if use.name == "cost"), None)
    if solution.objective != "net_value" or solution.value is None or cost is None:
        return None
    return solution.value * solution.tasks_served - cost


ABSOLUTE = frozenset({"accuracy", "value", "net_value", "loss"})
"""Objectives whose gaps and regrets are in their own unit, not relative."""


def lost_dimension(objective: str) -> str:
    """Dimension in which losses are told; for resources what the same of them loses in accuracy."""
    if objective == "accuracy" or objective not in ABSOLUTE:
        return "small points"
    return dimension_of(objective)
