"""The picture world: drawn scenes with answers known exactly (lesson 09)."""

from minikimi.world.picture_world import TASKS, PictureWorld

__all__ = ["TASKS", "PictureWorld"]
