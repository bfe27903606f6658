"""The picture world: drawn scenes with answers known exactly (lesson 09)."""

from minikimi.world.picture_world import PictureWorld
from minikimi.world.tasks import TASKS, group_of, judged, tasks_of

__all__ = ["TASKS", "PictureWorld", "group_of", "judged", "tasks_of"]
