"""Files of fitted laws: read where a scenario names them, written whole."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from ds3opt.errors import Problem, ScenarioError
from ds3opt.io.diagnostics import field_names_at, problems_from_validation
from ds3opt.io.files import read_text
from ds3opt.io.yaml_source import load_yaml
from ds3opt.schema.law_file import (
    KINDS,
    CapabilityFile,
    LawFile,
    LossLawFile,
    TaskMap,
    TasksFile,
)
from ds3opt.schema.quantities import Section
from ds3opt.schema.sample_law_file import (
    VERIFIER_FORMS,
    PopulationFile,
    VerifierFile,
    VotingFile,
)

SUFFIXES = (".yaml", ".yml")
WORDS = {
    "loss_law": "a loss law",
    "capability": "maps from loss to scores",
    "coverage": "a population of problems",
    "voting": "how wrong answers split",
    "verifier": "how well a verifier judges",
    "directionality": "directionalities of models",
    "tasks": "classes of tasks",
}
"""What each kind of file holds."""
Folders = Sequence[str | Path]
File = TypeVar("File", bound=Section)


def names_file(value: object) -> bool:
    """Whether a value is the name of a law file, with or without ``#task``.

    >>> names_file("mine.yaml"), names_file("maps.yml#code"), names_file("besiroglu2024")
    (True, True, False)
    """
    return isinstance(value, str) and value.partition("#")[0].endswith(SUFFIXES)


def load_law_file(path: str | Path) -> LawFile:
    """Read and check a law file.

    Raises
    ------
    UsageError, ScenarioError : with every problem found, each at its place.
    """
    text, name = read_text(path)
    source = load_yaml(text, name, "law file")
    kind = source.data.get("kind")
    model = KINDS.get(kind) if isinstance(kind, str) else None
    if model is None:
        message = f"not a law file: its kind is none of {', '.join(KINDS)}"
        hint = "`ds3opt fit` writes law files"
        raise ScenarioError(Problem(message, hint=hint, location=source.location(("kind",))))
    try:
        return model.model_validate(source.data)
    except ValidationError as error:
        problems = problems_from_validation(error, source, lambda at: field_names_at(model, at))
        raise ScenarioError(*problems) from None


def resolve_loss_law(value: object, folders: Folders) -> object:
    """What a scenario writes for a loss law, the file of a fitted one replaced by its constants.

    Raises
    ------
    UsageError, ScenarioError : a file that is not there, is broken, or holds something else.
    """
    if not isinstance(value, str) or not names_file(value):
        return value
    return _named(value, folders, LossLawFile, "loss_law").coefficients()


def resolve_capability(value: object, folders: Folders) -> object:
    """What a scenario writes for a capability, a file replaced by the sigmoid of its task.

    ``maps.yaml#code`` is the task `code`; without it the file must hold a single task.

    Raises
    ------
    UsageError, ScenarioError : as `resolve_loss_law`; and for a map that is not a sigmoid.
    """
    if not isinstance(value, str):
        return value
    if not names_file(value):
        message = f"{value[:60]!r} is no capability"
        raise ScenarioError(Problem(message, hint="give slope, scale and offset, or a law file"))
    found, task, one = _sigmoid(value, folders)
    return {**one.sigmoid(), "name": f"{found.name}: {task}"}


def difficulty_draws(value: object, folders: Folders) -> tuple[float, str]:
    """A difficulty that names a file's task, and the table of its joint draws, empty if none.

    Raises
    ------
    UsageError, ScenarioError : as `resolve_difficulty`.
    """
    if not isinstance(value, str) or not names_file(value):
        return 0.0, ""
    one = _sigmoid(value, folders)[2]
    return one.values["difficulty"], one.draws


def resolve_difficulty(value: object, folders: Folders) -> object:
    """What a class writes for its difficulty, a file replaced by that of its task.

    Raises
    ------
    UsageError, ScenarioError : as `resolve_capability`.
    """
    if not isinstance(value, str) or not names_file(value):
        return value
    return _sigmoid(value, folders)[2].values["difficulty"]


def resolve_population(value: object, folders: Folders) -> object:
    """What a scenario writes for a population, a file replaced by its constants.

    Raises
    ------
    UsageError, ScenarioError : as `resolve_loss_law`.
    """
    if not isinstance(value, str):
        return value
    hint = f"{value[:60]!r} is no population", "give alpha and beta, or a law file"
    return _named(value, folders, PopulationFile, "coverage", *hint).population()


def resolve_wrong_answers(value: object, folders: Folders) -> object:
    """What a class writes for its wrong answers, a file replaced by its spectrum.

    Raises
    ------
    UsageError, ScenarioError : as `resolve_loss_law`.
    """
    if not isinstance(value, str):
        return value
    hint = f"{value[:60]!r} says nothing of wrong answers", "give count and decay, or a law file"
    return _named(value, folders, VotingFile, "voting", *hint).spectrum()


def resolve_verifier(value: object, folders: Folders) -> object:
    """What a class writes for its verifier, a file replaced by its figures.

    ``judge.yaml#rates`` is one that accepts or refuses, ``judge.yaml#scores`` one that ranks.

    Raises
    ------
    UsageError, ScenarioError : as `resolve_loss_law`; and for another word behind the name.
    """
    if not isinstance(value, str) or not names_file(value):
        return value
    name, _, form = value.partition("#")
    found = _named(name, folders, VerifierFile, "verifier")
    if form and form not in VERIFIER_FORMS:
        hint = f"write {name}#rates or {name}#scores"
        raise ScenarioError(Problem(f"a verifier has no form {form!r}", hint=hint))
    return found.verifier(form or None)


def resolve_class(value: str, folders: Folders, asked: FittedWith) -> dict[str, Any]:
    """What a class takes of a file of fitted ones: its constants, and where they are from.

    Parameters
    ----------
    asked : what the scenario makes of losses and steps; the fit must have made the same.

    Raises
    ------
    UsageError, ScenarioError : a file that is not there, is broken, or was fitted otherwise.
    """
    name, _, one = value.partition("#")
    found = _named(name, folders, TasksFile, "tasks")
    listed = list(found.classes)
    one = (
        one
        or (asked.name if asked.name in listed else "")
        or (listed[0] if listed[1:] == [] else "")
    )
    if one not in found.classes:
        near = difflib.get_close_matches(one or asked.name, listed, n=1)
        message = f"{name} has no class {one!r}" if one else f"{name} has {len(listed)} classes"
        raise ScenarioError(
            Problem(message, hint=f"write for example {name}#{(near or listed)[0]}")
        )
    if asked.ends != (1.0, 0.0):
        message = (
            f"{name} was fitted with a sigmoid of scale 1 and offset 0, the scenario has scale "
            f"{asked.ends[0]:g} and offset {asked.ends[1]:g}"
        )
        hint = "name the CSV file in its place, and the class is fitted with them"
        raise ScenarioError(Problem(message, hint=hint))
    if abs(found.slope - asked.slope) > 1e-9 * found.slope:
        message = (
            f"{name} was fitted with a slope of {found.slope:g}, the scenario has {asked.slope:g}"
        )
        hint = f"set model.capability.slope: {found.slope:g}, or fit with --slope {asked.slope:g}"
        raise ScenarioError(Problem(message, hint=hint))
    law = found.loss.removeprefix("law ")
    if asked.law is not None and found.loss.startswith("law ") and law != asked.law:
        message = f"{name} was fitted to losses of {law}, the scenario has {asked.law}"
        raise ScenarioError(Problem(message, hint=f"set model.loss_law: {law}, or fit again"))
    fit = found.classes[one]
    values = fit.values
    return {
        "difficulty": values["difficulty"],
        "skills": int(values["skills"]),
        "directionality": values["directionality"],
        "fatigue": values["fatigue"],
        "tokens_per_step": found.tokens_per_step,
        "fitted": {
            "source": f"{found.name}#{one}, {found.source}",
            "fitted_loss": fit.fitted_range.loss,
            "doubts": list(fit.doubts),
        },
        "draws": fit.draws,
    }


@dataclass(frozen=True)
class FittedWith:
    """What a scenario makes of losses and steps."""

    name: str
    """Of the class."""
    slope: float
    law: str | None
    """Name of the loss law; None where it has none."""
    ends: tuple[float, float] = (1.0, 0.0)
    """Scale and offset of the sigmoid of a step."""


def _sigmoid(value: str, folders: Folders) -> tuple[CapabilityFile, str, TaskMap]:
    name, _, task = value.partition("#")
    found = _named(name, folders, CapabilityFile, "capability")
    listed = list(found.tasks)
    if not task and len(listed) == 1:
        task = listed[0]
    if task not in found.tasks:
        near = difflib.get_close_matches(task, listed, n=1)
        meant = (near or listed)[0]
        message = f"{name} has no task {task!r}" if task else f"{name} has {len(listed)} tasks"
        hint = f"write for example {name}#{meant}"
        raise ScenarioError(Problem(message, hint=hint))
    one = found.tasks[task]
    if one.form != "sigmoid":
        message = f"the map of {task} is {one.form}; the success of a step is a sigmoid of loss"
        raise ScenarioError(Problem(message, hint="fit it with --map sigmoid"))
    return found, task, one


def _path(name: str, folders: Folders) -> Path:
    """A file of the scenario's own folder, of other folders, or of the working folder."""
    places = [*(Path(folder) / name for folder in folders), Path(name)]
    return next((place for place in places if _is_file(place)), places[0])


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name too long, or with a NUL
        return False


