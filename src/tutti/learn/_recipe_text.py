"""The default recipe for texts."""

from tutti.core import Setting, TextShape
from tutti.learn._recipe import Recipe
from tutti.models import TextBag
from tutti.optim import Cosine
from tutti.tasks import TaskKind

STEPS = 600  # for small sets


def recipe(shape: TextShape, rows: int, kind: TaskKind) -> Recipe:
    """The recipe for this many training texts: a bag of words and pairs of words with the weights of TF-IDF."""
    batch = min(64 if rows < 50_000 else 256, max(1, rows))
    epochs = max(5.0, STEPS * batch / max(1, rows))
    return Recipe(
        model=TextBag(),
        schedule=Cosine(warmup_fraction=0.1),
        batch_size=batch,
        epochs=epochs,
        base=Setting(dropout=0.3),
        rate=3e-3,
    )
