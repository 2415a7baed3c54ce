"""The default recipe for texts."""

from math import ceil, log2

from tutti.core import Setting, TextShape
from tutti.learn._recipe import Recipe
from tutti.models import TextBag
from tutti.optim import Cosine
from tutti.tasks import Task

EPOCHS = 4.0
STEPS = 800  # for small sets
SLOTS = (15, 20)  # powers of two: the fewest and the most slots of runs of words


def recipe(shape: TextShape, rows: int, task: Task) -> Recipe:
    """The recipe for this many training texts: a bag of words and pairs of words with the weights of TF-IDF."""
    batch = min(64 if rows < 50_000 else 256, max(1, rows))
    epochs = max(EPOCHS, STEPS * batch / max(1, rows))
    runs = ceil(log2(max(2, rows * shape.length / 2)))
    return Recipe(
        model=TextBag(buckets=1 << min(max(runs, SLOTS[0]), SLOTS[1])),
        schedule=Cosine(warmup_fraction=0.1),
        batch_size=batch,
        epochs=epochs,
        base=Setting(),
        rate=1e-2,
    )
