"""Muon for matrices, AdamW for the rest, and the schedules of their learning rate (lesson 08)."""

from minikimi.optim.grouping import group_table, param_groups
from minikimi.optim.muon import Muon
from minikimi.optim.newton_schulz import newton_schulz
from minikimi.optim.schedules import constant, warmup_cosine, warmup_linear

__all__ = ["Muon", "constant", "group_table", "newton_schulz", "param_groups", "warmup_cosine", "warmup_linear"]