def _named(
    name: str,
    folders: Folders,
    model: type[File],
    kind: str,
    message: str = "",
    hint: str = "",
) -> File:
    """The law file of a name, which must be of a kind; `message` is for what names no file."""
    if message and not names_file(name):
        raise ScenarioError(Problem(message, hint=hint))
    found = load_law_file(_path(name, folders))
    if not isinstance(found, model):
        held = f"{name} holds {WORDS[found.kind]}, {WORDS[kind]} is expected"
        raise ScenarioError(Problem(held))
    return found


def law_file_text(found: LawFile, command: str) -> str:
    """The YAML of a law file.

    Parameters
    ----------
    command : that wrote it, for the first line.

    Notes
    -----
    Draws are a block of text: a reader of YAML takes them at once, where a list of lists of a
    thousand draws would take it half a second.
    """
    import yaml

    data: dict[str, Any] = found.model_dump(exclude_none=True, exclude_defaults=True)
    first = (
        "kind",
        "version",
        "name",
        "data",
        "loss",
        "tokens_per_step",
        "slope",
        "ds3opt_version",
    )
    if "tasks" in data:
        data["tasks"] = {k: {"form": one["form"], **one} for k, one in data["tasks"].items()}
    head = {key: data.pop(key) for key in first if key in data}
    data = _rounded({"kind": found.kind, "version": found.version, **head, **data})
    text: str = yaml.dump(data, Dumper=_dumper(), sort_keys=False, allow_unicode=True, width=10_000)
    return f"# written by `{command}`; a scenario names this file\n{text}"


def _rounded(value: Any) -> Any:
    """Numbers with ten digits: further ones differ between machines and say nothing."""
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, tuple):
        return tuple(_rounded(one) for one in value)
    return float(f"{value:.10g}") if isinstance(value, float) else value


def _dumper() -> Any:
    import yaml

    class Dumper(yaml.SafeDumper):
        """Texts of several lines as blocks, pairs and lists of names on one line."""

    def text(dumper: Any, value: str) -> Any:
        style = "|" if "\n" in value else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    def row(dumper: Any, value: Any) -> Any:
        return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=True)

    Dumper.add_representer(str, text)
    Dumper.add_representer(tuple, row)
    return Dumper


def draws_text(names: Sequence[str], draws: Any) -> str:
    """A table of joint draws: a line of names, then a line of numbers for each draw.

    Nine digits keep what the correlation of coefficients with exponents says.
    """
    if not len(draws):
        return ""
    rows = [" ".join(f"{value:.9g}" for value in row) for row in draws.tolist()]
    return "\n".join([" ".join(names), *rows]) + "\n"
