"""The models that may be trained: a list of shapes, and what each makes of training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ds3opt.errors import Problem as Mistake
from ds3opt.errors import ScenarioError
from ds3opt.laws.compute import training_flop
from ds3opt.laws.roofline import ModelShape
from ds3opt.laws.shapes import BYTES_PER_ELEMENT, DenseShapes, shapes_by_rule
from ds3opt.problem import TrainingSpace
from ds3opt.schema import Scenario
from ds3opt.schema.model import TrainableShape
from ds3opt.schema.model_shape import ModelShapeSpec
from ds3opt.units import format_quantity

FloatArray = NDArray[np.float64]

DEFAULT_WIDTH_PER_LAYER = 128.0
_MOST_SHAPES = 10_000
"""Of one rule; every shape between 100 k and 100 T parameters are some hundreds."""


@dataclass(frozen=True)
class Models:
    """Shapes that may be trained, smallest first."""

    shape: ModelShape
    """Its fields are arrays (shape,)."""
    loss_parameters: FloatArray  # (shape,) N of the loss law
    nested: bool
    """Whether no size falls along the list, so that a smaller shape bounds the larger ones."""
    scope: str
    """What the list is, in words."""
    names: tuple[str, ...] = ()
    """Of listed shapes."""

    def __len__(self) -> int:
        return int(self.loss_parameters.size)

    @property
    def active(self) -> FloatArray:
        """Parameters that one token passes, (shape,)."""
        return np.asarray(self.shape.active_parameters)

    @property
    def attention(self) -> FloatArray:
        """Layers x attention width, (shape,)."""
        return np.asarray(self.shape.layers * np.asarray(self.shape.attention_width))

    def training_flop(self, space: TrainingSpace, tokens: FloatArray) -> FloatArray:
        """Training FLOP of every shape, (..., shape); 0 where data is endless and free."""
        if space.infinite_data:
            return np.zeros(np.broadcast_shapes(tokens.shape, self.active.shape))
        with np.errstate(invalid="ignore", over="ignore"):
            found = training_flop(
                self.active,
                np.where(np.isinf(tokens), 0.0, tokens),
                layers=self.attention if space.sequence_tokens else 0.0,
                attention_width=1.0,
                sequence_tokens=space.sequence_tokens,
            )
        return np.where(np.isinf(tokens), np.inf, found)

    def only(self, keep: NDArray[np.bool_]) -> Models:
        """Some of the shapes."""
        index = np.flatnonzero(keep)
        return replace(
            self,
            shape=shapes_at(self.shape, index),
            loss_parameters=self.loss_parameters[index],
            names=tuple(self.names[i] for i in index) if self.names else (),
        )


def shapes_at(shape: ModelShape, index: NDArray[np.intp]) -> ModelShape:
    """Shapes at an index of a list of shapes; figures of all of them stay as they are."""
    return _mapped(shape, lambda value: value[index] if value.ndim else value)


def number_formats(scenario: Scenario) -> tuple[str, str]:
    """In what weights and caches are stored where they are served; bf16 where nothing is said."""
    inference = scenario.hardware.inference if scenario.hardware is not None else None
    return ("bf16", "bf16") if inference is None else (inference.weights, inference.kv_cache)


def trainable_models(scenario: Scenario) -> Models | None:
    """The shapes that a scenario lets be trained; None where it trains nothing.

    Raises
    ------
    ScenarioError : where the range of parameters has no shape of the rule.
    """
    model = scenario.model
    if not model.train:
        return None
    weights, cache = number_formats(scenario)
    shape = model.shape
    if shape is not None and shape.list is not None:
        return _listed(shape.list, weights, cache)
    if shape is not None and shape.layers is not None:
        raise ScenarioError(
            Mistake(
                "on hardware the layers of a model follow its size",
                path="model.shape.layers",
                hint="give width_per_layer, or a list of shapes",
            )
        )
    width = DEFAULT_WIDTH_PER_LAYER
    if shape is not None and shape.width_per_layer is not None:
        width = shape.width_per_layer
    low, high = model.parameters.min, model.parameters.max
    head = shape.head_width if shape is not None else 128.0
    share = shape.query_heads_per_kv_head if shape is not None else 8.0
    found = _of_rule(low, high, width, head, share)
    if found is None:
        raise ScenarioError(
            Mistake(
                f"a width_per_layer of {width:g} and a head_width of {head:g} make more than "
                f"{_MOST_SHAPES:,} models between {_size(low)} and {_size(high)}",
                path="model.shape.width_per_layer",
                hint="narrow model.parameters, or give a larger width_per_layer; 128 is usual",
            )
        )
    sizes = np.asarray(found.parameters)
    if sizes.size == 0:
        near = _of_rule(low / 10, high * 10, width, head, share)
        middle = np.sqrt(low * high)
        nearest = [] if near is None else [_size(float(x)) for x in _around(near, middle)]
        raise ScenarioError(
            Mistake(
                f"no model of {width:g} width per layer has between {_size(low)} and {_size(high)}",
                path="model.parameters",
                hint=f"the nearest have {' and '.join(nearest)}" if nearest else "",
            )
        )
    count = sizes.size
    words = (
        f"{count} dense {'shape' if count == 1 else 'shapes'} of width {width:g} x layers, "
        f"{_size(float(sizes[0]))} to {_size(float(sizes[-1]))}"
    )
    return Models(dense(found, weights, cache), sizes, True, words)


def _of_rule(
    low: float, high: float, width: float, head: float, share: float
) -> DenseShapes | None:
    """Shapes between two sizes; None where they are too many."""
    try:
        found = shapes_by_rule(
            low, high, width_per_layer=width, head_width=head, query_heads_per_kv_head=share
        )
    except ValueError:  # more than the rule itself makes
        return None
    return found if np.asarray(found.parameters).size <= _MOST_SHAPES else None


def _size(parameters: float) -> str:
    return format_quantity(parameters, "parameters")


def one_model(scenario: Scenario, parameters: float) -> Models:
    """The one dense shape of a size, its layers not rounded; a listed shape of just that size."""
    listed = trainable_models(scenario)
    if listed is not None and not listed.nested:
        same = np.isclose(np.asarray(listed.shape.parameters), parameters, rtol=1e-3)
        if np.any(same):
            return listed.only(same & (np.cumsum(same) == 1))
    weights, cache = number_formats(scenario)
    shape = scenario.model.shape
    width_per_layer = DEFAULT_WIDTH_PER_LAYER
    head, share = 128.0, 8.0
    if shape is not None:
        width_per_layer = shape.width_per_layer or width_per_layer
        head, share = shape.head_width, shape.query_heads_per_kv_head
    layers = np.cbrt(parameters / (12.0 * width_per_layer**2))
    width = width_per_layer * layers
    kv_heads = np.maximum(np.floor(width / head / share), 1.0)
    found = DenseShapes(
        parameters=np.array([parameters]),
        layers=np.array([layers]),
        width=np.array([width]),
        heads=np.array([width / head]),
        kv_heads=np.array([kv_heads]),
        attention_width=np.array([width]),
        kv_elements_per_token=np.array([2.0 * layers * kv_heads * head]),
    )
    sizes = np.array([parameters])
    return Models(dense(found, weights, cache), sizes, True, "the model as given")


def dense(found: DenseShapes, weights: str, cache: str) -> ModelShape:
    """Dense shapes with their number formats; fields (shape,)."""
    return _filled(found.model_shape(BYTES_PER_ELEMENT[weights], BYTES_PER_ELEMENT[cache]))


def _filled(shape: ModelShape) -> ModelShape:
    """The same shapes with every field an array (shape,)."""
    count = np.asarray(shape.parameters).shape
    return _mapped(shape, lambda value: np.broadcast_to(value, count).copy())


def _mapped(shape: ModelShape, change: Callable[[FloatArray], FloatArray]) -> ModelShape:
    """A shape with every field that it has changed alike."""
    values: dict[str, Any] = {f.name: getattr(shape, f.name) for f in fields(shape)}
    changed: dict[str, Any] = {
        n: None if v is None else change(np.asarray(v)) for n, v in values.items()
    }
    return ModelShape(**changed)


def _around(shapes: DenseShapes, value: float) -> FloatArray:
    sizes = np.asarray(shapes.parameters)
    place = int(np.searchsorted(sizes, value))
    return np.asarray(sizes[max(place - 1, 0) : place + 1])


def _listed(specs: tuple[TrainableShape, ...], weights: str, cache: str) -> Models:
    order = sorted(range(len(specs)), key=lambda i: specs[i].parameters)
    chosen = [specs[i] for i in order]
    shapes = [stored(spec, weights, cache) for spec in chosen]
    names = tuple(
        spec.name or spec.model_id or format_quantity(spec.parameters, "parameters")
        for spec in chosen
    )
    return Models(
        stacked(shapes),
        np.array([spec.loss_parameters for spec in chosen]),
        False,
        f"{len(chosen)} listed {'shape' if len(chosen) == 1 else 'shapes'}: {', '.join(names)}",
        names,
    )


def stored(spec: ModelShapeSpec, weights: str, cache: str) -> ModelShape:
    """A shape in the number formats of its server."""
    return spec.model_shape(weights, cache)  # type: ignore[arg-type]


def stacked(shapes: list[ModelShape]) -> ModelShape:
    """Several shapes as one with arrays (shape,)."""
    columns: dict[str, Any] = {}
    for field in fields(ModelShape):
        values = [getattr(shape, field.name) for shape in shapes]
        if all(v is None for v in values):
            columns[field.name] = None
            continue
        plain = [
            s.bytes_per_weight if v is None else v for s, v in zip(shapes, values, strict=True)
        ]
        columns[field.name] = np.array([float(v) for v in plain])
    return ModelShape(**columns)
