"""Possible worlds: the uncertain constants of a scenario drawn, alone or jointly as data say."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ds3opt.errors import Problem, ScenarioError
from ds3opt.laws._types import FloatArray
from ds3opt.schema.fitted import parsed_draws
from ds3opt.schema.number_keys import KeyPath, key_type
from ds3opt.schema.quantities import Section
from ds3opt.schema.scenario import Scenario
from ds3opt.schema.uncertain import UncertainNumber, of_table
from ds3opt.uncertainty.keys import Constant, dotted, label, value_at
from ds3opt.uncertainty.keys import numeric_keys as numeric_keys
from ds3opt.uncertainty.placing import placed, tables
from ds3opt.uncertainty.placing import replaced as replaced


@dataclass(frozen=True)
class Sample:
    """Drawn values of the uncertain constants."""

    constants: tuple[Constant, ...]
    values: FloatArray  # (draw, constant), in base units
    seed: int

    def __len__(self) -> int:
        return len(self.values)


def constants(scenario: Scenario) -> tuple[Constant, ...]:
    """Every number of a scenario that is not known exactly.

    They are those that the scenario writes with an interval, a distribution or draws, in its order,
    and the constants of fitted laws that come with a table of joint draws.
    """
    return tuple(_constant(scenario, one) for one in _uncertain(scenario))


def quantiles(scenario: Scenario, levels: Sequence[float]) -> FloatArray:
    """Quantiles of each of `constants`, (constant, level), in base units.

    Of distributions they are exact, of listed draws those of the list.
    """
    rows = []
    for one in _uncertain(scenario):
        listed = one.form == "draws"
        probability = np.asarray(levels, dtype=np.float64)
        found = np.quantile(one.draws, probability) if listed else one.quantile(probability)
        rows.append(one.domain.rounded(found))
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(levels))


def sample(scenario: Scenario, draws: int, seed: int) -> Sample:
    """Draw the uncertain constants.

    Parameters
    ----------
    draws : how many, at least 0.
    seed : any whole number; the same one gives the same draws.

    Raises
    ------
    ScenarioError : a draw that its key refuses, such as 0 for a number above 0.

    Notes
    -----
    Draw i depends on the seed and i alone: more draws keep the first ones. What one constant draws
    does not depend on which others are uncertain. Listed draws and tables of fitted laws are dealt
    like cards: in an order of the seed's, each row once before any comes again.
    """
    numbers = list(_uncertain(scenario))
    values = np.empty((draws, len(numbers)))
    found = tuple(_constant(scenario, one) for one in numbers)
    for index, (number, constant) in enumerate(zip(numbers, found, strict=True)):
        if number.form == "draws":
            rows = _dealt(len(number.draws), draws, seed, constant.group)
            column = np.array(number.draws)[rows]
        else:
            column = number.quantile(_uniform(draws, seed, constant.path))
        column = number.domain.rounded(column)
        _refuse_misfits(constant, column, number.form)
        values[:, index] = column
    return Sample(found, values, seed)


def drawn(scenario: Scenario, sample: Sample, index: int) -> Scenario:
    """The scenario of one draw, a point: nothing in it is uncertain.

    Shares of classes, and of periods' load, are taken over their sum.

    Raises
    ------
    ScenarioError : drawn values that contradict each other.
    """
    row = sample.values[index].tolist()
    values = {
        place: value
        for constant, value in zip(sample.constants, row, strict=True)
        for place in constant.places
    }
    return placed(scenario, values, f"the values of draw {index + 1}")


def _uncertain(scenario: Scenario) -> Iterator[UncertainNumber]:
    written = scenario.uncertain
    yield from written
    taken = {place for one in written for place in one.places}
    for part, text in tables(scenario).items():
        names, _ = parsed_draws(text)
        for name in names:
            path = _key_of(scenario, part, name)
            kind = None if path is None else key_type(Scenario, path)
            if path is None or kind is None or kind.number is None or taken & set(kind.places):
                continue
            value = float(value_at(scenario, kind.places[0]))
            source = _name(scenario, part)
            yield from of_table(text, name, kind.number, path, kind.places, source, value)


def _key_of(scenario: Scenario, part: KeyPath, name: str) -> KeyPath | None:
    """Where a constant of a part's table stands: in the part, or in a part of it."""
    section = value_at(scenario, part)
    holders = [(part, section)]
    fields = type(section).model_fields
    holders += [((*part, inner), getattr(section, inner)) for inner in fields]
    for path, holder in holders:
        # a table may hold constants beside those that the part goes by
        if isinstance(holder, Section) and name in holder.model_fields_set:
            return None if getattr(holder, name) is None else (*path, name)
    return None


def _name(scenario: Scenario, part: KeyPath) -> str:
    """What the draws of a part are of."""
    own = getattr(value_at(scenario, part), "name", "")
    return own if isinstance(own, str) and own else label(scenario, part)


def _constant(scenario: Scenario, one: UncertainNumber) -> Constant:
    path = dotted(one.path)
    value = value_at(scenario, one.places[0])
    return Constant(
        path,
        label(scenario, one.path),
        one.dimension,
        one.value if value is None else float(value),
        one.source,
        one.group or path,
        one.places,
        one.domain,
    )


def _refuse_misfits(constant: Constant, column: FloatArray, form: str) -> None:
    wrong = np.flatnonzero(~constant.domain.accepts(column))
    if not wrong.size:
        return
    message = f"{constant.domain.misfit(float(column[wrong[0]]))} (draw {wrong[0] + 1})"
    hint = "" if form == "draws" else "distribution: lognormal stays above 0"
    if form != "draws" and constant.domain.high_open:
        hint = "distribution: logit_normal stays between 0 and 1"
    raise ScenarioError(Problem(f"{constant.source}: {message}", path=constant.path, hint=hint))


def _stream(seed: int, name: str, count: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """Random words of a constant or group, of which more keep the first ones."""
    digest = hashlib.sha256(f"{seed}\0{name}".encode()).digest()
    return np.random.Philox(key=int.from_bytes(digest[:16], "little")).random_raw(count)


def _uniform(count: int, seed: int, name: str) -> FloatArray:
    """Numbers in (0, 1): multiples of 2^-53, and half of one in place of 0."""
    words = (_stream(seed, name, count) >> np.uint64(11)).astype(np.float64)
    return np.maximum(words * 2.0**-53, 2.0**-54)


def _dealt(
    rows: int, count: int, seed: int, name: str
) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Rows of a table in random order, each once before any comes again."""
    rounds = -(-count // rows)
    words = _stream(seed, name, rounds * rows).reshape(rounds, rows)
    return np.argsort(words, axis=1, kind="stable").ravel()[:count]
