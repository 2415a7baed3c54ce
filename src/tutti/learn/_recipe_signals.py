"""The default recipe for signals."""

from tutti.core import Setting, SignalShape
from tutti.learn._recipe import Recipe
from tutti.models import InceptionTime
from tutti.optim import Cosine
from tutti.tasks import TaskKind

STEPS = 600  # for small sets: passes over a few dozen signals are no measure of work
EPOCHS = 15.0


def recipe(shape: SignalShape, rows: int, kind: TaskKind) -> Recipe:
    """The recipe for this many training signals of this shape.

    InceptionTime at 16 filters, AdamW, warm-up over a tenth of the steps, cosine to 0. Chosen by cross-validation on
    the training parts of the shared UCR sets and of the spoken digits (docs/LOG.md).
    """
    batch = 16 if rows < 500 else 32 if rows < 5_000 else 64
    batch = min(batch, max(1, rows))
    epochs = max(EPOCHS, STEPS * batch / max(1, rows))
    return Recipe(
        model=InceptionTime(),
        schedule=Cosine(warmup_fraction=0.1),
        batch_size=batch,
        epochs=epochs,
        base=Setting(weight_decay=0.01),
        rate=3e-3,
    )
