"""What serving and training take of every limit on hardware, period by period."""

from __future__ import annotations

import math
from typing import Any

from oracles.fleet_machine import Shape
from oracles.fleet_ways import Point

EMBODIED_SECONDS = 5 * 365 * 86400.0 * 0.8


class Resources:
    """The limits of a scenario."""

    scenario: Any
    tasks: list[Point]

    def periods(self) -> list[tuple[str, float, float]]:
        """(name, part of the time, part of the load)."""
        hardware = self.scenario.hardware
        listed = hardware.electricity.periods if hardware else None
        if listed is None:
            return [("day", 1.0, 1.0)]
        parts = [p.duration / 86400.0 for p in listed]
        loads = parts if listed[0].load_share is None else [p.load_share for p in listed]
        return list(zip([p.name for p in listed], parts, loads, strict=True))

    def _tariff(self, name: str, period: int) -> float:
        electricity = self.scenario.hardware.electricity
        own = None
        if electricity.periods is not None:
            own = getattr(electricity.periods[period], name)
        return getattr(electricity, name) if own is None else own

    @staticmethod
    def _each_second(part: Any) -> tuple[float, bool]:
        """Price of an accelerator-second, and whether electricity comes on top."""
        if part.own is None:
            return getattr(part.accelerator.price_per_hour, part.price) / 3600.0, False
        capital = part.own.capital_cost
        if capital is None:
            capital = part.accelerator.capital_cost
        return capital / (part.own.lifetime * part.own.running_share), True

    @staticmethod
    def _made(part: Any) -> float:
        if part is None or part.accelerator.embodied_carbon_kg is None:
            return 0.0
        life = EMBODIED_SECONDS
        if part.own is not None:
            life = part.own.lifetime * part.own.running_share
        return part.accelerator.embodied_carbon_kg / life

    def served(self, name: str, period: int) -> tuple[float, float, float, float]:
        """What a FLOP, an accelerator-second, a joule and a dollar of serving take of it."""
        part = self.scenario.hardware.inference if self.scenario.hardware else None
        if name in ("total_flop", "inference_flop"):
            return 1.0, 0.0, 0.0, 0.0
        if name == "accelerator_hours":
            return 0.0, 1.0 / 3600.0, 0.0, 0.0
        if name == "energy":
            return 0.0, 0.0, 1.0, 0.0
        if name == "carbon":
            return 0.0, self._made(part), self._tariff("carbon_intensity", period), 0.0
        if name == "cost":
            if part is None:
                return 0.0, 0.0, 0.0, 1.0
            price, owned = self._each_second(part)
            return 0.0, price, self._tariff("price", period) if owned else 0.0, 1.0
        return 0.0, 0.0, 0.0, 0.0

    def trained(self, name: str, period: int) -> float:
        """What one training FLOP takes of a resource."""
        if name in ("total_flop", "training_flop"):
            return 1.0
        if name == "inference_flop" or not self.scenario.model.train:
            return 0.0
        if self.scenario.hardware is None or self.scenario.hardware.training is None:
            return 0.0
        seconds, watts = self.training_seconds(), self.training_watts()
        part = self.scenario.hardware.training
        if name == "accelerator_hours":
            return seconds / 3600.0
        if name == "energy":
            return seconds * watts
        if name == "carbon":
            return seconds * (watts * self._tariff("carbon_intensity", period) + self._made(part))
        price, owned = self._each_second(part)
        return seconds * (price + (watts * self._tariff("price", period) if owned else 0.0))

    def training_seconds(self) -> float:
        """Accelerator-seconds of a training FLOP."""
        part = self.scenario.hardware.training
        utilisation, goodput = part.utilisation, part.goodput
        if utilisation is None:
            utilisation = getattr(part.calibration.training, part.precision).matrix
        if goodput is None:
            goodput = part.calibration.training.goodput
        rate = getattr(part.accelerator.dense_flop_per_s, part.precision)
        return 1.0 / (rate * utilisation * goodput)

    def training_watts(self) -> float:
        """Of the site for each accelerator that trains."""
        hardware = self.scenario.hardware
        board = hardware.training.accelerator.board_power_watts
        each = 0.0 if board is None else board + hardware.host_power
        return each * hardware.power_usage_effectiveness

    def trainers(self) -> float:
        """The most accelerators that may train at a time."""
        limits, hardware = self.scenario.limits, self.scenario.hardware
        most = hardware.training.count or math.inf
        if limits.power is not None:
            most = min(most, math.floor(limits.power / self.training_watts() * (1 + 1e-12)))
        return most

    def training_takes(self, name: str, limit: float, period: int | None, where: int) -> float:
        """Part of a row that a training FLOP placed in a period takes."""
        if period is None:
            return self.trained(name, where) / limit
        if name != "training_time" or period != where or self.trainers() < 1:
            return 0.0
        # a run lasts so many days that the part of each day that it is given is enough
        day_part = self.periods()[where][1]
        return self.training_seconds() / self.trainers() / day_part / limit

    def may_train(self, shape: Shape, flop: float) -> bool:
        """Whether limits on training alone are kept."""
        limits = self.scenario.limits
        if limits.training_flop is not None and flop > limits.training_flop * (1 + 1e-9):
            return False
        hardware = self.scenario.hardware
        if hardware is None or hardware.training is None:
            return True
        part, most = hardware.training, self.trainers()
        usable = part.calibration.capacity.usable_memory
        if part.accelerator.memory_bytes is not None:
            need = part.bytes_per_parameter * shape.total / (part.accelerator.memory_bytes * usable)
            if max(1, math.ceil(need)) > most:
                return False
        if most < 1:
            return False
        if limits.training_time is None:
            return True
        return flop * self.training_seconds() / most <= limits.training_time * (1 + 1e-9)

    def token_range(self, shape: Shape) -> tuple[float, float] | None:
        """Fewest and most training tokens."""
        model = self.scenario.model
        ratio, tokens = model.tokens_per_parameter, model.training_tokens
        low = max(tokens.min, (ratio.min or 0.0) * shape.loss_size)
        high = min(tokens.max, (ratio.max or math.inf) * shape.loss_size)
        per_token, given = self.flop_per_token(shape), self.scenario.limits
        for name in ("total_flop", "energy", "cost", "carbon", "accelerator_hours"):
            limit = getattr(given, name)
            least = min(
                [self.trained(name, p) for p in range(len(self.periods()))] if limit else [0.0]
            )
            if limit and least > 0:
                high = min(high, limit / least / per_token)
        if given.training_flop is not None:
            high = min(high, given.training_flop / per_token)
        if not self.may_train(shape, 0.0):
            return None
        if given.training_time is not None and not self.may_train(shape, high * per_token):
            a, b = 0.0, high * per_token
            for _ in range(200):
                middle = 0.5 * (a + b)
                a, b = (middle, b) if self.may_train(shape, middle) else (a, middle)
            high = a / per_token
        return (low, high) if high >= low else None

    def flop_per_token(self, shape: Shape) -> float:
        """Training FLOP of one token."""
        tokens = self.scenario.model.training_sequence_tokens
        return 6.0 * shape.active + 3.0 * shape.layers * shape.attention * tokens

    def rows(self) -> list[tuple[str, float, int | None]]:
        """(name, limit, period) of every upper limit that a mix must keep."""
        limits = self.scenario.limits
        names = ("total_flop", "inference_flop", "energy", "cost", "carbon", "accelerator_hours")
        given = [(name, getattr(limits, name)) for name in names]
        found: list[tuple[str, float, int | None]] = [
            (name, limit, None) for name, limit in given if limit is not None
        ]
        hardware = self.scenario.hardware
        count = hardware.inference.count if hardware and hardware.inference else None
        for index in range(len(self.periods())):
            if count is not None:
                found.append(("held", count, index))
            if limits.power is not None:
                found.append(("power", limits.power, index))
            trains = hardware is not None and hardware.training is not None
            if limits.training_time is not None and trains and len(self.periods()) > 1:
                found.append(("training_time", limits.training_time, index))
        return found

    def arrivals(self, index: int) -> list[tuple[float, list[int]]]:
        """Parts of a task and the periods that each may be served in."""
        point, periods = self.tasks[index], self.periods()
        if len(periods) == 1:
            return [(point.weight, [0])]
        patient = point.task.deferrable
        found = [
            (point.weight * (1 - patient) * load, [p]) for p, (_, _, load) in enumerate(periods)
        ]
        found.append((point.weight * patient, list(range(len(periods)))))
        return [part for part in found if part[0] > 0.0]

    def takes(self, name: str, period: int | None, where: int, use: tuple[float, ...]) -> float:
        """What serving one task in a period takes of a row."""
        if period is None:
            rates = self.served(name, where)
            return sum(r * u for r, u in zip(rates, use, strict=True))
        if period != where or name == "training_time":
            return 0.0
        span = self.scenario.workload.horizon * self.periods()[period][1]
        return (use[1] if name == "held" else use[2]) / span
