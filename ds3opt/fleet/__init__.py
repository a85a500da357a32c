"""A scenario on real hardware as arrays: models to choose from, resources and their limits."""

from ds3opt.fleet.compile import Fleet, compile_fleet, needs_fleet

__all__ = ["Fleet", "compile_fleet", "needs_fleet"]
