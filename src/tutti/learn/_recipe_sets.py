"""The default recipe for sets."""

from tutti.core import SetShape, Setting
from tutti.learn._recipe import Recipe
from tutti.models import DeepSets
from tutti.optim import Cosine
from tutti.tasks import Task


def recipe(shape: SetShape, rows: int, task: Task) -> Recipe:
    """The recipe for sets of this shape, with this many of them to train on."""
    epochs = 60.0 if rows < 1_000 else 30.0 if rows < 10_000 else 12.0
    return Recipe(
        model=DeepSets(),
        schedule=Cosine(warmup_fraction=0.1),
        batch_size=min(32 if rows < 5_000 else 128, max(1, rows)),
        epochs=epochs,
        base=Setting(),
        rate=3e-3,
    )
