"""Monte Carlo of the general process, DS3 section II: any graph, kernels, costs and evaluation."""

from __future__ import annotations

from ds3opt.simulate.engine import Ensemble, simulate
from ds3opt.simulate.ideal import IdealTask, Walk, process_of
from ds3opt.simulate.kernels import BRANCH, IDLE, NOTHING, STOP, ProcessError, choose
from ds3opt.simulate.process import Process
from ds3opt.simulate.shortcut import simulate_task
from ds3opt.simulate.state import State

__all__ = [
    "BRANCH",
    "IDLE",
    "NOTHING",
    "STOP",
    "Ensemble",
    "IdealTask",
    "Process",
    "ProcessError",
    "State",
    "Walk",
    "choose",
    "process_of",
    "simulate",
    "simulate_task",
]
