"""What a user may write: the scenario as frozen models that accept no unknown key."""

from ds3opt.schema.scenario import Scenario

__all__ = ["Scenario"]
